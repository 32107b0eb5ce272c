"""Simulated scenes as GeoTIFFs, as Sentinel-2 delivers them, with their truth."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from landslide_lib.data.bands import L4S
from landslide_lib.data.simulator.fields import PIXEL_M
from landslide_lib.data.simulator.scenes import UNITS, simulate_scene
from landslide_lib.geo.metadata import OFFSET, QUANTIFICATION
from landslide_lib.paths import atomic_write

CRS = "EPSG:32645"  # where the invented regions are put: UTM zone 45 north, at 28 degrees
TRANSFORM = Affine(PIXEL_M, 0, 500_000, 0, -PIXEL_M, 3_100_000)
TAGS = {"PRODUCT_TYPE": "S2MSI1C", "PROCESSING_BASELINE": "04.00", "QUANTIFICATION_VALUE": f"{QUANTIFICATION:g}"}


def write_scene(path: Path, region: str, seed: int, size: int = 512) -> Path:
    """Write a simulated scene, and its truth beside it, `NAME_truth.tif`; return `path`.

    The scene has 14 bands of 10 m, float32: B1..B12 as digital numbers of Sentinel-2 L1C (reflectance times 10,000,
    plus 1,000 as since the baseline 04.00), slope in degrees, DEM in metres. The truth has 1 where there is a
    landslide, else 0. Raises ValueError: as `simulate_scene`, whose arguments these are.
    """
    image, mask = simulate_scene(region, seed, size)
    bands = np.moveaxis(image * UNITS, 2, 0).astype(np.float32)
    bands[:12] = np.rint(np.maximum(bands[:12] * QUANTIFICATION + OFFSET, 1))
    write_raster(path, bands, names=L4S, tags=TAGS)
    write_raster(truth_of(path), mask[None])
    return path


def truth_of(path: Path) -> Path:
    """Return the file of the truth of a scene."""
    return path.with_name(f"{path.stem}_truth.tif")


def write_raster(
    path: Path,
    bands: NDArray[Any],
    *,
    names: tuple[str, ...] = (),
    tags: dict[str, str] | None = None,
    crs: Any = CRS,
    transform: Affine = TRANSFORM,
) -> None:
    """Write bands (C, h, w) as a tiled GeoTIFF, whole or not at all."""
    count, height, width = bands.shape
    how = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "interleave": "band"}
    how |= {"count": count, "height": height, "width": width, "dtype": bands.dtype, "crs": crs, "transform": transform}
    with atomic_write(path) as scratch, rasterio.open(scratch, "w", driver="GTiff", **how) as file:
        file.write(bands)
        file.update_tags(**(tags or {}))
        for place, name in enumerate(names, 1):
            file.set_band_description(place, name)
