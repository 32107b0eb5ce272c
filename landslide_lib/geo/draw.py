"""A scene and what was found in it as one picture: SVG, the mask over the image, with coordinates if it has any."""

import base64
import io
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import rasterio.warp
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from landslide_lib.geo.naming import match

SIDE = 1024  # pixels of the picture's longer side, at most
COLOUR = (230, 25, 75)  # of landslides: seen on green, brown and grey, and by the colour-blind as brighter or darker
LEFT, BOTTOM, WIDTH, TEXT = 78, 30, 640, 17  # units of the SVG


def preview(scene: Path) -> bytes:
    """Return a scene in natural colours as JPEG, at most `SIDE` pixels; without red, green and blue its first bands."""
    with rasterio.open(scene) as source:
        try:
            found = match([name or "" for name in source.descriptions], ("R", "G", "B"))
        except ValueError:
            found = {}
        places = [found[band] for band in "RGB"] if len(found) == 3 else range(3) if source.count >= 3 else [0] * 3
        shape = _shape(source)
        bands = source.read([place + 1 for place in places], out_shape=(3, *shape), masked=True)
    values = bands.astype(np.float32).filled(np.nan)
    if bands.dtype != np.uint8:  # digital numbers or reflectance, whose range nobody knows
        low, high = np.nanpercentile(values, (2, 98)) if np.isfinite(values).any() else (0, 1)
        values = (values - low) / max(high - low, 1e-9) * 255
    pixels = np.nan_to_num(values, nan=127).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
    return _encoded(pixels, "JPEG", quality=88)


def svg(preview: Path, probability: Path, threshold: float) -> str:
    """Return the picture of `preview` with what is above the threshold over it, grey where nothing is known."""
    with rasterio.open(probability) as source:
        values = source.read(1, out_shape=_shape(source), resampling=Resampling.nearest)
        ticks = _ticks(source) if source.crs and source.transform.is_rectilinear else ""
        where = "map of the scene" if source.crs else "the picture"
        height = WIDTH * source.height / source.width
    left, bottom = (LEFT, BOTTOM) if ticks else (0, 0)
    picture = f'<image width="{WIDTH}" height="{height:.1f}" preserveAspectRatio="none" href="data:image/'
    jpeg, png = (base64.b64encode(data).decode() for data in (preview.read_bytes(), _overlay(values, threshold)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-left} 0 {WIDTH + left} {height + bottom:.1f}" '
        f'role="img" aria-label="{where}, landslides in red" font-size="{TEXT}" fill="currentColor">'
        f'{picture}jpeg;base64,{jpeg}"/><g class="mask">{picture}png;base64,{png}"/></g>{ticks}</svg>'
    )


def place(probability: Path) -> tuple[float, float] | None:
    """Return latitude and longitude of the middle of a map, degrees, or None where it has no CRS."""
    with rasterio.open(probability) as source:
        if not source.crs:
            return None
        middle = source.transform * (source.width / 2, source.height / 2)
        (longitude,), (latitude,) = rasterio.warp.transform(source.crs, "EPSG:4326", *([value] for value in middle))
    return latitude, longitude


def _shape(source: Any) -> tuple[int, int]:
    """Return height and width of a raster as it is drawn."""
    scale = min(1, SIDE / max(source.height, source.width))
    return max(1, round(source.height * scale)), max(1, round(source.width * scale))


def _overlay(values: NDArray[np.float32], threshold: float) -> bytes:
    mask = (values > threshold).astype(np.uint8)
    edge = mask - cv2.erode(mask, np.ones((3, 3), np.uint8))
    pixels = np.zeros((*values.shape, 4), np.uint8)
    pixels[np.isnan(values)] = (127, 127, 127, 200)
    pixels[mask > 0] = (*COLOUR, 90)
    pixels[edge > 0] = (*COLOUR, 255)
    return _encoded(pixels, "PNG")


def _encoded(pixels: NDArray[np.uint8], form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def _ticks(source: Any) -> str:
    """Return axes of a map: kilometres of its grid, or degrees."""
    metric = source.crs.is_projected
    scale, unit = (source.crs.linear_units_factor[1] / 1000, "km") if metric else (1, "°")
    west, south, east, north = (value * scale for value in source.bounds)
    height = WIDTH * source.height / source.width
    drawn = []
    for x in _round_numbers(west, east, 4):
        at = (x - west) / (east - west) * WIDTH
        anchor = "middle" if at < WIDTH - 50 else "end"
        drawn.append(f'<path d="M{at:.1f} {height:.1f}v5"/><text x="{at:.1f}" y="{height + 23:.1f}" '
                     f'text-anchor="{anchor}">{x:.10g}</text>')  # fmt: skip
    for y in _round_numbers(south, north, 4):
        at = (north - y) / (north - south) * height
        drawn.append(f'<path d="M0 {at:.1f}h-5"/><text x="-9" y="{max(at + 6, TEXT):.1f}" '
                     f'text-anchor="end">{y:.10g}</text>')  # fmt: skip
    drawn.append(f'<text x="-44" y="{height + 23:.1f}" text-anchor="end">{unit}</text>')
    return f'<g stroke-width="1">{"".join(drawn)}</g>'.replace("<path ", '<path stroke="currentColor" ')


def _round_numbers(low: float, high: float, count: int) -> list[float]:
    """Return about so many round numbers between two."""
    low, high = min(low, high), max(low, high)
    rough = (high - low) / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
