"""A dataset made ready for training: its parts, its bands, and what the bands are scaled by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from landslide_lib.datasets.batches import Augment, Batches
from landslide_lib.datasets.pack import Packed
from landslide_lib.datasets.scales import band_means, moments
from landslide_lib.datasets.split import Indices, split
from landslide_lib.parts import Split


@dataclass
class Data:
    """Images of one packed dataset, split and scaled.

    Attributes:
        packed: All images and masks.
        parts: The images of `train`, `valid` and `test`, sorted indices.
        bands: The names of the C bands that a network is given.
        scale: (C, 1, 1), what each band is divided by.
        shift: (C, 1, 1), what is taken from each band before that; None for nothing.
    """

    packed: Packed
    parts: dict[str, Indices]
    bands: tuple[str, ...]
    scale: Tensor
    shift: Tensor | None = None

    def loader(
        self,
        part: str,
        *,
        batch: int = 16,
        seed: int | None = None,
        augment: Augment | None = None,
        device: Any = "cpu",
        rank: int = 0,
        world: int = 1,
        chances: NDArray[np.float64] | None = None,
    ) -> Batches:
        """Return the batches of a part, see `Batches`.

        Args:
            part: `train`, `valid` or `test`.
            batch: Images a batch.
            seed: A number shuffles; None keeps the order and every image.
            augment: Applied to each batch.
            device: Where batches are made.
            rank: Of this process among `world`.
            world: How many processes train together.
            chances: By which the images of an epoch are drawn; None takes each once.

        Yields:
            Images (B, C, S, S) and masks (B, 1, S, S) in {0, 1}, both float32.
        """
        return Batches(
            self.packed,
            self.parts[part],
            batch,
            self.scale,
            bands=self.bands,
            shift=self.shift,
            seed=seed,
            augment=augment,
            device=device,
            rank=rank,
            world=world,
            chances=chances,
        )


def prepare(
    packed: Packed,
    how: Split,
    *,
    subset: int | None = None,
    bands: tuple[str, ...] = (),
    standardize: bool = False,
    parts: dict[str, Indices] | None = None,
) -> Data:
    """Split a packed dataset and take the scale of its bands from the training images.

    Args:
        packed: The dataset.
        how: The split.
        subset: Images drawn before the split; None for all.
        bands: By name; () for the dataset's own.
        standardize: Give each band mean 0 and deviation 1; else divide it by its mean.
        parts: In place of a split.

    Raises:
        ValueError: Of `split`, or there is no such band.
    """
    parts = parts or split(packed, how, subset)
    shift = None
    if standardize:
        shift, scale = moments(packed, parts["train"], bands)
    else:
        scale = band_means(packed, parts["train"], bands)
    return Data(packed, parts, tuple(bands) or packed.bands, scale, shift)
