"""What the bands of images are divided by, and what is subtracted from them before."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landslide_lib.data.bands import ENGINEERED
from landslide_lib.data.engineered import with_bands
from landslide_lib.data.pack import Packed
from landslide_lib.data.shared import shared
from landslide_lib.data.split import Indices

Floats = NDArray[np.float64]
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
    engineered = [name in ENGINEERED for name in names]

    def means(values: Floats) -> Floats:
        values[:, engineered] = np.abs(values[:, engineered])
        return np.asarray(values.mean((2, 3)))

    of_images = _of_images(packed, names, "means", means)
    total = np.zeros(len(names))
    for chunk in np.array_split(indices, max(1, len(indices) // CHUNK)):
        total += of_images[chunk].sum(0)
    mean = total / len(indices)
    mean[np.abs(mean) < LEAST] = 1.0
    return torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)


def moments(packed: Packed, indices: Indices, bands: Sequence[str] = ()) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each band over some images, each (C, 1, 1) float32; see `band_means`."""
    names = tuple(bands) or packed.bands
    of_images = _of_images(packed, names, "moments", lambda x: np.stack([x.mean((2, 3)), (x**2).mean((2, 3))]))
    mean, square = of_images[:, indices].mean(1)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    deviation[deviation < LEAST] = 1.0
    first, second = torch.from_numpy(np.stack([mean, deviation])).float()[..., None, None]
    return first, second


def _of_images(packed: Packed, names: tuple[str, ...], key: str, measure: Callable[[Floats], Floats]) -> Floats:
    """Return what is measured of chunks of images (n, C, S, S), (…, n, C), for all N images."""

    def make() -> Floats:
        whole = with_bands(packed, names)
        chunks = np.array_split(np.arange(len(packed)), range(CHUNK, len(packed), CHUNK))
        return np.concatenate([measure(whole.read(rows, names).astype(np.float64)) for rows in chunks], axis=-2)

    return shared(packed, names, key, make)
