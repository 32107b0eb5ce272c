"""Batches of images with the boxes around their landslides."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from landslide_lib.data.batches import Batches
from landslide_lib.data.boxes import Boxes
from landslide_lib.data.split import Indices


class BoxBatches(Batches):
    """Batches for a detector, see `Batches`.

    Args:
        boxes: Of all images of the dataset, at its size.
        turned: Whether an image and its boxes are turned and mirrored at random, one of the eight
            ways each as likely as the others.
        **how: Of `Batches`.

    Yields:
        Images (B, C, S, S) and a list of B targets, each `boxes` (n, 4) float32 in pixels and
        `labels` (n,) int64, all 1.
    """

    def __init__(self, *given: Any, boxes: Boxes, turned: bool = False, **how: Any) -> None:
        super().__init__(*given, **how)
        self.boxes, self.turned = boxes, turned

    def _batch(self, places: Indices, generator: torch.Generator) -> Any:
        images, _ = self._gather(places)
        images = images.contiguous()
        boxes = [torch.from_numpy(self.boxes.of(int(i))).to(self.device) for i in self.indices[places]]
        if self.turned:
            quarters = torch.randint(4, (len(boxes),), generator=generator).tolist()
            mirrored = torch.randint(2, (len(boxes),), generator=generator).tolist()
            turned = list(map(turn, images, boxes, quarters, mirrored))
            images, boxes = torch.stack([image for image, _ in turned]), [box for _, box in turned]
        targets = [{"boxes": one, "labels": one.new_ones(len(one), dtype=torch.int64)} for one in boxes]
        return images.contiguous(memory_format=torch.channels_last), targets


def turn(image: Tensor, boxes: Tensor, quarters: int, mirrored: int) -> tuple[Tensor, Tensor]:
    """Turn a square image and its boxes against the clock, then mirror left and right.

    Args:
        image: (C, S, S).
        boxes: (n, 4), xmin, ymin, xmax, ymax in pixels.
        quarters: Of a turn.
        mirrored: 1 or 0.

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
