"""Names of bands, and the channels that are engineered from them. No torch.

The channels of red, green and blue are those of the RAU-Net report (slide III). Where it is silent, we assume:

- Its kernel of 10 pixels has no middle; the next odd one, 11, is taken. The Gaussian's sigma is OpenCV's for it, 2.
- Blurs, edges and gradients are those of the gray image; median and edges on 256 levels between its darkest and its
  brightest pixel, as OpenCV's are.
- The thresholds of the Canny detector are 100 and 200 of those levels, the Sobel kernel is 3 x 3.

Those of `AS_IN_CODE` are as in its first author's code, landslide-segmentation-on-multi-spectral-remote-sensing-images/
main-code/util.py of https://github.com/CamDucLe/Landslide-Project-Sentinel2.

Those of tiles with radar are of the two reports on Zindi's challenge, see `despeckled` and `clouds`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

TERRAIN = ("slope", "DEM")  # in Landslide4Sense those of ALOS PALSAR
#: The bands of a Landslide4Sense patch in the order of the file: Sentinel-2 as the competition has it, then terrain.
L4S = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", *TERRAIN)
RGB = ("R", "G", "B")
#: Backscatter after the event, then its change, for either pass of Sentinel-1.
SAR = ("VV_desc", "VH_desc", "dVV_desc", "dVH_desc", "VV_asc", "VH_asc", "dVV_asc", "dVH_asc")
#: The 12 channels of a tile of Zindi's challenge in the order of the file: Sentinel-2, then Sentinel-1.
ZINDI = (*RGB, "NIR", *SAR)
#: The bands of light: neither terrain nor engineered channels.
SPECTRAL = frozenset({*L4S, *RGB}.difference(TERRAIN))

#: The bands of each dataset, for a recipe, which never imports the datasets.
OF_DATASET: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("synthetic", "landslide4sense"), L4S),
    **dict.fromkeys(("bijie", "bijie-degraded", "landslide4sense-boxes", "uav", "uav-0.8m"), RGB),
    **dict.fromkeys(("dynahead-yolo", "voc", "folder", "fmow"), RGB),
    **dict.fromkeys(("zindi", "synthetic-zindi"), ZINDI),
}
BOXES = ("landslide4sense-boxes", "dynahead-yolo", "voc")  # have boxes around their landslides and no masks
OWN = ("voc", "folder", "dynahead-yolo")  # a folder of one's own: whatever lies in it, with or without parts
UNLABELLED = ("fmow",)  # images alone, without truth: to restore what is masked
LABELS = ("zindi",)  # the datasets that have a label for a tile in place of a mask: their masks are 1 or 0 everywhere
SENTINEL_2 = {"R": "B4", "G": "B3", "B": "B2"}  # red, green and blue in a Sentinel-2 image

KERNEL = 11
CANNY = (100, 200)
#: A pixel whose reflectance is above it may be a cloud. Ours: three quarters of the pixels of the challenge lie below
#: two thirds of it in each visible band, and clouds well above.
BRIGHT = 0.3
WHITENESS = 0.7  # the largest whiteness of a cloud (Zhu and Woodcock 2012, equation 2)

Planes = NDArray[np.float32]  # (N, S, S): one band of some images


def rescale(band: Planes, low: Any = None, high: Any = None) -> Planes:
    """Rescale to 0..1 from a lowest and highest value, by default each image's own; 0 where the two are the same."""
    low = band.min((1, 2), keepdims=True) if low is None else low
    high = band.max((1, 2), keepdims=True) if high is None else high
    span = np.asarray(high - low, np.float32)
    scaled: Planes = (band - low) / np.where(span > 0, span, 1)
    return scaled


