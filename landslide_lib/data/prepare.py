"""A dataset made ready for training: its parts, its bands, and what the bands are scaled by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from landslide_lib.data.bands import BOXES, LABELS, OF_DATASET, check
from landslide_lib.data.batches import Augment, Batches
from landslide_lib.data.pack import Packed, load_packed
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.scales import band_means, moments
from landslide_lib.data.split import Indices, Split
from landslide_lib.data.split import split as split_images


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

    @property
    def train(self) -> Part:
        """The images that are trained on."""
        return self.part("train")

    @property
    def valid(self) -> Part:
        """The images that a threshold is chosen on."""
        return self.part("valid")

    @property
    def test(self) -> Part:
        """The images that are scored."""
        return self.part("test")

    def part(self, name: str) -> Part:
        """Return `train`, `valid` or `test`.

        Raises:
            ValueError: There is no such part.
        """
        if name not in self.parts:
            raise ValueError(f"part {name!r}: unknown; allowed: {', '.join(self.parts)}")
        return Part(self, name)

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


class Part(Dataset[tuple[Tensor, Tensor]]):
    """One part of the data, as torch's own loaders take it.

    Its items are an image (C, S, S), scaled, and its mask (1, S, S) in {0, 1}, both float32.
    """

    def __init__(self, data: Data, name: str) -> None:
        self.data, self.name = data, name
        self._loader = data.loader(name, batch=1)

    def __len__(self) -> int:
        """Images."""
        return len(self.data.parts[self.name])

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        """Return one image and its mask."""
        if not -len(self) <= place < len(self):
            raise IndexError(f"{self.name} has {len(self)} images; there is none at {place}")
        images, masks = self.batch(np.array([place % len(self)]))
        return images[0], masks[0]

    def batch(self, places: Indices) -> tuple[Tensor, Tensor]:
        """Return some images (B, C, S, S) and their masks (B, 1, S, S)."""
        images, masks = self._loader.at(places)
        return images, masks


def load(
    name: str,
    *,
    size: int = 128,
    subset: int | None = None,
    bands: Sequence[str] = (),
    standardize: bool = False,
    split: Split | None = None,
    root: Path | None = None,
) -> Data:
    """Return a dataset that is ready for training. It is packed on first use.

    Args:
        name: `synthetic`, which needs no files, or another of `landslide list`.
        size: S, height and width of the images in pixels, a multiple of 16.
        subset: Images drawn before the split, at least 20; None for all.
        bands: By name, engineered ones such as `ndvi` too; () for the dataset's own.
        standardize: Give each band mean 0 and deviation 1; else it is divided by its mean.
        split: The split; by default the first of five folds, all images of a scene on one side.
        root: The data root; by default `LANDSLIDE_DATA`.

    Returns:
        Its images and masks in three parts.

    Raises:
        ValueError: There is no such dataset, band or size, or its truth is no masks.
        DatasetNotFoundError: Its files are not there; the message says how to get them.

    >>> data = load("synthetic", size=32, subset=40)
    >>> len(data.train) + len(data.valid) + len(data.test)
    40
    >>> image, mask = data.test[0]
    >>> image.shape, mask.shape
    (torch.Size([14, 32, 32]), torch.Size([1, 32, 32]))
    """
    dataset = get_dataset(name)
    if name in BOXES or name in LABELS:
        truth = "boxes" if name in BOXES else "labels"
        raise ValueError(f"{name}: its truth is {truth} and no masks to learn a segmentation from")
    if size < 16 or size % 16:
        raise ValueError(f"size {size}: it has to be a multiple of 16, at least 16")
    if subset is not None and subset < 20:
        raise ValueError(f"subset {subset}: at least 20 images are split")
    check(tuple(bands), OF_DATASET[name], name)
    packed = load_packed(dataset, size, root=root)
    given = {"subset": subset, "bands": tuple(bands), "standardize": standardize}
    return prepare(packed, split or Split(), **given)  # type: ignore[arg-type]


def prepare(
    packed: Packed,
    split: Split,
    *,
    subset: int | None = None,
    bands: tuple[str, ...] = (),
    standardize: bool = False,
    parts: dict[str, Indices] | None = None,
) -> Data:
    """Split a packed dataset and take the scale of its bands from the training images.

    Args:
        packed: The dataset.
        split: Which images are trained on, validated on and tested on.
        subset: Images drawn before the split; None for all.
        bands: By name; () for the dataset's own.
        standardize: Give each band mean 0 and deviation 1; else divide it by its mean.
        parts: In place of a split.

    Raises:
        ValueError: Of `split`, or there is no such band.
    """
    parts = parts or split_images(packed, split, subset)
    shift = None
    if standardize:
        shift, scale = moments(packed, parts["train"], bands)
    else:
        scale = band_means(packed, parts["train"], bands)
    return Data(packed, parts, tuple(bands) or packed.bands, scale, shift)
