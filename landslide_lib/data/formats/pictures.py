"""Pictures in files: their pixels as stored, their colours, and masks, which say what pixels are landslide.

A mask holds 0, no landslide, and one other value, 1 or white; channels in which anything is drawn must be equal.

- A palette: the index is the class, 0 or 1, and its colours do not count.
- Alpha: where each colour is constant, what is not transparent is landslide; elsewhere alpha must be constant, or equal
  to the colours.
- A JPEG holds values near 0 and 255 in place of them: it is cut at half, see `read_jpeg`.
"""

import warnings
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from landslide_lib.data.base import BadFileError, Sample
from landslide_lib.data.formats.files import list_files

#: The suffixes of pictures that are read, in any case.
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
list_images = partial(list_files, suffixes=SUFFIXES)  # of a folder
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: What Pillow reads. It keeps 8 bits of a PNG of 16, which GDAL reads as it does TIFF.
KINDS = ("JPEG", "PNG", "BMP", "WEBP")
#: Pixels of the largest picture that is read, 9,459 x 9,459: what Pillow thinks is safe to decode.
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 2**26
#: Pillow's names of bands in GDAL's words.
WORDS = {"1": "gray", "L": "gray", "P": "palette", "R": "red", "G": "green", "B": "blue", "A": "alpha"}
COLOURS = ("red", "green", "blue")
REMEDY = (
    "Convert all files by one scale, 0 255 for 8 bits: gdal_translate -ot Byte -scale LOW HIGH 0 255 -b 1 -b 2 -b 3 "
    "-colorinterp red,green,blue IN OUT"
)
SAVE = "Save the mask as one channel with 0 and 255 (PNG), or leave it out with --skip-bad"
#: How far the values of a JPEG may lie from 0 and 255, and in which share of its pixels at least. Real masks in a
#: quality of 50 keep to it in 99.3 % of the pixels, photographs in 29 % at most.
NEAR, SHARE = 32, 0.99
HALF = 128  # from here on a pixel of a JPEG is landslide

# A picture needs no place on Earth, and its size is checked here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Dataset has no geotransform")


@dataclass(frozen=True)
class Picture:
    """A picture as it is stored."""

    path: Path
    kind: str  # of the file, such as `JPEG`
    pixels: NDArray[Any]  # (H, W, bands)
    names: tuple[str, ...]  # GDAL's names of the bands, such as `red`, `alpha`, `palette` or `undefined`
    bits: int  # of a number
    orientation: int = 1  # of its EXIF, 1 to 8: how it is turned to be shown; 1 stands for not at all
    palette: NDArray[np.uint8] | None = None  # (256, 3), the colours of its numbers


def read_rgb(path: Path) -> NDArray[np.float32]:
    """Read a picture as it is shown (turned as its EXIF says), (H, W, 3) float32 in 0..1. Raises BadFileError."""
    picture = open_picture(path)
    return turn(colours(picture), picture.orientation)


