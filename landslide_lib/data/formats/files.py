"""Where the files of a dataset lie, their lists and hashes; arrays and downloads, complete or not there."""

import hashlib
import json
import math
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import DTypeLike

from landslide_lib.data.bands import OF_DATASET
from landslide_lib.data.base import BadFileError, DatasetNotFoundError, DownloadError, Sample, plain_name

SOURCE = "SOURCE.json"  # written into a downloaded dataset's folder: where it came from
IMAGES = ("images", "image", "img", "JPEGImages")  # names of a folder of pictures, in any case
MASKS = ("masks", "mask", "annotations", "annotation", "labels", "label")
#: A publisher's folders, each with our name of the part.
_WORDS = {"train": "train training", "valid": "valid val validation", "test": "test testing"}
PARTS = {word: part for part, words in _WORDS.items() for word in words.split()}
SHOWN = 8  # entries of a folder that an error names


@cache
def say_once(text: str) -> None:
    """Print a line on stderr, and nothing when the same line comes again."""
    print(text, file=sys.stderr)


def list_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files of a folder with one of some suffixes (lower case), by name; no hidden ones (`._x.png`)."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in paths if path.suffix.lower() in suffixes and path.name[0] != ".")


def by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return files by their stem as `plain_name`."""
    named = defaultdict(list)
    for path in paths:
        named[plain_name(path.stem)].append(path)
    return dict(named)


def listing(samples: Iterable[Sample]) -> str:
    """Hash names, sizes and times of the files: cheap, to notice that data changed."""
    digest = hashlib.sha256()
    resolve = cache(Path.resolve)  # a folder once, not for each of its files
    for sample in samples:
        digest.update(f"{sample.id}\0{sample.group}\0{sample.part}\0{sample.region}\0".encode())
        for path in sample.files:
            stat = path.stat() if path.is_file() else None
            size, time = (stat.st_size, stat.st_mtime_ns) if stat else (-1, 0)
            digest.update(os.fsencode(f"{resolve(path.parent) / path.name}\0{size}\0{time}\0"))
    return digest.hexdigest()[:16]


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """Make an NPY file of zeros, memory-mapped. Raises OSError: the disk is too full, which would kill Python later."""
    needed, free = math.prod(shape) * np.dtype(dtype).itemsize, shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(
            f"{path.parent.parent}: {path.name.strip('.').removesuffix('.part')} needs {needed / 1e6:.1f} MB there, "
            f"and {free / 1e6:.1f} MB are free. Make room, or set LANDSLIDE_CACHE to a folder on another disk"
        )
    return np.lib.format.open_memmap(path, "w+", dtype, shape)


def deliver(home: Path, fetch: Callable[[Path], tuple[Path, dict[str, str]]]) -> Path:
    """Download a dataset into a hidden folder, move it in place as a whole, and return its folder `home`.

    `fetch` is given the hidden folder; it returns the folder in it that is to become `home`, and where it came from. A
    download that is broken off is continued by the next attempt. Raises DownloadError: `home` holds something else.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = home.with_name(f".{home.name}.download")
    with FileLock(home.with_name(f".{home.name}.lock")):
        if (home / SOURCE).is_file():
            return home
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise DownloadError(f"{home} is there already. Move it away to download {home.name}")
        scratch.mkdir(exist_ok=True)
        folder, source = fetch(scratch)
        (folder / SOURCE).write_text(json.dumps(source, indent=1) + "\n", "utf-8")
        if home.is_dir():
            home.rmdir()
        folder.rename(home)
        shutil.rmtree(scratch, ignore_errors=True)
    return home


