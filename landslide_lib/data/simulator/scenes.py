"""Simulated Landslide4Sense scenes: terrain, cover, landslides, reflectance, rescale.

One scene is a pure function of (region, seed, size); a pixel is 10 m, as in Landslide4Sense (L4S). It is a stand-in:
regions are invented, spectra are typical shapes typed in by hand, and only the statistics of the whole (see
`tests/data/test_simulator.py`) are fitted to L4S. Throughout, a `Field` is (size, size), heights are metres, gradients
rise over run, lengths and areas pixels.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.simulator.cover import ground_cover
from landslide_lib.data.simulator.landslides import landslides
from landslide_lib.data.simulator.noise import Rng
from landslide_lib.data.simulator.reflectance import sensor
from landslide_lib.data.simulator.regions import PIXEL_M, REGIONS, Scene
from landslide_lib.data.simulator.terrain import terrain

__all__ = ["REGIONS", "UNITS", "Scene", "lay_out", "simulate_scene"]

TILE = 128
#: One unit of each band: reflectance for B1..B12, degrees for the slope, metres for the DEM. One set for the whole
#: simulator, fitted so that the means over all regions are L4S's.
UNITS = np.array([0.121, 0.101, 0.092, 0.065, 0.089, 0.182, 0.22, 0.225, 0.058, 0.0012, 0.145, 0.081, 22.7, 776])


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


def lay_out(region: str, seed: int, size: int) -> tuple[Scene, Rng]:
    """Return a scene before any sensor looks at it, and its random numbers for the sensors; see `simulate_scene`."""
    if region not in REGIONS:
        raise ValueError(f"region {region!r} is unknown; allowed: {', '.join(sorted(REGIONS))}")
    if size <= 0 or size % TILE:
        raise ValueError(f"size {size!r} must be a positive multiple of {TILE}")
    rng = np.random.default_rng([zlib.crc32(region.encode()), seed, size])
    place = REGIONS[region]
    dem, river = terrain(rng, place, size)
    gradient = np.array(np.gradient(dem, PIXEL_M))
    slope = np.degrees(np.arctan(np.hypot(*gradient)))
    scar, mask = landslides(rng, place, gradient, slope)
    ground, covers = ground_cover(rng, place, dem, slope, river, scar)
    return Scene(place, dem, gradient, slope, mask, ground, covers), rng
