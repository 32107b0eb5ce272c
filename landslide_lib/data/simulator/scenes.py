"""Simulated Landslide4Sense scenes: terrain, cover and landslides as Sentinel-2 sees them, rescaled.

A scene is a pure function of (region, seed, size); a pixel is 10 m. Regions are invented, spectra typed in by hand, and
only the statistics of the whole (`tests/data/test_simulator.py`) are fitted to L4S. A `Field` is (size, size), heights
are metres, gradients rise over run, lengths and areas pixels.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.simulator.cover import SPECTRA, ground_cover, mix
from landslide_lib.data.simulator.fields import PIXEL_M, REGIONS, Field, Region, Rng, Scene, blur, fractal, top
from landslide_lib.data.simulator.terrain import landslides, terrain

TILE = 128
#: One unit of each band: reflectance for B1..B12, degrees for the slope, metres for the DEM. One set for the whole
#: simulator, fitted so that the means over all regions are L4S's.
UNITS = np.array([0.121, 0.101, 0.092, 0.065, 0.089, 0.182, 0.22, 0.225, 0.058, 0.0012, 0.145, 0.081, 22.7, 776])
GROUND = (6, 1, 1, 1, 2, 2, 2, 1, 6, 6, 2, 2)  # pixels across a detector of Sentinel-2: 10 to 60 m
NOISE = 0.0018  # standard deviation of the sensor's noise, reflectance


def simulate_scene(region: str, seed: int, size: int = 512) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Simulate one scene of a region; the same arguments give the same bytes, another seed is another place.

    Returns the image, (size, size, 14): B1..B12, slope, DEM in L4S's units (about 1 in each band), finite, never
    negative; and the mask, (size, size), 1 where an interpreter has drawn a landslide, else 0. Raises ValueError: the
    region is unknown, the seed negative or the size no positive multiple of 128.
    """
    scene, rng = lay_out(region, seed, size)
    bands = sensor(rng, scene)
    image = np.concatenate([bands, scene.slope[..., None], scene.dem[..., None]], axis=2) / UNITS
    return np.maximum(image, 0).astype(np.float32), scene.mask


def relief(region: str, seed: int, size: int) -> tuple[Field, Field, Rng]:
    """Return the heights of a scene, metres, its rivers, and its random numbers for the rest; see `simulate_scene`.

    Both are (size, size); the rivers are half the width of the bed less the distance to its middle, pixels: above 0 on
    the bed, and -9 far from it.
    """
    if region not in REGIONS or size <= 0 or size % TILE:
        allowed = f"regions {', '.join(sorted(REGIONS))}, and positive multiples of {TILE} pixels"
        raise ValueError(f"region {region!r} of {size!r} pixels: allowed are {allowed}")
    rng = np.random.default_rng([zlib.crc32(region.encode()), seed, size])
    return (*terrain(rng, REGIONS[region], size), rng)


def lay_out(region: str, seed: int, size: int) -> tuple[Scene, Rng]:
    """Return a scene before any sensor looks at it, and its random numbers for the sensors; see `simulate_scene`."""
    dem, river, rng = relief(region, seed, size)
    place = REGIONS[region]
    gradient = np.array(np.gradient(dem, PIXEL_M))
    slope = np.degrees(np.arctan(np.hypot(*gradient)))
    scar, mask = landslides(rng, place, gradient, slope)
    ground, covers = ground_cover(rng, place, dem, slope, river, scar)
    return Scene(place, dem, gradient, slope, mask, ground, covers), rng


def air(scene: Scene) -> Field:
    """Light that the air scatters into the bands, (size, size, 12), reflectance."""
    height = np.exp(-scene.dem[..., None] / 10_000).astype(np.float32)
    return np.asarray(SPECTRA["air"] * scene.place.haze**0.22 * height)


def under_clouds(seen: Field, cover: Field, place: Region, cloud: Field) -> Field:
    """Lay clouds and their shadows over what is seen from space, (size, size, bands) reflectance.

    Of a pixel the share `cover`, (size, size) in 0..1, is hidden by clouds of the reflectance `cloud`.
    """
    turn = np.radians(place.sun_azimuth)
    away = round(25 * np.cos(turn)), round(-25 * np.sin(turn))
    seen = seen * (1 - 0.5 * np.roll(cover, away, (0, 1))[..., None])  # its shadow
    return mix(seen, cloud, cover)


def sensor(rng: Rng, scene: Scene) -> Field:
    """Light, air, cloud and detector: reflectance above the atmosphere, (size, size, 12)."""
    place, dem, gradient = scene.place, scene.dem, scene.gradient
    size = dem.shape[0]
    up, turn = np.radians(place.sun_elevation), np.radians(place.sun_azimuth)
    # The cosine to the sun of a slope that faces (-dx, +dy) in (east, north): rows run southwards.
    east, north = -gradient[1], gradient[0]
    facing = np.sin(up) + np.cos(up) * (east * np.sin(turn) + north * np.cos(turn))
    facing /= np.sqrt(1 + east**2 + north**2) * np.sin(up)
    light = 0.28 + 0.72 * np.clip(facing, 0.03, 2) ** 0.8  # the sky lights what the sun does not
    toa = (scene.ground * light[..., None]).astype(np.float32)
    # Water vapour thins out with height: B9 sees the ground a little, B10 only from high up.
    toa[..., 8] *= np.exp(-1.5 * np.exp(-dem / 2500))
    toa[..., 9] *= 0.012 * np.exp(-3.5 * np.exp(-dem / 2500))
    veil = place.cirrus * np.exp(1.3 * fractal(rng, size, 3, 300, 4) + rng.normal(0, 0.9))
    toa[..., 9] += 0.001 + np.minimum(0.0014 * veil, 0.05)
    toa += air(scene)
    if rng.random() < place.cloud:
        cover = top(fractal(rng, size, 3.8, 90, 2), rng.uniform(0.0005, 0.008), 1.2)
        toa = under_clouds(toa, cover, place, SPECTRA["cloud"])
    for band, pixels in enumerate(GROUND):
        if pixels > 1:
            toa[..., band] = blur(toa[..., band].copy(), 0.35 * pixels)
    # The unit of B10 is as small as the noise: its veil is noise enough.
    noise = NOISE * rng.standard_normal(toa.shape, np.float32) * (np.arange(12) != 9)
    return np.asarray(toa + noise)
