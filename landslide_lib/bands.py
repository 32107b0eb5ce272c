"""Names of bands, and the channels that are engineered from them. No torch.

The channels are those of the RAU-Net report (slide III). Where it is silent, this is our reading:

- Its kernel of 10 pixels has no middle; the next odd one, 11, is taken, of packed pixels. The
  Gaussian's sigma is OpenCV's for that kernel, 2.
- Blurs, edges and gradients are those of the gray image. The median and the edges are found on
  256 levels between its darkest and its brightest pixel, as OpenCV's are.
- The thresholds of the Canny detector are 100 and 200 of those levels, the Sobel kernel is 3 x 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

#: The 14 bands of a Landslide4Sense patch in the order of the file: Sentinel-2 as the
#: competition numbers it, then slope and elevation of ALOS PALSAR.
L4S = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "slope", "DEM")
RGB = ("R", "G", "B")
#: The bands of light: neither slope and elevation nor what is engineered.
SPECTRAL = frozenset({*L4S, *RGB} - {"slope", "DEM"})

#: The bands of each dataset, for a recipe, which never looks at the datasets themselves.
OF_DATASET: dict[str, tuple[str, ...]] = {
    "synthetic": L4S,
    "bijie": RGB,
    "landslide4sense": L4S,
    "landslide4sense-boxes": RGB,
    "uav": RGB,
    "voc": RGB,
}

#: The datasets that have boxes around their landslides and no masks.
BOXES = ("landslide4sense-boxes", "voc")

#: What red, green and blue are called in a Sentinel-2 image.
SENTINEL_2 = {"R": "B4", "G": "B3", "B": "B2"}

KERNEL = 11
CANNY = (100, 200)

#: (N, S, S): one band of some images.
Planes = NDArray[np.float32]


def local(band: Planes) -> Planes:
    """Rescale each image to 0..1 by its own minimum and maximum; a constant one is 0."""
    low = band.min((1, 2), keepdims=True)
    return _rescale(band, low, band.max((1, 2), keepdims=True))


def _rescale(band: Planes, low: Any, high: Any) -> Planes:
    span = np.asarray(high - low, np.float32)
    scaled: Planes = (band - low) / np.where(span > 0, span, 1)
    return scaled


def index(one: Planes, other: Planes) -> Planes:
    """Return the normalised difference (one - other) / (one + other).

    It lies in -1..1 where neither band is negative, and is clipped to that elsewhere. It is 0
    where the sum is 0.
    """
    total = one + other
    ratio = np.divide(one - other, total, out=np.zeros_like(total), where=total != 0)
    clipped: Planes = np.clip(ratio, -1, 1)
    return clipped


def gray(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Return the mean of red, green and blue, in their unit."""
    return (red + green + blue) / np.float32(3)


