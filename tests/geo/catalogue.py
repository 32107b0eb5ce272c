"""A STAC catalogue with its files on localhost: a small piece of Sentinel-2 and two tiles of elevation."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

#: Over 16 degrees east, where two tiles of elevation meet; in UTM zone 33, 574180 to 574470 east.
BOX = (15.998, 48.184, 16.002, 48.187)
TEXT = ",".join(map(str, BOX))
LEFT, TOP, SIDE = 573_000, 5_339_000, 2_400  # metres: of a tile of Sentinel-2, which holds the box
MIDDLE = LEFT + 1_300  # of the box
NAMES = [
    "coastal",
    "blue",
    "green",
    "red",
    "rededge1",
    "rededge2",
    "rededge3",
    "nir",
    "nir08",
    "nir09",
    "swir16",
    "swir22",
]
OURS = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"]
FINE = ("blue", "green", "red", "nir")  # of 10 m
DEGREES = Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)


def reflectance(name: str, x: Any, y: Any) -> Any:
    """What the ground reflects in a band at a place of UTM: a plane, which any resampling keeps."""
    return 0.05 + 0.02 * NAMES.index(name) + ((x - LEFT) + 2 * (TOP - y)) / SIDE * 0.05


def height(lon: Any, lat: Any) -> Any:
    """Metres above the sea: 12000 m a degree to the east and 9000 m a degree to the north."""
    return 500 + 12_000 * (lon - 16) + 9_000 * (lat - 48.18)


class Service:
    """A server of `files` by path, `answers` by method and path, and `faults` by path; remembers what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[tuple[str, str], Callable[[Any], Any]] = {}
        self.faults: dict[str, int] = {}  # path: the status in place of an answer
        self.cut: dict[str, int] = {}  # path: bytes that are there of so many that are announced
        self.asked: list[str] = []
        self.silent = ""  # a path that is not answered until the server ends
        self.ended = threading.Event()
        serving = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.reply("HEAD")

            def do_GET(self) -> None:
                self.reply("GET")

            def do_POST(self) -> None:
                self.reply("POST")

            def reply(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.split("?")[0]
                serving.asked.append(f"{method} {path}")
                if path == serving.silent:
                    serving.ended.wait(30)
                    return
                status, data, kind, more = 200, b"", "application/json", {}
                if path in serving.faults:
                    status, data = serving.faults[path], b'{"error": "no"}'
                elif path in serving.files:
                    data, kind = serving.files[path], "image/tiff"
                    if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                        first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
                        status, more = 206, {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
                        data = data[first : last + 1]
                        if (there := serving.cut.get(path)) is not None and last >= there:
                            status, data, more = 416, b"", {}
                elif answer := serving.answers.get((method, path)):
                    found = answer(body)
                    data = found if isinstance(found, bytes) else json.dumps(found).encode()
                else:
                    status = 404
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                if method != "HEAD":
                    self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A server that is reached past any proxy."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    service = Service()
    thread = threading.Thread(target=service.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield service
    service.ended.set()
    service.server.shutdown()
    service.server.server_close()
    thread.join()


class Catalogue:
    """A STAC catalogue as Earth Search is one: `items` by collection, pages of `page` items."""

    def __init__(self, service: Service, folder: Path) -> None:
        self.service, self.folder, self.page = service, folder, 2
        self.items: dict[str, list[dict[str, Any]]] = {"sentinel-2-l2a": [], "cop-dem-glo-30": []}
        self.searches: list[dict[str, Any]] = []
        service.answers[("GET", "/v1")] = lambda _: self.landing()
        service.answers[("POST", "/v1/search")] = lambda body: self.search(json.loads(body))

    @property
    def address(self) -> str:
        return self.service.address + "/v1"

    def landing(self) -> dict[str, Any]:
        links = [
            {"rel": "self", "href": self.address},
            {"rel": "root", "href": self.address},
            {"rel": "search", "href": f"{self.address}/search", "type": "application/geo+json", "method": "POST"},
        ]
        conforms = ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"]
        return {
            **{"type": "Catalog", "id": "test", "stac_version": "1.0.0", "description": "a test"},
            **{"links": links, "conformsTo": conforms},
        }

    def search(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.searches.append(asked)
        found = self.items.get(asked["collections"][0], [])
        if "datetime" in asked:
            first, last = asked["datetime"].split("/")
            found = [item for item in found if first <= item["properties"]["datetime"] <= last]
        west, south, east, north = asked["bbox"]
        found = [
            i
            for i in found
            if i["bbox"][0] < east and i["bbox"][2] > west and i["bbox"][1] < north and i["bbox"][3] > south
        ]
        start = asked.get("token", 0)
        part, links = found[start : start + self.page], []
        if start + self.page < len(found):
            body = {**asked, "token": start + self.page}
            links = [{"rel": "next", "href": f"{self.address}/search", "method": "POST", "body": body}]
        return {"type": "FeatureCollection", "features": part, "links": links}

    def put(self, name: str, plane: Any, transform: Any, crs: str = "EPSG:32633", **how: Any) -> str:
        """Publish a raster and return its address."""
        path = self.folder / name.replace("/", "_")
        size = {"height": plane.shape[0], "width": plane.shape[1], "count": 1, "dtype": plane.dtype}
        with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **size, **how) as file:
            file.write(plane, 1)
        self.service.files[f"/{name}"] = path.read_bytes()
        return f"{self.service.address}/{name}"

    def add(
        self,
        id: str,
        time: str = "2024-07-01T10:00:00Z",
        *,
        cloud: float = 10,
        baseline: str = "05.09",
        added: int = 0,
        applied: bool | None = True,
        left: float = LEFT,
        classes: Any = None,
        collection: str = "sentinel-2-l2a",
        assets: Any = ("red", "green"),
        change: float = 0,
    ) -> dict[str, Any]:
        """Publish a pass over a tile: its pixels have `added` digital numbers more than their reflectance."""
        described = {}
        for name in assets:
            metres = 10 if name in FINE else 20
            at = (np.arange(SIDE // metres) + 0.5) * metres
            plane = reflectance(name, left + at[None], TOP - at[:, None]) + change
            href = self.put(
                f"{id}/{name}.tif",
                np.rint(plane * 1e4 + added).astype(np.uint16),
                from_origin(left, TOP, metres, metres),
            )
            offset = -0.1 if float(baseline) >= 4 else 0
            about = {"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": offset}
            described[name] = {
                **{"href": href, "type": "image/tiff; application=geotiff; profile=cloud-optimized"},
                **{"roles": ["data", "reflectance"], "raster:bands": [about]},
            }
        if collection == "sentinel-2-l2a":
            plane = np.full((SIDE // 20,) * 2, 4, np.uint8) if classes is None else classes
            href = self.put(f"{id}/scl.tif", plane, from_origin(left, TOP, 20, 20))
            described["scl"] = {"href": href, "type": "image/tiff; application=geotiff", "roles": ["data"]}
        corners = [(left, TOP - SIDE), (left + SIDE, TOP - SIDE), (left + SIDE, TOP), (left, TOP)]
        properties = {"datetime": time, "eo:cloud_cover": cloud, "s2:processing_baseline": baseline}
        properties |= {} if applied is None else {"earthsearch:boa_offset_applied": applied}
        ring = [list(DEGREES.transform(*corner)) for corner in corners]
        return self.item(id, collection, properties, ring, described)

    def item(self, id: str, collection: str, properties: Any, ring: Any, assets: Any) -> dict[str, Any]:
        lon, lat = zip(*ring, strict=True)
        found = {
            **{"type": "Feature", "stac_version": "1.0.0", "id": id, "collection": collection, "links": []},
            **{"geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, "properties": properties},
            **{"bbox": [min(lon), min(lat), max(lon), max(lat)], "assets": assets},
        }
        self.items.setdefault(collection, []).append(found)
        return found

    def add_elevation(self) -> None:
        """Publish two tiles that meet at 16 degrees east; as in the Copernicus DEM, pixels have centres on degrees."""
        step, half = 1 / 3600, 0.5 / 3600
        for west, east in ((15.98, 16.0), (16.0, 16.02)):
            lon = np.arange(round((east - west) / step)) * step + west
            lat = 48.2 - np.arange(round(0.03 / step)) * step
            plane = height(lon[None], lat[:, None]).astype(np.float32)
            transform = from_origin(west - half, 48.2 + half, step, step)
            href = self.put(f"dem{west}.tif", plane, transform, "EPSG:4326")
            ring = [[west - half, 48.17], [east - half, 48.17], [east - half, 48.2], [west - half, 48.2]]
            data = {"data": {"href": href, "type": "image/tiff; application=geotiff", "roles": ["data"]}}
            self.item(f"dem{west}", "cop-dem-glo-30", {"datetime": "2021-04-22T00:00:00Z"}, ring, data)
