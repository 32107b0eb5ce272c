"""Whole batches by index, on the device where they fit: no per-sample Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landslide_lib.data.engineered import with_bands
from landslide_lib.data.pack import Packed
from landslide_lib.data.shared import clear, shared, there
from landslide_lib.data.split import Indices

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


class Batches:
    """Batches of a part of a packed dataset, in an order that seed and epoch decide.

    Args:
        packed: The dataset.
        indices: Which images.
        batch: Images a batch; a training epoch drops the images that do not fill one.
        means: (C, 1, 1), from `band_means`: what each band is divided by.
        shift: (C, 1, 1), what is taken from each band before that; None for nothing.
        bands: By name, engineered ones too; () for the dataset's own.
        device: Where batches are made; the images are normalised and kept there, for the next
            run too, if at most half of its free memory is taken by them.
        seed: None keeps the order and every image (validation, test); a number shuffles.
        augment: Applied to a batch on the device: (images, masks, generator) to the same.
        rank: Of this process among `world`, which share the batches of an epoch.
        world: How many processes train together.
        dtype: Of images and masks. They are divided in float32 and rounded to it, so that half
            as many bytes are moved in float16.
        chances: (len(indices),) that add up to 1: an epoch of training draws its images by them,
            with replacement. None takes each once.

    Raises:
        ValueError: There is no such band, there are fewer images to train on than processes,
            or the dtype is no floating one.

    Yields:
        Images (B, C, S, S) in channels_last, masks (B, 1, S, S), or of the size that the packed
        masks have, in {0, 1}, both of `dtype`.
    """

    def __init__(
        self,
        packed: Packed,
        indices: Indices,
        batch: int,
        means: Tensor,
        *,
        bands: Sequence[str] = (),
        device: torch.device | str = "cpu",
        seed: int | None = None,
        augment: Augment | None = None,
        rank: int = 0,
        world: int = 1,
        dtype: torch.dtype = torch.float32,
        shift: Tensor | None = None,
        chances: NDArray[np.float64] | None = None,
    ) -> None:
        if not dtype.is_floating_point:
            raise ValueError(f"dtype {dtype} holds no fractions; use float32, float16 or bfloat16")
        self.batch, self.seed, self.augment, self.chances = batch, seed, augment, chances
        self.rank, self.world, self.epoch = rank, world, 0
        self.device = torch.device(device)
        self.means = means.to(self.device)
        self.shift = torch.zeros_like(self.means) if shift is None else shift.to(self.device)
        self.packed, self.indices = with_bands(packed, bands), indices
        self.bands = tuple(bands) or packed.bands
        if seed is not None and len(indices) < world:
            raise ValueError(f"{len(indices)} images to train on, {world} processes: one a process")
        self.dtype = dtype
        self.resident: tuple[Tensor, Tensor] | None = None
        scales = [scale.cpu().numpy().tobytes() for scale in (self.means, self.shift)]
        size = packed.masks.shape[1:]  # one pixel where it is the label of an image
        key = (indices.tobytes(), *scales, str(self.device), dtype, size)
        if there(packed, self.bands, key) or self._fits():
            self.resident = shared(packed, self.bands, key, self._keep)

    def _fits(self) -> bool:
        pixels = len(self.indices) * self.packed.images[0, 0].size
        size: int = pixels * (len(self.bands) + 1) * self.dtype.itemsize
        if size >= _free(self.device) / 2:
            clear()  # what lies on a GPU may be of another dataset
        return size < _free(self.device) / 2

    def __len__(self) -> int:
        """Batches of this process in an epoch."""
        images = len(self.indices)
        if self.seed is None:
            return -(-images // self.batch)
        return max(1, images // (self.batch * self.world))

    def set_epoch(self, epoch: int) -> None:
        """Decide the order and the augmentation of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self.indices))
        generator = torch.Generator()
        if self.seed is not None:
            # Of seed and epoch alone: a resumed run sees what the whole run would have seen.
            draw = np.random.default_rng((self.seed, self.epoch))
            order = draw.permutation(order) if self.chances is None else draw.choice(order, len(order), p=self.chances)
            generator.manual_seed((self.seed * 1_000_003 + self.epoch) * 4099 + self.rank)
            order = order[self.rank :: self.world]
        for step in range(len(self)):
            yield self._batch(order[step * self.batch : (step + 1) * self.batch], generator)

    def at(self, places: Indices) -> tuple[Tensor, Tensor]:
        """Return the images at some places of the part, and their masks, without augmentation."""
        images, masks = self._gather(places)
        return images.contiguous(memory_format=torch.channels_last), masks

    def _batch(self, places: Indices, generator: torch.Generator) -> Any:
        images, masks = self._gather(places)
        if self.augment is not None:
            images, masks = self.augment(images, masks, generator)
        return images.contiguous(memory_format=torch.channels_last), masks

    def _gather(self, places: Indices) -> tuple[Tensor, Tensor]:
        if self.resident is None:
            return self._read(self.indices[places])
        chosen = torch.from_numpy(places).to(self.device)
        images, masks = (kept.index_select(0, chosen) for kept in self.resident)
        return images.permute(0, 3, 1, 2), masks

    def _keep(self) -> tuple[Tensor, Tensor]:
        """Return all images (N, S, S, C) and masks (N, 1, S, S), ready to be handed out.

        An image lies as a batch needs it: a batch is made in one pass, a row copied whole.
        """
        count, size = len(self.indices), self.packed.images.shape[2:]
        label = self.packed.masks.shape[1:]
        images = torch.empty((count, *size, len(self.bands)), dtype=self.dtype, device=self.device)
        masks = torch.empty((count, 1, *label), dtype=self.dtype, device=self.device)
        for start in range(0, count, 64):  # few at a time: in float32 they take twice the memory
            part = slice(start, start + 64)
            some, masks[part] = self._read(self.indices[part])
            images[part] = some.permute(0, 2, 3, 1)
        return images, masks

    def _read(self, rows: Indices) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(self.packed.read(rows, self.bands)).to(self.device)
        masks = torch.from_numpy(self.packed.masks[rows]).to(self.device)
        images = images.float().sub_(self.shift).div_(self.means)
        return images.to(self.dtype), masks[:, None].to(self.dtype)


def _free(device: torch.device) -> float:
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept)  # torch keeps what was let go
    # The arrays are memory-mapped; a copy of up to 4 GB in memory costs little on any laptop.
    return 8e9
