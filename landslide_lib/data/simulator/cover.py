"""Land cover of a scene, and its reflectance before any light falls on it."""

import cv2
import numpy as np

from landslide_lib.data.simulator.fields import Field, Region, Rng, blur, fractal, top

# Reflectance of the ground in B1..B12 (L4S leaves out B8A), typed in from the usual shapes.
_SPECTRA = """
forest    .015 .019 .041 .028 .070 .200 .240 .250 .250 .250 .130 .060
grass     .025 .033 .075 .052 .120 .250 .290 .310 .310 .310 .210 .110
dry       .040 .052 .085 .082 .135 .200 .220 .240 .250 .250 .300 .200
grey_soil .100 .130 .160 .185 .195 .200 .205 .215 .220 .220 .290 .260
red_soil  .050 .065 .105 .180 .200 .210 .220 .235 .240 .240 .330 .290
water     .050 .060 .075 .065 .055 .040 .035 .030 .030 .020 .012 .010
cloud     .450 .450 .450 .450 .460 .470 .470 .470 .450 .060 .330 .260
air       .105 .078 .045 .026 .020 .015 .012 .009 .004 .000 .002 .001
"""  # air: light scattered into the band at sea level when haze is 1; cloud is as seen from space
_ROWS = map(str.split, _SPECTRA.split("\n")[1:-1])
SPECTRA = {name: np.array(values, np.float32) for name, *values in _ROWS}


def mix(below: Field, above: Field, share: Field) -> Field:
    """Mixed pixels, (size, size, 12): `share` of `above` over `below`."""
    return np.asarray(below + share[..., None] * (above - below), np.float32)


def ground_cover(
    rng: Rng, place: Region, dem: Field, slope: Field, river: Field, scar: Field
) -> tuple[Field, tuple[tuple[str, Field], ...]]:
    """Covers laid over each other: reflectance (size, size, 12), no light yet; `Scene.covers`."""
    size = dem.shape[0]
    broad, patch = fractal(rng, size, 3, 200, 4), fractal(rng, size, 2.2, 50, 2)
    fine = fractal(rng, size, 1.2, 12)
    green = np.clip(place.green + 0.25 * broad + 0.12 * patch, 0, 1)
    meadow = mix(SPECTRA["dry"], SPECTRA["grass"], green)
    red = np.clip(place.redness + 0.2 * patch + 0.2 * broad, 0, 1)
    soil = mix(SPECTRA["grey_soil"], SPECTRA["red_soil"], red)
    soil *= np.exp(0.16 * patch + 0.1 * fine)[..., None]  # moisture and roughness
    trees = top(0.6 * patch + broad + 0.06 * fine + slope / 20, place.forest, 0.7)
    ground = mix(meadow, (0.75 + 0.25 * green[..., None]) * SPECTRA["forest"], trees) * (1 + 0.13 * fine[..., None])
    outcrop = top(fractal(rng, size, 2.8, 40) + slope / 25, place.bare, 1.2)
    ground = mix(ground, soil, 0.8 * outcrop)
    farm, crop = _fields(rng, place, broad, slope)
    ground = mix(ground, mix(soil, SPECTRA["grass"], crop), farm)
    # Tracks, pits and scars are the soil of the place: only shape and setting tell them apart.
    works = _works(rng, place, dem)
    ground = mix(ground, soil * 1.2, works)
    ground = mix(ground, soil * 1.4, scar)
    gravel = 0.5 * (SPECTRA["grey_soil"] + soil)
    bank = np.clip(river + 0.7 + 0.3 * patch, 0, 0.9)
    ground = mix(ground, gravel, bank)
    water = np.clip(river - 1.4 + 0.6 * patch, 0, 0.8)
    covers = (
        ("forest", trees),
        ("rock", 0.8 * outcrop),
        ("soil", farm),
        ("crop", farm * crop),
        ("soil", works),
        ("scar", scar),
        ("gravel", bank),
        ("water", water),
    )
    return mix(ground, SPECTRA["water"], water), covers


def _fields(rng: Rng, place: Region, broad: Field, slope: Field) -> tuple[Field, Field]:
    """Farmland on the gentlest ground: its share, and how far the crop of each plot has grown."""
    rows, cols = np.indices(slope.shape)
    bend = 5 * fractal(rng, slope.shape[0], 3, 60, 4)
    turn = rng.uniform(0, np.pi)
    v = np.floor((rows * np.cos(turn) - cols * np.sin(turn) - bend) / rng.uniform(4, 8))
    u = (cols * np.cos(turn) + rows * np.sin(turn) + bend) / rng.uniform(9, 15)
    plot = (v * 7919 + np.floor(u + 0.37 * v) * 104729).astype(np.int64) % 4093
    # A plot is farmed or not as a whole, so that farmland ends at the edges of plots.
    used, apart, grown = rng.random((3, 4093), np.float32)[:, plot]
    farm = top(broad - blur(slope, 6) / 4 + 1.2 * apart, place.fields, 0.3) * (used < 0.8)
    return blur(farm, 0.5), np.clip(2.6 * blur(grown, 0.5) - 0.2, 0, 1)


def _works(rng: Rng, place: Region, dem: Field) -> Field:
    """Bare ground made by people, share of the pixel: tracks along the slope, pits, plots."""
    smooth = blur(dem, 4)
    steep = np.hypot(*np.gradient(smooth)) + 0.3
    road, pits = np.zeros((2, *dem.shape), np.float32)
    for level in np.quantile(smooth[::4, ::4], rng.uniform(0.05, 0.6, 3)):
        there = fractal(rng, dem.shape[0], 4, 150, 4) > 0.8
        road = np.maximum(road, there * np.clip(1 - np.abs(smooth - level) / steep, 0, 0.6))
    for _ in range(rng.poisson(dem.size * (20 + 200 * place.fields) / 1e6)):
        corners = rng.normal(0, rng.choice([1.5, 3, 6], p=[0.5, 0.35, 0.15]), (6, 2))
        hull = cv2.convexHull((corners + rng.uniform(0, len(dem), 2)).astype(np.float32))
        cv2.fillPoly(pits, [(hull * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return np.asarray(np.maximum(road, blur(pits, 0.6)))
