"""Where a dataset lies: its folder one level up or down, and the names that its folders have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from landslide_lib.data.bands import OF_DATASET
from landslide_lib.data.base import BadFileError, DatasetNotFoundError
from landslide_lib.data.formats.files import say_once

#: What a folder of pictures is called, in any case.
IMAGES = ("images", "image", "img", "JPEGImages")
MASKS = ("masks", "mask", "annotations", "annotation", "labels", "label")
#: A publisher's folders, each with our name of the part.
PARTS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}
#: Entries of a folder that an error names.
SHOWN = 8


def locate(
    root: Path,
    name: str,
    fits: Callable[[Path], bool],
    expected: str,
    remedy: str,
    *,
    aliases: Sequence[str] = (),
    itself: bool = False,
) -> Path:
    """Find the folder of a dataset, and say on stderr where it was not at its place.

    It is looked for as `name/` (or an alias) below the root, as the root itself, one folder too
    deep, one folder too high (the root is a folder of the dataset), and anywhere one level below
    the root. Folders that are named after other datasets are left alone.

    Args:
        root: The data root.
        name: Of the dataset.
        fits: Whether a folder holds files of it.
        expected: What it looks for, for the message.
        remedy: How to get it, for the message.
        aliases: Other names of its folder.
        itself: Whether the root is as good a place, of which nothing has to be said.

    Raises:
        DatasetNotFoundError: The root is no folder, nothing fits, or several folders fit one
            level below. The message says what there is.
    """
    again = f"Set LANDSLIDE_DATA to the folder that holds {name}/, or {remedy}"
    if not root.is_dir():
        state = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{name}: the data root {root} {state}. {again}")
    places = [root / alias for alias in (name, *aliases)]
    for place in [*places, root] if itself else places:
        if place.is_dir() and fits(place):
            return place
    below = _others(root, name)
    for candidates in (
        [root],
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
    seen = "; ".join(f"{folder} holds {holds(folder)}" for folder in (root, *places[:1]) if folder.is_dir())
    raise DatasetNotFoundError(f"{name}: no {expected} below {places[0]}, nor one folder up or down. {seen}. {again}")


def holds(folder: Path) -> str:
    """Return the entries of a folder as a message names them."""
    try:
        entries = sorted(p.name + "/" * p.is_dir() for p in folder.iterdir() if p.name[0] != ".")
    except OSError as error:
        return f"what cannot be listed ({error.strerror})"
    more = f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    return ", ".join(entries[:SHOWN]) + more if entries else "nothing"


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, but hidden ones, by name; none where it cannot be read."""
    try:
        inner = [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []
    return sorted(path for path in inner if not path.name.startswith("."))


def child(folder: Path, *names: str, holding: Callable[[Path], bool] = lambda _: True) -> Path | None:
    """Return the folder in a folder that has one of some names, in any case; None without one.

    Args:
        folder: Where to look.
        *names: What it may be called.
        holding: Whether it is worth a look.

    Raises:
        BadFileError: There are several, so that it is not clear which to read.
    """
    wanted = {name.casefold() for name in names}
    named = [path for path in subfolders(folder) if path.name.casefold() in wanted]
    there = [path for path in named if holding(path)]
    if len(there) > 1:
        problem = f"holds {' and '.join(f'{path.name}/' for path in there)}"
        remedy = "It is not clear which of them is to be read: move the others away"
        raise BadFileError(folder, problem, remedy)
    return there[0] if there else None


@dataclass(frozen=True)
class Pair:
    """A folder of pictures and the folder of their truth.

    Attributes:
        name: Of the publisher's folder, such as `val`; "" where there are no parts.
        part: Our name of it; `train` where there are no parts.
        images: The pictures.
        truth: Their masks or labels: `images` itself where these have no folder of their own.
    """

    name: str
    part: str
    images: Path
    truth: Path


def pairs(home: Path, truth: Sequence[str]) -> list[Pair]:
    """List the folders of pictures of a dataset, each with the folder of its truth.

    Read are `train/`, `train/images/` with `train/TRUTH/`, `images/train/` with `TRUTH/train/`,
    `images/` with `TRUTH/`, and the folder itself; names may be in any case.

    Args:
        home: The dataset's folder.
        truth: What the folder of the truth may be called.

    Raises:
        BadFileError: Two folders have the same meaning, such as `images` and `JPEGImages`.
    """
    if inner := _parts(home):
        return [
            Pair(name, PARTS[name], images, child(part, *truth) or images)
            for name, part in inner.items()
            for images in [child(part, *IMAGES) or part]
        ]
    above, beside = child(home, *IMAGES), child(home, *truth)
    if above and (inner := _parts(above)):
        of_part = {PARTS[name]: path for name, path in (_parts(beside) if beside else {}).items()}
        return [
            Pair(name, PARTS[name], images, of_part.get(PARTS[name], rest))
            for name, images in inner.items()
            # One folder of truth may be of all parts.
            for rest in [beside if beside and not of_part else images]
        ]
    images = above or home
    return [Pair("", "train", images, beside or images)]


def _fits(folder: Path, fits: Callable[[Path], bool]) -> bool:
    try:
        return fits(folder)
    except BadFileError:  # of a folder that nobody named
        return False


def _parts(folder: Path) -> dict[str, Path]:
    found = {name: child(folder, name) for name in PARTS}
    return {name: path for name, path in found.items() if path}


def _others(root: Path, name: str) -> list[Path]:
    """Return the folders below the root that are not named after another dataset."""
    return [path for path in subfolders(root) if path.name == name or path.name not in OF_DATASET]
