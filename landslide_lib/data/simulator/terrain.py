"""Terrain: fractal relief whose valleys are cut by its own rivers."""

import heapq

import cv2
import numpy as np

from landslide_lib.data.simulator.noise import Field, Rng, blur, fractal, warp
from landslide_lib.data.simulator.regions import PIXEL_M, Region

CELL = 4  # pixels along a cell of the drainage grid: coarse, because it is walked in Python


def terrain(rng: Rng, place: Region, size: int) -> tuple[Field, Field]:
    """Fractal relief whose valleys are cut by its own rivers: heights, and `_rivers`.

    Noise decides where water runs; then the gradient is ~ (drained area)^-0.26 along the water
    (a graded river, Whipple and Tucker 1999), so that valleys branch and flatten downstream.
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
    """Priority flood (Barnes et al. 2014) of a grid whose outermost ring is not land.

    Returns the cells but the mouths, each after the cell it drains to, and where each drains to.
    """
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