def gaussian(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Blur the gray image with a Gaussian; it is mirrored at the border."""
    return _each(gray(red, green, blue), lambda x: cv2.GaussianBlur(x, (KERNEL, KERNEL), 0))


def median(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Take the median around each pixel of the gray image; its border is repeated.

    It is within half a level of the exact one: OpenCV has such a kernel for 8 bits only.
    """
    shades = gray(red, green, blue)
    low, high = shades.min((1, 2), keepdims=True), shades.max((1, 2), keepdims=True)
    levels = _each(_levels(shades), lambda x: cv2.medianBlur(x, KERNEL))
    middle: Planes = levels / np.float32(255) * (high - low) + low
    return middle


def canny(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Find the edges of the gray image: 1 on an edge, else 0."""
    edges = _each(_levels(gray(red, green, blue)), lambda x: cv2.Canny(x, *CANNY))
    return edges / np.float32(255)


def sobel_x(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Return how much the gray image rises from left to right, in its unit a pixel."""
    return _each(gray(red, green, blue), lambda x: cv2.Sobel(x, cv2.CV_32F, 1, 0, scale=1 / 8))


def sobel_y(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Return how much the gray image rises from top to bottom, in its unit a pixel."""
    return _each(gray(red, green, blue), lambda x: cv2.Sobel(x, cv2.CV_32F, 0, 1, scale=1 / 8))


def _levels(shades: Planes) -> NDArray[np.uint8]:
    return np.rint(local(shades) * 255).astype(np.uint8)


def _each(planes: NDArray[Any], how: Callable[[NDArray[Any]], NDArray[Any]]) -> Planes:
    return np.stack([how(plane) for plane in planes]).astype(np.float32, copy=False)


class Channel(NamedTuple):
    """An engineered channel.

    Attributes:
        of: The bands that it is computed from.
        how: Their planes to its own; of the whole dataset also the minimum and the maximum.
        whole: Whether `how` is handed these two numbers.
    """

    of: tuple[str, ...]
    how: Callable[..., Planes]
    whole: bool = False


ENGINEERED: dict[str, Channel] = {
    "R_local": Channel(("R",), local),
    "G_local": Channel(("G",), local),
    "B_local": Channel(("B",), local),
    "R_global": Channel(("R",), _rescale, whole=True),
    "G_global": Channel(("G",), _rescale, whole=True),
    "B_global": Channel(("B",), _rescale, whole=True),
    "NDVI": Channel(("B8", "B4"), index),
    "VI": Channel(("B8", "B11"), index),  # so the report; elsewhere NDMI, of moisture
    "NBR": Channel(("B8", "B12"), index),
    "gray": Channel(RGB, gray),
    "gaussian": Channel(RGB, gaussian),
    "median": Channel(RGB, median),
    "sobel_x": Channel(RGB, sobel_x),
    "sobel_y": Channel(RGB, sobel_y),
    "canny": Channel(RGB, canny),
}


def source(name: str, own: Sequence[str]) -> str:
    """Return what a band is called in a dataset: the red of Sentinel-2 is B4.

    >>> source("R", L4S), source("R", RGB), source("B8", L4S)
    ('B4', 'R', 'B8')
    """
    return name if name in own else SENTINEL_2.get(name, name)


def possible(own: Sequence[str]) -> tuple[str, ...]:
    """Return every name that a recipe may choose of a dataset with these bands.

    Args:
        own: The bands of its files.

    >>> "NDVI" in possible(L4S), "NDVI" in possible(RGB)
    (True, False)
    """

    def there(names: Iterable[str]) -> bool:
        return all(source(name, own) in own for name in names)

    colours = [name for name in RGB if name not in own and there([name])]
    made = [name for name, channel in ENGINEERED.items() if there(channel.of)]
    return (*own, *colours, *made)


def check(names: Sequence[str], own: Sequence[str], dataset: str) -> None:
    """Refuse bands that a dataset does not have and that cannot be made of those it has.

    Args:
        names: What is asked for.
        own: The bands of its files.
        dataset: Its name, for the message.

    Raises:
        ValueError: There are some; the message says what they are made of and what is possible.
    """
    allowed = possible(own)
    missing = [
        f"{name} (made of {' and '.join(ENGINEERED[name].of)})" if name in ENGINEERED else name
        for name in names
        if name not in allowed
    ]
    if missing:
        raise ValueError(
            f"bands: {dataset} has no {', '.join(missing)}; allowed: {', '.join(allowed)}"
        )


def engineer(
    names: Iterable[str],
    planes: Mapping[str, Planes],
    extremes: Mapping[str, tuple[float, float]],
) -> dict[str, Planes]:
    """Compute engineered channels of some images.

    Args:
        names: Of `ENGINEERED`.
        planes: (N, S, S) float32 of each band that they are computed from.
        extremes: The minimum and the maximum over the dataset of those that ask for it.

    Returns:
        (N, S, S) float32 by name.

    >>> band = np.array([[[2.0, 4.0]]], np.float32)
    >>> engineer(["R_local", "R_global"], {"R": band}, {"R": (0.0, 8.0)})
    {'R_local': array([[[0., 1.]]], dtype=float32),
     'R_global': array([[[0.25, 0.5 ]]], dtype=float32)}
    """
    made = {}
    for name in names:
        of, how, whole = ENGINEERED[name]
        made[name] = how(*(planes[band] for band in of), *(extremes[of[0]] if whole else ()))
    return made
