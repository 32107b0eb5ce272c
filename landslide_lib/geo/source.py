"""A raster whose bands have our names: windows of its numbers, NaN where nothing is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from landslide_lib.data.bands import TERRAIN
from landslide_lib.geo.metadata import scales_of, tags_of
from landslide_lib.geo.naming import match

SIDE, ACROSS = 128, 8  # of the sample: windows of so many pixels, so many across and down
#: Classes of ESA's scene classification under which the ground is not seen: no data, defective, shadow of a cloud,
#: cloud of medium and of high probability, thin cirrus.
UNSEEN = (0, 1, 3, 8, 9, 10)
HELPERS = ("DEM", "SCL", "cloud mask")  # bands that are of use, whatever the network takes
_COLOURS = {ColorInterp.red: "B4", ColorInterp.green: "B3", ColorInterp.blue: "B2"}

Planes = NDArray[np.float32]


class ContractError(ValueError):
    """A scene that a network cannot read: one line with what is wrong, where, and what to do."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {' '.join(problem.split())}")


class Grid(NamedTuple):
    """Where the pixels of a raster lie; that of a picture without a place has an empty CRS."""

    crs: CRS
    transform: Affine
    width: int
    height: int


class Source:
    """An open raster. `places` are the bands that were found, by our names, `grid` is where its pixels lie."""

    def __init__(self, path: Path, wanted: Sequence[str], bands: Sequence[str] | None) -> None:
        """Open it and find the bands. Raises ContractError or FileNotFoundError: none, or two bands of a name."""
        if not path.exists():
            raise FileNotFoundError(f"{path}: is not there")
        try:
            self.file: Any = rasterio.open(path)
        except RasterioError as error:
            raise ContractError(path, f"no raster that GDAL reads ({error}); a GeoTIFF is one") from error
        self.path, self.by_order = path, False
        self.grid = Grid(self.file.crs or CRS(), self.file.transform, self.file.width, self.file.height)
        try:
            self.places = self._find(wanted, bands)
        except ValueError as error:
            self.file.close()
            raise ContractError(path, f"{error}; name the bands of the file in its order by --bands") from error
        names = [
            next((name for name, at in self.places.items() if at == place), "") for place in range(self.file.count)
        ]
        self.tags = tags_of(self.file, path)
        self.scales = dict(zip(names, scales_of(self.file, names, path), strict=True))
        self.zero_is_unknown = False  # pixels that are 0 in every band of light have no data

    def _find(self, wanted: Sequence[str], bands: Sequence[str] | None) -> dict[str, int]:
        file, every = self.file, [*wanted, *(name for name in HELPERS if name not in wanted)]
        if not file.count:
            inside = ", ".join(file.subdatasets[:3]) or "none"
            raise ValueError(f"has no bands of its own; rasters inside: {inside}; write one of them as a GeoTIFF")
        alpha = [kind == ColorInterp.alpha for kind in file.colorinterp]
        if bands is not None:
            if len(bands) != file.count:
                raise ValueError(f"{len(bands)} bands are named, and the file has {file.count}")
            return match(bands, every)
        own = [
            text or file.tags(i).get("BANDNAME", "") for i, text in zip(file.indexes, file.descriptions, strict=True)
        ]
        places = match(own, every)
        if any(band in places for band in wanted):
            return places
        coloured = match([_COLOURS.get(kind, "") for kind in file.colorinterp], every)
        if not set(wanted) <= set(coloured) and file.count - sum(alpha) == len(wanted):
            self.by_order = True
            return dict(zip(wanted, (i for i, hidden in enumerate(alpha) if not hidden), strict=True))
        return coloured

    def names(self) -> str:
        """Return what the file calls its bands, for a message: their names, or else their colours."""
        if not any(self.file.descriptions) and not set(self.file.colorinterp) & set(_COLOURS):
            return "none of them named"
        told = zip(self.file.descriptions, self.file.colorinterp, strict=True)
        return ", ".join(text or (kind.name if kind in _COLOURS else "one without a name") for text, kind in told)

    def unit_of(self, name: str) -> str:
        """Return the unit of a band by the metadata, in lower case, or ''; '' where the band is not there."""
        if name not in self.places:
            return ""
        at = self.places[name]
        return str(self.file.units[at] or self.file.tags(at + 1).get("UNITS", "")).strip().lower()

    def read(self, names: Sequence[str], window: Window, step: int = 1) -> Planes:
        """Return bands (C, h, w) of a window that lies in the raster; of `step` x `step` pixels one, their mean.

        Numbers are those of the file after the scale and offset that its metadata give a band.
        Where a band has no data, or a cloud hides the ground from a band of light, all of them are NaN.
        """
        indexes = [self.places[name] + 1 for name in names]
        shape = tuple(max(1, round(side / step)) for side in (window.height, window.width))
        kind = Resampling.average if step > 1 else Resampling.nearest
        how: dict[str, Any] = {"window": window, "out_shape": (len(indexes), *shape)}
        try:
            planes = self.file.read(indexes, **how, masked=True, resampling=kind)
        except RasterioError as error:
            raise ContractError(self.path, f"damaged or cut off ({error}); get it again") from error
        masked = np.ma.getmaskarray(planes)
        light = [place for place, name in enumerate(names) if name not in TERRAIN]
        # Where 0 is no data, one band that is 0 is a dark or a pure colour: so has GDAL's mask of a dataset.
        zero = [place for place in light if self.file.nodatavals[indexes[place] - 1] == 0]
        if zero:
            masked[zero] = masked[zero].all(0)
        unknown = masked.any(0) | ~np.isfinite(planes.data).all(0)
        if light:
            if self.zero_is_unknown:
                unknown |= (planes.data[light] == 0).all(0)
            for name in {"SCL", "cloud mask"} & set(self.places):
                mask = self.file.read(self.places[name] + 1, window=window, out_shape=shape)  # the nearest: classes
                unknown |= np.isin(mask, UNSEEN) if name == "SCL" else mask != 0
        scale, offset = np.array([self.scales[name] for name in names], np.float32).T[:, :, None, None]
        return np.where(unknown, np.float32(np.nan), planes.data.astype(np.float32) * scale + offset)

    def sample(self, names: Sequence[str]) -> Planes:
        """Return windows spread over the raster (n, C, h, w), a small one as a whole: a large one costs little."""
        height, width = self.grid.height, self.grid.width
        if max(height, width) <= SIDE * ACROSS:
            return self.read(names, Window(0, 0, width, height))[None]
        h, w = min(SIDE, height), min(SIDE, width)
        rows, columns = (
            np.unique(np.linspace(0, full - side, ACROSS, dtype=int)) for full, side in ((height, h), (width, w))
        )
        return np.stack([self.read(names, Window(x, y, w, h)) for y in rows for x in columns])
