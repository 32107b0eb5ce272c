"""Augmentation of whole batches as tensor functions, on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from landslide_lib.data.bands import SPECTRAL

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


def cutmix(images: Tensor, masks: Tensor, generator: torch.Generator, probability: float = 0.5) -> Pair:
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


def colour(
    images: Tensor,
    masks: Tensor,
    generator: torch.Generator,
    bands: Sequence[str],
    brightness: float = 0.2,
    contrast: float = 0.2,
) -> Pair:
    """Perturb brightness and contrast of the spectral bands, each band of each image on its own.

    A band x of mean m becomes m + gain (x - m) + shift, the gain uniform in 1 ± contrast, the
    shift in ± brightness. That is in the unit of the images: in deviations of the band where they
    are normalised by mean and deviation. Slope, elevation and engineered channels are handed on
    bit by bit. The report names "color perturbation" that "is only applied to spectral data", and
    no numbers; those here are this study's.

    Args:
        images: (B, C, S, S), normalised.
        masks: (B, 1, S, S).
        generator: A CPU generator.
        bands: The names of the C bands.
        brightness: The greatest shift.
        contrast: The greatest change of the gain, below 1.

    Returns:
        Changed copies of the images, and the masks as they are.

    Reference:
        `label-refinement`, section 2.1.
    """
    kept = [place for place, band in enumerate(bands) if band not in SPECTRAL]
    draw = 2 * torch.rand(2, *images.shape[:2], 1, 1, generator=generator) - 1
    change, shift = draw.to(images)
    change, shift = contrast * change, brightness * shift
    made = images * (1 + change)
    made += shift - change * images.mean((2, 3), keepdim=True)
    made[:, kept] = images[:, kept]
    return made, masks


AUGMENTATIONS: dict[str, Callable[..., Pair]] = {"rotation": rotation, "cutmix": cutmix, "colour": colour}


def compose(names: Sequence[str], bands: Sequence[str] = ()) -> Augment | None:
    """Return one augmentation that applies the named ones in turn, or None for none.

    Args:
        names: Of `AUGMENTATIONS`.
        bands: The names of the images' bands, which `colour` needs.

    Raises:
        ValueError: `colour` is among the names and no spectral band among the bands.
    """
    if not names:
        return None
    if "colour" in names and SPECTRAL.isdisjoint(bands):
        raise ValueError(
            f"augmentation: colour changes spectral bands, and of [{', '.join(bands)}] none is "
            "one; leave colour out, or name spectral bands"
        )
    steps: dict[str, Callable[..., Pair]] = {**AUGMENTATIONS, "colour": partial(colour, bands=bands)}

    def augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> Pair:
        for name in names:
            images, masks = steps[name](images, masks, generator)
        return images, masks

    return augment
