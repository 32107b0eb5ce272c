"""Sentinel-1 over a simulated scene: backscatter before and after its landslides, in two passes.

Before the event the ground is what it is now without scars. Each of the four acquisitions has its own speckle, rain and
wind.

- Backscatter by cover is of the usual size at C band (Ulaby and Dobson 1989), typed in by hand.
- The local incidence angle of a slope decides how much comes back from a surface, and the ground area of a pixel how
  bright that is (Ulander 1996, doi:10.1109/36.536527), as in foreshortening and layover. Slopes beyond grazing send
  nothing back; the shadow that a ridge throws on the next slope is not computed.
- Speckle is multiplicative, gamma distributed with `LOOKS` looks (Goodman 1976), independent in all.
- Thermal noise is added and its mean taken off again, as in Sentinel-1's products.
"""

from typing import Any

import numpy as np

from landslide_lib.data.simulator.fields import Field, Rng, Scene, fractal

#: Where the radar looks, degrees clockwise from north: Sentinel-1 looks to its right.
LOOK = {"desc": 283.0, "asc": 77.0}
LOOKS = 8.0  # looks of a pixel: a difference of two acquisitions then has the quartiles of the challenge's
INCIDENCE = (31.0, 45.0)  # incidence angles at a tile, degrees: the swath of the interferometric wide mode
REFERENCE = 38.0  # the incidence angle of the backscatter below, degrees
FLOOR, NOISE = -50.0, -26.0  # what is left of noise and no signal, dB, and the noise itself
#: The least share of its ground area that a pixel of the radar is stretched over: brighter layover would need the paths
#: of several slopes to be added up.
NARROW = 0.04

# VV and VH in dB at the reference angle; with which power of the cosine they fall; how much a rain
# lifts them, dB. Forest scatters in its volume, alike to all sides, and in VH; a scar is rough.
_COVERS = """
grass   -11.0 -18.5 1.5 1.0
forest   -8.0 -14.0 1.0 0.3
rock     -9.0 -18.0 2.0 0.3
soil    -10.5 -19.5 2.0 1.6
crop    -10.5 -17.0 1.3 0.8
scar     -9.0 -18.0 2.0 1.2
gravel   -9.5 -19.0 2.0 0.6
water   -20.0 -28.0 5.0 0.0
"""
COVERS = {name: tuple(map(float, rest)) for name, *rest in map(str.split, _COVERS.split("\n")[1:-1])}
POLARISATIONS = ("VV", "VH")


def backscatter(draw: Rng, scene: Scene) -> dict[str, Field]:
    """Return (size, size) dB by the names of `bands.SAR`: after the event, and after minus before (`dVV_desc`)."""
    size = scene.dem.shape[0]
    # How the grain of the cover differs from place to place, the same in all acquisitions.
    grain = [1.5 * fractal(draw, size, 1.2, 12) + 2.0 * fractal(draw, size, 2.2, 60) for _ in POLARISATIONS]
    rough = 2.0 * fractal(draw, size, 2.2, 40)
    seen = {}
    for side, azimuth in LOOK.items():
        cosine, stretch = _geometry(scene, azimuth, draw.uniform(*INCIDENCE))
        before = _acquire(draw, scene, cosine, stretch, grain, None)
        after = _acquire(draw, scene, cosine, stretch, grain, rough)
        for name, then, now in zip(POLARISATIONS, before, after, strict=True):
            seen[f"{name}_{side}"] = now
            seen[f"d{name}_{side}"] = now - then
    return seen


def _geometry(scene: Scene, azimuth: float, incidence: float) -> tuple[Field, Field]:
    """Return the cosine of the local incidence angle, and the ground area of a pixel, 1 on level ground."""
    turn, up = np.radians(azimuth), np.radians(incidence)
    south, east = scene.gradient
    # Rise over run along the look: ground that rises away from the radar faces it.
    rise = east * np.sin(turn) - south * np.cos(turn)
    length = np.sqrt(1 + east**2 + south**2)
    cosine = (np.cos(up) + rise * np.sin(up)) / length
    narrow = np.abs(np.sin(up) - rise * np.cos(up)) / length
    return cosine, np.sin(up) / np.maximum(narrow, NARROW)


def _acquire(
    draw: Rng, scene: Scene, cosine: Field, stretch: Field, grain: list[Field], rough: Field | None
) -> list[Field]:
    """Return VV and VH in dB of one acquisition; before the event without `rough`, the roughness of scars in dB."""
    size = cosine.shape[0]
    # On rain, wind and the season of the fields an acquisition cannot choose.
    wet = draw.normal(0, 1) + 0.6 * fractal(draw, size, 3, 120, 4)
    own: dict[str, Any] = {"water": draw.normal(0, 3), "crop": 1.5 * fractal(draw, size, 2.2, 25)}
    if rough is not None:
        own["scar"] = rough
    lit = np.maximum(cosine, 1e-3) / np.cos(np.radians(REFERENCE))
    seen = []
    for column, texture in enumerate(grain):
        power: Field = np.zeros((size, size))
        for cover, share in (("grass", 1.0), *scene.covers):
            if cover == "scar" and rough is None:
                continue
            fall, lift = COVERS[cover][2:]
            level = COVERS[cover][column] + lift * wet + own.get(cover, 0.0)
            power = power + share * (10 ** (level / 10) * lit**fall - power)
        power = power * stretch * (cosine > 0) * 10 ** (texture / 10)
        noise = 10 ** (NOISE / 10)
        speckle = draw.standard_gamma(LOOKS, power.shape) / LOOKS
        heard = (power + noise) * speckle - noise
        seen.append(10 * np.log10(np.maximum(heard, 10 ** (FLOOR / 10))))
    return seen
