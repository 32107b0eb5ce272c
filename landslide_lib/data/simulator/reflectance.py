"""How Sentinel-2 sees a scene: light, air, clouds and the detector."""

import numpy as np

from landslide_lib.data.simulator.cover import SPECTRA, mix
from landslide_lib.data.simulator.noise import Field, Rng, blur, fractal, top
from landslide_lib.data.simulator.regions import Region, Scene

GROUND = (6, 1, 1, 1, 2, 2, 2, 1, 6, 6, 2, 2)  # pixels across a detector of Sentinel-2: 10 to 60 m
NOISE = 0.0018  # standard deviation of the sensor's noise, reflectance


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
