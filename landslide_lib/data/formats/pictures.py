"""Pictures in files: which are read, whether one is whole, and its pixels."""

import re
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.files import list_files

#: The suffixes of pictures that are read, in any case.
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
#: What a file begins with, and what it is then; its name does not matter.
MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"RIFF": "WEBP"}
MAGIC |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF")
#: Pixels of the largest picture that is read, 9,459 x 9,459: what Pillow thinks is safe to decode.
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 2**26
MOST_BANDS = 500
#: The last chunk of a PNG: its length, name and checksum.
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
#: In a scan of a JPEG, 0xFF is followed by 0 or by a mark of restart (D0 to D7) or it is a marker.
JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)
JPEG_END = b"\xd9"
DECODE = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
#: How a TIFF becomes one that is read, in GDAL's words.
TRANSLATE = "gdal_translate -ot Byte -b 1 -b 2 -b 3 -colorinterp red,green,blue {options}IN OUT"

# A picture needs no place on Earth, and its size is checked here.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Dataset has no geotransform")


@dataclass(frozen=True)
class Picture:
    """A file of a picture that is whole (of a TIFF, decoding tells), not yet decoded."""

    path: Path
    data: bytes
    kind: str  # a value of `MAGIC`
    orientation: int = 1  # of its EXIF, 1 to 8: how it is turned to be shown; 1 stands for not at all

    @property
    def sixteen(self) -> bool:
        """Whether it is a PNG of 16 bits, of which Pillow keeps 8 where it has colours."""
        return self.kind == "PNG" and self.data[24] == 16


def list_images(folder: Path) -> list[Path]:
    """Return the pictures of a folder, see `list_files`."""
    return list_files(folder, SUFFIXES)


def read_rgb(path: Path) -> NDArray[np.float32]:
    """Read a picture as it is shown (turned as its EXIF says), (H, W, 3) float32 in 0..1. Raises BadFileError."""
    picture = open_picture(path)
    return turn(decode(picture), picture.orientation)