def normalized_difference(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return the normalised difference (first - second) / (first + second), clipped to -1..1; 0 where the sum is 0."""
    total = first + second
    ratio = np.divide(first - second, total, out=np.zeros_like(total), where=total != 0)
    return np.asarray(np.clip(ratio, -1, 1))


def gray(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Return the mean of red, green and blue, in their unit."""
    return np.asarray((red + green + blue) / np.float32(3))


def median(red: Planes, green: Planes, blue: Planes) -> Planes:
    """Take the median around each pixel of the gray image, within half a level of 8 bits."""
    shades = gray(red, green, blue)
    low, high = shades.min((1, 2), keepdims=True), shades.max((1, 2), keepdims=True)
    levels = _each(_levels(shades), lambda x: cv2.medianBlur(x, KERNEL))
    return np.asarray(levels / np.float32(255) * (high - low) + low)


def despeckled(backscatter: Planes) -> Planes:
    """Take the median of 3 x 3 pixels against speckle: a window of five would outvote a scar of a few pixels."""
    return _each(backscatter, lambda plane: cv2.medianBlur(plane, 3))


def clouds(red: Planes, green: Planes, blue: Planes, near: Planes) -> Planes:
    """Find what is bright, in the visible and in the near infrared, and grey: 1 there, else 0. Bands are reflectances.

    Grey is the whiteness test of Fmask (Zhu and Woodcock 2012, doi:10.1016/j.rse.2011.10.028). Bright is above
    `BRIGHT`, in place of its test for haze, which needs reflectance above the atmosphere. Thin cloud is missed, snow
    and bright roofs are not.
    """
    mean = gray(red, green, blue)
    spread = np.abs(red - mean) + np.abs(green - mean) + np.abs(blue - mean)
    # Compared and not divided, so that a black pixel has no division by zero.
    return np.asarray((mean > BRIGHT) & (near > BRIGHT) & (spread < WHITENESS * mean), np.float32)


def cloud_score(red: NDArray[Any], green: NDArray[Any], blue: NDArray[Any]) -> NDArray[np.float32]:
    """Return the mean brightness of each tile, (N,), from planes (N, S, S): the cloud score of the fusion report."""
    # In float32: a sum of float16 overflows.
    return gray(*(band.mean((1, 2), dtype=np.float32) for band in (red, green, blue)))


def _levels(shades: Planes) -> NDArray[np.uint8]:
    return np.rint(rescale(shades) * 255).astype(np.uint8)


def _each(planes: NDArray[Any], function: Callable[[NDArray[Any]], NDArray[Any]]) -> Planes:
    return np.stack([function(plane) for plane in planes]).astype(np.float32, copy=False)


class Channel(NamedTuple):
    """The bands of an engineered channel and its function; with `whole` it takes the dataset's extremes after them."""

    of: tuple[str, ...]
    function: Callable[..., Any]
    whole: bool = False


def _in_code(highest: int, kind: type, filtered: Callable[[NDArray[Any]], NDArray[Any]]) -> Channel:
    """Filter the gray image, rescaled to 0..highest and cut to its kind of number, as the first author's code does."""
    return Channel(RGB, lambda *rgb: _each((rescale(gray(*rgb)) * highest).astype(kind), filtered))


#: Not divided by their mean.
AS_IN_CODE = {
    "mean_10": _in_code(255, np.uint8, lambda x: cv2.blur(x, (10, 10)) / 255),
    "median_15": _in_code(255, np.uint8, lambda x: cv2.medianBlur(x, 15) / 255),
    "sobel_x_5": _in_code(1, np.float32, lambda x: cv2.Sobel(x, cv2.CV_32F, 1, 0, ksize=5) / 27.32001),
    "sobel_y_5": _in_code(1, np.float32, lambda x: cv2.Sobel(x, cv2.CV_32F, 0, 1, ksize=5) / 27.32001),
    "canny_150": _in_code(255, np.uint8, lambda x: cv2.Canny(x, 150, 227) / 255),
}
ENGINEERED: dict[str, Channel] = {
    **{f"{name}_local": Channel((name,), rescale) for name in RGB},
    **{f"{name}_global": Channel((name,), rescale, whole=True) for name in RGB},
    "NDVI": Channel(("B8", "B4"), normalized_difference),
    "VI": Channel(("B8", "B11"), normalized_difference),  # so the report; elsewhere NDMI, of moisture
    "NBR": Channel(("B8", "B12"), normalized_difference),
    "gray": Channel(RGB, gray),
    # In float32; the border of a blur is mirrored. Edges are 1, else 0. Gradients are in the unit of the image a pixel.
    "gaussian": Channel(RGB, lambda *rgb: _each(gray(*rgb), lambda x: cv2.GaussianBlur(x, (KERNEL, KERNEL), 0))),
    "median": Channel(RGB, median),
    "sobel_x": Channel(RGB, lambda *rgb: _each(gray(*rgb), lambda x: cv2.Sobel(x, cv2.CV_32F, 1, 0, scale=1 / 8))),
    "sobel_y": Channel(RGB, lambda *rgb: _each(gray(*rgb), lambda x: cv2.Sobel(x, cv2.CV_32F, 0, 1, scale=1 / 8))),
    "canny": Channel(RGB, lambda *rgb: _each(_levels(gray(*rgb)), lambda x: cv2.Canny(x, *CANNY)) / np.float32(255)),
    **{f"before_{name}": Channel((name, f"d{name}"), np.subtract) for name in SAR if name[0] == "V"},
    **{f"median_{name}": Channel((name,), despeckled) for name in SAR},
    "clouds": Channel((*RGB, "NIR"), clouds),
    **AS_IN_CODE,
}


def is_radar(name: str) -> bool:
    """Return whether a band is of a radar, engineered or not: its name ends in that of a pass."""
    return name.endswith(("_desc", "_asc"))


def source(name: str, own: Sequence[str]) -> str:
    """Return the name of a band in a dataset: the red of Sentinel-2 is B4."""
    return name if name in own else SENTINEL_2.get(name, name)


def possible(own: Sequence[str]) -> tuple[str, ...]:
    """Return every name that a recipe may choose of a dataset whose files have these bands."""
    colours = [name for name in RGB if name not in own and source(name, own) in own]
    made = [name for name, channel in ENGINEERED.items() if all(source(band, own) in own for band in channel.of)]
    return (*own, *colours, *made)


def check(names: Sequence[str], own: Sequence[str], dataset: str) -> None:
    """Refuse bands that a dataset with the bands `own` neither has nor can make. Raises ValueError."""
    allowed = possible(own)
    if missing := [name for name in names if name not in allowed]:
        of = [
            f"{name} (made of {' and '.join(ENGINEERED[name].of)})" if name in ENGINEERED else name for name in missing
        ]
        raise ValueError(f"bands: {dataset} has no {', '.join(of)}; allowed: {', '.join(allowed)}")


def engineer(
    names: Iterable[str], planes: Mapping[str, Planes], extremes: Mapping[str, tuple[float, float]]
) -> dict[str, Planes]:
    """Compute engineered channels of some images, (N, S, S) float32 by name, from those of the bands they are made of.

    `extremes` are the minimum and the maximum over the dataset of each band of a channel with `whole`.

    >>> band = np.array([[[2.0, 4.0]]], np.float32)
    >>> engineer(["R_local", "R_global"], {"R": band}, {"R": (0.0, 8.0)})
    {'R_local': array([[[0., 1.]]], dtype=float32),
     'R_global': array([[[0.25, 0.5 ]]], dtype=float32)}
    """
    channels = {name: ENGINEERED[name] for name in names}
    return {
        name: function(*(planes[band] for band in of), *(extremes[of[0]] if whole else ()))
        for name, (of, function, whole) in channels.items()
    }
