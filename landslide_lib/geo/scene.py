"""What a scene of a place and its days is, whichever service delivers it: its grid, its day, its file."""

import contextlib
import datetime as dt
import logging
import math
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from shapely import Geometry, box, make_valid
from shapely.geometry import shape

from landslide_lib.data.bands import ENGINEERED, L4S, TERRAIN, source
from landslide_lib.geo.source import UNSEEN
from landslide_lib.paths import atomic_write

#: The names of the bands of light as the services write them; band 8A lies between 8 and 9.
LIGHT = {"B8A": "B8A", **{f"B{n}": f"B{n:02}" for n in range(1, 13)}}
RESOLUTION = 10  # metres a pixel: that of the finest bands of Sentinel-2
MAXIMUM = 6000**2  # pixels of a scene, 60 km by 60 km: it takes some 2 GB of memory, 50 bytes a pixel
MARGIN = 2  # pixels of elevation beyond the border, for the slope on it
SEARCHED = 30  # days before and after, in which the nearest pass is looked for
ATTRIBUTION = {
    "light": "Contains modified Copernicus Sentinel data {year} (Sentinel data legal notice: free, full and open)",
    "terrain": "Copernicus DEM GLO-30: (c) DLR e.V. 2010-2014 and (c) Airbus Defence and Space GmbH 2014-2018, provided"
    " under COPERNICUS by the European Union and ESA; all rights reserved",
}

Box = tuple[float, float, float, float]  # west, south, east, north in degrees


class Days(NamedTuple):
    """From the first to the last day, both of them in UTC."""

    first: dt.date
    last: dt.date

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def around(self) -> "Days":
        """The days in which the nearest pass is looked for."""
        more = dt.timedelta(days=SEARCHED)
        return Days(self.first - more, self.last + more)


class Pass(NamedTuple):
    """What a satellite saw of one tile when it passed."""

    id: str
    time: dt.datetime
    cloud: float  # per cent of the tile
    baseline: float  # of the processing, such as 5.09; 0: nobody says
    footprint: Geometry  # longitude and latitude
    item: Any  # as the service gives it


class Scene(NamedTuple):
    """A scene that was written, and what is to be known of it, one sentence each."""

    path: Path
    day: dt.date
    passes: tuple[str, ...]
    notes: tuple[str, ...]


def parse_box(text: str) -> Box:
    """Read `W,S,E,N` in degrees. Raises ValueError: no four numbers, out of range or in another order."""
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        raise ValueError(
            f"bbox {text!r}: four numbers are needed, W,S,E,N in degrees, such as 16.3,48.1,16.4,48.2"
        ) from None
    if not all(map(math.isfinite, (west, south, east, north))) or max(abs(west), abs(east)) > 180:
        raise ValueError(f"bbox {text!r}: longitudes are -180 to 180; the order is W,S,E,N")
    if south < -80 or north > 84:
        raise ValueError(f"bbox {text!r}: latitudes are -80 to 84, where UTM has zones; the order is W,S,E,N")
    if west >= east or south >= north:
        raise ValueError(f"bbox {text!r}: the order is W,S,E,N, the least first; a box over 180 degrees is two scenes")
    return west, south, east, north


def parse_days(text: str) -> Days:
    """Read a day, 2024-07-01, or the first and the last with a stroke between. Raises ValueError: no such days."""
    try:
        days = [dt.date.fromisoformat(day) for day in text.split("/")]
        first, last = days * 2 if len(days) == 1 else days
    except ValueError:
        raise ValueError(f"date {text!r}: a day is needed, 2024-07-01, or two, 2024-07-01/2024-07-15") from None
    if first > last:
        raise ValueError(f"date {text!r}: the first day is after the last")
    if first.year < 2015 or last.year > 2100:
        raise ValueError(f"date {text!r}: the first Sentinel-2 has been up since 2015")
    return Days(first, last)


def grid(where: Box) -> GeoBox:
    """Return the grid of 10 m in the UTM zone of the middle of a box. Raises ValueError: it has too many pixels."""
    found = GeoBox.from_bbox(where, crs="utm", resolution=RESOLUTION)
    if (size := found.shape.x * found.shape.y) > MAXIMUM:
        raise ValueError(
            f"bbox {written(where)}: {found.shape.x} x {found.shape.y} pixels of {RESOLUTION} m are {size:,}; a"
            f" scene has at most {MAXIMUM:,}, 60 by 60 km; take a smaller box, or several"
        )
    return found


def written(where: Box) -> str:
    """Return a box as it is given on the command line."""
    return ",".join(f"{degrees:g}" for degrees in where)


