"""Boxes in the text files of YOLO: a file a picture, a line a box or a polygon."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import REDO, BadFileError
from landslide_lib.data.formats.voc import shown

#: Text files that stand among labels and are none.
OTHER = ("classes.txt", "labels.txt", "train.txt", "val.txt", "valid.txt", "test.txt")
#: How far a number may lie outside 0..1 by rounding.
ROUNDING = 1e-3


def read_labels(path: Path) -> NDArray[np.float64]:
    """Read the boxes of a picture; a polygon becomes the box around it.

    Args:
        path: Lines `class x y width height` (of the middle of a box) or `class x1 y1 x2 y2 …` (a
            polygon of at least three corners), in shares of the picture's sides. The class is
            not looked at.

    Returns:
        (n, 4), n at least 0: xmin, ymin, xmax, ymax in shares, clipped to 0..1.

    Raises:
        BadFileError: Missing, no text, or a line that is neither, holds a number outside 0..1 by
            more than rounding, or has no area.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        remedy = "Add it; an empty one says that the picture has no landslide"
        raise BadFileError(path, "is missing", remedy) from None
    except (OSError, UnicodeError) as error:
        raise BadFileError(path, f"is no text that can be read ({error})", REDO) from None
    lines = [line for line in text.splitlines() if line.strip()]
    return np.array([_box(line, path) for line in lines], np.float64).reshape(-1, 4)


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
        kind, *values = _numbers(line)
    except ValueError:
        kind, values = math.nan, []
    start = line.strip()[:40]
    if not (kind >= 0 and kind % 1 == 0):
        problem = f"has the line {start!r}, which is not a class and numbers"
        raise BadFileError(path, problem, REDO)
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        problem = f"has the line {start!r}: a class and {len(values)} numbers"
        remedy = "A box has 4 (x y width height), a polygon an even count of 6 or more"
        raise BadFileError(path, problem, remedy)
    numbers = np.array(values)
    for value in numbers[~((numbers >= -ROUNDING) & (numbers <= 1 + ROUNDING))]:
        problem = f"holds {value:g}, outside 0..1: YOLO's numbers are shares of a picture's sides"
        raise BadFileError(path, problem, "Divide pixels by the picture's width and height")
    corners = numbers.reshape(-1, 2)
    if len(values) == 4:
        middle, size = corners
        corners = np.stack([middle - size / 2, middle + size / 2])
    box: NDArray[np.float64] = np.clip(np.concatenate([corners.min(0), corners.max(0)]), 0, 1)
    small = box.astype(np.float32)
    if not (small[0] < small[2] and small[1] < small[3]):
        raise BadFileError(path, f"holds the box {shown(box)}, which has no area", REDO)
    return box
