"""A dataset made ready for training: its parts, its bands, and what the bands are scaled by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from landslide_lib.data.bands import AS_IN_CODE, BOXES, ENGINEERED, LABELS, UNLABELLED, check
from landslide_lib.data.batches import Batches, CropTarget, shared
from landslide_lib.data.pack import Packed, load_packed, with_bands
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.split import Indices, Method, Split
from landslide_lib.data.split import split as split_images

Floats = NDArray[np.float64]
LEAST = 1e-6  # a band whose mean or deviation is smaller is divided by 1
CHUNK = 256  # images read at once


@dataclass(repr=False)
class Data:
    """Images of one packed dataset, split and scaled."""

    packed: Packed  # all images and masks
    parts: dict[str, Indices]  # the images of `train`, `valid` and `test`, sorted indices
    bands: tuple[str, ...]  # the names of the C bands that a network is given
    scale: Tensor  # (C, 1, 1), what each band is divided by
    shift: Tensor | None = None  # (C, 1, 1), what is subtracted from each band before that; None for nothing

    def __repr__(self) -> str:
        parts = ", ".join(f"{len(images):,} {name}" for name, images in self.parts.items())
        size = self.packed.masks.shape[-1]
        return f"Data({self.packed.name}: {parts} images of {size} px, bands {', '.join(self.bands)})"

    @property
    def train(self) -> "Part":
        return self.part("train")

    @property
    def valid(self) -> "Part":
        return self.part("valid")

    @property
    def test(self) -> "Part":
        return self.part("test")

    def part(self, name: str) -> "Part":
        """Return `train`, `valid` or `test`; see `loader`."""
        return Part(self, name)

    def loader(self, part: str, *, batch: int = 16, **options: Any) -> Batches:
        """Return the batches of a part, or the crops of a `CropTarget`; the options are those of `Batches`.

        Raises ValueError: there is no such part.
        """
        if part not in self.parts:
            raise ValueError(f"part {part!r}: unknown; allowed: {', '.join(self.parts)}")
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

    >>> data = load("synthetic", size=32, subset=40, bands=("R", "G", "B"))
    >>> data
    Data(synthetic: 29 train, 3 valid, 8 test images of 32 px, bands R, G, B)
    >>> image, mask = data.test[0]
    >>> image.shape, mask.shape
    (torch.Size([3, 32, 32]), torch.Size([1, 32, 32]))
    """
    dataset = get_dataset(name)
    if name in (*BOXES, *LABELS, *UNLABELLED):
        truth = "boxes" if name in BOXES else "labels" if name in LABELS else "images"
        raise ValueError(f"{name}: it has {truth} and no masks to learn a segmentation from")
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


def band_means(packed: Packed, indices: Indices, bands: Sequence[str] = ()) -> Tensor:
    """Return the mean of each band over some images, (C, 1, 1) float32; of the dataset's own bands by default.

    The report divides each band by it (slide I-D). A mean of nearly 0 becomes 1, and that of a channel `AS_IN_CODE`. An
    engineered channel has the mean of its absolute value, as an index or a gradient has a mean near 0 by its nature.
    Raises ValueError: no such band.
    """
    names = tuple(bands) or packed.bands
    engineered = [name in ENGINEERED for name in names]

    def means(values: Floats) -> Floats:
        values[:, engineered] = np.abs(values[:, engineered])
        return np.asarray(values.mean((2, 3)))

    mean = _of_images(packed, names, "means", means)[indices].mean(0)
    mean[(np.abs(mean) < LEAST) | [name in AS_IN_CODE for name in names]] = 1.0
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
