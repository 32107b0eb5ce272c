"""Boxes in files: the XML of Pascal VOC (Everingham et al. 2010), the text files of YOLO, and checks of all boxes."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.files import list_files

#: What GIS programs write beside a picture.
GDAL = ".aux.xml"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
#: Text files that stand among labels and are none.
OTHER_TEXTS = ("classes.txt", "labels.txt", "train.txt", "val.txt", "valid.txt", "test.txt")
#: How far a number may lie outside 0..1 by rounding.
ROUNDING = 1e-3


def stack(boxes: Sequence[Sequence[float] | NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return boxes as one array, (n, 4), n at least 0."""
    return np.array(boxes, np.float64).reshape(-1, 4)


def without_area(box: Sequence[float] | NDArray[np.float64]) -> str:
    """Return the problem of a box without area; "" if it has one, in float32 too, in which a network is given it."""
    left, top, right, bottom = np.array(box, np.float32)
    return "" if left < right and top < bottom else f"holds the box {shown(box)}, which has no area"


def in_shares(boxes: NDArray[np.float64]) -> bool:
    """Return whether boxes are shares of a picture's sides: all in 0..1, and not all of 0 and 1.

    >>> in_shares(np.array([[0, 0, 1, 0.5]])), in_shares(np.array([[0, 0, 1, 1]]))
    (True, False)
    """
    inside = len(boxes) and boxes.min() >= 0 and boxes.max() <= 1
    return bool(inside and (boxes % 1 != 0).any())


def refuse_shares(boxes: NDArray[np.float64], path: Path) -> None:
    """Refuse boxes in pixels one of which is smaller than a pixel at the origin. Raises BadFileError: there is one."""
    for box in boxes:
        if in_shares(box[None]):
            less = f"holds the box {shown(box)}, which is less than a pixel"
            raise BadFileError(path, f"{less}: it looks normalised to 0..1, and other boxes here are in pixels")


def shown(box: Sequence[float] | NDArray[np.float64]) -> str:
    """Return a box as it is printed in a message.

    >>> shown([0.0, 0.0, 22.5, 10.0])
    '0, 0, 22.5, 10'
    """
    return ", ".join(f"{corner:g}" for corner in box)


def list_xml(folder: Path) -> list[Path]:
    """Return the XML files of a folder, without those of GIS programs."""
    return [path for path in list_files(folder, {".xml"}) if not path.name.lower().endswith(GDAL)]


def read_objects(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Read the objects of an XML in the format of Pascal VOC; its `<size>` is ignored.

    A DOCTYPE is refused: an annotation needs none, and it can name entities that read other files or grow without
    bound. Returns their names, and (n, 4), n at least 0: xmin, ymin, xmax, ymax as they are printed. The corners are
    taken as edges: a box from 5 to 6 is one pixel wide. Raises BadFileError: missing, no such XML, with a DOCTYPE, or
    with a box that has no numbers or no area (xmax not above xmin, or ymax not above ymin).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})") from None
    # In UTF-16 a zero byte stands beside each letter; the parser knows no other such encoding.
    if b"<!DOCTYPE" in data.replace(b"\0", b""):
        raise BadFileError(path, "holds a DOCTYPE, which is never read")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # two: of its encoding
        raise BadFileError(path, f"is truncated or no XML ({error})") from None
    if root.tag != "annotation":
        raise BadFileError(path, f"holds <{root.tag}>, not <annotation>")
    names, boxes = [], []
    for item in root.iter("object"):
        corners = [item.findtext(f"bndbox/{corner}", "") for corner in CORNERS]
        try:
            box = [float(corner) for corner in corners]
        except ValueError:
            box = [math.nan]
        if not all(map(math.isfinite, box)):
            raise BadFileError(path, f"holds a box without numbers: {', '.join(map(repr, corners))}")
        if problem := without_area(box):
            raise BadFileError(path, problem)
        names.append(item.findtext("name", "").strip())
        boxes.append(box)
    return names, stack(boxes)


def read_labels(path: Path) -> NDArray[np.float64]:
    """Read the boxes of a picture, (n, 4), n at least 0: xmin, ymin, xmax, ymax as shares of its sides, in 0..1.

    Lines are `class x y width height` (of the middle of a box) or `class x1 y1 x2 y2 …` (a polygon of at least three
    corners, which becomes the box around it), in shares. The class is ignored. Raises BadFileError: missing, no text,
    or a line that is neither, holds a number outside 0..1 by more than rounding, or has no area.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        remedy = "Add it; an empty one says that the picture has no landslide"
        raise BadFileError(path, "is missing", remedy) from None
    except (OSError, UnicodeError) as error:
        raise BadFileError(path, f"is no text that can be read ({error})") from None
    return stack([_box(line, path) for line in text.splitlines() if line.strip()])


def holds_labels(path: Path) -> bool:
    """Return whether the first line of a text is that of a box or a polygon."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return len(_numbers(file.readline(10_000))) >= 5
    except (OSError, ValueError):
        return False


def _numbers(line: str) -> list[float]:
    return [float(word) for word in line.split()]


def _box(line: str, path: Path) -> NDArray[np.float64]:
    try:
        category, *values = _numbers(line)
    except ValueError:
        category, values = math.nan, []
    start = f"has the line {line.strip()[:40]!r}"
    if not (category >= 0 and category % 1 == 0):
        raise BadFileError(path, f"{start}, which is not a class and numbers")
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        remedy = "A box has 4 (x y width height), a polygon an even count of 6 or more"
        raise BadFileError(path, f"{start}: a class and {len(values)} numbers", remedy)
    numbers = np.array(values)
    for value in numbers[~((numbers >= -ROUNDING) & (numbers <= 1 + ROUNDING))]:
        problem = f"holds {value:g}, outside 0..1: YOLO's numbers are shares of a picture's sides"
        raise BadFileError(path, problem, "Divide pixels by the picture's width and height")
    corners = numbers.reshape(-1, 2)
    if len(values) == 4:
        middle, size = corners
        corners = np.stack([middle - size / 2, middle + size / 2])
    box: NDArray[np.float64] = np.clip(np.concatenate([corners.min(0), corners.max(0)]), 0, 1)
    if problem := without_area(box):
        raise BadFileError(path, problem)
    return box
