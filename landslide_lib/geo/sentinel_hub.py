"""A scene of a place and its days from Sentinel Hub, by its own client, with the account of the environment.

The RAU-Net report (slide VII-A) downloads its Sentinel-2 image so: all bands of Level-1C of the least cloudy pass.
"""

import datetime as dt
import itertools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox, GeoboxTiles
from sentinelhub import CRS, BBox, MimeType, SentinelHubCatalog, SentinelHubRequest, SHConfig
from tqdm import tqdm

from landslide_lib.data.bands import TERRAIN
from landslide_lib.geo import scene
from landslide_lib.geo.ground import horn_slope
from landslide_lib.geo.source import UNSEEN

SERVICE = "https://services.sentinel-hub.com"
L1C, L2A = "sentinel-2-l1c", "sentinel-2-l2a"
#: Where a service hands out its tokens, if not below its own address.
TOKENS = {
    "sh.dataspace.copernicus.eu": "https://identity.dataspace.copernicus.eu"
    "/auth/realms/CDSE/protocol/openid-connect/token"
}
WINDOW = 1024  # pixels, of one request; the service gives at most 2500
MOST = 1000  # passes of one search
ACCOUNT = ("SH_CLIENT_ID", "SH_CLIENT_SECRET")


def fetch(
    where: scene.Box,
    days: scene.Days,
    out: Path,
    *,
    bands: Sequence[str],
    optional: bool = False,
    collection: str = L1C,
    service: str = SERVICE,
    progress: bool = False,
) -> scene.Scene:
    """Write the scene of the day that shows most of a box without clouds, as `stac.fetch` does.

    Level-1C has no scene classification: its clouds are not masked, and the result says so. The service brings all
    processing baselines to one radiometry, and cuts reflectances below 0 off.

    Raises ValueError: no account in the environment, and what `stac.fetch` raises.
    """
    scene.check_bands(bands)
    grid = scene.grid(where)
    if collection not in (L1C, L2A):
        raise ValueError(f"collection {collection!r}: of Sentinel Hub it is {L1C} or {L2A}")
    lacking = [name for name in bands if name == "B10" and collection != L1C]  # Level-2A has no cirrus
    if lacking and not (optional and len(bands) > 1):
        raise ValueError(f"{service}: {collection} has no B10; --collection {L1C} has")
    bands = [name for name in bands if name not in lacking]
    light = [name for name in bands if name in scene.LIGHT]
    classes = ["SCL"] if light and collection != L1C else []
    notes = [f"{collection} has no B10: the scene is without"] if lacking else []
    clouds, unmasked = scene.clouds(collection, bool(light), bool(classes))
    notes += unmasked
    config = account(service)
    # requests_oauthlib writes the account into the log at the level DEBUG.
    with scene.quiet(logging.WARNING, "requests_oauthlib", "oauthlib", "sentinelhub"):
        passes = scene.best_day(_search(config, collection, where, days), where)
        if not passes:
            raise scene.no_pass(service, collection, where, days, _search(config, collection, where, days.around))
        about = scene.tags(service, collection, passes, clouds, bands)
        parts = GeoboxTiles(grid, (WINDOW, WINDOW))
        places = list(np.ndindex(parts.shape.yx))
        with (
            scene.writing(out, grid, bands, about) as file,
            tqdm(places, unit="window", leave=False, disable=None if progress else True) as bar,
        ):
            for row, column in bar:
                part = parts[row, column]
                planes = _light(config, collection, part, light, classes, passes) if light else {}
                planes |= _terrain(config, part) if set(bands) & set(TERRAIN) else {}
                corner = (
                    (at * WINDOW, at * WINDOW + size) for at, size in zip((row, column), part.shape.yx, strict=True)
                )
                file.write(np.stack([planes[name] for name in bands]), window=tuple(corner))
    return scene.Scene(out, passes[0].time.date(), tuple(one.id for one in passes), tuple(notes))


def account(service: str = SERVICE) -> SHConfig:
    """Return the configuration of Sentinel Hub with the account of the environment; no file is read or written.

    Raises ValueError: a variable is not set.
    """
    found = {name: os.environ.get(name, "") for name in ACCOUNT}
    if missing := [name for name, value in found.items() if not value]:
        raise ValueError(
            f"{' and '.join(missing)} not set: make an OAuth client in the settings of your account at"
            " https://apps.sentinel-hub.com (of --catalog https://sh.dataspace.copernicus.eu: at"
            " https://shapps.dataspace.copernicus.eu), and set both variables; --source stac needs no account"
        )
    token = TOKENS.get(urlsplit(service).netloc, f"{service}/auth/realms/main/protocol/openid-connect/token")
    identity = {"sh_client_id": found[ACCOUNT[0]], "sh_client_secret": found[ACCOUNT[1]]}
    limits = {"max_download_attempts": 3, "download_sleep_time": 1, "download_timeout_seconds": 60, "max_retries": 3}
    return SHConfig(use_defaults=True, sh_base_url=service, sh_token_url=token, **identity, **limits)


