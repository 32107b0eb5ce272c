"""Landslides of a scene: where they start, how they run out, and what an interpreter draws of them."""

import cv2
import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.simulator.noise import Field, Rng, blur, fractal, warp
from landslide_lib.data.simulator.regions import Region


def landslides(rng: Rng, place: Region, gradient: Field, slope: Field) -> tuple[Field, NDArray[np.uint8]]:
    """Landslides: the share of ground laid bare (what is seen) and the mask (what was drawn).

    The two differ as they do in L4S: edges are jittered, one in ten is not drawn, scars grow over.
    """
    size = slope.shape[0]
    start, area = _sources(rng, place, slope)
    length = np.maximum(2 * area**0.54, 1)
    # The larger, the farther it runs on gentle ground (Scheidegger 1973).
    stop = 0.7 * place.steepness * np.maximum(area / 50, 1) ** -0.16
    path = _runout(rng, start, length, gradient, stop)
    a, b = 4 * place.freshness, 4 * (1 - place.freshness)
    fresh = 0.15 + 0.85 * rng.beta(a, b, len(area))
    drawn, seen = np.zeros((2, size, size), np.float32)
    for k in np.argsort(fresh):  # fresh scars over old ones
        steps = path[: int(length[k]) + 1, k]
        steps = steps[: 1 + int(np.diff(steps, axis=0).any(axis=1).sum())]  # until it stops
        t = np.linspace(0, 1, len(steps))
        wave = 1 + 0.25 * np.sin(rng.uniform(0, 6.3) + rng.uniform(4, 12) * t)
        radius = min(0.62 * area[k] / length[k], 0.24 * len(steps)) * (0.2 + t) ** 0.4 * wave
        labelled = rng.random() < 0.9
        for (y, x), r in zip(steps.tolist(), radius.tolist(), strict=True):
            disc = (round(x * 16), round(y * 16)), round(max(r - 0.35, 0.05) * 16)
            cv2.circle(seen, *disc, float(fresh[k]), -1, cv2.LINE_8, 4)
            if labelled:
                cv2.circle(drawn, *disc, 1.0, -1, cv2.LINE_8, 4)
    dx, dy = fractal(rng, size, 3, 30), fractal(rng, size, 3, 30)
    jitter = 0.4 * fractal(rng, size, 1.5, 12)
    mask = warp(drawn, dx, dy, 1.6) > 0.5
    scar = blur(warp(seen, dx + jitter, dy - jitter, 1.6), 0.6)
    patchy = np.clip(0.85 + 0.3 * fractal(rng, size, 2.2, 12), 0.1, 1)
    return scar * patchy, mask.astype(np.uint8)


def _sources(rng: Rng, place: Region, slope: Field) -> tuple[Field, Field]:
    """Where landslides start, (k, 2) rows and columns on steep ground, and their areas, (k,).

    They come in clusters (a storm cell, a shaken hillside); areas follow the three-parameter inverse gamma law of
    Malamud et al. (2004), times the region's scale and the cluster's.
    """
    size = slope.shape[0]
    steep = blur(slope, 3)
    ready = np.clip((steep - np.quantile(steep[::4, ::4], 0.85)) / 4, 0, 1)
    count = rng.poisson(place.events * size * size / 1e6)
    members = np.minimum(rng.geometric(0.105, count), 50)
    middle = np.repeat(rng.uniform(0, size, (count, 2)), members, axis=0)
    scatter = rng.normal(0, 24, middle.shape) * rng.uniform(0.2, 1.2, (len(middle), 1))
    where = np.clip(middle + scatter, 1, size - 2)
    keep = rng.random(len(where)) < ready[tuple(where.astype(int).T)]
    scale = place.slide_scale * np.repeat(rng.lognormal(0, 0.8, count), members)
    area = scale * (12.8 / rng.gamma(1.4, 1, len(where)) - 1.3)  # 1.28e-3, -1.32e-4 square km
    return where[keep], area[keep].clip(1, 9000)


def _runout(rng: Rng, start: Field, length: Field, gradient: Field, stop: Field) -> Field:
    """All paths at once, (steps, k, 2): down the descent with inertia, still once flatter."""
    size = gradient[0].shape[0]
    down = np.stack([-blur(gradient[0], 2.5), -blur(gradient[1], 2.5)], axis=2)
    path = [start]
    heading = np.zeros_like(start)
    for _ in range(int(length.max(initial=1)) + 1):
        fall = down[tuple(path[-1].astype(int).T)]
        steep = np.linalg.norm(fall, axis=1, keepdims=True)
        heading = 0.7 * heading + 0.3 * fall / (steep + 1e-3) + rng.normal(0, 0.06, start.shape)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-6
        path.append((path[-1] + heading * (steep > stop[:, None])).clip(1, size - 2))
    return np.stack(path)
