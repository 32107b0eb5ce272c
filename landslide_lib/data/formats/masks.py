"""Masks: which pixels of a picture's file are landslide, whatever form the file has.

Black is no landslide. A mask holds 0 and one other value, 1 or white. Where a file has several channels, all those in
which anything is drawn must be equal.

- A palette: the index is the class, 0 or 1, and its colours do not count.
- Alpha: where each colour is constant, what is not transparent is landslide; elsewhere alpha must be constant, or equal
  to the colours.
- A JPEG holds values near 0 and 255 in place of them: it is cut at half, see `read_jpeg`.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from landslide_lib.data.base import BadFileError, Sample, check_same_size, printable
from landslide_lib.data.formats.files import list_files
from landslide_lib.data.formats.pictures import Picture, broken, decode, decode_cv, open_picture, read_tiff, turn

SAVE = "Save the mask as one channel with 0 and 255 (PNG), or leave it out with --skip-bad"
#: How far the values of a JPEG may lie from 0 and 255, and in which share of its pixels at least. Real masks in a
#: quality of 50 keep to it in 99.3 % of the pixels, photographs in 29 % at most.
NEAR = 32
SHARE = 0.99
#: From here on a pixel of a JPEG is landslide.
HALF = 128
#: Suffixes of pictures that are not read.
NOT_READ = (
    *(".avif", ".exr", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jxl", ".psd", ".dng"),
    *(".ecw", ".img", ".sid", ".vrt", ".pdf", ".pgm", ".ppm", ".svg"),
)


def read_pair(sample: Sample, sensor: bool = False) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read an image, (H, W, 3) float32 in 0..1, and its mask, (H, W) uint8 in {0, 1}, so that one lies on the other.

    Where EXIF turns the two alike, both are read as they are stored. Where it turns only one, because the other was
    made by a program that ignores EXIF or applies it, the sizes decide: both are read as stored, or both as shown,
    whichever fits. Without a mask, the mask is empty and the image is read as it is shown. For `sensor` see
    `pictures.decode`. Raises BadFileError: one of the two cannot be read, they differ in size, or EXIF leaves open how
    one lies on the other.
    """
    assert sample.image is not None
    picture = open_picture(sample.image)
    if sample.mask is None:
        image = turn(decode(picture, sensor), picture.orientation)
        return image, np.zeros(image.shape[:2], np.uint8)
    if not sample.mask.is_file():
        raise BadFileError(sample.mask, "mask is missing")
    mask_picture = open_picture(sample.mask)
    image, mask = decode(picture, sensor), read_mask(mask_picture)
    turns = picture.orientation, mask_picture.orientation
    if turns[0] != turns[1]:
        shown = turn(image, turns[0]), turn(mask, turns[1])
        if shown[0].shape[:2] == shown[1].shape:
            if image.shape[:2] == mask.shape:
                problem = (
                    f"is turned by EXIF (orientation {turns[0]}) other than its mask ({turns[1]}), and both sizes fit, "
                    "so that it is not clear how one lies on the other"
                )
                remedy = "Turn the pixels as they belong, and save both without EXIF's orientation"
                raise BadFileError(sample.image, problem, remedy)
            image, mask = shown
    check_same_size(image, mask, sample)
    return image, mask


def read_mask(picture: Picture) -> NDArray[np.uint8]:
    """Read a mask as it is stored, (H, W) uint8 in {0, 1}. Raises BadFileError: it is not clear what is landslide."""
    path = picture.path
    if picture.kind == "TIFF":
        pixels, names, bits = read_tiff(picture)
        if "palette" in names or bits == 1:
            return as_mask(pixels[..., 0], path)
        rgb_and_more = len(names) == 4 and names[0] == "red"
        return _channels(pixels, names[-1] == "alpha" or rgb_and_more, path)
    if picture.sixteen:
        pixels = decode_cv(picture, cv2.IMREAD_UNCHANGED)
        return _channels(np.atleast_3d(pixels), pixels.ndim == 3 and pixels.shape[2] == 4, path)
    try:
        with Image.open(BytesIO(picture.data), formats=[picture.kind]) as image:
            mode, palette, pixels = image.mode, image.getpalette() or [], np.asarray(image)
    except Exception as error:  # a damaged file ends in whatever a parser of Pillow raises
        raise broken(path, picture.kind, error) from None
    if mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise BadFileError(path, f"mask is of Pillow's mode {mode}", SAVE)
    if picture.kind == "JPEG":
        return read_jpeg(pixels, path)
    if mode == "P":
        white = palette[3 * 255 : 3 * 256] == [255] * 3
        if 255 in pixels and not white:  # in Pascal VOC, pixels that are to be ignored
            raise BadFileError(path, "mask is a palette with the index 255, whose colour is not white", SAVE)
        return as_mask(pixels, path)
    return _channels(np.atleast_3d(pixels), mode.endswith("A"), path)