def bands_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the bands of a scene that hold what a network reads: red is B4, and NDVI is made of B8 and B4.

    Raises ValueError: no band of Sentinel-2 and of the terrain, nor made of them.
    """
    plain = [part for name in names for part in (ENGINEERED[name].of if name in ENGINEERED else (name,))]
    found = tuple(dict.fromkeys(source(name, L4S) for name in plain))
    check_bands(found)
    return found


def check_bands(names: Sequence[str]) -> None:
    """Refuse what is no band of a scene, or stands there twice. Raises ValueError."""
    known = (*LIGHT, *TERRAIN)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"bands: a scene of Sentinel-2 has no {', '.join(unknown)}; allowed: {', '.join(sorted(known))}"
        )
    if not names or len(set(names)) < len(names):
        raise ValueError(f"bands {','.join(names)!r}: at least one, and each once")


def footprint(geometry: Any) -> Geometry:
    """Read a footprint of GeoJSON."""
    return make_valid(shape(geometry))


def best_day(passes: Iterable[Pass], where: Box) -> list[Pass]:
    """Return the passes of the day that shows most of a box without clouds, the earliest of equal ones.

    The share of the box that is clear is taken from footprints and from the cloud cover of whole tiles. Of a day, the
    newest processing comes first, then what has fewer clouds; a pass that adds nothing to those before it is left out.
    A day is one of the sun above the box: a pass never falls on two. No pass: an empty list.
    """
    hours = dt.timedelta(hours=(where[0] + where[2]) / 30)
    days = defaultdict(list)
    for one in passes:
        days[(one.time + hours).date()].append(one)
    best: tuple[float, list[Pass]] = (0, [])
    for _, day in sorted(days.items()):
        left, clear, used = box(*where), 0.0, []
        for one in sorted(day, key=lambda p: (-p.baseline, p.cloud, p.id)):
            part = left.intersection(one.footprint)
            if part.area > 0:
                clear += part.area * (1 - one.cloud / 100)
                left = left.difference(one.footprint)
                used.append(one)
        if used and (not best[1] or clear > best[0] * (1 + 1e-9)):
            best = clear, used
    return best[1]


def public(text: str) -> str:
    """Return an address, or a text with some, without what may be secret: user, password, and the query with its key.

    >>> public("https://user:password@host/v1?key=secret does not answer")
    'https://host/v1 does not answer'
    """
    return re.sub(r"(?<=://)[^/\s]*@|[?#]\S+", "", text)


def no_pass(service: str, collection: str, where: Box, days: Days, others: Iterable[Pass]) -> ValueError:
    """Return the error of days without a pass, which says what was searched and which day is nearest."""
    first, last = (dt.datetime.combine(day, dt.time(12), dt.UTC) for day in days)
    near = sorted(others, key=lambda p: (max(first - p.time, p.time - last), p.time))
    instead = (
        f"the nearest day that has one is {near[0].time.date()}"
        if near
        else f"nor is there in the {SEARCHED} days before and after"
    )
    return ValueError(f"{public(service)}: {collection} has no scene over {written(where)} on {days}; {instead}")


def clouds(collection: str, light: bool, classified: bool) -> tuple[str, list[str]]:
    """Return what the tag CLOUDS says, and notes: whether clouds are masked, by a scene classification."""
    if classified:
        return f"NaN in the scene classification's {', '.join(map(str, UNSEEN))}", []
    note = f"{collection} has no scene classification: clouds are not masked"
    return "not masked", [note] if light else []


@contextlib.contextmanager
def quiet(level: int, *names: str) -> Iterator[None]:
    """Keep loggers below a level out of the log."""
    loud = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loud]
    for logger in loud:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, was in zip(loud, before, strict=True):
            logger.setLevel(was)


def tags(service: str, collection: str, passes: Sequence[Pass], clouds: str, bands: Sequence[str]) -> dict[str, str]:
    """Return what a file says of where it is from."""
    light, year = [name for name in bands if name in LIGHT], f"{passes[0].time.year}"
    kinds = ["light"] * bool(light) + ["terrain"] * (len(light) < len(bands))
    return {
        "SOURCE": public(service),
        "COLLECTION": collection,
        "ITEMS": ",".join(one.id for one in passes),
        "DATES": ",".join(one.time.isoformat(timespec="seconds") for one in passes),
        "PROCESSING_BASELINE": ",".join(f"{one.baseline:05.2f}" if one.baseline else "unknown" for one in passes),
        "CLOUD_COVER": ",".join(f"{one.cloud:g}" for one in passes),
        "RADIOMETRY": "reflectance; the offset of processing baseline 04.00 is taken off",
        "BOA_OFFSET_APPLIED": "true",  # as Earth Search says it
        "CLOUDS": clouds,
        "LICENCE": "; ".join(ATTRIBUTION[kind].format(year=year) for kind in kinds),
    }


@contextlib.contextmanager
def writing(path: Path, on: GeoBox, bands: Sequence[str], about: Mapping[str, str]) -> Iterator[Any]:
    """Give a rasterio file of float32 on a grid, NaN where unknown; at the end it is a Cloud-Optimized GeoTIFF.

    Bands of light are reflectances, `DEM` is in metres, `slope` in degrees. Nothing stays of it if anything fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as scratch, tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
        raw = Path(folder) / "raw.tif"
        size: dict[str, Any] = {"width": on.shape.x, "height": on.shape.y, "count": len(bands), "dtype": "float32"}
        how = {"tiled": True, "interleave": "band", "bigtiff": "IF_SAFER", "nodata": math.nan}
        place = {"crs": on.crs.to_wkt(), "transform": on.affine}
        with rasterio.open(raw, "w", driver="GTiff", **size, **how, **place) as file:
            file.descriptions = tuple(bands)
            file.units = tuple({"DEM": "m", "slope": "degree"}.get(name, "reflectance") for name in bands)
            file.update_tags(**about)
            yield file
        rasterio.shutil.copy(raw, scratch, driver="COG", compress="DEFLATE", predictor="YES", bigtiff="IF_SAFER")
