"""Masks: which pixels of a picture's file are landslide, whatever form the file has.

A mask holds 0, no landslide, and one other value, 1 or white; channels in which anything is drawn must be equal.

- A palette: the index is the class, 0 or 1, and its colours do not count.
- Alpha: where each colour is constant, what is not transparent is landslide; elsewhere alpha must be constant, or equal
  to the colours.
- A JPEG holds values near 0 and 255 in place of them: it is cut at half, see `read_jpeg`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Sample
from landslide_lib.data.formats.pictures import Picture, colours, open_picture, turn

SAVE = "Save the mask as one channel with 0 and 255 (PNG), or leave it out with --skip-bad"
#: How far the values of a JPEG may lie from 0 and 255, and in which share of its pixels at least. Real masks in a
#: quality of 50 keep to it in 99.3 % of the pixels, photographs in 29 % at most.
NEAR, SHARE = 32, 0.99
HALF = 128  # from here on a pixel of a JPEG is landslide


def read_pair(sample: Sample, sensor: bool = False) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read an image, (H, W, 3) float32 in 0..1, and its mask, (H, W) uint8 in {0, 1}, so that one lies on the other.

    Where EXIF turns the two alike, or only one and the sizes fit, both are read as stored; where the sizes fit only
    when turned, as shown. Without a mask, it is empty. With `sensor` pictures of 16 bits may be a sensor's, see
    `colours`. Raises BadFileError: one cannot be read, they differ in size, or EXIF leaves open how one lies on the
    other.
    """
    assert sample.image is not None
    picture = open_picture(sample.image)
    image = colours(picture, sensor)
    if sample.mask is None:
        image = turn(image, picture.orientation)
        return image, np.zeros(image.shape[:2], np.uint8)
    mask_picture = open_picture(sample.mask)
    mask = read_mask(mask_picture)
    if picture.orientation != mask_picture.orientation:
        shown = turn(image, picture.orientation), turn(mask, mask_picture.orientation)
        if shown[0].shape[:2] == shown[1].shape:
            if image.shape[:2] == mask.shape:
                problem = "and its mask are turned differently by EXIF, and both sizes fit"
                raise BadFileError(sample.image, problem, "Turn the pixels, and save both without EXIF's orientation")
            image, mask = shown
    if image.shape[:2] != mask.shape:
        raise BadFileError(sample.mask, f"mask is {mask.shape}, its image {image.shape[:2]}")
    return image, mask


def read_mask(picture: Picture) -> NDArray[np.uint8]:
    """Read a mask as stored, (H, W) uint8 in {0, 1}. Raises BadFileError: it is not clear what is landslide."""
    pixels, path = picture.pixels, picture.path
    if picture.kind == "JPEG":
        return read_jpeg(pixels, path)
    if picture.palette is not None:
        if 255 in pixels and picture.palette[255].min() < 255:  # in Pascal VOC, pixels that are to be ignored
            raise BadFileError(path, "mask is a palette with the index 255, whose colour is not white", SAVE)
        return as_mask(pixels[..., 0], path)
    count = pixels.shape[2]
    channels = [pixels[..., i] for i in range(count)]
    alpha = channels.pop() if picture.names[-1] == "alpha" or (count == 4 and picture.names[0] == "red") else None
    drawn = [channel for channel in channels if np.ptp(channel)]
    varies = alpha is not None and bool(np.ptp(alpha))
    if alpha is not None and not drawn and (varies or not alpha.any()):
        return as_mask(alpha, path)
    ground = {float(channel.flat[0]) for channel in channels if not np.ptp(channel)}
    if (drawn and ground - {0}) or (not drawn and len(ground) > 1):
        where = "on a ground that is not black" if drawn else "in one colour everywhere"
        raise BadFileError(path, f"mask is drawn {where}, so that its meaning is not clear", SAVE)
    masks = [as_mask(channel, path) for channel in drawn or channels[:1]]
    if alpha is not None and varies:
        masks.append(as_mask(alpha, path))
    if any((mask != masks[0]).any() for mask in masks):
        raise BadFileError(path, f"mask holds {len(masks)} channels that disagree", SAVE)
    return masks[0]


def read_jpeg(pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """Cut the values of a JPEG, (H, W, bands), at half.

    Raises BadFileError: it has colours; fewer than `SHARE` of its values are within `NEAR` of 0 or 255; or none reaches
    half and they are not constant, so that it may hold 0 and 1.
    """
    gray = pixels[..., pixels.shape[2] // 2]
    coloured = float((np.ptp(pixels, axis=2) > NEAR).mean())
    between = float(((gray > NEAR) & (gray < 255 - NEAR)).mean())
    problem = ""
    if coloured > 1 - SHARE:
        problem = f", {coloured:.1%} of it in colours"
    elif between > 1 - SHARE:
        problem = f", {between:.1%} of its values far from 0 and 255"
    elif gray.max() < HALF and np.ptp(gray):
        problem = f" with values up to {gray.max()}, which may be noise or a class"
    if problem:
        raise BadFileError(path, f"mask is a JPEG{problem}", SAVE)
    return np.asarray(gray >= HALF, np.uint8)


def as_mask(raw: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """Turn (H, W) of 0 and one of 1, 255 and 65,535 into uint8 {0, 1}. Raises BadFileError: it holds anything else."""
    values = np.unique(raw)
    strange = [f"{value:g}" for value in values.tolist() if value not in (0, 1, 255, 65_535)]
    if strange:
        raise BadFileError(path, f"mask holds {', '.join(strange[:3])}; only 0, 1 and 255 are allowed", SAVE)
    if len(high := values[values != 0]) > 1:
        both = " and ".join(f"{value:g}" for value in high)
        raise BadFileError(path, f"mask holds both {both}, so that it is not clear which one is landslide", SAVE)
    return np.asarray(raw > 0, np.uint8)


def remarks(samples: Sequence[Sample]) -> list[str]:
    """Return what is usable and yet worth a remark: masks in JPEG."""
    masks = [sample.mask for sample in samples if sample.mask is not None]
    lossy = sum(mask.suffix.lower() in (".jpg", ".jpeg") for mask in masks)
    blurs = "are JPEG, which blurs their edges: a pixel is landslide from"
    return [f"{lossy} of {len(masks)} masks {blurs} {HALF} of 255 on"] if lossy else []
