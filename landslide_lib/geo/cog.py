"""A Cloud-Optimized GeoTIFF of probabilities, from lines of float32 in a raw file; none of it is held whole in memory.

A line of the raw file is a row of pixels, little endian, NaN where unknown.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window
from rasterio.windows import transform as window_transform

from landslide_lib.geo.contract import Grid
from landslide_lib.paths import atomic_write

ROWS = 512  # at once, those of a block of the file
CREATION = {"driver": "COG", "compress": "DEFLATE", "predictor": "YES", "overview_resampling": "AVERAGE"}


def rows_of(grid: Grid, first: int, end: int) -> Grid:
    """Return the grid of some rows of a grid."""
    window = Window(0, first, grid.width, end - first)
    return grid._replace(transform=window_transform(window, grid.transform), height=end - first)


def write_cog(raw: Path, grid: Grid, out: Path, tags: dict[str, str], *, skip: int = 0) -> Path:
    """Write lines of a raw file, after `skip` of them, whose grid is `grid`; whole or not at all."""
    with described(raw, grid, tags, skip) as lines, atomic_write(out) as scratch:
        rasterio.shutil.copy(lines, scratch, **CREATION)
    return out


@contextmanager
def described(raw: Path, grid: Grid, tags: dict[str, str] | None = None, skip: int = 0) -> Iterator[Path]:
    """Give the name of a raster that GDAL opens: a raw file from its line `skip` on."""
    items = "".join(f"<MDI key={quoteattr(name)}>{escape(text)}</MDI>" for name, text in (tags or {}).items())
    place = f"<SRS>{escape(grid.crs.to_wkt())}</SRS>" if grid.crs else ""
    place += f"<GeoTransform>{', '.join(map(repr, grid.transform.to_gdal()))}</GeoTransform>"
    line, lines = 4 * grid.width, raw.with_suffix(".vrt")
    lines.write_text(
        f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">{place}<Metadata>{items}</Metadata>'
        '<VRTRasterBand dataType="Float32" band="1" subClass="VRTRawRasterBand"><NoDataValue>nan</NoDataValue>'
        f'<SourceFilename relativeToVRT="1">{escape(raw.name)}</SourceFilename><ImageOffset>{skip * line}</ImageOffset>'
        f"<PixelOffset>4</PixelOffset><LineOffset>{line}</LineOffset><ByteOrder>LSB</ByteOrder>"
        "</VRTRasterBand></VRTDataset>",
        "utf-8",
    )
    try:
        yield lines
    finally:
        lines.unlink()


def resample(raw: Path, grid: Grid, target: Grid, out: Path, known: Callable[[int, int], NDArray[np.bool_]]) -> Path:
    """Write a raw file on another grid, by bilinear interpolation of what is known.

    A pixel is unknown whose centre lies in an unknown one, or that is not `known`, which is asked for rows of `target`,
    first and end.
    """
    with described(raw, grid) as lines, rasterio.open(lines) as source, out.open("wb") as file:
        for top in range(0, target.height, ROWS):
            part = rows_of(target, top, min(top + ROWS, target.height))
            smooth, nearest = (_warped(source, part, how) for how in (Resampling.bilinear, Resampling.nearest))
            seen = ~np.isnan(nearest) & known(top, top + part.height)
            file.write(np.where(seen, smooth, np.nan).astype("<f4").tobytes())
    return out


def _warped(source: Any, grid: Grid, how: Resampling) -> NDArray[np.float32]:
    found = np.full((grid.height, grid.width), np.nan, np.float32)
    # With the usual tolerance a pixel depends on the block that it is computed in.
    to = {"dst_crs": grid.crs, "dst_transform": grid.transform, "resampling": how, "tolerance": 0}
    reproject(rasterio.band(source, 1), found, src_nodata=np.nan, dst_nodata=np.nan, **to)
    return found


def blocks(file: Any) -> Iterator[NDArray[np.float32]]:
    """Yield the first band of an open raster by some rows, (rows, width)."""
    for top in range(0, file.height, ROWS):
        yield file.read(1, window=Window(0, top, file.width, min(ROWS, file.height - top)))


def unknown_pixels(path: Path) -> int:
    """Return how many pixels of a file are NaN."""
    with rasterio.open(path) as file:
        return sum(int(np.isnan(rows).sum()) for rows in blocks(file))


def join(parts: Sequence[Path], out: Path) -> Path:
    """Join files of rows of one scene, from its top on, as `predict` writes them with `rows`.

    Raises ValueError: a part does not begin where the one before it ends, or is of another network or scene.
    """
    raw = out.with_name(f".{out.name}.raw")
    out.parent.mkdir(parents=True, exist_ok=True)
    whole, tags = None, dict[str, str]()
    try:
        with raw.open("wb") as target:
            for path in parts:
                with rasterio.open(path) as part:
                    grid = Grid(part.crs, part.transform, part.width, part.height)
                    said = {name: text for name, text in part.tags().items() if name != "AREA_OR_POINT"}
                    if whole is None:
                        whole, tags = grid._replace(height=0), said
                    expected = rows_of(whole, whole.height, whole.height + grid.height)
                    if grid._replace(transform=expected.transform) != expected or said != tags:
                        raise ValueError(f"{path}: is of another scene or network than {parts[0]}")
                    if not grid.transform.almost_equals(expected.transform, 1e-6 * abs(grid.transform.e)):
                        raise ValueError(f"{path}: does not begin where the part before it ends")
                    for rows in blocks(part):
                        target.write(rows.astype("<f4").tobytes())
                    whole = whole._replace(height=whole.height + grid.height)
        if whole is None:
            raise ValueError(f"{out}: there are no parts to join")
        return write_cog(raw, whole, out, tags)
    finally:
        raw.unlink(missing_ok=True)
