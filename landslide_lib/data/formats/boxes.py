"""What the formats of boxes share: checks of one box, and shares in place of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError


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
