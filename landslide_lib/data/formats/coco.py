"""Boxes in the JSON of COCO (Lin et al. 2014): one file for a folder of pictures."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.boxes import in_shares, stack, without_area
from landslide_lib.data.formats.files import list_files
from landslide_lib.data.formats.locate import IMAGES, PARTS, child, subfolders

CROWD = (
    "has a crowd (iscrowd 1), a region of many objects: draw a box around each, or set iscrowd to 0 if the region is "
    "one landslide"
)


@dataclass(frozen=True)
class Listed:
    """A picture as a JSON lists it."""

    size: tuple[int, int] | None  # width and height in pixels; None where the JSON does not say
    boxes: NDArray[np.float64]  # (n, 4), n at least 0: xmin, ymin, xmax, ymax as the JSON has them
    problem: str  # why it cannot be used; "" if it can


@dataclass(frozen=True)
class Annotations:
    """What a JSON lists: pictures by file name, and whether its boxes are shares of their sides, not pixels."""

    pictures: Mapping[str, Listed]
    shares: bool


def annotation_files(folders: Iterable[Path]) -> list[Path]:
    """Return the JSON files with boxes; where any is called `instances_…`, only these. Raises BadFileError."""
    paths = {path for folder in folders for path in list_files(folder, {".json"}) if path.is_file()}
    named = [path for path in paths if path.name.startswith("instances_")]
    return sorted(path for path in named or paths if read(path) is not None)


def read(path: Path) -> Annotations | None:
    """Read a JSON; None where it is of something else. Raises BadFileError: it is damaged or contradicts itself."""
    try:
        state = path.stat()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})") from None
    return _read(path, state.st_mtime_ns, state.st_size)


def place(path: Path, names: Iterable[str], home: Path) -> Iterator[tuple[str, str, Path]]:
    """Find the pictures that a JSON lists: the name, our name of the part, and the file that is or ought to be there.

    A name is looked for below the folder of the JSON's part (`train/`, `images/train2017/`), beside the JSON, and in
    the folders of the dataset's `home`, first with the folders in the name, then without. Folders outside `home` are
    never read.
    """
    word = _part(path.stem) or _part(path.parent.name)
    above = [folder for folder in [child(home, *IMAGES)] if folder]
    inner = [folder for outer in (*above, home) for folder in subfolders(outer)]
    own = [folder for folder in inner if word and _part(folder.name) == word]
    own = [folder for part in own for folder in (child(part, *IMAGES), part) if folder]
    bases = [*own, *above, home] if own else [path.parent, *above, home, *inner]
    for name in names:
        whole = PurePosixPath(name.replace("\\", "/"))
        safe = not whole.is_absolute() and ".." not in whole.parts
        relative = dict.fromkeys([*([whole] if safe else []), PurePosixPath(whole.name)])
        candidates = [base / way for way in relative for base in bases]
        file = next((path for path in candidates if path.is_file()), candidates[0])
        of_folders = map(_part, file.relative_to(home).parts[:-1])
        yield name, word or next(filter(None, of_folders), "train"), file


def _part(name: str) -> str:
    """Return our name of the part that the words of a name tell (`instances_val2017`); "" if none does."""
    return next((PARTS[word] for word in re.findall("[a-z]+", name.lower()) if word in PARTS), "")


@lru_cache(maxsize=16)  # each picture asks for its own
def _read(path: Path, _time: int, _size: int) -> Annotations | None:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadFileError(path, f"is truncated or no JSON ({error})") from None
    if not isinstance(content, dict):
        return None
    images, boxes = content.get("images"), content.get("annotations")
    if not (isinstance(images, list) and isinstance(boxes, list)):
        return None
    try:
        return _parsed(images, boxes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"is no JSON of COCO that can be read ({type(error).__name__}: {error})"
        raise BadFileError(path, problem) from None


def _parsed(images: list[Any], annotations: list[Any]) -> Annotations:
    of_image: dict[Any, list[Any]] = {image["id"]: [] for image in images}
    if len(of_image) < len(images):
        raise ValueError("two images have the same id")
    for annotation in annotations:
        if annotation["image_id"] not in of_image:
            raise ValueError(f"a box is of image {annotation['image_id']!r}, which is not listed")
        of_image[annotation["image_id"]].append(annotation)
    times = Counter(image["file_name"] for image in images)
    pictures = {}
    for image in images:
        name = image["file_name"]
        if not isinstance(name, str) or not PurePosixPath(name.replace("\\", "/")).name:
            raise ValueError(f"an image has the file name {name!r}")
        boxes, problem = _boxes(of_image[image["id"]])
        if times[name] > 1:
            problem = f"stands {times[name]} times among the images"
        size = (image.get("width"), image.get("height"))
        known = all(isinstance(side, int) and side > 0 for side in size)
        pictures[name] = Listed(size if known else None, boxes, problem)
    return Annotations(pictures, in_shares(np.concatenate([stack([]), *(p.boxes for p in pictures.values())])))


def _boxes(annotations: list[Any]) -> tuple[NDArray[np.float64], str]:
    boxes: list[list[float]] = []
    for annotation in annotations:
        if annotation.get("iscrowd"):
            return stack([]), CROWD
        given = annotation.get("bbox")
        numbers = isinstance(given, list) and len(given) == 4
        if not numbers or not all(isinstance(value, int | float) and math.isfinite(value) for value in given):
            return stack([]), f"has a box without numbers: {str(given)[:60]}"
        left, top, width, height = map(float, given)
        boxes.append([left, top, left + width, top + height])
        if problem := without_area(boxes[-1]):
            return stack([]), problem
    return stack(boxes), ""
