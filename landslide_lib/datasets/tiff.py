"""GeoTIFF tiles, read by rasterio (GDAL)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from landslide_lib.datasets.base import REDO, BadFileError
from landslide_lib.datasets.bijie import pictures

SUFFIXES = (".tif", ".tiff")
#: Values in a tile at most; a whole scene has more.
MOST = 2**28


def read_tiff(path: Path) -> NDArray[Any]:
    """Read all bands of a TIFF as they are stored, wherever it lies on the ground.

    Args:
        path: The file. Files beside it (`.aux.xml`, `.tfw`, `.ovr`) are not looked at.

    Returns:
        (H, W, C), C at least 1, of the dtype of the file.

    Raises:
        BadFileError: Missing, truncated, no TIFF, larger than a tile, or with pixels that it
            declares to hold no data (a nodata value other than 0).
    """
    try:
        data = path.read_bytes()
        if not data:
            raise BadFileError(path, "is empty", REDO)
        # From memory, so that neither the name nor a file beside it means anything to GDAL.
        with warnings.catch_warnings(), rasterio.MemoryFile(data) as memory:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with memory.open(driver="GTiff") as file:
                height, width, count = file.height, file.width, file.count
                if height * width * count > MOST:
                    problem = f"is {width}x{height} pixels of {count} bands, a scene and no tile"
                    raise BadFileError(path, problem, "Cut it into tiles, with gdal_retile.py")
                bands: NDArray[Any] = file.read()
                nodata = file.nodata
    except BadFileError:
        raise
    except (RasterioError, ValueError, MemoryError):
        raise BadFileError(path, "is truncated or no TIFF that GDAL can read", REDO) from None
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})", REDO) from None
    if nodata and (bands == nodata).any():
        problem = f"has pixels without data ({nodata:g})"
        remedy = "Fill them, or leave the file out; gdal_translate -a_nodata none if they are data"
        raise BadFileError(path, problem, remedy)
    return np.ascontiguousarray(bands.transpose(1, 2, 0))


def tiles(folder: Path) -> list[Path]:
    """Return the JPEG, PNG and TIFF files of a folder, but hidden ones, by name."""
    if not folder.is_dir():
        return []
    there = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    tiffs = [path for path in there if not path.name.startswith(".")]
    return sorted([*pictures(folder), *tiffs])