def open_picture(path: Path) -> Picture:
    """Read the bytes of a JPEG, PNG, TIFF, BMP or WebP, and check that they are a whole picture.

    Bytes that an editor appended to a JPEG or a PNG are ignored. The size is checked before anything is decoded. Raises
    BadFileError: missing, empty, truncated, no such picture, damaged (the checksums of a PNG), or of more than
    `MOST_PIXELS`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})") from None
    kind = next((kind for magic, kind in MAGIC.items() if data.startswith(magic)), None)
    if kind is None:
        raise BadFileError(path, "is not a JPEG, PNG, TIFF, BMP or WebP" if data else "is empty")
    if kind == "TIFF":  # GDAL's, see `read_tiff`
        return Picture(path, data, kind)
    if not _whole(data, kind):
        raise BadFileError(path, "is truncated")
    orientation = 1
    try:
        with Image.open(BytesIO(data), formats=[kind]) as image:
            check_size(path, *image.size)
            if any(word in data for word in (b"Exif", b"eXIf", b"EXIF")):
                orientation = _orientation(image)
        if kind == "PNG":
            with Image.open(BytesIO(data), formats=[kind]) as image:
                image.verify()  # the checksums
    except BadFileError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error)) from None
    except Exception as error:  # a damaged header ends in whatever a parser of Pillow raises
        raise broken(path, kind, error) from None
    return Picture(path, data, kind, orientation)


def depth(picture: Picture) -> int:
    """Return the bits of a number of a picture: 8 or 16, or what else a TIFF has. Raises BadFileError."""
    if picture.kind == "TIFF":
        return 8 * read_tiff(picture)[0].dtype.itemsize
    return 16 if picture.sixteen else 8


def decode(picture: Picture, sensor: bool = False) -> NDArray[np.float32]:
    """Decode the colours of a picture as stored, (H, W, 3) float32 in 0..1; alpha is left out, gray is repeated.

    Of 8 bits, 255 becomes 1. Of 16 bits only RGB is read, of which 65,535 becomes 1, as PNG and TIFF define it. A TIFF
    of 16 bits that is not marked as RGB holds a sensor's numbers, and which of them is white is not known; with
    `sensor` three bands of them are read as red, green and blue / 65,535, for datasets whose pictures all have one
    `depth`. Raises BadFileError: it cannot be decoded, or it is not clear what its numbers mean.
    """
    if picture.kind == "TIFF":
        return _tiff_rgb(picture, sensor)
    if picture.kind in ("JPEG", "PNG"):
        if picture.sixteen and not picture.data[25] & 2:
            problem = "is a PNG of 16 bits of gray, so that it is not clear what of it is white"
            raise BadFileError(picture.path, problem, "Save it as RGB, or with 8 bits")
        return unit(decode_cv(picture, DECODE | cv2.IMREAD_ANYDEPTH if picture.sixteen else DECODE))
    try:
        with Image.open(BytesIO(picture.data), formats=[picture.kind]) as image:
            return unit(np.asarray(image.convert("RGB")))
    except Exception as error:  # see `open_picture`
        raise broken(picture.path, picture.kind, error) from None


def decode_cv(picture: Picture, flags: int) -> NDArray[Any]:
    """Decode a JPEG or a PNG with OpenCV. Raises BadFileError: it cannot."""
    try:
        pixels = cv2.imdecode(np.frombuffer(picture.data, np.uint8), flags)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise broken(picture.path, picture.kind)
    return np.asarray(pixels)


def read_tiff(picture: Picture) -> tuple[NDArray[Any], tuple[str, ...], int]:
    """Read all bands of a TIFF as they are stored.

    Returns (H, W, bands); GDAL's name of each band, such as `red`, `alpha`, `palette` or `undefined`; and how many bits
    of a number are used. Raises BadFileError: truncated, damaged, too large, of several pictures, of no numbers, or
    with pixels that are marked as without data (other than 0).
    """
    from rasterio.io import MemoryFile  # a fifth of a second, which most datasets do not need

    try:
        with MemoryFile(picture.data) as file, file.open(driver="GTiff") as source:
            check_size(picture.path, source.width, source.height, source.count)
            if source.subdatasets:
                several = f"holds {len(source.subdatasets)} pictures, not one"
                raise BadFileError(picture.path, several, "Save each in a file of its own")
            used = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
            names = tuple(band.name for band in source.colorinterp)
            nodata, pixels = source.nodata, source.read()
    except BadFileError:
        raise
    except Exception as error:  # GDAL's errors, and Python's where a damaged header is nonsense
        raise broken(picture.path, picture.kind, error) from None
    if pixels.dtype.kind not in "uif":
        raise BadFileError(picture.path, f"holds {pixels.dtype}, no numbers that are read")
    if nodata and (pixels == nodata).any():
        remedy = "Fill them, or, if they are data, gdal_translate -a_nodata none IN OUT"
        raise BadFileError(picture.path, f"holds pixels without data ({nodata:g})", remedy)
    return pixels.transpose(1, 2, 0), names, int(used or 8 * pixels.dtype.itemsize)


def turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an array (H, W, …) from how it is stored to how EXIF's orientation shows it.

    >>> turn(np.array([[1, 2, 3]]), 6).tolist(), turn(np.array([[1, 2, 3]]), 3).tolist()
    ([[1], [2], [3]], [[3, 2, 1]])
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def unit(pixels: NDArray[Any], bits: int | None = None) -> NDArray[np.float32]:
    """Scale whole numbers of some bits, by default all of their dtype, to 0..1."""
    white = 2 ** (bits or 8 * pixels.dtype.itemsize) - 1
    return np.asarray(pixels, np.float32) / np.float32(white)


def check_size(path: Path, width: int, height: int, bands: int = 1) -> None:
    """Refuse a picture that would need too much memory, before it is decoded. Raises BadFileError."""
    if width * height * max(1, bands / 4) > MOST_PIXELS or bands > MOST_BANDS:
        raise _too_large(path, f"{width}x{height} pixels, {bands} bands each")


def _too_large(path: Path, size: str) -> BadFileError:
    problem = f"is too large ({size}); up to {MOST_PIXELS:,} pixels are read"
    return BadFileError(path, problem, "Cut it into tiles, or leave it out with --skip-bad")


def broken(path: Path, kind: str, error: Exception | None = None) -> BadFileError:
    """Return what to raise for a picture that cannot be decoded."""
    why = f" ({error})" if error and "BytesIO" not in str(error) else ""
    return BadFileError(path, f"is truncated or no {kind} that can be read{why}")


def _whole(data: bytes, kind: str) -> bool:
    """Return whether a picture's end is there; OpenCV and Pillow decode without it, and fill what is missing."""
    if kind == "PNG":
        return PNG_END in data
    if kind == "BMP":
        return len(data) >= int.from_bytes(data[2:6], "little")
    if kind == "WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    start = 2
    while marker := JPEG_MARKER.search(data, start):
        if marker[1] == JPEG_END:  # of the picture: that of a thumbnail lies within a segment
            return True
        start = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # nobody turns a picture by EXIF that cannot be parsed
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _tiff_rgb(picture: Picture, sensor: bool) -> NDArray[np.float32]:
    pixels, names, bits = read_tiff(picture)
    rgb = ("red", "green", "blue")
    content = f"holds {len(names)} bands ({', '.join(names[:6])}) of {pixels.dtype}"
    if pixels.dtype not in (np.uint8, np.uint16):
        remedy = TRANSLATE.format(options="-scale LOW HIGH 0 255 ")
        raise BadFileError(picture.path, f"{content}, not RGB of 8 or 16 bits", remedy)
    if set(rgb) <= set(names):
        return unit(pixels[..., [names.index(name) for name in rgb]], bits)
    if pixels.dtype == np.uint16 and not (sensor and len(names) == 3):
        unclear = "does not say that they are red, green and blue, so that it is not clear what of them is white"
        remedy = f"Say so: {TRANSLATE.format(options=f'-scale 0 {pixels.max()} 0 255 ')}, with one scale for all files"
        raise BadFileError(picture.path, f"{content} up to {pixels.max()}, and {unclear}", remedy)
    if len(names) not in (1, 3) or "palette" in names:
        expand = "gdal_translate -expand rgb IN OUT"
        remedy = expand if "palette" in names else TRANSLATE.format(options="")
        problem = f"{content}, and does not say which are red, green and blue"
        raise BadFileError(picture.path, problem, f"Say so: {remedy}")
    return unit(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), bits)
