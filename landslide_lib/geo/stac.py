"""A scene of a place and its days from a STAC catalogue, by pystac-client and odc-stac; no account."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import rasterio
import rasterio.warp
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pystac import Item
from pystac_client import Client
from pystac_client.stac_api_io import StacApiIO
from tqdm import tqdm
from urllib3 import Retry

from landslide_lib.data.bands import TERRAIN
from landslide_lib.geo import scene
from landslide_lib.geo.ground import horn_slope
from landslide_lib.geo.metadata import has_no_offset
from landslide_lib.geo.naming import band_name
from landslide_lib.geo.source import UNSEEN

EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"
L2A = "sentinel-2-l2a"
ELEVATION = "cop-dem-glo-30"
MOST = 1000  # items of one search
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer
#: With the right offset, hardly a pixel reflects less than nothing. Ours: a tenth of them below -0.03 is a wrong one.
DARKEST, SHARE = -0.03, 0.1
#: Where a bucket that all may read is without an account; Earth Search has the elevation there.
PUBLIC = "https://{bucket}.s3.amazonaws.com/{key}"
GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",  # seconds below so many bytes a second
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
}


def fetch(
    where: scene.Box,
    days: scene.Days,
    out: Path,
    *,
    bands: Sequence[str],
    optional: bool = False,
    collection: str = L2A,
    catalog: str = EARTH_SEARCH,
    progress: bool = False,
) -> scene.Scene:
    """Write the scene of the day that shows most of a box without clouds, its passes put together, in UTM at 10 m.

    Bands of light are reflectances, whatever the processing baseline of each item, and NaN under clouds, as ESA's scene
    classification has them; `DEM` is metres of the Copernicus DEM and `slope` degrees. With `optional`, bands that the
    catalogue lacks are left out and said.

    Raises ValueError: the box is too large, the catalogue cannot be reached or answers nonsense, no scene in these
    days, a band is missing, an asset cannot be read whole, or its pixels contradict its metadata.
    """
    scene.check_bands(bands)
    grid = scene.grid(where)
    passes = scene.best_day(search(catalog, collection, where, days), where)
    if not passes:
        raise scene.no_pass(catalog, collection, where, days, search(catalog, collection, where, days.around))
    light = [name for name in bands if name in scene.LIGHT]
    lacking = [name for name in light if not any(_asset(one.item, name) for one in passes)]
    if lacking and not (optional and len(lacking) < len(bands)):
        raise ValueError(f"{scene.public(catalog)}: {collection} has no {', '.join(lacking)} ({passes[0].id})")
    bands = [name for name in bands if name not in lacking]
    notes = [f"{collection} has no {', '.join(lacking)}: the scene is without"] if lacking else []
    if "B10" in lacking:
        notes[0] += "; Level-1C has the cirrus band B10 (--collection sentinel-2-l1c, or --source sentinel-hub)"
    seen = bool(light) and all(_asset(one.item, "SCL") for one in passes)
    clouds, unmasked = scene.clouds(collection, bool(light), seen)
    notes += unmasked
    about = scene.tags(catalog, collection, passes, clouds, bands)
    with _reading(), scene.writing(out, grid, bands, about) as file:
        unseen = {one.id: _unseen(one.item, grid) for one in passes} if seen else {}
        ground = elevation(catalog, grid) if set(bands) & set(TERRAIN) else None
        inside = (slice(scene.MARGIN, -scene.MARGIN),) * 2
        with tqdm(bands, unit="band", leave=False, disable=None if progress else True) as bar:
            for index, name in enumerate(bar, 1):
                if ground is not None and name in TERRAIN:
                    plane = (horn_slope(ground, (scene.RESOLUTION,) * 2) if name == "slope" else ground)[inside]
                else:
                    plane = _mosaic(passes, name, grid, unseen)
                file.write(plane, index)
    return scene.Scene(out, passes[0].time.date(), tuple(one.id for one in passes), tuple(notes))


def search(catalog: str, collection: str, where: scene.Box, days: scene.Days | None) -> list[scene.Pass]:
    """Return the passes over a box in some days, or what is there of any day.

    Raises ValueError: the catalogue cannot be reached, answers nonsense, or has too many.
    """
    when = days and f"{days.first}T00:00:00Z/{days.last}T23:59:59Z"
    retry = Retry(3, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)
    retry.respect_retry_after_header = False  # a day would be meant
    try:
        client = Client.open(catalog, timeout=TIMEOUT, stac_io=StacApiIO(max_retries=retry))
        found = client.search(collections=[collection], bbox=where, datetime=when, max_items=MOST + 1, limit=100)
        passes = [_pass(item) for item in found.items()]
    except Exception as error:  # pystac and pystac-client let KeyError, AttributeError and others of an answer through
        reason = scene.public(f"{type(error).__name__}: {error}".split("\n")[0])[:300]
        raise ValueError(
            f"{scene.public(catalog)}: no STAC catalogue, or it does not answer ({reason}); try again, or --catalog"
        ) from error
    if len(passes) > MOST:
        raise ValueError(
            f"{scene.public(catalog)}: more than {MOST} items of {collection} over {days}; take fewer days"
        )
    return passes


def _pass(item: Item) -> scene.Pass:
    """Read an item; one without a cloud cover counts as cloudy."""
    cloud, baseline = (item.properties.get(key) for key in ("eo:cloud_cover", "s2:processing_baseline"))
    if item.datetime is None:
        raise ValueError(f"{item.id} has no date")
    cloud = 100.0 if cloud is None else float(cloud)
    return scene.Pass(item.id, item.datetime, cloud, float(baseline or 0), scene.footprint(item.geometry), item)


def _asset(item: Item, band: str) -> str | None:
    """Return the name of the asset of a band, or None."""
    return next((name for name in item.assets if band_name(name) == band), None)


def radiometry(item: Item, asset: str) -> tuple[float, float]:
    """Return scale and offset that make reflectances of the pixels of an asset.

    Processing baseline 04.00 and later add 1000 to the digital numbers. Earth Search has taken that off most of its
    files, and says so in `earthsearch:boa_offset_applied`, while it goes on to print an offset of -0.1.

    Raises ValueError: neither an offset nor a processing baseline is there.
    """
    fields = item.assets[asset].extra_fields
    said = {**fields, **(fields.get("raster:bands") or fields.get("bands") or [{}])[0]}
    scale, offset = (said.get(key, said.get(f"raster:{key}")) for key in ("scale", "offset"))
    if has_no_offset(item.properties):
        offset = 0
    elif offset is None and not item.properties.get("s2:processing_baseline"):
        raise ValueError(
            f"{item.id}: neither its offset nor its processing baseline is said; its reflectance is unknown"
        )
    return float(scale or 1e-4), float(-0.1 if offset is None else offset)


def _mosaic(
    passes: Sequence[scene.Pass], band: str, grid: GeoBox, unseen: dict[str, NDArray[np.bool_]]
) -> NDArray[np.float32]:
    """Return the reflectance of a band, (H, W), NaN where no pass shows it."""
    whole = np.full(grid.shape, np.nan, np.float32)
    for one in passes:
        asset = _asset(one.item, band)
        if asset is None:
            raise ValueError(f"{one.id} has no {band}, which other items of its day have; leave it out by --bands")
        plane = _load([one.item], asset, grid, "bilinear")
        plane[(plane == 0) | unseen.get(one.id, False)] = np.nan
        scale, offset = radiometry(one.item, asset)
        plane *= np.float32(scale)
        plane += np.float32(offset)
        some = plane[::4, ::4]
        if offset and np.isfinite(some).any() and np.nanquantile(some, SHARE) < DARKEST:
            raise ValueError(
                f"{one.id}: its metadata say an offset of {offset:g}, but then {band} reflects less than nothing: a"
                " known fault of Earth Search (Element84/earth-search, issue 71); take --collection sentinel-2-c1-l2a"
            )
        np.copyto(whole, plane, where=np.isnan(whole))
    return whole


def _unseen(item: Item, grid: GeoBox) -> NDArray[np.bool_]:
    """Return where the scene classification of an item shows no ground, (H, W)."""
    return np.isin(_load([item], str(_asset(item, "SCL")), grid, "nearest"), UNSEEN)


def elevation(catalog: str, grid: GeoBox) -> NDArray[np.float32]:
    """Return metres of the Copernicus DEM on a grid and `scene.MARGIN` pixels beyond, NaN where it has none.

    Tiles are put together on their own grid before they are resampled, so that none of their edges is a step.
    """
    wide = grid.pad(scene.MARGIN)
    # Of the DEM a pixel has its centre on the whole degree; cubic resampling reads two pixels beyond.
    native = GeoBox.from_bbox(
        tuple(wide.boundingbox.to_crs("EPSG:4326")), crs="EPSG:4326", resolution=1 / 3600, anchor="center"
    ).pad(3)
    tiles = search(catalog, ELEVATION, tuple(native.boundingbox), None)
    if not tiles:
        raise ValueError(
            f"{scene.public(catalog)}: {ELEVATION} has no elevation here; leave DEM and slope out by --bands"
        )
    heights = _load([one.item for one in tiles], "data", native, "bilinear", np.nan)
    out = np.full(wide.shape, np.nan, np.float32)
    rasterio.warp.reproject(
        heights,
        out,
        src_transform=native.affine,
        src_crs="EPSG:4326",
        src_nodata=np.nan,
        dst_transform=wide.affine,
        dst_crs=wide.crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=rasterio.warp.Resampling.cubic,
    )
    return out


def _load(items: list[Item], asset: str, grid: GeoBox, resampling: str, nodata: float = 0) -> NDArray[np.float32]:
    """Read an asset of some items onto a grid, (H, W). Raises ValueError: it cannot be read whole."""
    for item in items:
        if asset not in item.assets:
            raise ValueError(f"{item.id} has no asset {asset}")
        if not (href := item.assets[asset].href).startswith(("http://", "https://", "s3://")):
            raise ValueError(f"{item.id}: {asset} lies at {href}; only http, https and s3 are read")
    how: dict[str, Any] = {"resampling": resampling, "dtype": "float32", "nodata": nodata}
    try:
        loaded = odc.stac.load(items, [asset], geobox=grid, groupby=lambda *_: 0, pool=4, patch_url=_address, **how)
    except (rasterio.errors.RasterioError, OSError) as error:
        names = ", ".join(item.id for item in items)
        hint = "its reader pays: set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REQUEST_PAYER=requester"
        hint = hint if items[0].assets[asset].href.startswith("s3://") else "try again later"
        raise ValueError(f"{names}: {asset} cannot be read whole ({scene.public(str(error))}); {hint}") from error
    return np.asarray(loaded[asset].values[0])


def _address(href: str) -> str:
    """Return where a file is read: one of Amazon's S3 by https, unless the environment has an account there."""
    if not href.startswith("s3://") or {"AWS_ACCESS_KEY_ID", "AWS_PROFILE"} & set(os.environ):
        return href
    bucket, _, key = href.removeprefix("s3://").partition("/")
    return PUBLIC.format(bucket=bucket, key=key)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Read over the network with limits in time; an error is raised and not printed as well."""
    with scene.quiet(logging.CRITICAL, "odc.loader", "rasterio"), rasterio.Env(**GDAL):
        yield