def read_jpeg(pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """Cut the values of a JPEG at half.

    Raises BadFileError: it has colours; fewer than `SHARE` of its values are within `NEAR` of 0 or 255; or none reaches
    half and they are not constant, so that it may hold 0 and 1.
    """
    gray, problem = pixels, ""
    if pixels.ndim == 3:
        gray = pixels[..., 1]
        coloured = float((np.ptp(pixels, axis=2) > NEAR).mean())
        problem = f"{coloured:.1%} of it in colours" if coloured > 1 - SHARE else ""
    between = float(((gray > NEAR) & (gray < 255 - NEAR)).mean())
    if not problem and between > 1 - SHARE:
        problem = f"{between:.1%} of its values far from 0 and 255"
    if problem:
        raise BadFileError(path, f"mask is a JPEG, {problem}", SAVE)
    if gray.max() < HALF and gray.min() != gray.max():
        problem = f"mask is a JPEG with values up to {gray.max()}, which may be noise or a class"
        raise BadFileError(path, problem, SAVE)
    return np.asarray(gray >= HALF, np.uint8)


def as_mask(raw: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    """Turn (H, W) of 0 and one of 1, 255 and 65,535 into uint8 {0, 1}. Raises BadFileError: it holds anything else."""
    if raw.ndim != 2:
        raise BadFileError(path, f"mask has shape {raw.shape}, not (H, W)", SAVE)
    values = np.unique(raw)
    strange = [v for v in values.tolist() if v not in (0, 1, 255, 65_535)]
    if strange:
        shown = ", ".join(f"{v:g}" for v in strange[:3])
        raise BadFileError(path, f"mask holds {shown}; only 0, 1 and 255 are allowed", SAVE)
    if len(high := values[values != 0]) > 1:
        shown = " and ".join(f"{v:g}" for v in high)
        problem = f"mask holds both {shown}, so that it is not clear which one is landslide"
        raise BadFileError(path, problem, SAVE)
    return np.asarray(raw > 0, np.uint8)


def _channels(pixels: NDArray[Any], with_alpha: bool, path: Path) -> NDArray[np.uint8]:
    """Turn channels (H, W, C), the last of which may be alpha, into a mask."""
    colours = [pixels[..., c] for c in range(pixels.shape[2] - with_alpha)]
    alpha = pixels[..., -1] if with_alpha else None
    drawn = [colour for colour in colours if colour.min() != colour.max()]
    varies = alpha is not None and alpha.min() != alpha.max()
    if alpha is not None and not drawn and (varies or not alpha.any()):
        return as_mask(alpha, path)
    ground = {float(colour.flat[0]) for colour in colours if colour.min() == colour.max()}
    if (drawn and ground - {0}) or (not drawn and len(ground) > 1):
        where = "on a ground that is not black" if drawn else "in one colour everywhere"
        raise BadFileError(path, f"mask is drawn {where}, so that its meaning is not clear", SAVE)
    masks = [as_mask(channel, path) for channel in drawn or colours[:1]]
    if alpha is not None and varies:
        masks.append(as_mask(alpha, path))
    if any((mask != masks[0]).any() for mask in masks[1:]):
        raise BadFileError(path, f"mask holds {len(masks)} channels that disagree", SAVE)
    return masks[0]


def remarks(samples: Sequence[Sample]) -> list[str]:
    """Return a line for each folder with pictures that are not read, and one on masks in JPEG."""
    lines = []
    for folder in sorted({path.parent for sample in samples for path in (sample.image, sample.mask) if path}):
        if others := list_files(folder, NOT_READ):
            kinds = ", ".join(sorted({path.suffix.lower() for path in others}))
            count = f"{len(others)} picture{'s' * (len(others) != 1)} of a kind that is not read ({kinds})"
            lines.append(printable(f"{folder}: {count}, such as {others[0].name}; save them as PNG or TIFF"))
    masks = [sample.mask for sample in samples if sample.mask is not None]
    if lossy := [mask for mask in masks if mask.suffix.lower() in (".jpg", ".jpeg")]:
        lines.append(
            f"{len(lossy)} of {len(masks)} masks are JPEG, which blurs their edges: a pixel is landslide from "
            f"{HALF} of 255 on"
        )
    return lines
