"""Augmentation of whole batches as tensor functions, on any device; random numbers come from a CPU generator."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from landslide_lib.data.bands import SPECTRAL

Pair = tuple[Tensor, Tensor]
#: Images (B, C, S, S) and masks (B, 1, S, S) to changed copies of both.
Augment = Callable[[Tensor, Tensor, torch.Generator], Pair]


def rotation(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
    """Turn each image and its mask by 0, 90, 180 or 270 degrees, each as likely.

    The report states only "random rotation" (slide I-D); we assume quarter turns: they invent no pixel and keep a mask
    a mask.
    """
    turns = torch.randint(4, (len(images),), generator=generator)
    images, masks = images.clone(), masks.clone()
    for quarter in (1, 2, 3):
        chosen = torch.nonzero(turns == quarter).flatten().to(images.device)
        images[chosen] = torch.rot90(images[chosen], quarter, (2, 3))
        masks[chosen] = torch.rot90(masks[chosen], quarter, (2, 3))
    return images, masks


def cutmix(images: Tensor, masks: Tensor, generator: torch.Generator, probability: float = 0.5) -> Pair:
    """Paste a rectangle of another image, and of its mask, into an image (Yun et al. 2019, arXiv:1905.04899).

    The rectangle covers a share of the image that is uniform in 0..1 (before it is cut at the border), its centre is
    uniform. An image is mixed with the given probability. The report names CutMix and no numbers.
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


def colour(
    images: Tensor,
    masks: Tensor,
    generator: torch.Generator,
    bands: Sequence[str],
    brightness: float = 0.2,
    contrast: float = 0.2,
) -> Pair:
    """Change brightness and contrast of the spectral bands, each band of each image on its own.

    A band x of mean m becomes m + gain (x - m) + shift, the gain uniform in 1 ± contrast (below 1), the shift in ±
    brightness, in the unit of the standardized images. Slope, elevation and engineered channels are unchanged, bit by
    bit. `label-refinement`, section 2.1, names "color perturbation" that "is only applied to spectral data"; the
    numbers are this study's.
    """
    unchanged = [column for column, band in enumerate(bands) if band not in SPECTRAL]
    draw = 2 * torch.rand(2, *images.shape[:2], 1, 1, generator=generator) - 1
    change, shift = draw.to(images)
    change, shift = contrast * change, brightness * shift
    changed = images * (1 + change)
    changed += shift - change * images.mean((2, 3), keepdim=True)
    changed[:, unchanged] = images[:, unchanged]
    return changed, masks


AUGMENTATIONS: dict[str, Callable[..., Pair]] = {"rotation": rotation, "cutmix": cutmix, "colour": colour}


def compose(names: Sequence[str], bands: Sequence[str] = ()) -> Augment | None:
    """Return the augmentations of these names in turn, or None. Raises ValueError: `colour` without a spectral band."""
    if "colour" in names and SPECTRAL.isdisjoint(bands):
        raise ValueError(
            f"augmentation: colour changes spectral bands, and of [{', '.join(bands)}] none is one; leave colour out, "
            "or name spectral bands"
        )
    return chain(names, {**AUGMENTATIONS, "colour": partial(colour, bands=bands)})


def chain(names: Sequence[str], steps: Mapping[str, Callable[..., Pair]]) -> Augment | None:
    """Return one augmentation that applies the named steps in turn, or None for none."""
    if not names:
        return None

    def augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
        for name in names:
            images, masks = steps[name](images, masks, generator)
        return images, masks

    return augment
