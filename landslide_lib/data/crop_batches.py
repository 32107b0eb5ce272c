"""Batches of whole images, or crops of them, with and without a landslide."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch

from landslide_lib.data.batches import Batches
from landslide_lib.data.crops import Crops, cut
from landslide_lib.data.split import Indices


class CropBatches(Batches):
    """Batches of examples for telling images with a landslide from those without.

    Args:
        crops: The examples; `Batches` is given the image of each as its indices.
        *given: Of `Batches`.
        **how: Of `Batches`.

    Yields:
        Images (B, C, S, S) in channels_last, labels (B,) int64: 1 with a landslide.
    """

    def __init__(self, *given: Any, crops: Crops, **how: Any) -> None:
        super().__init__(*given, **how)
        self.crops = crops

    def _batch(self, places: Indices, generator: torch.Generator) -> Any:
        images, masks = self._gather(places)
        some = replace(self.crops, **{one.name: getattr(self.crops, one.name)[places] for one in fields(self.crops)})
        images = cut(images, some)
        if self.augment is not None:
            images, _ = self.augment(images, masks, generator)
        labels = torch.from_numpy(some.label).long().to(self.device)
        return images.contiguous(memory_format=torch.channels_last), labels
