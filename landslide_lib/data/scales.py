"""What the bands of images are divided by, and what is taken from them before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landslide_lib.data.engineered import with_bands
from landslide_lib.data.pack import Packed
from landslide_lib.data.shared import shared
from landslide_lib.data.split import Indices

#: A band that hardly differs is divided by 1.
LEAST = 1e-6


def band_means(packed: Packed, indices: Indices, bands: Sequence[str] = ()) -> Tensor:
    """Return the mean of each band over some images, (C, 1, 1) float32.

    The report divides each band by its mean (slide I-D); the mean is that of the training
    images only. A band whose mean is nearly 0 is divided by 1. An engineered channel is divided
    by the mean of its absolute value: an index or a gradient has a mean near 0 by its nature.

    Raises:
        ValueError: The dataset has no such band and none to make it of.
    """
    names = tuple(bands) or packed.bands
    each = shared(packed, names, "means", lambda: _means(packed, names))
    total = np.zeros(len(names))
    for chunk in np.array_split(indices, max(1, len(indices) // 256)):
        total += each[chunk].sum(0)
    mean = total / len(indices)
    mean[np.abs(mean) < 1e-6] = 1.0
    return torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)


def _means(packed: Packed, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the mean of each band of each image, (N, C)."""
    packed = with_bands(packed, names)
    made = [name in packed.engineered for name in names]
    means = np.empty((len(packed), len(names)))
    for start in range(0, len(packed), 256):
        values = packed.read(np.arange(start, min(start + 256, len(packed))), names)
        values = values.astype(np.float64)
        values[:, made] = np.abs(values[:, made])
        means[start : start + 256] = values.mean((2, 3))
    return means


def moments(packed: Packed, indices: Indices, bands: Sequence[str] = ()) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each band over some images, each (C, 1, 1) float32.

    Raises:
        ValueError: The dataset has no such band and none to make it of.
    """
    names = tuple(bands) or packed.bands
    each = shared(packed, names, "moments", lambda: _moments(packed, names))[:, indices].mean(1)
    mean, spread = each[0], np.sqrt(np.maximum(each[1] - each[0] ** 2, 0))
    spread[spread < LEAST] = 1.0
    made = torch.from_numpy(np.stack([mean, spread])).float()[..., None, None]
    return made[0], made[1]


def _moments(packed: Packed, names: tuple[str, ...]) -> np.ndarray:
    """Return mean and mean square of each band of each image, (2, N, C)."""
    packed = with_bands(packed, names)
    made = np.empty((2, len(packed), len(names)))
    for start in range(0, len(packed), 256):
        rows = np.arange(start, min(start + 256, len(packed)))
        values = packed.read(rows, names).astype(np.float64)
        made[0, rows], made[1, rows] = values.mean((2, 3)), (values**2).mean((2, 3))
    return made