def _search(config: SHConfig, collection: str, where: scene.Box, days: scene.Days) -> list[scene.Pass]:
    """Return the passes over a box in some days. Raises ValueError: the service refuses, or answers nonsense."""
    when = dt.datetime.combine(days.first, dt.time.min), dt.datetime.combine(days.last, dt.time.max)
    try:
        found = SentinelHubCatalog(config).search(collection, bbox=BBox(where, CRS.WGS84), time=when)
        passes = [_pass(feature) for feature in itertools.islice(found, MOST + 1)]
    except Exception as error:  # of requests, oauthlib, sentinelhub, and of an answer without what is read
        raise _trouble(config, error) from None
    if len(passes) > MOST:
        raise ValueError(f"{config.sh_base_url}: more than {MOST} passes of {collection} on {days}; take fewer days")
    return passes


def _pass(feature: dict[str, Any]) -> scene.Pass:
    says = feature["properties"]
    time, cloud = dt.datetime.fromisoformat(says["datetime"]), float(says.get("eo:cloud_cover", 100))
    return scene.Pass(feature["id"], time, cloud, 0, scene.footprint(feature["geometry"]), None)


def _light(
    config: SHConfig,
    collection: str,
    part: GeoBox,
    bands: Sequence[str],
    classes: Sequence[str],
    passes: Sequence[scene.Pass],
) -> dict[str, NDArray[np.float32]]:
    """Return the reflectances of some bands on a part of the grid, (H, W) each, NaN where unknown."""
    minute = dt.timedelta(minutes=1)
    first, last = min(one.time for one in passes) - minute, max(one.time for one in passes) + minute
    of = {
        "type": collection,
        "dataFilter": {"timeRange": {"from": _utc(first), "to": _utc(last)}, "mosaickingOrder": "leastCC"},
        "processing": {"upsampling": "BILINEAR", "harmonizeValues": True},
    }
    names = [scene.LIGHT[name] for name in bands] + list(classes) + ["dataMask"]
    *light, seen = np.moveaxis(_ask(config, part, of, names), 2, 0)
    unseen = seen == 0
    if classes:
        unseen |= np.isin(light.pop(), UNSEEN)
    return {name: np.where(unseen, np.float32(np.nan), plane) for name, plane in zip(bands, light, strict=True)}


def _terrain(config: SHConfig, part: GeoBox) -> dict[str, NDArray[np.float32]]:
    """Return metres of elevation and degrees of slope on a part of the grid, (H, W) each."""
    of = {"type": "dem", "dataFilter": {"demInstance": "COPERNICUS_30"}, "processing": {"upsampling": "BICUBIC"}}
    metres, known = np.moveaxis(_ask(config, part.pad(scene.MARGIN), of, ["DEM", "dataMask"]), 2, 0)
    ground = np.where(known == 0, np.float32(np.nan), metres)
    inside = (slice(scene.MARGIN, -scene.MARGIN),) * 2
    return {"DEM": ground[inside], "slope": horn_slope(ground, (scene.RESOLUTION,) * 2)[inside]}


def _ask(config: SHConfig, part: GeoBox, of: dict[str, Any], names: Sequence[str]) -> NDArray[np.float32]:
    """Return what the service computes on a grid, (H, W, bands)."""
    # Without `units`, bands of light are reflectances, and the elevation is metres.
    script = f"""//VERSION=3
function setup() {{
  return {{
    input: [{{bands: [{", ".join(f'"{name}"' for name in names)}]}}],
    output: {{bands: {len(names)}, sampleType: "FLOAT32"}}
  }};
}}
function evaluatePixel(sample) {{
  return [{", ".join(f"sample.{name}" for name in names)}];
}}
"""
    shape = (*part.shape.yx, len(names))
    try:
        request = SentinelHubRequest(
            script,
            [of],
            [SentinelHubRequest.output_response("default", MimeType.TIFF)],
            BBox(tuple(part.boundingbox), CRS(f"{part.crs.epsg}")),
            size=part.shape.xy,
            config=config,
        )
        (image,) = request.get_data()
        image = np.asarray(image, np.float32)
        if image.shape != shape:
            raise ValueError(f"an image of {image.shape} came, not of {shape}")
    except Exception as error:  # of requests, oauthlib, sentinelhub and tifffile
        raise _trouble(config, error) from None
    return image


def _utc(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _trouble(config: SHConfig, error: Exception) -> ValueError:
    """Return an error of the service on one line, without the account, which a service could repeat."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    for secret in (config.sh_client_secret, config.sh_client_id):
        reason = reason.replace(secret, "***")
    return ValueError(
        f"{config.sh_base_url}: Sentinel Hub gives no scene ({reason[:300]}); check the account and try again"
    )
