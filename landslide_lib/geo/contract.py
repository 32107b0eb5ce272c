"""A scene as a network reads it: its bands found, its numbers in the network's units, its pixels of the network's size.

What does not fit a network is found before it runs, from metadata and a sample of the pixels. It is put right, and
said, or refused in one line.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from affine import Affine, AffineError
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # of GDAL; some of its errors come through rasterio as they are
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.transform import array_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform, transform_bounds
from rasterio.warp import transform as transformed
from rasterio.windows import Window

from landslide_lib.geo.decoding import Decoding, decode
from landslide_lib.geo.ground import SAME, pixel_metres, slope_degrees, utm
from landslide_lib.geo.source import ContractError, Grid, Planes, Source
from landslide_lib.training.bundle import Bundle

__all__ = ["ContractError", "Grid", "Input", "open_input"]

COARSEST = 2.0  # times the network's pixels: what is coarser than that has lost the landslides it learnt
FINEST = 4  # slopes are computed on pixels of so much less than the network's, at most
EXACT = 1e-6  # pixels by which GDAL may misplace one; 0 is refused
COLUMNS = 2048  # of all bands that are held at once
NOWHERE = (
    "its coordinate system or transform is no place on Earth ({}); give it the right ones by gdal_edit -a_srs, -a_ullr"
)
MARGIN = 2  # pixels around a window that its resampling may look at


class Input(contextlib.ExitStack):
    """A scene on a grid of the network's pixels, read by windows; a context manager that closes its file.

    `crs`, `transform`, `width` and `height` are of the grid that is read, `scene` is the file's own. `repairs` says
    what was put right, one sentence each; `files` are all that the scene is read from.
    """

    def __init__(self, source: Source, bundle: Bundle) -> None:
        """Take over an open source. Raises ValueError: the network cannot read it."""
        super().__init__()
        self.callback(source.file.close)
        self._source, self._bands = source, bundle.bands
        self.scene = source.grid
        beside = (Path(name) for name in (*source.file.files, source.path.with_suffix(".json")))
        self.files = tuple(sorted({path.resolve() for path in beside if path.is_file()}))
        said: list[str] = []
        if source.by_order:
            said.append(f"bands without names: taken in the network's order, {', '.join(bundle.bands)}")
        places = [source.places[band] for band in bundle.bands if band in source.places]
        if places != sorted(places):
            said.append("bands in another order than the network's: matched by their names")
        missing = [band for band in bundle.bands if band not in source.places]
        if missing and not (missing == ["slope"] and "DEM" in source.places):
            raise ValueError(
                f"{len(missing)} of the {len(bundle.bands)} bands that the network needs are missing: "
                f"{', '.join(missing)}. The file has {source.file.count}: {source.names()}. Add them, or say "
                "which they are, in the file's order, by --bands"
            )
        try:
            self._metres = _metres(source.grid, bundle, said)
            grid = _grid(source.grid, self._metres, bundle, said)
        except (CPLE_BaseError, RasterioError, AffineError, ArithmeticError) as error:
            raise ValueError(NOWHERE.format(error)) from error
        self.crs, self.transform, self.width, self.height = grid
        self._resampled = grid != self.scene
        # Slope is computed on pixels like those of the file, and its mean taken: so was that of the training.
        self._finer, self._ratio, self._side = 1, 1.0, self._metres or (1.0, 1.0)
        if self._resampled and self._metres:
            self._ratio = bundle.metres_per_pixel / min(self._metres)  # pixels of the file along one of the grid
            self._finer = min(FINEST, max(1, round(self._ratio)))
            self._side = (bundle.metres_per_pixel / self._finer,) * 2
        self._meaning = decode(source, bundle, self._metres)
        self.repairs = (*said, *self._meaning.said)

    def read(self, window: Window) -> tuple[Planes, NDArray[np.bool_]]:
        """Return a window (C, h, w) in the units of the bundle, before shift and scale, and (h, w) what is known of it.

        Unknown is what lies outside the scene, has no data or is under a cloud; it is 0 there. The window may reach
        beyond the grid.
        """
        left, top, width, height = (round(side) for side in window.flatten())
        meaning = self._meaning
        planes = dict(zip(meaning.bands, self._planes(meaning.bands, left, top, width, height), strict=True))
        if meaning.height and meaning.slope:
            k = self._finer
            metres = self._planes({"DEM": meaning.height}, k * left - 1, k * top - 1, k * width + 2, k * height + 2, k)
            fine = slope_degrees(metres[0], *self._side)[1:-1, 1:-1]
            planes["slope"] = meaning.slope(fine.reshape(height, k, width, k).mean((1, 3)))
        stack = np.stack([planes[band] for band in self._bands])
        known = np.isfinite(stack).all(0)
        return np.where(known, stack, np.float32(0)), known

    def known(self, first: int, end: int) -> NDArray[np.bool_]:
        """Return what is known of some rows of the scene's own pixels, (end - first, width)."""
        names = [*self._meaning.bands, *(["DEM"] if self._meaning.height else [])]
        parts = [
            np.isfinite(self._source.read(list(dict.fromkeys(names)), Window(x, first, w, end - first))).all(0)
            for x in range(0, self.scene.width, COLUMNS)
            for w in [min(COLUMNS, self.scene.width - x)]
        ]
        return np.concatenate(parts, 1)

    def _planes(
        self, bands: Mapping[str, Decoding], left: int, top: int, width: int, height: int, finer: int = 1
    ) -> Planes:
        """Return decoded bands (C, h, w), NaN where unknown, of a window in pixels of 1 / `finer` of the grid's."""
        out = np.full((len(bands), height, width), np.nan, np.float32)
        transform = self.transform * Affine.scale(1 / finer) * Affine.translation(left, top)
        if not self._resampled:
            x, y, w, h = _clip(left, top, width, height, self.scene)
            if w > 0 and h > 0:
                out[:, y - top : y - top + h, x - left : x - left + w] = self._decoded(bands, Window(x, y, w, h), 1)
            return out
        ratio = self._ratio / finer
        bounds = transform_bounds(self.crs, self.scene.crs, *array_bounds(height, width, transform))
        corners = [(bounds[i], bounds[j]) for i in (0, 2) for j in (1, 3)]
        columns, rows = zip(*(~self.scene.transform * corner for corner in corners), strict=True)
        step = max(1, int(ratio * (1 + SAME) / 2))  # of pixels that are much finer a mean of some is read
        margin = MARGIN * max(1.0, ratio)
        x, y = (step * math.floor((min(side) - margin) / step) for side in (columns, rows))  # the same for any window
        right, bottom = math.ceil(max(columns) + margin), math.ceil(max(rows) + margin)
        x, y, w, h = _clip(x, y, right - x, bottom - y, self.scene)
        if w > 0 and h > 0:
            planes = self._decoded(bands, Window(x, y, w, h), step)
            scale = Affine.scale(w / planes.shape[2], h / planes.shape[1])
            here = Grid(self.scene.crs, self.scene.transform * Affine.translation(x, y) * scale, w, h)
            kind = Resampling.average if ratio > 1 + SAME else Resampling.bilinear
            out = _warp(planes, here, Grid(self.crs, transform, width, height), kind)
        # What rounding lets the warp see beyond the rim is none of the grid.
        grid = Grid(self.crs, transform, finer * self.width, finer * self.height)
        inside = np.zeros(out.shape[1:], bool)
        x, y, w, h = _clip(left, top, width, height, grid)
        inside[max(0, y - top) : max(0, y - top + h), max(0, x - left) : max(0, x - left + w)] = True
        return np.where(inside, out, np.float32(np.nan))

    def _decoded(self, bands: Mapping[str, Decoding], window: Window, step: int) -> Planes:
        raw = self._source.read(list(bands), window, step)
        return np.stack([decoding(plane) for decoding, plane in zip(bands.values(), raw, strict=True)])


