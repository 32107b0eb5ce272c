"""The dataloader: whole batches by index, on the device where they fit, with masks, boxes or labels as the target."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landslide_lib.data.augment import Augment
from landslide_lib.data.boxes import Boxes, Crops, cut
from landslide_lib.data.pack import Packed, with_bands
from landslide_lib.data.split import Indices

Value = TypeVar("Value")
#: Of the images of a batch, their rows in the dataset and their places in the part: the images, and what stands beside
#: them in place of masks.
Target = Callable[[Tensor, Indices, Indices, torch.Generator], tuple[Tensor, Any]]

#: What the runs of a process share of a packed dataset: training, validation and test images, and means of all.
_shelf: OrderedDict[tuple[Hashable, Hashable], Any] = OrderedDict()
MOST = 4


def shared(packed: Packed, bands: tuple[str, ...], key: Hashable, make: Callable[[], Value]) -> Value:
    """Return what was made of a dataset under a key before, or make it; nobody may change what it returns.

    The shelf holds one dataset with one choice of bands, of that the last `MOST` values; the memory of what is removed
    is free before the next is made. A dataset that lies in no folder is not stored: its owner may change it.
    """
    if packed.folder is None:
        return make()
    label = _label(packed, bands)
    if (label, key) not in _shelf:
        if any(other != label for other, _ in _shelf):
            _shelf.clear()
        while len(_shelf) >= MOST:
            _shelf.popitem(last=False)
        _shelf[label, key] = make()
    _shelf.move_to_end((label, key))
    value: Value = _shelf[label, key]
    return value


def _label(packed: Packed, bands: tuple[str, ...]) -> Hashable:
    """Say what lies in a dataset: its files, and arrays beside them that are not mapped from these."""
    beside = [one for one in (packed.images, packed.masks) if packed.folder and not isinstance(one.base, mmap)]
    return packed.folder, packed.fingerprint, bands, *(crc32(np.ascontiguousarray(one).data) for one in beside)


class Batches:
    """Batches of a part (`indices`) of a packed dataset, in an order that seed and epoch decide.

    Yields images (B, C, S, S) in channels_last, and the target: by default masks (B, 1, S, S), or of the size that the
    packed masks have, in {0, 1}, both float32, on the device. Images have the named bands, less `shift`, divided
    by `scale`, (C, 1, 1) each. Scaled images stay on the device, also for the next run, if they take at most half
    of its free memory. Without a seed all images come in their order; with one they are shuffled, or drawn with
    replacement by `sampling`, which adds up to 1, and those that do not fill a batch are left out. Raises ValueError:
    there is no such band.
    """

    def __init__(
        self,
        packed: Packed,
        indices: Indices,
        batch: int,
        scale: Tensor,
        *,
        bands: Sequence[str] = (),
        target: Target | None = None,
        device: torch.device | str = "cpu",
        seed: int | None = None,
        augment: Augment | None = None,
        shift: Tensor | None = None,
        sampling: NDArray[np.float64] | None = None,
    ) -> None:
        self.batch, self.seed, self.augment, self.sampling = batch, seed, augment, sampling
        self.target, self.epoch = target, 0
        self.device = torch.device(device)
        self.scale = scale.to(self.device)
        self.shift = torch.zeros_like(self.scale) if shift is None else shift.to(self.device)
        self.packed, self.indices = with_bands(packed, bands), indices
        self.bands = tuple(bands) or packed.bands
        self.resident: tuple[Tensor, Tensor] | None = None
        scales = [scale.cpu().numpy().tobytes() for scale in (self.scale, self.shift)]
        size = packed.masks.shape[1:]  # one pixel where it is the label of an image
        key = (indices.tobytes(), *scales, str(self.device), size)
        if (_label(self.packed, self.bands), key) in _shelf or self._fits():
            self.resident = shared(packed, self.bands, key, self._load)

    def _fits(self) -> bool:
        pixels = len(self.indices) * self.packed.images[0, 0].size
        size: int = pixels * (len(self.bands) + 1) * 4
        if size >= _free(self.device) / 2:
            _shelf.clear()  # what lies on a GPU may be of another dataset
        return size < _free(self.device) / 2

    def __len__(self) -> int:
        images = len(self.indices)
        return -(-images // self.batch) if self.seed is None else max(1, images // self.batch)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self.indices))
        generator = torch.Generator()
        if self.seed is not None:
            # Of seed and epoch alone: a resumed run sees what the whole run would have seen.
            draw = np.random.default_rng((self.seed, self.epoch))
            order = (
                draw.permutation(order) if self.sampling is None else draw.choice(order, len(order), p=self.sampling)
            )
            generator.manual_seed((self.seed * 1_000_003 + self.epoch) * 4099)
        for step in range(len(self)):
            yield self._batch(order[step * self.batch : (step + 1) * self.batch], generator)

    def at(self, places: Indices) -> tuple[Tensor, Tensor]:
        images, masks = self._gather(places)
        return images.contiguous(memory_format=torch.channels_last), masks

    def _batch(self, places: Indices, generator: torch.Generator) -> tuple[Tensor, Any]:
        images, masks = self._gather(places)
        target: Any = None
        if self.target is not None:
            images, target = self.target(images, self.indices[places], places, generator)
        if self.augment is not None:
            images, masks = self.augment(images, masks, generator)
        return images.contiguous(memory_format=torch.channels_last), masks if self.target is None else target

    def _gather(self, places: Indices) -> tuple[Tensor, Tensor]:
        if self.resident is None:
            return self._read(self.indices[places])
        chosen = torch.from_numpy(places).to(self.device)
        images, masks = (values.index_select(0, chosen) for values in self.resident)
        return images.permute(0, 3, 1, 2), masks

    def _load(self) -> tuple[Tensor, Tensor]:
        """Return all images (N, S, S, C), each as a batch needs it, and masks (N, 1, S, S)."""
        count, size = len(self.indices), self.packed.images.shape[2:]
        images = torch.empty((count, *size, len(self.bands)), device=self.device)
        masks = torch.empty((count, 1, *self.packed.masks.shape[1:]), device=self.device)
        for start in range(0, count, 64):  # 64 at a time: what is read takes memory beside them
            part = slice(start, start + 64)
            values, masks[part] = self._read(self.indices[part])
            images[part] = values.permute(0, 2, 3, 1)
        return images, masks

    def _read(self, rows: Indices) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(self.packed.read(rows, self.bands)).to(self.device)
        masks = torch.from_numpy(self.packed.masks[rows]).to(self.device)
        return images.float().sub_(self.shift).div_(self.scale), masks[:, None].float()


def _free(device: torch.device) -> float:
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + cached)  # torch holds what was freed
    # The arrays are memory-mapped; a copy of up to 4 GB in memory costs little on any laptop.
    return 8e9


@dataclass(frozen=True)
class BoxTarget:
    """Boxes: a dict for each image, `boxes` (n, 4) float32 in pixels and `labels` (n,) int64, all 1.

    With `turned`, an image and its boxes are turned and mirrored at random, the eight ways equally likely.
    """

    boxes: Boxes
    turned: bool = False

    def __call__(
        self, images: Tensor, rows: Indices, places: Indices, generator: torch.Generator
    ) -> tuple[Tensor, list[dict[str, Tensor]]]:
        boxes = [torch.from_numpy(self.boxes.of(int(row))).to(images.device) for row in rows]
        if self.turned:
            quarters = torch.randint(4, (len(boxes),), generator=generator).tolist()
            mirrored = torch.randint(2, (len(boxes),), generator=generator).tolist()
            turned = list(map(turn, images.contiguous(), boxes, quarters, mirrored))
            images, boxes = torch.stack([image for image, _ in turned]), [corners for _, corners in turned]
        return images, [{"boxes": of, "labels": of.new_ones(len(of), dtype=torch.int64)} for of in boxes]


def turn(image: Tensor, boxes: Tensor, quarters: int, mirrored: int) -> tuple[Tensor, Tensor]:
    """Turn a square image (C, S, S) and its boxes (n, 4) against the clock, then mirror left and right if `mirrored`.

    >>> image = torch.zeros(1, 4, 4)
    >>> image[0, 0, 3] = 1  # the upper right corner comes to the upper left
    >>> turned, box = turn(image, torch.tensor([[3.0, 0.0, 4.0, 1.0]]), 1, 0)
    >>> turned[0, 0, 0].item(), box.tolist()
    (1.0, [[0.0, 0.0, 1.0, 1.0]])
    """
    side = image.shape[-1]
    for _ in range(quarters):
        left, top, right, bottom = boxes.unbind(1)
        boxes = torch.stack([top, side - right, bottom, side - left], 1)
    image = torch.rot90(image, quarters, (1, 2))
    if mirrored:
        left, top, right, bottom = boxes.unbind(1)
        boxes = torch.stack([side - right, top, side - left, bottom], 1)
        image = image.flip(2)
    return image, boxes


@dataclass(frozen=True)
class CropTarget:
    """Crops, enlarged to the size of the images, and their labels, (B,) int64; the part's images are `crops.image`."""

    crops: Crops

    def __call__(
        self, images: Tensor, rows: Indices, places: Indices, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        crops = Crops(*(column[places] for column in self.crops))
        return cut(images, crops), torch.from_numpy(crops.label).long().to(images.device)
