"""Augmentation of whole batches as tensor functions, on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
Augment = Callable[[Tensor, Tensor, torch.Generator], Pair]


def rotation(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
    """Turn each image and its mask by 0, 90, 180 or 270 degrees, each as likely.

    "Random rotation" is all that the report says (slide I-D); quarter turns are our
    reading: they invent no pixel and keep a mask a mask.

    Args:
        images: (B, C, S, S).
        masks: (B, 1, S, S).
        generator: A CPU generator.

    Returns:
        Turned copies.
    """
    turns = torch.randint(4, (len(images),), generator=generator)
    images, masks = images.clone(), masks.clone()
    for quarter in (1, 2, 3):
        chosen = torch.nonzero(turns == quarter).flatten().to(images.device)
        images[chosen] = torch.rot90(images[chosen], quarter, (2, 3))
        masks[chosen] = torch.rot90(masks[chosen], quarter, (2, 3))
    return images, masks


def cutmix(
    images: Tensor, masks: Tensor, generator: torch.Generator, probability: float = 0.5
) -> Pair:
    """Paste a rectangle of another image, and of its mask, into an image.

    The rectangle covers a share of the image that is uniform in 0..1 (before it is cut at
    the border), its centre is uniform; half of the images are left alone. The report names
    CutMix and no numbers.

    Args:
        images: (B, C, S, S).
        masks: (B, 1, S, S).
        generator: A CPU generator.
        probability: That an image is mixed.

    Returns:
        Mixed copies.

    Reference:
        Yun et al. 2019, CutMix, arXiv:1905.04899.
    """
    count, size = len(images), images.shape[-1]
    draw = torch.rand(4, count, generator=generator)
    side = draw[0].sqrt() * size * (draw[3] < probability)
    grid = torch.arange(size) + 0.5
    rows = (grid - draw[1, :, None] * size).abs() < side[:, None] / 2
    columns = (grid - draw[2, :, None] * size).abs() < side[:, None] / 2
    inside = (rows[:, :, None] & columns[:, None, :])[:, None].to(images.device)
    other = torch.randperm(count, generator=generator).to(images.device)
    return torch.where(inside, images[other], images), torch.where(inside, masks[other], masks)


AUGMENTATIONS: dict[str, Augment] = {"rotation": rotation, "cutmix": cutmix}


def compose(names: Sequence[str]) -> Augment | None:
    """Return one augmentation that applies the named ones in turn, or None for none."""
    if not names:
        return None

    def augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
        for name in names:
            images, masks = AUGMENTATIONS[name](images, masks, generator)
        return images, masks

    return augment
