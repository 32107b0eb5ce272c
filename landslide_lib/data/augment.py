"""Augmentation of whole batches as tensor functions, on any device; random numbers come from a CPU generator.

Libraries of augmentations draw from the global generator, whose state a resumed run does not have. Images are
(B, C, S, S), standardized, masks (B, 1, S, S). The label of a tile is a mask of one pixel, (B, 1, 1, 1).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from landslide_lib.data.bands import SPECTRAL

Pair = tuple[Tensor, Tensor]
Augment = Callable[[Tensor, Tensor, torch.Generator], Pair]  # images and masks to changed copies of both
MIXUP, CUTMIX = 0.2, 1.0  # alpha of the beta distribution that the share of the other tile is drawn from


def rotation(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
    """Turn each image and its mask by 0, 90, 180 or 270 degrees, each as likely.

    The report states only "random rotation" (slide I-D); its first author's code turns seven of ten images by quarters.
    """
    turns = torch.randint(4, (len(images),), generator=generator)
    images, masks = images.clone(), masks.clone()
    for quarter in (1, 2, 3):
        chosen = torch.nonzero(turns == quarter).flatten().to(images.device)
        images[chosen] = torch.rot90(images[chosen], quarter, (2, 3))
        masks[chosen] = torch.rot90(masks[chosen], quarter, (2, 3))
    return images, masks


def cutmix(images: Tensor, masks: Tensor, generator: torch.Generator, probability: float = 0.5) -> Pair:
    """Paste a square of another image, and of its mask, into an image (Yun et al. 2019, arXiv:1905.04899).

    Its share of the image, before it is cut at the border, and its centre are uniform. The report names no numbers.
    """
    share, *middle, chance = torch.rand(4, len(images), generator=generator)
    inside = _squares(images.shape[-1], share * (chance < probability), torch.stack(middle)).to(images.device)
    other = _others(images, generator)
    return torch.where(inside, images[other], images), torch.where(inside, masks[other], masks)


def paste(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
    """Paste the landslides of up to two images of the batch into each, pixel by pixel; masks are joined.

    This is what `raunet-ablation` calls CutMix, as the first author's code has it: none, one or two, as likely, of the
    images with a landslide, there of all training images. Elsewhere it is known as copy-paste (Ghiasi and others 2020,
    arXiv:2012.07177). Reference: https://github.com/CamDucLe/Landslide-Project-Sentinel2.
    """
    times = torch.randint(3, (len(images),), generator=generator)
    with_one = torch.nonzero(masks.flatten(1).amax(1) == 1).flatten().cpu()
    for turn in (1, 2):
        if len(with_one):
            other = with_one[torch.randint(len(with_one), (len(images),), generator=generator)].to(images.device)
            there = (masks[other] == 1) & (times >= turn).to(images.device)[:, None, None, None]
            images, masks = torch.where(there, images[other], images), torch.where(there, masks[other], masks)
    return images, masks


def colour(images: Tensor, masks: Tensor, generator: torch.Generator, bands: Sequence[str], most: float = 0.2) -> Pair:
    """Change brightness and contrast of the spectral bands, each band of each image on its own.

    A band x of mean m becomes m + gain (x - m) + shift, the gain uniform in 1 ± most, the shift in ± most, in the unit
    of the standardized images. Slope, elevation and engineered channels are unchanged, bit by bit. `label-refinement`,
    section 2.1, names "color perturbation" that "is only applied to spectral data"; the number is this study's.
    """
    unchanged = [column for column, band in enumerate(bands) if band not in SPECTRAL]
    draw = 2 * torch.rand(2, *images.shape[:2], 1, 1, generator=generator) - 1
    change, shift = most * draw.to(images)
    changed = images * (1 + change)
    changed += shift - change * images.mean((2, 3), keepdim=True)
    changed[:, unchanged] = images[:, unchanged]
    return changed, masks


def _chosen(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(len(images), generator=generator) < probability).to(images.device)[:, None, None, None]


def flips(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
    """Mirror an image and its mask left to right, and top to bottom, each with probability 0.5."""
    for axis in (2, 3):
        chosen = _chosen(images, 0.5, generator)
        images = torch.where(chosen, images.flip(axis), images)
        masks = torch.where(chosen, masks.flip(axis), masks)
    return images, masks


def zoom(images: Tensor, masks: Tensor, generator: torch.Generator, most: float = 1.4) -> Pair:
    """Scale each image and its mask about the centre by 1 / most to most, log-uniform; what is outside is mirrored."""
    factor = most ** (2 * torch.rand(len(images), 1, 1, generator=generator) - 1)
    grid = F.affine_grid(torch.eye(2, 3) / factor, list(images.shape), align_corners=False).to(images.device)
    sample = partial(F.grid_sample, grid=grid, padding_mode="reflection", align_corners=False)
    return sample(images.float(), mode="bilinear").to(images), sample(masks.float(), mode="nearest").to(masks)


def shift_scale_rotate(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Shift, scale and turn an image, with probability 0.5; what is outside is mirrored.

    At most by 1/16 of the side along each axis, 10 % and 45 degrees: the defaults of the report's library, as it states
    no numbers.
    """
    draw = 2 * torch.rand(4, len(images), generator=generator) - 1
    chosen = _chosen(images, 0.5, generator)
    angle, size = draw[0] * math.radians(45), 1 / (1 + 0.1 * draw[1])
    cos, sin, move = angle.cos() * size, angle.sin() * size, 2 * 0.0625 * draw[2:]
    rows = [torch.stack([cos, -sin, move[0]], 1), torch.stack([sin, cos, move[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False).to(images.device)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return torch.where(chosen, moved.to(images.dtype), images), labels


def _squares(side: int, shares: Tensor, middle: Tensor) -> Tensor:
    """Return squares of shares (B,) of images, before the border cuts them, (B, 1, S, S) bool, around (2, B)."""
    grid = torch.arange(side) + 0.5
    reach = shares.clamp(min=0).sqrt()[:, None] * side / 2
    rows, columns = (torch.lt((grid - centre[:, None] * side).abs(), reach) for centre in middle)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


def dropout(images: Tensor, labels: Tensor, generator: torch.Generator, holes: int = 8, share: float = 1 / 64) -> Pair:
    """Set one to `holes` squares of an image to 0, the mean of each band, with probability 0.5.

    Each covers `share` of the image. CoarseDropout of `attention-fusion`, DeVries and Taylor 2017, arXiv:1708.04552.
    """
    count = len(images)
    number = torch.randint(1, holes + 1, (count,), generator=generator)
    number = number * (torch.rand(count, generator=generator) < 0.5)
    return _erased(images, [share * (hole < number) for hole in range(holes)], generator), labels


def erasing(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Set one square of 2 to 20 % of an image to 0, with probability 0.5 (Zhong and others 2017, arXiv:1708.04896)."""
    share = 0.02 + 0.18 * torch.rand(len(images), generator=generator)
    share = share * (torch.rand(len(images), generator=generator) < 0.5)
    return _erased(images, [share], generator), labels


def _erased(images: Tensor, shares: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    for share in shares:
        square = _squares(images.shape[-1], share, torch.rand(2, len(images), generator=generator))
        images = images.masked_fill(square.to(images.device), 0)
    return images


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


def cutmix_tiles(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Paste a square of another image into each, and mix the labels by what it covers."""
    share, other = _shares(len(images), CUTMIX, generator), _others(images, generator)
    inside = _squares(images.shape[-1], share, torch.rand(2, len(images), generator=generator))
    covered = inside.float().mean((1, 2, 3), keepdim=True).to(labels)
    pasted = torch.where(inside.to(images.device), images[other], images)
    return pasted, labels * (1 - covered) + labels[other] * covered


def mixed(images: Tensor, labels: Tensor, generator: torch.Generator) -> Pair:
    """Apply `mixup` or `cutmix` to a batch, either as likely."""
    mix = mixup if torch.rand(1, generator=generator) < 0.5 else cutmix_tiles
    return mix(images, labels, generator)


def _others(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(images), generator=generator).to(images.device)


def _shares(count: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha), (B,); torch has none that takes a generator."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()


_OF_IMAGES = (rotation, flips, zoom, cutmix, paste, colour)
AUGMENTATIONS: dict[str, Callable[..., Pair]] = {one.__name__: one for one in _OF_IMAGES}
_OF_TILES = (flips, rotation, shift_scale_rotate, dropout, noise, erasing, mixup)
TILE_AUGMENTATIONS: dict[str, Callable[..., Pair]] = {one.__name__: one for one in _OF_TILES} | {"cutmix": cutmix_tiles}


def compose(names: Sequence[str], bands: Sequence[str] = ()) -> Augment | None:
    """Return the augmentations of these names in turn, or None. Raises ValueError: `colour` without a spectral band."""
    if "colour" in names and SPECTRAL.isdisjoint(bands):
        given = ", ".join(bands)
        raise ValueError(f"augmentation: colour changes spectral bands, and of [{given}] none is one; leave colour out")
    return _chain(names, {**AUGMENTATIONS, "colour": partial(colour, bands=bands)})


def compose_tiles(names: Sequence[str]) -> Augment | None:
    """Return the named augmentations of tiles in turn, or None; of mixup and CutMix a batch gets one, at last."""
    mixing = [name for name in names if name in ("mixup", "cutmix")]
    steps = [name for name in names if name not in mixing] + (["mixed"] if len(mixing) > 1 else mixing)
    return _chain(steps, {**TILE_AUGMENTATIONS, "mixed": mixed})


def _chain(names: Sequence[str], steps: Mapping[str, Callable[..., Pair]]) -> Augment | None:
    if not names:
        return None

    def augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
        for name in names:
            images, masks = steps[name](images, masks, generator)
        return images, masks

    return augment
