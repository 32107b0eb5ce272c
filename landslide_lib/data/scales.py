"""What the bands of images are divided by, and what is subtracted from them before."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landslide_lib.data.engineered import with_bands
from landslide_lib.data.pack import Packed
from landslide_lib.data.shared import shared
from landslide_lib.data.split import Indices

#: A band whose mean or deviation is smaller is divided by 1.
LEAST = 1e-6
#: Images read at once.
CHUNK = 256


def band_means(packed: Packed, indices: Indices, bands: Sequence[str] = ()) -> Tensor:
    """Return the mean of each band over some images, (C, 1, 1) float32; of the dataset's own bands by default.

    The report divides each band by its mean (slide I-D), that of the training images only. A mean of nearly 0 becomes
    1. An engineered channel has the mean of its absolute value: an index or a gradient has a mean near 0 by its nature.
    Raises ValueError: the dataset has no such band and none to make it of.
    """
    names = tuple(bands) or packed.bands
    of_images = shared(packed, names, "means", lambda: _means(packed, names))
    total = np.zeros(len(names))
    for chunk in np.array_split(indices, max(1, len(indices) // CHUNK)):
        total += of_images[chunk].sum(0)
    mean = total / len(indices)
    mean[np.abs(mean) < LEAST] = 1.0
    return torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)


def _means(packed: Packed, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the mean of each band of each image, (N, C), of engineered ones that of the absolute value."""
    packed = with_bands(packed, names)
    engineered = [name in packed.engineered for name in names]
    means = np.empty((len(packed), len(names)))
    for start in range(0, len(packed), CHUNK):
        values = packed.read(np.arange(start, min(start + CHUNK, len(packed))), names).astype(np.float64)
        values[:, engineered] = np.abs(values[:, engineered])
        means[start : start + CHUNK] = values.mean((2, 3))
    return means


def moments(packed: Packed, indices: Indices, bands: Sequence[str] = ()) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each band over some images, each (C, 1, 1) float32; see `band_means`."""
    names = tuple(bands) or packed.bands
    mean, square = shared(packed, names, "moments", lambda: _moments(packed, names))[:, indices].mean(1)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    deviation[deviation < LEAST] = 1.0
    first, second = torch.from_numpy(np.stack([mean, deviation])).float()[..., None, None]
    return first, second


def _moments(packed: Packed, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return mean and mean square of each band of each image, (2, N, C)."""
    packed = with_bands(packed, names)
    moments = np.empty((2, len(packed), len(names)))
    for start in range(0, len(packed), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(packed)))
        values = packed.read(rows, names).astype(np.float64)
        moments[0, rows], moments[1, rows] = values.mean((2, 3)), (values**2).mean((2, 3))
    return moments
