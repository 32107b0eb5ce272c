"""Pixels of a raster in metres of the ground, and slopes of heights."""

import math
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.transform import xy
from rasterio.warp import transform
from scipy import ndimage

SAME = 0.02  # two pixel sizes that differ by less are one: projections of a country stretch by less


def pixel_metres(crs: CRS, grid: Affine, width: int, height: int) -> tuple[float, float]:
    """Return the sides of the middle pixel in metres along the ground, along a row and down a column."""
    row, column = height // 2, width // 2
    lon, lat = transform(crs, "EPSG:4326", *xy(grid, [row, row, row + 1], [column, column + 1, column]))
    geod = Geod(ellps="WGS84")
    return geod.inv(lon[0], lat[0], lon[1], lat[1])[2], geod.inv(lon[0], lat[0], lon[2], lat[2])[2]


def utm(crs: CRS, grid: Affine, width: int, height: int) -> CRS:
    """Return the UTM zone of the middle of a raster."""
    (lon,), (lat,) = transform(crs, "EPSG:4326", *xy(grid, [height // 2], [width // 2]))
    zone = math.floor((lon + 180) / 6) % 60 + 1
    return CRS.from_epsg((32600 if lat >= 0 else 32700) + zone)


def slope_degrees(height: NDArray[np.float32], dx: float, dy: float) -> NDArray[np.float32]:
    """Return the slope, degrees, of heights (..., h, w) in metres on pixels of dx by dy metres.

    The gradient is that of the two neighbours, as in the simulated scenes that a network has learnt from, or of the one
    that is known; NaN where neither is, or the height is not. `horn_slope` is that of GDAL and QGIS.
    """
    run, fall = _gradient(height, -1) / dx, _gradient(height, -2) / dy
    return np.asarray(np.degrees(np.arctan(np.hypot(run, fall))), np.float32)


def _gradient(height: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    step = np.diff(height, axis=axis)
    edge = np.full_like(np.take(height, [0], axis), np.nan)
    before, after = np.concatenate([edge, step], axis), np.concatenate([step, edge], axis)
    before, after = np.where(np.isnan(before), after, before), np.where(np.isnan(after), before, after)
    return np.asarray((before + after) / 2)


def horn_slope(elevation: NDArray[Any], metres_per_pixel: tuple[float, float]) -> NDArray[np.float32]:
    """Return the slope in degrees, 0 to 90, (H, W), of an elevation in metres, (H, W), on a grid in metres.

    The gradient is that of Horn (1981, doi:10.1109/PROC.1981.11918), over 3 x 3 pixels, as in GDAL and QGIS: Sobel's
    kernels divided by 8. `metres_per_pixel` is the width and the height of a pixel. Where one of the nine elevations is
    NaN or outside, the slope is NaN: the border of one pixel always is.

    >>> horn_slope(np.array([[0, 10, 20]] * 3), (10, 10))[1]
    array([nan, 45., nan], dtype=float32)
    """
    metres = np.asarray(elevation, np.result_type(elevation, np.float32))
    across, down = (
        ndimage.sobel(metres, axis, mode="constant", cval=np.nan) / metres.dtype.type(8 * side)
        for axis, side in zip((1, 0), metres_per_pixel, strict=True)
    )
    steep = np.hypot(across, down, out=across)
    return np.asarray(np.degrees(np.arctan(steep, out=steep), out=steep), np.float32)
