"""Simulated Landslide4Sense scenes: terrain, cover, landslides, reflectance, rescale.

One scene is a pure function of (region, seed, size); a pixel is 10 m, as in Landslide4Sense (L4S).
It is a stand-in: regions are invented, spectra are typical shapes typed in by hand, and only the
statistics of the whole (see `tests/data/test_simulator.py`) are fitted to L4S. Throughout, a
`Field` is (size, size), heights are metres, gradients rise over run, lengths and areas pixels.
"""

import heapq
import zlib
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
Rng = np.random.Generator

PIXEL_M = 10.0
CELL = 4  # pixels along a cell of the drainage grid: coarse, because it is walked in Python
TILE = 128


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
    """What lies there, whatever sensor looks at it.

    Attributes:
        place: its region.
        dem: (size, size) metres.
        gradient: (2, size, size), rise over run southwards and eastwards.
        slope: (size, size) degrees.
        mask: (size, size) uint8, 1 where an interpreter has drawn a landslide.
        ground: (size, size, 12), reflectance of the ground.
        covers: name and share of the pixel, (size, size) in 0..1, of what was laid over the grass,
            the lowest first. `scar` is the ground laid bare by landslides, drawn or not.
    """

    place: Region
    dem: Field
    gradient: Field
    slope: Field
    mask: NDArray[np.uint8]
    ground: Field
    covers: tuple[tuple[str, Field], ...]


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
GROUND = (6, 1, 1, 1, 2, 2, 2, 1, 6, 6, 2, 2)  # pixels across a detector of Sentinel-2: 10 to 60 m
NOISE = 0.0018  # standard deviation of the sensor's noise, reflectance
# What one unit of each band stands for: reflectance for B1..B12, degrees for the slope, metres for
# the DEM. One set for the whole simulator, fitted so that the means over all regions are L4S's.
UNITS = np.array([0.121, 0.101, 0.092, 0.065, 0.089, 0.182, 0.22, 0.225, 0.058, 0.0012, 0.145, 0.081, 22.7, 776])


