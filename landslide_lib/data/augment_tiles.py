"""Augmentation of images with one label each, as tensor functions on whole batches.

Images are (B, C, S, S), standardized; a label is a mask of one pixel, (B, 1, 1, 1): the functions of `augment` serve
here where they move no pixel from one image to another. Libraries of augmentations draw from the global generator,
whose state a resumed run does not have; here all random numbers come from the given CPU generator.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from landslide_lib.data.augment import Augment, Pair, chain, rotation

#: Alpha of the beta distribution that the share of the other image is drawn from.
MIXUP, CUTMIX = 0.2, 1.0


def _chosen(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Draw which images are changed, (B, 1, 1, 1) bool."""
    return (torch.rand(len(images), generator=generator) < probability).to(images.device)[:, None, None, None]


def flips(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Mirror an image left to right, and top to bottom, each with probability 0.5."""
    for axis in (2, 3):
        images = torch.where(_chosen(images, 0.5, generator), images.flip(axis), images)
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

    At most by `shift` of the side along each axis, `scale` and `degrees`: the defaults of the report's library, as the
    report does not state its numbers.
    """
    draw = 2 * torch.rand(4, len(images), generator=generator) - 1
    chosen = _chosen(images, 0.5, generator)
    angle, size = draw[0] * math.radians(degrees), 1 / (1 + scale * draw[1])
    cos, sin, move = angle.cos() * size, angle.sin() * size, 2 * shift * draw[2:]
    rows = [torch.stack([cos, -sin, move[0]], 1), torch.stack([sin, cos, move[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False).to(images.device)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return torch.where(chosen, moved.to(images.dtype), images), labels


def _squares(side: int, shares: Tensor, generator: torch.Generator) -> Tensor:
    """Draw squares that cover given shares (B,) of images, before the border cuts them, (B, S, S) bool."""
    middle = torch.rand(2, len(shares), 1, generator=generator) * side
    grid = torch.arange(side) + 0.5
    reach = shares.clamp(min=0).sqrt()[:, None] * side / 2
    rows, columns = (torch.lt((grid - centre).abs(), reach) for centre in middle)
    return rows[:, :, None] & columns[:, None, :]


def dropout(images: Tensor, labels: Tensor, generator: torch.Generator, holes: int = 8, share: float = 1 / 64) -> Pair:
    """Set one to `holes` squares of an image to 0, the mean of each band, with probability 0.5.

    Each covers `share` of the image. CoarseDropout of `attention-fusion`, DeVries and Taylor 2017, arXiv:1708.04552.
    """
    count, side = len(images), images.shape[-1]
    number = torch.randint(1, holes + 1, (count,), generator=generator)
    number = number * (torch.rand(count, generator=generator) < 0.5)
    gone = torch.zeros(count, side, side, dtype=torch.bool)
    for hole in range(holes):
        gone |= _squares(side, share * (hole < number), generator)
    return images.masked_fill(gone[:, None].to(images.device), 0), labels


def erasing(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Set one square of 2 to 20 % of an image to 0, with probability 0.5 (Zhong and others 2017, arXiv:1708.04896)."""
    count, side = len(images), images.shape[-1]
    share = 0.02 + 0.18 * torch.rand(count, generator=generator)
    gone = _squares(side, share * (torch.rand(count, generator=generator) < 0.5), generator)
    return images.masked_fill(gone[:, None].to(images.device), 0), labels


def noise(images: Tensor, labels: Tensor, generator: torch.Generator, deviation: float = 0.1) -> Pair:
    """Add Gaussian noise of some deviation to an image, or blur it, with probability 0.3, either as likely."""
    chosen, blurred = _chosen(images, 0.3, generator), _chosen(images, 0.5, generator)
    added = torch.randn(images.shape, generator=generator).to(images)
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    return torch.where(chosen, torch.where(blurred, soft, images + deviation * added), images), labels


def mixup(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Take a weighted mean of each image and label with those of another (Zhang and others 2017, arXiv:1710.09412)."""
    share, other = _shares(len(images), MIXUP, generator), _others(images, generator)
    weight = (1 - share).to(images)[:, None, None, None]
    of_label = weight.to(labels)
    return images * weight + images[other] * (1 - weight), labels * of_label + labels[other] * (1 - of_label)


def cutmix(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Paste a square of another image into each, and mix the labels by what it covers (see `augment.cutmix`)."""
    share, other = _shares(len(images), CUTMIX, generator), _others(images, generator)
    inside = _squares(images.shape[-1], share, generator)
    covered = inside.float().mean((1, 2)).to(labels)[:, None, None, None]
    pasted = torch.where(inside[:, None].to(images.device), images[other], images)
    return pasted, labels * (1 - covered) + labels[other] * covered


def mixed(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Apply `mixup` or `cutmix` to a batch, either as likely."""
    mix = mixup if torch.rand(1, generator=generator) < 0.5 else cutmix
    return mix(images, labels, generator)


def _others(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(images), generator=generator).to(images.device)


def _shares(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha), (B,); torch has none that takes a generator."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()


_CHANGES = (flips, rotation, shift_scale_rotate, dropout, noise, erasing, mixup, cutmix)
CHANGES = {change.__name__: change for change in _CHANGES}


def compose(names: Sequence[str]) -> Augment | None:
    """Return the named augmentations in turn, or None; of mixup and CutMix a batch gets one, at last."""
    steps = [name for name in names if name not in ("mixup", "cutmix")]
    last = [name for name in names if name in ("mixup", "cutmix")]
    return chain([*steps, *(["mixed"] if {"mixup", "cutmix"} <= set(last) else last)], {**CHANGES, "mixed": mixed})
