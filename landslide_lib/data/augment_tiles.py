"""Augmentation of images with one label each, as tensor functions on whole batches.

A label is a mask of one pixel, (B, 1, 1, 1): what `augment` does to images and masks serves here
where it moves no pixel from one image to another. Libraries of augmentations draw from the global
generator, whose state a resumed run does not have; here all comes from the one that is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from landslide_lib.data.augment import Augment, Pair, rotation

#: Alpha of the beta distribution that the share of the other image is drawn from.
MIXUP, CUTMIX = 0.2, 1.0


def _some(count: int, share: float, generator: torch.Generator) -> Tensor:
    """Return which images are changed, (B,) bool: each with a probability."""
    return torch.rand(count, generator=generator) < share


def flips(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Mirror an image left to right, and top to bottom, each with probability 0.5."""
    for axis in (2, 3):
        chosen = _some(len(images), 0.5, generator).to(images.device)
        images = torch.where(chosen[:, None, None, None], images.flip(axis), images)
    return images, labels


def shift_scale_rotate(
    images: Tensor,
    labels: Tensor,
    generator: torch.Generator,
    shift: float = 0.0625,
    scale: float = 0.1,
    degrees: float = 45.0,
) -> Pair:
    """Shift, scale and turn an image, with probability 0.5; what is outside is mirrored.

    The limits are those that the library of the report has by default, whose numbers the report
    does not state.

    Args:
        images: (B, C, S, S).
        labels: (B, 1, 1, 1).
        generator: A CPU generator.
        shift: The greatest shift along each axis, of the side.
        scale: The greatest change of the scale.
        degrees: The greatest angle.
    """
    count = len(images)
    draw = 2 * torch.rand(4, count, generator=generator) - 1
    chosen = _some(count, 0.5, generator).to(images.device)
    angle, size = draw[0] * math.radians(degrees), 1 / (1 + scale * draw[1])
    cos, sin, move = angle.cos() * size, angle.sin() * size, 2 * shift * draw[2:]
    rows = [torch.stack([cos, -sin, move[0]], 1), torch.stack([sin, cos, move[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    moved = F.grid_sample(
        images.float(), grid.to(images.device), mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return torch.where(chosen[:, None, None, None], moved.to(images.dtype), images), labels


def _boxes(count: int, side: int, shares: Tensor, generator: torch.Generator) -> Tensor:
    """Return squares that cover given shares of images, before the border cuts them, (B, S, S)."""
    middle = torch.rand(2, count, 1, generator=generator) * side
    grid = torch.arange(side) + 0.5
    reach = shares.clamp(min=0).sqrt()[:, None] * side / 2
    rows, columns = (torch.lt((grid - one).abs(), reach) for one in middle)
    return rows[:, :, None] & columns[:, None, :]


def dropout(images: Tensor, labels: Tensor, generator: torch.Generator, holes: int = 8, share: float = 1 / 64) -> Pair:
    """Set squares of an image to 0, the mean of each band, with probability 0.5.

    Args:
        images: (B, C, S, S), normalised.
        labels: (B, 1, 1, 1).
        generator: A CPU generator.
        holes: How many there are at most, at least one.
        share: Of the image, that each covers.

    Reference:
        DeVries and Taylor 2017, arXiv:1708.04552; `attention-fusion`, CoarseDropout.
    """
    count, side = len(images), images.shape[-1]
    number = torch.randint(1, holes + 1, (count,), generator=generator)
    number = number * _some(count, 0.5, generator)
    gone = torch.zeros(count, side, side, dtype=torch.bool)
    for hole in range(holes):
        gone |= _boxes(count, side, share * (hole < number), generator)
    return images.masked_fill(gone[:, None].to(images.device), 0), labels


def erasing(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Set one square of 2 to 20 % of an image to 0, with probability 0.5.

    Reference:
        Zhong and others 2017, arXiv:1708.04896; `negative-filter-fpn`, patch erasing, without
        numbers.
    """
    count, side = len(images), images.shape[-1]
    share = 0.02 + 0.18 * torch.rand(count, generator=generator)
    gone = _boxes(count, side, share * _some(count, 0.5, generator), generator)
    return images.masked_fill(gone[:, None].to(images.device), 0), labels


def noise(images: Tensor, labels: Tensor, generator: torch.Generator, deviation: float = 0.1) -> Pair:
    """Add Gaussian noise to an image, or blur it, with probability 0.3, either as likely.

    Args:
        images: (B, C, S, S), normalised.
        labels: (B, 1, 1, 1).
        generator: A CPU generator.
        deviation: Of the noise, in deviations of a band.
    """
    chosen = _some(len(images), 0.3, generator).to(images.device)[:, None, None, None]
    blurred = _some(len(images), 0.5, generator).to(images.device)[:, None, None, None]
    drawn = torch.randn(images.shape, generator=generator).to(images)
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    made = torch.where(blurred, soft, images + deviation * drawn)
    return torch.where(chosen, made, images), labels


def mixup(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Take a weighted mean of each image and of its label with those of another.

    Reference:
        Zhang and others 2017, arXiv:1710.09412.
    """
    share, other = _shares(len(images), MIXUP, generator), _others(images, generator)
    kept = (1 - share).to(images)[:, None, None, None]
    return (
        images * kept + images[other] * (1 - kept),
        labels * kept.to(labels) + labels[other] * (1 - kept.to(labels)),
    )


def cutmix(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Paste a square of another image into each, and mix the labels by what it covers.

    Reference:
        Yun and others 2019, arXiv:1905.04899.
    """
    share, other = _shares(len(images), CUTMIX, generator), _others(images, generator)
    inside = _boxes(len(images), images.shape[-1], share, generator)
    covered = inside.float().mean((1, 2)).to(labels)[:, None, None, None]
    pasted = torch.where(inside[:, None].to(images.device), images[other], images)
    return pasted, labels * (1 - covered) + labels[other] * covered


def mixed(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Do `mixup` or `cutmix` to a batch, either as likely: both would leave little of it."""
    how = mixup if torch.rand(1, generator=generator) < 0.5 else cutmix
    return how(images, labels, generator)


def _others(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(images), generator=generator).to(images.device)


def _shares(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha), (B,); torch has none that takes a generator."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()


CHANGES = {
    "flips": flips,
    "rotation": rotation,
    "shift_scale_rotate": shift_scale_rotate,
    "dropout": dropout,
    "noise": noise,
    "erasing": erasing,
    "mixup": mixup,
    "cutmix": cutmix,
}


def compose(names: Sequence[str]) -> Augment | None:
    """Return one augmentation that applies the named ones in turn, or None for none.

    Of mixup and CutMix a batch gets one, where both are named.
    """
    steps = [CHANGES[name] for name in names if name not in ("mixup", "cutmix")]
    if {"mixup", "cutmix"} <= set(names):
        steps.append(mixed)
    else:
        steps += [CHANGES[name] for name in names if name in ("mixup", "cutmix")]
    if not steps:
        return None

    def augment(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
        for step in steps:
            images, labels = step(images, labels, generator)
        return images, labels

    return augment
