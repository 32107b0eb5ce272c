"""What the simulator shares: its invented regions, random fields, and the few operations on fields.

A `Field` is (size, size); lengths are pixels.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
Rng = np.random.Generator
PIXEL_M = 10.0


@dataclass(frozen=True)
class Region:
    """Statistics of one (invented) region; shares and probabilities are 0 to 1."""

    base_m: float  # height of its river mouths
    steepness: float  # gradient of slopes without a channel
    ruggedness: float  # standard deviation of the fractal detail on the slopes, metres
    forest: float  # share of forest in natural vegetation; the rest is grass and shrub
    green: float  # phenology: 0 is the dry season, 1 the peak of the green one
    bare: float  # share of natural bare soil and outcrops
    fields: float  # share of farmland, on the gentlest ground
    redness: float  # soil colour: 0 is grey, 1 lateritic
    events: float  # clusters of landslides per million pixels (100 square km)
    slide_scale: float  # times the landslide areas of Malamud et al. (2004)
    freshness: float  # mean share of bare ground in a scar; the rest has grown over
    haze: float  # aerosol, about 1
    cirrus: float  # thin ice cloud in B10, about 1
    cloud: float  # share of scenes with cumulus
    sun_elevation: float  # degrees
    sun_azimuth: float  # degrees clockwise from north


_TABLE = """
monsoon_escarpment   500 0.70  6 0.70 1.00 0.03 0.12 0.90 115 38 0.75 1.5 1.0 0.25 60 120
humid_mountains      900 0.95  9 0.85 0.90 0.02 0.04 0.35 165 54 0.85 0.7 0.8 0.10 52 135
terraced_foothills   700 0.65  5 0.45 0.60 0.05 0.32 0.75  95 32 0.70 1.3 0.6 0.10 48 150
dry_highlands       1900 0.80  8 0.25 0.30 0.09 0.08 0.55  95 43 0.65 0.5 1.6 0.05 42 155
volcanic_hills       150 0.50  4 0.75 0.80 0.02 0.18 0.25 250 32 0.90 1.1 0.5 0.15 45 160
alpine_valleys      1500 1.05 12 0.50 0.70 0.10 0.06 0.15  90 65 0.70 0.5 1.4 0.15 38 165
logged_coast          80 0.60  5 0.60 0.75 0.06 0.10 0.60  75 32 0.60 1.7 0.4 0.20 33 170
"""
REGIONS: dict[str, Region] = {
    name: Region(*map(float, values)) for name, *values in map(str.split, _TABLE.split("\n")[1:-1])
}


@dataclass(frozen=True)
class Scene:
    """What lies there, whatever sensor looks at it; fields are (size, size)."""

    place: Region
    dem: Field  # metres
    gradient: Field  # (2, size, size), rise over run southwards and eastwards
    slope: Field  # degrees
    mask: NDArray[np.uint8]  # 1 where an interpreter has drawn a landslide
    ground: Field  # (size, size, 12), reflectance of the ground
    #: Name and share of the pixel, in 0..1, of what was laid over the grass, the lowest first; `scar` is ground laid
    #: bare by landslides, drawn or not.
    covers: tuple[tuple[str, Field], ...]


def fractal(rng: Rng, size: int, beta: float, longest: float, coarse: int = 1) -> Field:
    """Draw a field of mean 0 and deviation 1, power ~ f^-beta, of waves from `coarse` to about `longest` pixels."""
    n = size // coarse
    waves = np.fft.rfft2(rng.standard_normal((n, n), dtype=np.float32))
    f2 = np.fft.fftfreq(n)[:, None] ** 2 + np.fft.rfftfreq(n)[None] ** 2
    waves *= (f2 + (coarse / longest) ** 2) ** (-beta / 4)
    waves[0, 0] = 0
    field = np.fft.irfft2(waves, s=(n, n)).astype(np.float32)
    return np.asarray(cv2.resize(field / field.std(), (size, size), interpolation=cv2.INTER_CUBIC))


def blur(field: Field, sigma: float) -> Field:
    """Blur by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma))


def top(field: Field, share: float, softness: float) -> Field:
    """Soft mask over the highest `share` of the pixels."""
    cut = np.quantile(field[::3, ::3], 1 - share)
    return np.asarray(np.clip((field - cut) / softness + 0.5, 0, 1))


def warp(field: Field, dx: Field, dy: Field, pixels: float) -> Field:
    """Displace by `pixels` times (dx, dy)."""
    rows, cols = np.indices(field.shape, np.float32)
    x, y = (cols + pixels * dx).astype(np.float32), (rows + pixels * dy).astype(np.float32)
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
