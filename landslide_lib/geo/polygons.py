"""Landslides as polygons, such as an inventory takes: from a map of probability, and back to a mask."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from landslide_lib.paths import atomic_write

DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON"}
CONNECTIVITY = 4  # pixels that share an edge; joined by a corner they have no valid polygon (OSGeo/gdal, issue 7369)
STRIP = 512  # rows of the map that are in memory at a time


def polygons(
    probability: Path, threshold: float, *, minimum_area: float = 0, simplify: float = 0
) -> geopandas.GeoDataFrame:
    """Return the landslides of a map of probability (one band, 0..1, nodata where unknown), a polygon each.

    A landslide is what is above the threshold and connected by edges of pixels; its holes are kept, and unknown is no
    landslide. Polygons follow the pixels, so that `rasterize` gives the mask back, unless some are left out as smaller
    than `minimum_area`, in square metres, or `simplify` takes off corners: by the algorithm of Visvalingam and Whyatt
    (1993), where the triangle of a corner is smaller than that many metres squared; neighbours come to no overlap.

    Returned is in the map's CRS, with the columns `geometry` (valid polygons), `area_m2` (of the geometry, on the
    ellipsoid) and `probability` (mean over the landslide's pixels). One byte a pixel of the map is in memory.

    Raises ValueError: a parameter is out of its range; the map has no CRS or several bands, is no probability, or is
    damaged. FileNotFoundError: it is not there.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold}: has to be from 0 to 1, as probabilities are")
    for name, value in (("minimum area", minimum_area), ("simplify", simplify)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} {value}: has to be 0 or more")
    with _opened(probability) as source:
        called = _above(source, threshold).view(np.uint8)
        found = rasterio.features.shapes(called, called, CONNECTIVITY, source.transform)
        frame = geopandas.GeoDataFrame(geometry=[shapely.geometry.shape(one) for one, _ in found], crs=source.crs)
        frame["area_m2"] = frame.to_crs(equal_area(frame)).area if len(frame) else np.zeros(0)
        frame = frame[frame.area_m2 >= minimum_area].reset_index(drop=True)
        frame["probability"] = _means(source, frame)
    if simplify and len(frame):
        metres = frame.to_crs(equal_area(frame)).geometry.simplify_coverage(simplify)
        frame["geometry"], frame["area_m2"] = metres.to_crs(frame.crs), metres.area
    return frame


def write_polygons(frame: geopandas.GeoDataFrame, path: Path) -> Path:
    """Write polygons to a GeoPackage (.gpkg, in their CRS) or GeoJSON (.geojson, in degrees of WGS 84 by its standard).

    A GeoJSON without a polygon has no columns, as the format keeps them with the polygons. Raises ValueError: the name
    ends otherwise.
    """
    suffix = path.suffix.lower()
    if suffix not in DRIVERS:
        raise ValueError(f"{path}: polygons are written to {' or '.join(DRIVERS)}; name the file so")
    # Seven decimals, as RFC 7946 recommends, are a centimetre, which is a pixel of a drone's photograph.
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": "10"} if suffix == ".geojson" else {}
    file = io.BytesIO()
    kind = "Polygon" if frame.empty else None  # else that of the geometries
    frame.to_file(file, driver=DRIVERS[suffix], layer=path.stem, engine="pyogrio", geometry_type=kind, **options)
    with atomic_write(path) as scratch:
        scratch.write_bytes(file.getvalue())
    return path


def rasterize(frame: geopandas.GeoDataFrame, grid: Any) -> NDArray[np.bool_]:
    """Return the mask (height, width) of the pixels whose centre is in a polygon.

    `grid` is the path of a raster, or what has its crs, transform, width and height, such as `contract.Grid`.
    """
    if isinstance(grid, Path):
        with _opened(grid, bands=None) as source:
            return rasterize(frame, source)
    shapes = frame.to_crs(grid.crs).geometry
    if shapes.empty:
        return np.zeros((grid.height, grid.width), bool)
    size = (grid.height, grid.width)
    mask: NDArray[np.uint8] = rasterio.features.rasterize(shapes, size, transform=grid.transform, dtype="uint8")
    return mask.view(np.bool_)


def equal_area(frame: geopandas.GeoDataFrame) -> str:
    """Return a CRS in metres that keeps areas: Lambert's azimuthal projection of the ellipsoid around the polygons."""
    west, south, east, north = frame.total_bounds
    centre = shapely.Point((west + east) / 2, (south + north) / 2)
    place = geopandas.GeoSeries([centre], crs=frame.crs).to_crs(4326)[0]
    return f"+proj=laea +lat_0={place.y} +lon_0={place.x} +datum=WGS84 +units=m"


def threshold_of(probability: Path) -> float:
    """Return the threshold of the network that made a map, its tag THRESHOLD; without one, a ValueError."""
    with _opened(probability) as source:
        tag = source.tags().get("THRESHOLD")
    if tag is None:
        raise ValueError(f"{probability}: does not say the threshold of its network; name one with --threshold")
    return float(tag)


def check_place(scene: Path) -> None:
    """Refuse a raster whose polygons would lie nowhere. Raises ValueError: it has no CRS. FileNotFoundError."""
    with _opened(scene, bands=None):
        pass


@contextlib.contextmanager
def _opened(path: Path, bands: int | None = 1) -> Iterator[Any]:
    """Open a raster with a CRS; what is wrong with it is a ValueError that names it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there")
    try:
        with rasterio.open(path) as source:
            if bands not in (None, source.count):
                raise ValueError(f"{path}: has {source.count} bands; a map of probability has one")
            if source.crs is None:
                raise ValueError(f"{path}: has no CRS, so nobody knows where it is; gdal_edit.py -a_srs gives it one")
            yield source
    except rasterio.errors.RasterioError as error:
        raise ValueError(f"{path}: damaged or no raster ({error}); make it again") from error
    except pyproj.exceptions.ProjError as error:
        raise ValueError(f"{path}: its CRS is no place on Earth ({error}); reproject it") from error


def _strips(source: Any) -> Iterator[Window]:
    for top in range(0, source.height, STRIP):
        yield Window(0, top, source.width, min(STRIP, source.height - top))


def _above(source: Any, threshold: float) -> NDArray[np.bool_]:
    """Return where the probability is known and above the threshold."""
    called = np.zeros((source.height, source.width), bool)
    for window in _strips(source):
        values = source.read(1, window=window, masked=True, out_dtype="float32").filled(np.nan)
        if (wrong := values[(values < 0) | (values > 1)]).size:
            raise ValueError(
                f"{source.name}: holds {wrong[0]:g}; probabilities are from 0 to 1, what is unknown NaN or its nodata"
            )
        called[window.row_off : window.row_off + window.height] = values > threshold
    return called


def _means(source: Any, frame: geopandas.GeoDataFrame) -> NDArray[np.float64]:
    """Return the mean probability of the pixels of each polygon."""
    total, count = np.zeros((2, len(frame) + 1))
    for window in _strips(source):
        transform, size = source.window_transform(window), (window.height, window.width)
        here = frame.sindex.query(shapely.box(*rasterio.transform.array_bounds(*size, transform)))
        if not len(here):
            continue
        pairs = zip(frame.geometry.iloc[here], here + 1, strict=True)
        which = rasterio.features.rasterize(pairs, size, transform=transform, dtype="int32")
        values, inside = source.read(1, window=window), which > 0
        total += np.bincount(which[inside], values[inside], len(total))
        count += np.bincount(which[inside], minlength=len(count))
    return (total / np.maximum(count, 1))[1:]