def locate(
    root: Path, name: str, fits: Callable[[Path], bool], expected: str, remedy: str, aliases: Sequence[str] = ()
) -> Path:
    """Find the folder of a dataset, and print on stderr where it is, if it is not at its place.

    The places are, in this order: `name/` (or an alias) below the root, the root itself, one folder too deep, one level
    below the root, one folder too high; not folders named after other datasets. `fits` tells whether a folder holds
    files of the dataset. Raises DatasetNotFoundError: nothing fits, or several folders fit on one level.
    """
    again = f"Set LANDSLIDE_DATA to the folder that holds {name}/, or {remedy}"
    if not root.is_dir():
        state = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{name}: the data root {root} {state}. {again}")
    places = [root / alias for alias in (name, *aliases)]
    for place in (*places, root):
        if place.is_dir() and fits(place):
            if place == root:
                say_once(f"{name}: read from {root}")
            return place
    below = [path for path in subfolders(root) if path.name == name or path.name not in OF_DATASET]
    for candidates in (
        [inner for place in places for inner in subfolders(place)],
        [*below, *(folder / alias for folder in below for alias in (name, *aliases))],
        [root.absolute().parent] if any(root.iterdir()) else [],
    ):
        fitting = [folder for folder in candidates if folder.is_dir() and _fits(folder, fits)]
        if len(fitting) > 1:
            listed = ", ".join(map(str, fitting))
            raise DatasetNotFoundError(
                f"{name}: {len(fitting)} folders could be meant: {listed}. Name one of them with --data-root"
            )
        if fitting:
            say_once(f"{name}: read from {fitting[0]}")
            return fitting[0]
    entries = sorted(path.name for path in root.iterdir())
    holds = ", ".join(entries[:SHOWN]) + ", …" * (len(entries) > SHOWN) or "nothing"
    raise DatasetNotFoundError(
        f"{name}: no {expected} below {places[0]}, nor one folder up or down. {root} holds {holds}. {again}"
    )


def _fits(folder: Path, fits: Callable[[Path], bool]) -> bool:
    try:
        return fits(folder)
    except BadFileError:  # of a folder that nobody named
        return False


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, but hidden ones, by name; none where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def child(folder: Path, *names: str) -> Path | None:
    """Return the folder with one of some names, in any case, or None. Raises BadFileError: there are several."""
    wanted = {name.casefold() for name in names}
    named = [path for path in subfolders(folder) if path.name.casefold() in wanted]
    if len(named) > 1:
        problem = f"holds {' and '.join(f'{path.name}/' for path in named)}"
        raise BadFileError(folder, problem, "It is not clear which of them is to be read: move the others away")
    return named[0] if named else None


@dataclass(frozen=True)
class Pair:
    """A folder of pictures and the folder of their truth."""

    name: str  # of the publisher's folder, such as `val`; "" where there are no parts
    part: str  # our name of it; `train` where there are no parts
    images: Path
    truth: Path  # of masks or labels: `images` itself where these have no folder of their own

    def id(self, path: Path) -> str:
        return f"{self.name}/{path.stem}" if self.name else path.stem


def pairs(home: Path, truth: Sequence[str]) -> list[Pair]:
    """List the folders of pictures of a dataset, each with the folder of its truth, which has one of the names `truth`.

    Read are `train/`, `train/images/` with `train/TRUTH/`, `images/train/` with `TRUTH/train/`, `images/` with
    `TRUTH/`, and the folder itself, in any case. Raises BadFileError: two folders have the same meaning (`images`,
    `JPEGImages`).
    """
    above, beside = child(home, *IMAGES), child(home, *truth)
    if inner := _parts(home):
        of_part = [(name, child(part, *IMAGES) or part, child(part, *truth)) for name, part in inner.items()]
    elif above and (inner := _parts(above)):
        apart = {PARTS[name]: path for name, path in (_parts(beside) if beside else {}).items()}
        common = None if apart else beside  # one folder of truth may be of all parts
        of_part = [(name, images, apart.get(PARTS[name], common)) for name, images in inner.items()]
    else:
        return [Pair("", "train", above or home, beside or above or home)]
    return [Pair(name, PARTS[name], images, labels or images) for name, images, labels in of_part]


def _parts(folder: Path) -> dict[str, Path]:
    children = {name: child(folder, name) for name in PARTS}
    return {name: path for name, path in children.items() if path}


def match_truth(
    pictures: Iterable[Path], images: Path, files: Iterable[Path], truth: Path, suffix: str = ".png"
) -> list[tuple[Path, list[Path]]]:
    """Return each picture with the files of its stem, or the expected one; files without a picture come last."""
    named = by_stem(files)
    matched = [(path, named.pop(plain_name(path.stem), [truth / f"{path.stem}{suffix}"])) for path in pictures]
    rest = [(paths[0].name if suffix == ".png" else f"{paths[0].stem}.jpg", paths) for paths in named.values()]
    return matched + [(images / name, paths) for name, paths in rest]


def several_masks(masks: Sequence[Path]) -> str:
    """Return the problem of an image with more than one mask; "" with one."""
    return f"has {len(masks)} masks: {', '.join(path.name for path in masks)}" if len(masks) > 1 else ""
