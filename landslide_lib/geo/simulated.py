"""Simulated scenes as GeoTIFFs, as Sentinel-2 delivers them, with their truth; and with a fault made on purpose."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import array_bounds
from rasterio.warp import calculate_default_transform, reproject

from landslide_lib.data.bands import L4S
from landslide_lib.data.simulator.cover import SPECTRA
from landslide_lib.data.simulator.fields import PIXEL_M
from landslide_lib.data.simulator.scenes import UNITS, simulate_scene
from landslide_lib.geo.ground import slope_degrees
from landslide_lib.geo.metadata import OFFSET, QUANTIFICATION
from landslide_lib.paths import atomic_write

TRANSFORM = Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 3_100_000)  # the invented regions are put at 28 degrees north
TAGS = {"PRODUCT_TYPE": "S2MSI1C", "PROCESSING_BASELINE": "04.00", "QUANTIFICATION_VALUE": f"{QUANTIFICATION:g}"}
LIGHT, SLOPE, DEM = slice(0, 12), L4S.index("slope"), L4S.index("DEM")


@dataclass(frozen=True)
class Raster:
    """A raster in memory."""

    bands: NDArray[Any]  # (C, h, w)
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    crs: str = "EPSG:32645"  # UTM zone 45 north
    transform: Affine = TRANSFORM


def write_raster(path: Path, raster: Raster) -> None:
    """Write a raster as a tiled GeoTIFF, whole or not at all."""
    count, height, width = raster.bands.shape
    how = {"count": count, "height": height, "width": width, "dtype": raster.bands.dtype, "interleave": "band"}
    how |= {"crs": raster.crs, "transform": raster.transform, "tiled": True, "compress": "deflate", "zlevel": 1}
    with atomic_write(path) as scratch, rasterio.open(scratch, "w", driver="GTiff", **how) as file:
        file.write(raster.bands)
        file.update_tags(**dict(raster.tags))
        for place, name in enumerate(raster.names, 1):
            file.set_band_description(place, name)


def write_scene(path: Path, region: str, seed: int, size: int = 512) -> Path:
    """Write a simulated scene, and its truth beside it, `NAME_truth.tif`; return `path`.

    The scene has 14 bands of 10 m, float32: B1..B12 as digital numbers of Sentinel-2 L1C (reflectance times 10,000,
    plus 1,000 as since the baseline 04.00), slope in degrees, DEM in metres. The truth has 1 where there is a
    landslide, else 0. Raises ValueError: as `simulate_scene`, whose arguments these are.
    """
    image, mask = simulate_scene(region, seed, size)
    bands = np.moveaxis(image * UNITS, 2, 0).astype(np.float32)
    bands[LIGHT] = np.rint(bands[LIGHT] * QUANTIFICATION + OFFSET)
    write_raster(path, Raster(bands, L4S, tuple(TAGS.items())))
    write_raster(path.with_name(f"{path.stem}_truth.tif"), Raster(mask[None]))
    return path


def break_scene(path: Path, fault: str, out: Path) -> Path:
    """Write a scene of `write_scene` with one of `FAULTS`, and return `out`. Raises ValueError: there is no such fault.

    Nothing else is changed: where the scene has all its bands, they are those of the other scene.
    """
    if fault not in FAULTS:
        raise ValueError(f"fault {fault!r}: unknown; allowed: {', '.join(FAULTS)}")
    with rasterio.open(path) as file:
        scene = Raster(file.read(), file.descriptions, tuple(file.tags().items()), file.crs.to_string(), file.transform)
    write_raster(out, FAULTS[fault](scene))
    return out


def _with(scene: Raster, values: NDArray[Any] | None = None, at: int | slice = LIGHT, **tags: str) -> Raster:
    bands = scene.bands.copy()
    if values is not None:
        bands[at] = values
    return replace(scene, bands=bands, tags=(*scene.tags, *tags.items()))


def _reflectance(scene: Raster) -> NDArray[Any]:
    return np.asarray((scene.bands[LIGHT] - OFFSET) / QUANTIFICATION)


def _coarser(scene: Raster) -> Raster:
    """Return a scene of pixels of 30 m, as Landsat's."""
    _, height, width = scene.bands.shape
    return _warped(scene, scene.crs, scene.transform * Affine.scale(3), -(-width // 3), -(-height // 3))


def _degrees(scene: Raster) -> Raster:
    """Return a scene on a grid in degrees."""
    _, height, width = scene.bands.shape
    bounds = array_bounds(height, width, scene.transform)
    return _warped(scene, "EPSG:4326", *calculate_default_transform(scene.crs, "EPSG:4326", width, height, *bounds))


def _warped(scene: Raster, crs: str, transform: Affine, width: int, height: int) -> Raster:
    bands = np.full((len(scene.bands), height, width), np.nan, scene.bands.dtype)
    kind = Resampling.bilinear if crs == "EPSG:4326" else Resampling.average
    where = {"src_transform": scene.transform, "src_crs": scene.crs, "dst_transform": transform, "dst_crs": crs}
    reproject(scene.bands, bands, **where, dst_nodata=np.nan, resampling=kind)
    return replace(scene, bands=bands, crs=crs, transform=transform)


def _alphabetical(scene: Raster) -> Raster:
    """Return the bands in the order of a sorted list of files: B1, B10, B11."""
    order = sorted(range(len(scene.names)), key=lambda place: scene.names[place])
    return replace(scene, bands=scene.bands[order], names=tuple(scene.names[place] for place in order))


def _incomplete(scene: Raster) -> Raster:
    """Return a scene without B11 and B12."""
    left = [place for place, name in enumerate(scene.names) if name not in ("B11", "B12")]
    return replace(scene, bands=scene.bands[left], names=tuple(scene.names[place] for place in left))


def _of_the_ground(scene: Raster) -> Raster:
    """Correct for the light of the air; B10 stays, which no product of level 2A has, for nothing else to be wrong."""
    air = SPECTRA["air"][:, None, None] * np.exp(-scene.bands[DEM] / 10_000)
    light = np.maximum(scene.bands[LIGHT] - QUANTIFICATION * air, OFFSET)
    return _with(scene, light, PRODUCT_TYPE="S2MSI2A")


def _holes(scene: Raster) -> Raster:
    """Make 0 of a corner, as beyond the swath, and NaN of a square within; the file says neither."""
    bands = scene.bands.copy()
    height, width = bands.shape[1:]
    rows, columns = np.indices((height, width))
    bands[:, rows + columns < width // 2] = 0
    bands[:, height // 2 : height // 2 + height // 8, width // 2 : width // 2 + width // 8] = np.nan
    return replace(scene, bands=bands)


def _rescaled(scene: Raster) -> Raster:
    """Rescale every band to about 1, as in the patches of Landslide4Sense."""
    bands = np.concatenate([_reflectance(scene), scene.bands[12:]]) / UNITS[:, None, None]
    return replace(scene, bands=bands.astype(np.float32), tags=())


#: What can be wrong with a scene, and how it is made.
FAULTS: dict[str, Callable[[Raster], Raster]] = {
    "pixel size": _coarser,
    "grid in degrees": _degrees,
    "band order": _alphabetical,
    "missing bands": _incomplete,
    "reflectance 0..1": lambda scene: _with(scene, _reflectance(scene)),
    "offset of 1000": lambda scene: _with(scene, RADIO_ADD_OFFSET=f"{-OFFSET:g}"),  # said once more: it is not heeded
    "L2A for L1C": _of_the_ground,
    "no data inside": _holes,
    # A degree of latitude for each 111 km, as where heights are in metres and pixels in degrees.
    "slope on degrees": lambda scene: _with(scene, slope_degrees(scene.bands[DEM], *[PIXEL_M / 111_000] * 2), SLOPE),
    "slope in per cent": lambda scene: _with(scene, 100 * np.tan(np.radians(scene.bands[SLOPE])), SLOPE),
    "patches about 1": _rescaled,
    "16 bits": lambda scene: _with(scene, np.rint(_reflectance(scene) * 65535)),  # stretched: white is 65535
}