def open_input(path: Path, bundle: Bundle, *, bands: Sequence[str] | None = None, repair: bool = True) -> Input:
    """Open a scene for a network: any raster that GDAL reads.

    `bands` names the bands of the file in its order, where the file does not or is wrong; a name that the network does
    not know is passed over. Without `repair` a scene that would be put right is refused. Raises FileNotFoundError, or
    ContractError: one line with what is wrong, where, and what to do.
    """
    source = Source(path, bundle.bands, bands)
    try:
        scene = Input(source, bundle)
        if scene.repairs and not repair:
            raise ValueError(f"not as the network needs it, and nothing is to be put right: {'; '.join(scene.repairs)}")
    except ValueError as error:
        source.file.close()
        raise error if isinstance(error, ContractError) else ContractError(path, str(error)) from error
    return scene


def _warp(planes: Planes, here: Grid, there: Grid, kind: Resampling) -> Planes:
    """Resample planes (C, h, w) from one grid to another; NaN is what is unknown, before and after.

    `rasterio.warp.reproject` interpolates the places of pixels along a row: they would depend on the window.
    """
    how = {"crs": here.crs, "transform": here.transform, "nodata": np.nan, "dtype": "float32"}
    how |= {"count": len(planes), "height": planes.shape[1], "width": planes.shape[2]}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **how) as file:
            file.write(planes)
        with (
            memory.open() as file,
            WarpedVRT(file, **there._asdict(), resampling=kind, tolerance=EXACT, nodata=np.nan) as warped,
        ):
            return np.asarray(warped.read(), np.float32)


