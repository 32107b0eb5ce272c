"""Terrain, a fractal relief whose valleys are cut by its own rivers, and the landslides on it."""

import heapq

import cv2
import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.simulator.fields import PIXEL_M, Field, Region, Rng, blur, fractal, warp

CELL = 4  # pixels along a cell of the drainage grid: coarse, because it is walked in Python


def terrain(rng: Rng, place: Region, size: int) -> tuple[Field, Field]:
    """Heights, and `_rivers`.

    Noise decides where water runs; then the gradient is ~ (drained area)^-0.26 along the water (a graded river, Whipple
    and Tucker 1999), so that valleys branch and flatten downstream.
    """
    n = size // CELL
    width = n + 2
    ramp = np.tensordot(rng.normal(size=2), np.indices((width, width)) / n, 1)
    height = np.pad(fractal(rng, n, 2.6, n / 2), 1, mode="edge") + ramp
    inner = np.pad(np.zeros((n - 2, n - 2)), 1, constant_values=1)
    rim = np.flatnonzero(np.pad(inner, 1))
    mouths = rim[np.argsort(height.flat[rim])[:: n // 16][:4]].tolist()
    source = rim[np.argmax(height.flat[rim] * rng.uniform(0.2, 1, rim.size))]
    inflow = rng.uniform(0.2, 1.5) * n * n  # a river from beyond the scene
    for _ in range(2):  # the second time water follows the valleys of the first
        order, to = _drain(height, mouths)
        area = [1.0] * width**2
        area[source] += inflow
        z = [0.0] * width**2
        for i in reversed(order):
            area[to[i]] += area[i]
        for i in order:
            run = CELL * PIXEL_M * (1 if abs(i - to[i]) in (1, width) else 1.414)
            z[i] = z[to[i]] + place.steepness * run * (area[i] + 1) ** -0.26
        grid = np.array(z, np.float32).reshape(width, width)[1:-1, 1:-1].copy()
        for _ in range(24):  # divides that two rivers left as cliffs fail to an angle of repose
            for side in (grid, grid.T):
                rise = np.float32(1.15 * place.steepness * CELL * PIXEL_M)
                np.minimum(side[1:], side[:-1] + rise, out=side[1:])
                np.minimum(side[:-1], side[1:] + rise, out=side[:-1])
        height = np.pad(blur(grid, 0.8) + 3 * fractal(rng, n, 3, 12), 1, mode="edge")
    river = _rivers(rng, [i for i in order if area[i] > 600], to, area, size)
    detail = place.ruggedness * fractal(rng, size, 4.2, 35)
    dem = cv2.resize(height[1:-1, 1:-1], (size, size), interpolation=cv2.INTER_CUBIC)
    dem = blur(np.asarray(dem), 2)  # takes out the cells of the grid
    dem += detail * np.clip(1 - blur(np.maximum(river, 0), 6), 0.1, 1)
    return dem - dem.min() + place.base_m, river


def _drain(height: Field, mouths: list[int]) -> tuple[list[int], list[int]]:
    """Priority flood (Barnes et al. 2014): the cells but the mouths, each after the one it drains to, and that one."""
    width = height.shape[1]
    z = height.ravel().tolist()
    ring = np.arange(height.size).reshape(height.shape)
    ring[1:-1, 1:-1] = -1
    to: list[int] = ring.ravel().tolist()
    heap = sorted((z[i], i) for i in mouths)
    for i in mouths:
        to[i] = i
    order = []
    while heap:
        level, i = heapq.heappop(heap)
        for step in (1, -1, width, -width, width + 1, width - 1, 1 - width, -1 - width):
            j = i + step
            if to[j] < 0:
                to[j] = i
                order.append(j)
                heapq.heappush(heap, (max(level, z[j]), j))
    return order, to


def _rivers(rng: Rng, beds: list[int], to: list[int], area: list[float], size: int) -> Field:
    """Half the width of the bed less the distance to its middle: positive on the bed."""
    width = size // CELL + 2
    cells = np.stack(np.divmod(np.arange(width * width), width)[::-1], axis=1)
    nodes = ((cells - 0.5) * CELL + rng.uniform(-0.8, 0.8, cells.shape)) * 16  # 1/16 pixel
    points = nodes.astype(int).tolist()
    river = np.full((size, size), -9, np.float32)
    for radius in range(1, 7):
        canvas = np.ones((size, size), np.uint8)
        for i in beds:
            if np.clip(round(0.085 * area[i] ** 0.42), 1, 6) == radius:
                cv2.line(canvas, points[i], points[to[i]], 0, 1, cv2.LINE_8, 4)
        if not canvas.all():
            river = np.maximum(river, radius / 2 - cv2.distanceTransform(canvas, cv2.DIST_L2, 3))
    bend = fractal(rng, size, 4, 40, 2), fractal(rng, size, 4, 40, 2)
    return warp(blur(river, 1), *bend, 2.5)


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
    """Where landslides start, (k, 2) on steep ground, and their areas, (k,).

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