def simulate_scene(region: str, seed: int, size: int = 512) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Simulate one scene; the same arguments give the same bytes.

    Args:
        region: a key of `REGIONS`.
        seed: not negative; another seed is another place in the same region.
        size: side in pixels, a positive multiple of 128.

    Returns:
        image: (size, size, 14), B1..B12, slope, DEM in L4S's units (about 1 a band); finite,
            never negative.
        mask: (size, size), 1 where an interpreter has drawn a landslide, else 0.

    Raises:
        ValueError: the region is unknown, the seed negative (said by numpy) or the size no
            multiple of 128.

    """
    scene, rng = lay_out(region, seed, size)
    bands = sensor(rng, scene)
    image = np.concatenate([bands, scene.slope[..., None], scene.dem[..., None]], axis=2) / UNITS
    return np.maximum(image, 0).astype(np.float32), scene.mask


def lay_out(region: str, seed: int, size: int) -> tuple[Scene, Rng]:
    """Lay out what lies there, before any sensor looks at it.

    Args:
        region: a key of `REGIONS`.
        seed: not negative.
        size: side in pixels, a positive multiple of 128.

    Returns:
        The scene, and its random numbers, with which a sensor goes on.

    Raises:
        ValueError: as `simulate_scene` does.

    """
    if region not in REGIONS:
        raise ValueError(f"region {region!r} is unknown; allowed: {', '.join(sorted(REGIONS))}")
    if size <= 0 or size % TILE:
        raise ValueError(f"size {size!r} must be a positive multiple of {TILE}")
    rng = np.random.default_rng([zlib.crc32(region.encode()), seed, size])
    place = REGIONS[region]
    dem, river = _terrain(rng, place, size)
    gradient = np.array(np.gradient(dem, PIXEL_M))
    slope = np.degrees(np.arctan(np.hypot(*gradient)))
    scar, mask = _landslides(rng, place, gradient, slope)
    ground, covers = _ground(rng, place, dem, slope, river, scar)
    return Scene(place, dem, gradient, slope, mask, ground, covers), rng


def fractal(rng: Rng, size: int, beta: float, longest: float, coarse: int = 1) -> Field:
    """Spectral synthesis: power ~ f^-beta, flat for waves over `longest`; mean 0, deviation 1.

    `coarse` > 1 leaves out the waves shorter than that many pixels, which is cheaper.
    """
    n = size // coarse
    waves = np.fft.rfft2(rng.standard_normal((n, n), dtype=np.float32))
    f2 = np.fft.fftfreq(n)[:, None] ** 2 + np.fft.rfftfreq(n)[None] ** 2
    waves *= (f2 + (coarse / longest) ** 2) ** (-beta / 4)
    waves[0, 0] = 0
    field = np.fft.irfft2(waves, s=(n, n)).astype(np.float32)
    return np.asarray(cv2.resize(field / field.std(), (size, size), interpolation=cv2.INTER_CUBIC))


def _blur(field: Field, sigma: float) -> Field:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma))


def top(field: Field, share: float, softness: float) -> Field:
    """Soft mask over the highest `share` of the pixels."""
    cut = np.quantile(field[::3, ::3], 1 - share)
    return np.asarray(np.clip((field - cut) / softness + 0.5, 0, 1))


def _warp(field: Field, dx: Field, dy: Field, pixels: float) -> Field:
    """Displace by `pixels` times (dx, dy)."""
    rows, cols = np.indices(field.shape, np.float32)
    x, y = (cols + pixels * dx).astype(np.float32), (rows + pixels * dy).astype(np.float32)
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


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


def _terrain(rng: Rng, place: Region, size: int) -> tuple[Field, Field]:
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
        height = np.pad(_blur(grid, 0.8) + 3 * fractal(rng, n, 3, 12), 1, mode="edge")
    river = _rivers(rng, [i for i in order if area[i] > 600], to, area, size)
    detail = place.ruggedness * fractal(rng, size, 4.2, 35)
    dem = cv2.resize(height[1:-1, 1:-1], (size, size), interpolation=cv2.INTER_CUBIC)
    dem = _blur(np.asarray(dem), 2)  # takes out the cells of the grid
    dem += detail * np.clip(1 - _blur(np.maximum(river, 0), 6), 0.1, 1)
    return dem - dem.min() + place.base_m, river


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
    return _warp(_blur(river, 1), *bend, 2.5)


def _landslides(rng: Rng, place: Region, gradient: Field, slope: Field) -> tuple[Field, NDArray[np.uint8]]:
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
    mask = _warp(drawn, dx, dy, 1.6) > 0.5
    scar = _blur(_warp(seen, dx + jitter, dy - jitter, 1.6), 0.6)
    patchy = np.clip(0.85 + 0.3 * fractal(rng, size, 2.2, 12), 0.1, 1)
    return scar * patchy, mask.astype(np.uint8)


def _sources(rng: Rng, place: Region, slope: Field) -> tuple[Field, Field]:
    """Where landslides start, (k, 2) rows and columns on steep ground, and their areas, (k,).

    They come in clusters (a storm cell, a shaken hillside); areas follow the three-parameter
    inverse gamma law of Malamud et al. (2004), times the region's scale and the cluster's.
    """
    size = slope.shape[0]
    steep = _blur(slope, 3)
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
    down = np.stack([-_blur(gradient[0], 2.5), -_blur(gradient[1], 2.5)], axis=2)
    path = [start]
    heading = np.zeros_like(start)
    for _ in range(int(length.max(initial=1)) + 1):
        fall = down[tuple(path[-1].astype(int).T)]
        steep = np.linalg.norm(fall, axis=1, keepdims=True)
        heading = 0.7 * heading + 0.3 * fall / (steep + 1e-3) + rng.normal(0, 0.06, start.shape)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True) + 1e-6
        path.append((path[-1] + heading * (steep > stop[:, None])).clip(1, size - 2))
    return np.stack(path)


def _mix(below: Field, above: Field, share: Field) -> Field:
    """Mixed pixels, (size, size, 12): `share` of `above` over `below`."""
    return np.asarray(below + share[..., None] * (above - below), np.float32)


def _ground(
    rng: Rng, place: Region, dem: Field, slope: Field, river: Field, scar: Field
) -> tuple[Field, tuple[tuple[str, Field], ...]]:
    """Covers laid over each other: reflectance (size, size, 12), no light yet; `Scene.covers`."""
    size = dem.shape[0]
    broad, patch = fractal(rng, size, 3, 200, 4), fractal(rng, size, 2.2, 50, 2)
    fine = fractal(rng, size, 1.2, 12)
    green = np.clip(place.green + 0.25 * broad + 0.12 * patch, 0, 1)
    meadow = _mix(SPECTRA["dry"], SPECTRA["grass"], green)
    red = np.clip(place.redness + 0.2 * patch + 0.2 * broad, 0, 1)
    soil = _mix(SPECTRA["grey_soil"], SPECTRA["red_soil"], red)
    soil *= np.exp(0.16 * patch + 0.1 * fine)[..., None]  # moisture and roughness
    trees = top(0.6 * patch + broad + 0.06 * fine + slope / 20, place.forest, 0.7)
    ground = _mix(meadow, (0.75 + 0.25 * green[..., None]) * SPECTRA["forest"], trees) * (1 + 0.13 * fine[..., None])
    outcrop = top(fractal(rng, size, 2.8, 40) + slope / 25, place.bare, 1.2)
    ground = _mix(ground, soil, 0.8 * outcrop)
    farm, crop = _fields(rng, place, broad, slope)
    ground = _mix(ground, _mix(soil, SPECTRA["grass"], crop), farm)
    # Tracks, pits and scars are the soil of the place: only shape and setting tell them apart.
    works = _works(rng, place, dem)
    ground = _mix(ground, soil * 1.2, works)
    ground = _mix(ground, soil * 1.4, scar)
    gravel = 0.5 * (SPECTRA["grey_soil"] + soil)
    bank = np.clip(river + 0.7 + 0.3 * patch, 0, 0.9)
    ground = _mix(ground, gravel, bank)
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
    return _mix(ground, SPECTRA["water"], water), covers


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
    farm = top(broad - _blur(slope, 6) / 4 + 1.2 * apart, place.fields, 0.3) * (used < 0.8)
    return _blur(farm, 0.5), np.clip(2.6 * _blur(grown, 0.5) - 0.2, 0, 1)


def _works(rng: Rng, place: Region, dem: Field) -> Field:
    """Bare ground made by people, share of the pixel: tracks along the slope, pits, plots."""
    smooth = _blur(dem, 4)
    steep = np.hypot(*np.gradient(smooth)) + 0.3
    road, pits = np.zeros((2, *dem.shape), np.float32)
    for level in np.quantile(smooth[::4, ::4], rng.uniform(0.05, 0.6, 3)):
        there = fractal(rng, dem.shape[0], 4, 150, 4) > 0.8
        road = np.maximum(road, there * np.clip(1 - np.abs(smooth - level) / steep, 0, 0.6))
    for _ in range(rng.poisson(dem.size * (20 + 200 * place.fields) / 1e6)):
        corners = rng.normal(0, rng.choice([1.5, 3, 6], p=[0.5, 0.35, 0.15]), (6, 2))
        hull = cv2.convexHull((corners + rng.uniform(0, len(dem), 2)).astype(np.float32))
        cv2.fillPoly(pits, [(hull * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return np.asarray(np.maximum(road, _blur(pits, 0.6)))


def air(scene: Scene) -> Field:
    """Light that the air scatters into the bands, (size, size, 12), reflectance."""
    height = np.exp(-scene.dem[..., None] / 10_000).astype(np.float32)
    return np.asarray(SPECTRA["air"] * scene.place.haze**0.22 * height)


def under_clouds(seen: Field, cover: Field, place: Region, cloud: Field) -> Field:
    """Lay clouds and their shadows over what is seen from space.

    Args:
        seen: (size, size, bands), reflectance.
        cover: (size, size), how much of it is hidden, 0 to 1.
        place: whose sun throws the shadows.
        cloud: reflectance of the clouds, broadcast to `seen`.

    Returns:
        (size, size, bands).

    """
    turn = np.radians(place.sun_azimuth)
    away = round(25 * np.cos(turn)), round(-25 * np.sin(turn))
    seen = seen * (1 - 0.5 * np.roll(cover, away, (0, 1))[..., None])  # its shadow
    return _mix(seen, cloud, cover)


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
            toa[..., band] = _blur(toa[..., band].copy(), 0.35 * pixels)
    # The unit of B10 is as small as the noise: its veil is noise enough.
    noise = NOISE * rng.standard_normal(toa.shape, np.float32) * (np.arange(12) != 9)
    return np.asarray(toa + noise)
