"""Where things lie: one place, so that a chapter, a job and a shell find the same records."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

#: The checkout that this code is in; its `data/` and `notebooks/` are found from here.
HOME = Path(__file__).parent.parent
_CHECKOUT = (HOME / "data" / "reports").is_dir()
#: A wheel has its own copy of the reports and of the published records.
_DATA = HOME / "data" if _CHECKOUT else Path(__file__).parent / "published"
REPORTS = _DATA / "reports"
PUBLISHED = _DATA / "results"
TRAINED = _DATA / "models"  # see `training/bundle.py`
FIELD = _DATA / "field.yaml"  # what others print, see `study/field.py`
CARBON = _DATA / "carbon.yaml"  # see `training/energy.py`
NOTEBOOKS = HOME / "notebooks"
CONFIG = HOME / "_config.yml"
WEIGHTS = "weights"  # the folder of the data root with weights of others


def _folder(variable: str, default: str) -> Path:
    """Return what a variable names, from the working directory; a default is from the checkout, if there is one."""
    named = os.environ.get(variable)
    return Path(named).absolute() if named else (HOME if _CHECKOUT else Path.cwd()) / default


def data_root() -> Path:
    """Return the folder of the datasets: `LANDSLIDE_DATA`, by default `data/cache`."""
    return _folder("LANDSLIDE_DATA", "data/cache")


def cache_root() -> Path:
    """Return the folder of packed arrays: `LANDSLIDE_CACHE`, as imagery may be read-only; or `data/cache/packed`."""
    return _folder("LANDSLIDE_CACHE", "data/cache/packed")


def runs_root() -> Path:
    """Return the folder of local runs: `LANDSLIDE_RUNS`, by default `runs`."""
    return _folder("LANDSLIDE_RUNS", "runs")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give the name of a file to write, which takes the place of `path` once all is written, and not before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield scratch
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_once(path: Path, text: str) -> Path:
    """Write a new file, whole or not at all, and never over another, which is a FileExistsError."""
    with atomic_write(path) as scratch:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(scratch, path)  # unlike a rename, refuses to replace
        except OSError:  # it is there, or there are no hard links, such as on a mounted Google Drive
            if path.exists():
                raise FileExistsError(path) from None
    return path
