"""Boxes in the text files of YOLO: a file for a picture, a line for a box or a polygon."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.boxes import stack, without_area

#: Text files that stand among labels and are none.
OTHER = ("classes.txt", "labels.txt", "train.txt", "val.txt", "valid.txt", "test.txt")
#: How far a number may lie outside 0..1 by rounding.
ROUNDING = 1e-3


def read_labels(path: Path) -> NDArray[np.float64]:
    """Read the boxes of a picture; a polygon becomes the box around it.

    Args:
        path: Lines `class x y width height` (of the middle of a box) or `class x1 y1 x2 y2 …` (a polygon of at least
            three corners), in shares of the picture's sides. The class is ignored.

    Returns:
        (n, 4), n at least 0: xmin, ymin, xmax, ymax in shares, clipped to 0..1.

    Raises BadFileError: missing, no text, or a line that is neither, holds a number outside 0..1 by more than rounding,
    or has no area.
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