def open_picture(path: Path) -> Picture:
    """Read a JPEG, PNG, TIFF, BMP or WebP, whatever its name; its size is checked before anything is decoded.

    Raises BadFileError: missing, damaged, no such picture, of more than `MOST_PIXELS`; a TIFF of several pictures, or
    with pixels that are marked as without data (other than 0).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})") from None
    try:
        if data.startswith(TIFF):
            return _by_gdal(path, data, "GTiff")
        deep_png = data.startswith(b"\x89PNG") and data[24:25] == b"\x10"
        return _by_gdal(path, data, "PNG") if deep_png else _by_pillow(path, data)
    except BadFileError:
        raise
    except UnidentifiedImageError:
        problem = "is truncated or no JPEG, PNG, TIFF, BMP or WebP" if data else "is empty"
        raise BadFileError(path, problem) from None
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    except Exception as error:  # a damaged file ends in whatever a parser raises
        raise BadFileError(path, f"is truncated or no picture that can be read ({error})") from None


def colours(picture: Picture, sensor: bool = False) -> NDArray[np.float32]:
    """Return the colours of a picture as stored, (H, W, 3) float32 in 0..1; alpha is left out, gray is repeated.

    Of 8 bits, 255 becomes 1; of 16 bits, 65,535. Of 16 bits only RGB is read: other bands are a sensor's numbers, and
    which of them is white is not known. With `sensor` three of them are read as red, green and blue / 65,535. Raises
    BadFileError: it is not clear what the numbers mean.
    """
    pixels, names = picture.pixels, picture.names
    if picture.palette is not None:
        return _unit(picture.palette[pixels[..., 0]], 8)
    named = set(COLOURS) <= set(names)
    columns = [names.index(name) for name in COLOURS] if named else [i for i, n in enumerate(names) if n != "alpha"]
    problem = ""
    if pixels.dtype not in (np.uint8, np.uint16):
        problem = "not RGB of 8 or 16 bits"
    elif not named and len(columns) not in (1, 3):
        problem = "and does not say which are red, green and blue"
    elif not named and pixels.dtype == np.uint16 and not (sensor and len(columns) == 3):
        problem = f"up to {pixels.max()}, and does not say that they are red, green and blue: what of them is white?"
    if problem:
        content = f"holds {len(names)} bands ({', '.join(names[:6])}) of {pixels.dtype}"
        raise BadFileError(picture.path, f"{content}, {problem}", REMEDY)
    return _unit(np.broadcast_to(pixels[..., columns], (*pixels.shape[:2], 3)), picture.bits)


def turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array (H, W, …) from how it is stored to how EXIF's orientation shows it."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


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


def _unit(pixels: NDArray[Any], bits: int) -> NDArray[np.float32]:
    return np.asarray(pixels, np.float32, order="C") / np.float32(2**bits - 1)


def _by_pillow(path: Path, data: bytes) -> Picture:
    with Image.open(BytesIO(data), formats=KINDS) as file:
        kind = str(file.format)
        if file.width * file.height > MOST_PIXELS:
            raise _too_large(path)
        if kind == "PNG":
            with Image.open(BytesIO(data), formats=[kind]) as again:
                again.verify()  # the checksums
        orientation = _orientation(file)
        image = file if file.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else file.convert("RGB")
        palette = None
        if image.mode == "P":
            palette = np.resize(np.array([*(image.getpalette() or []), *[0] * 768], np.uint8), (256, 3))
        names = tuple(WORDS[name] for name in image.getbands())
        pixels = np.atleast_3d(np.asarray(image)).astype(np.uint8)
        return Picture(path, kind, pixels, names, 1 if image.mode == "1" else 8, orientation, palette)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # nobody turns a picture by EXIF that cannot be parsed
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _by_gdal(path: Path, data: bytes, driver: str) -> Picture:
    from rasterio.io import MemoryFile  # a fifth of a second, which most datasets do not need

    with MemoryFile(data) as file, file.open(driver=driver) as source:
        if source.width * source.height * max(1, source.count / 4) > MOST_PIXELS:
            raise _too_large(path)
        if source.subdatasets:
            problem = f"holds {len(source.subdatasets)} pictures, not one"
            raise BadFileError(path, problem, "Save each in a file of its own")
        used = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
        names = tuple(band.name for band in source.colorinterp)
        nodata, pixels = source.nodata, source.read().transpose(1, 2, 0)
        palette = None
        if names[0] == "palette" and pixels.dtype == np.uint8:
            palette = np.zeros((256, 3), np.uint8)
            for number, colour in source.colormap(1).items():
                palette[number] = colour[:3]
    if pixels.dtype.kind not in "uif":
        raise BadFileError(path, f"holds {pixels.dtype}, no numbers that are read")
    if nodata and (pixels == nodata).any():
        remedy = "Fill them, or, if they are data, gdal_translate -a_nodata none IN OUT"
        raise BadFileError(path, f"holds pixels without data ({nodata:g})", remedy)
    kind = "TIFF" if driver == "GTiff" else driver
    return Picture(path, kind, pixels, names, int(used or 8 * pixels.dtype.itemsize), palette=palette)


def _too_large(path: Path) -> BadFileError:
    problem = f"is too large: pictures of up to {MOST_PIXELS:,} pixels are read"
    return BadFileError(path, problem, "Cut it into tiles, or leave it out with --skip-bad")
