"""A dataset made ready for training: its parts, its bands, and what the bands are scaled by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from landslide_lib.data.bands import BOXES, LABELS, check
from landslide_lib.data.batches import Batches, CropTarget
from landslide_lib.data.pack import Packed, load_packed
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.scales import band_means, moments
from landslide_lib.data.split import Indices, Method, Split
from landslide_lib.data.split import split as split_images


@dataclass
class Data:
    """Images of one packed dataset, split and scaled."""

    packed: Packed  # all images and masks
    parts: dict[str, Indices]  # the images of `train`, `valid` and `test`, sorted indices
    bands: tuple[str, ...]  # the names of the C bands that a network is given
    scale: Tensor  # (C, 1, 1), what each band is divided by
    shift: Tensor | None = None  # (C, 1, 1), what is subtracted from each band before that; None for nothing

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
        """Return `train`, `valid` or `test`. Raises ValueError: there is no such part."""
        if name not in self.parts:
            raise ValueError(f"part {name!r}: unknown; allowed: {', '.join(self.parts)}")
        return Part(self, name)

    def loader(self, part: str, *, batch: int = 16, **options: Any) -> Batches:
        """Return the batches of a part, or the crops of a `CropTarget`; the options are those of `Batches`."""
        target = options.get("target")
        indices = target.crops.image if isinstance(target, CropTarget) else self.parts[part]
        return Batches(self.packed, indices, batch, self.scale, bands=self.bands, shift=self.shift, **options)


class Part(Dataset[tuple[Tensor, Tensor]]):
    """One part for torch's dataloaders: images (C, S, S), scaled, and masks (1, S, S) in {0, 1}, both float32."""

    def __init__(self, data: Data, name: str) -> None:
        self.data, self.name = data, name
        self._loader = data.loader(name, batch=1)

    def __len__(self) -> int:
        return len(self.data.parts[self.name])

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        if not -len(self) <= place < len(self):
            raise IndexError(f"{self.name} has {len(self)} images; there is none at {place}")
        images, masks = self.batch(np.array([place % len(self)]))
        return images[0], masks[0]

    def batch(self, places: Indices) -> tuple[Tensor, Tensor]:
        """Return images (B, C, S, S) and their masks (B, 1, S, S)."""
        return self._loader.at(places)


def load(
    name: str,
    *,
    size: int = 128,
    subset: int | None = None,
    bands: Sequence[str] = (),
    standardize: bool = False,
    split: Split | Method = "blocked",
    root: str | Path | None = None,
) -> Data:
    """Return a dataset that is ready for training, in three parts. It is packed on first use.

    Args:
        name: `synthetic`, which needs no files; `folder`, your own pictures; or another of `landslide list`.
        size: S, height and width of the images in pixels, a multiple of 16.
        subset: Images drawn before the split, at least 20; None for all.
        bands: By name, engineered ones such as `NDVI` too; () for the dataset's own.
        standardize: Give each band mean 0 and deviation 1; else it is divided by its mean.
        split: The first of five folds, with all images of a scene on one side (`blocked`), of a region (`region`),
            image by image (`random`, `contiguous`), the publisher's parts (`published`), or a `data.split.Split`.
        root: The data root, of `folder` the folder itself; by default `LANDSLIDE_DATA`.

    Raises ValueError: there is no such dataset, band or size, or it has no masks. DatasetNotFoundError: it is not
    there.

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
    if not isinstance(split, Split) and split not in get_args(Method):
        raise ValueError(f"split {split!r}: unknown; allowed: {', '.join(get_args(Method))}")
    check(tuple(bands), dataset.bands, name)
    how = split if isinstance(split, Split) else Split(method=split)
    packed = load_packed(dataset, size, root=Path(root) if root else None)
    return prepare(packed, how, subset=subset, bands=tuple(bands), standardize=standardize)


def prepare(
    packed: Packed,
    split: Split,
    *,
    subset: int | None = None,
    bands: tuple[str, ...] = (),
    standardize: bool = False,
    parts: dict[str, Indices] | None = None,
) -> Data:
    """Split a packed dataset, or take its parts, and compute the scale from the training images; see `load`."""
    parts = parts or split_images(packed, split, subset)
    names = tuple(bands) or packed.bands
    if not standardize:
        return Data(packed, parts, names, band_means(packed, parts["train"], bands))
    shift, scale = moments(packed, parts["train"], bands)
    return Data(packed, parts, names, scale, shift)