def _clip(left: int, top: int, width: int, height: int, grid: Grid) -> tuple[int, int, int, int]:
    """Return the part of a window that lies in a grid, of no or negative size where none does."""
    x, y = max(left, 0), max(top, 0)
    return x, y, min(left + width, grid.width) - x, min(top + height, grid.height) - y


def _round(metres: float) -> str:
    return f"{float(f'{metres:.3g}'):.10g}"


def _metres(scene: Grid, bundle: Bundle, said: list[str]) -> tuple[float, float] | None:
    """Return the sides of a pixel of a scene, metres; None for a photograph without a place."""
    if not scene.crs:
        if set(bundle.units or ()) != {255.0}:
            raise ValueError(
                "it has no coordinate system, so that its pixel size is unknown; give it one by gdal_edit -a_srs"
            )
        said.append(f"no coordinate system: its pixels are taken for {bundle.metres_per_pixel:g} m, the network's")
        return None
    if not (scene.crs.is_geographic or scene.crs.is_projected):
        raise ArithmeticError("neither degrees nor a projection")
    if not scene.transform.determinant:
        raise ArithmeticError("no way back from its transform")
    metres = pixel_metres(*scene)
    if not all(0 < side < math.inf for side in metres):
        raise ArithmeticError(f"a pixel of {metres[0]:g} x {metres[1]:g} m")
    if max(metres) > COARSEST * bundle.metres_per_pixel:
        raise ValueError(
            f"a pixel of it is {_round(max(metres))} m of the ground, and the network learnt on pixels of "
            f"{bundle.metres_per_pixel:g} m: what it looks for cannot be seen here. Give it an image of at most "
            f"{COARSEST * bundle.metres_per_pixel:g} m a pixel, or take a network that learnt on coarser ones (--model)"
        )
    return metres


def _jumps(scene: Grid, crs: CRS) -> bool:
    """Return whether corners around a scene lie elsewhere, by a pixel or more, on the way back from another CRS.

    A grid that is turned a little against it, and windows at its rim, reach beyond the scene.
    """
    across, down = ((-64 - side // 10, side + side // 10 + 64) for side in (scene.width, scene.height))
    corners = list(product(across, down))
    places = zip(*(scene.transform * corner for corner in corners), strict=True)
    back = zip(*transformed(crs, scene.crs, *transformed(scene.crs, crs, *places)), strict=True)
    return any(math.dist(~scene.transform * place, corner) > 1 for place, corner in zip(back, corners, strict=True))


def _grid(scene: Grid, metres: tuple[float, float] | None, bundle: Bundle, said: list[str]) -> Grid:
    """Return the grid of the network's pixels over a scene: its own, or one in its CRS, or in the UTM zone there."""
    side = bundle.metres_per_pixel
    if metres is None:
        return scene
    crs, transform, width, height = scene
    nominal = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    metric = crs.is_projected and all(abs(n / m - 1) < SAME for n, m in zip(nominal, metres, strict=True))
    upright = transform.b == transform.d == 0 and transform.a > 0 > transform.e
    if metric and upright and all(abs(m / side - 1) < SAME for m in metres):
        return scene
    if not metric:
        kind = "in degrees" if crs.is_geographic else "whose unit is no metre of the ground"
        crs = utm(*scene)
        if _jumps(scene, crs):
            raise ValueError(
                "it reaches 180 degrees of longitude, where its coordinates jump; warp it to metres first: "
                f"gdalwarp -t_srs {crs.to_string()} IN OUT"
            )
        said.append(f"a coordinate system {kind}: warped to {crs.to_string()}")
    if not all(abs(m / side - 1) < SAME for m in metres):
        how = "averaged" if min(metres) < side else "interpolated"
        said.append(f"pixels of {_round(metres[0])} x {_round(metres[1])} m: {how} to the network's {side:g} m")
    if not upright:
        said.append("rows that do not run from north to south and from west to east: resampled so that north is up")
    corners = [transform * (column, row) for column in (0, width) for row in (0, height)]
    (left, *_, right), (bottom, *_, top) = (sorted(one) for one in zip(*corners, strict=True))
    target, columns, rows = calculate_default_transform(
        scene.crs, crs, width, height, left, bottom, right, top, resolution=side
    )
    return Grid(crs, target, columns, rows)
