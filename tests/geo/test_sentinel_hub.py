"""A scene from Sentinel Hub, as a service on localhost plays it, and the account that nobody else learns of."""

import io
import json
import logging
import re
import traceback

import numpy as np
import pytest
import rasterio
import tifffile
from catalogue import BOX, DEGREES, LEFT, NAMES, OURS, SIDE, TEXT, TOP, height, reflectance, serving
from sentinelhub import SentinelHubDownloadClient
from typer.testing import CliRunner

from landslide_lib.cli import app
from landslide_lib.geo import scene, sentinel_hub

ID, SECRET = "a-client-0123", "hush-456-secret"
DAY = scene.parse_days("2024-07-01")
TOKEN = "/auth/realms/main/protocol/openid-connect/token"
PROCESS, SEARCH = "/api/v1/process", "/api/v1/catalog/1.0.0/search"


class Hub:
    """The token, the catalogue and the processing of Sentinel Hub."""

    def __init__(self, service) -> None:
        self.service, self.requests, self.tokens, self.classes = service, [], [], 4
        self.features = [self.feature("day1", "2024-07-01T10:00:00Z", 12)]
        service.answers |= {("POST", TOKEN): self.token, ("POST", SEARCH): self.search, ("POST", PROCESS): self.process}

    @staticmethod
    def feature(id, time, cloud):
        west, south = DEGREES.transform(LEFT, TOP - SIDE)
        east, north = DEGREES.transform(LEFT + SIDE, TOP)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        says = {"datetime": time, "eo:cloud_cover": cloud}
        return {"id": id, "properties": says, "geometry": {"type": "Polygon", "coordinates": [ring]}}

    def token(self, body):
        self.tokens.append(body.decode())
        return {"access_token": "a.b.c", "expires_in": 3600, "token_type": "Bearer"}

    def search(self, body):
        first, last = json.loads(body)["datetime"].split("/")
        found = [one for one in self.features if first <= one["properties"]["datetime"] <= last]
        return {"features": found, "context": {"returned": len(found)}}

    def process(self, body):
        asked = json.loads(body)
        self.requests.append(asked)
        names = re.findall(r'"(\w+)"', re.search(r"bands: \[(.*?)\]", asked["evalscript"])[1])
        left, bottom, right, top = asked["input"]["bounds"]["bbox"]
        width, high = asked["output"]["width"], asked["output"]["height"]
        assert (right - left, top - bottom) == (width * 10, high * 10)
        x, y = left + (np.arange(width) + 0.5)[None] * 10, top - (np.arange(high)[:, None] + 0.5) * 10
        theirs = dict(zip(map(scene.LIGHT.get, OURS), NAMES, strict=True)) | {"B10": "blue"}
        planes = []
        for name in names:
            if name == "dataMask":
                planes.append(x + 0 * y > 574_200)
            elif name == "SCL":
                planes.append(np.full((high, width), self.classes))
            elif name == "DEM":
                planes.append(height(*DEGREES.transform(*np.broadcast_arrays(x, y))))
            else:
                planes.append(reflectance(theirs[name], x, y))
        out = io.BytesIO()
        tifffile.imwrite(out, np.stack(np.broadcast_arrays(*planes), -1).astype(np.float32), planarconfig="contig")
        return out.getvalue()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("SH_CLIENT_ID", ID)
    monkeypatch.setenv("SH_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # localhost has no https
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("time.sleep", lambda _: None)
    SentinelHubDownloadClient.clear_cache()
    with serving(monkeypatch) as service:
        yield Hub(service)
    SentinelHubDownloadClient.clear_cache()


@pytest.fixture
def fetch(hub, tmp_path):
    def fetch(bands=("B4", "B10"), days=DAY, **how):
        return sentinel_hub.fetch(BOX, days, tmp_path / "scene.tif", bands=bands, service=hub.service.address, **how)

    return fetch


@pytest.mark.parametrize("window", [1024, 16])
def test_all_bands_of_level_1c_and_the_terrain(hub, fetch, monkeypatch, window):
    monkeypatch.setattr(sentinel_hub, "WINDOW", window)
    written = fetch((*OURS, "B10", "slope", "DEM"))
    assert written.notes == ("sentinel-2-l1c has no scene classification: clouds are not masked",)
    assert written.passes == ("day1",)
    with rasterio.open(written.path) as file:
        assert (file.crs.to_epsg(), file.res, file.descriptions) == (32633, (10, 10), (*OURS, "B10", "slope", "DEM"))
        x = file.transform.c + (np.arange(file.width)[None] + 0.5) * 10
        y = file.transform.f - (np.arange(file.height)[:, None] + 0.5) * 10
        found, seen = dict(zip(file.descriptions, file.read(), strict=True)), (x + 0 * y) > 574_200
        for name, ours in zip([*NAMES, "blue"], [*OURS, "B10"], strict=True):
            np.testing.assert_allclose(found[ours], np.where(seen, reflectance(name, x, y), np.nan), rtol=1e-6)
        metres = height(*DEGREES.transform(*np.broadcast_arrays(x, y)))
        np.testing.assert_allclose(found["DEM"][seen], metres[seen], rtol=1e-6)
        inner = x[0] > 574_220
        assert np.ptp(found["slope"][:, inner]) < 0.05
        assert file.tags()["SOURCE"] == hub.service.address
        assert "Copernicus Sentinel data 2024" in file.tags()["LICENCE"]
    light = hub.requests[0]["input"]["data"][0]
    assert light["type"] == "sentinel-2-l1c"
    assert light["dataFilter"]["timeRange"] == {"from": "2024-07-01T09:59:00Z", "to": "2024-07-01T10:01:00Z"}
    assert (len(hub.requests) == 2) == (window == 1024)


def test_clouds_of_level_2a_are_unknown_and_it_has_no_cirrus_band(hub, fetch):
    hub.classes = 9
    written = fetch(collection="sentinel-2-l2a", optional=True)
    with rasterio.open(written.path) as file:
        assert file.descriptions == ("B4",)
        assert np.isnan(file.read(1)).all()
    assert "sentinel-2-l2a has no B10" in written.notes[0]
    with pytest.raises(ValueError, match=r"has no B10; --collection sentinel-2-l1c has"):
        fetch(collection="sentinel-2-l2a")
    with pytest.raises(ValueError, match=r"of Sentinel Hub it is sentinel-2-l1c or sentinel-2-l2a"):
        fetch(collection="landsat")


def test_the_clearest_day_is_taken_and_no_day_is_said(hub, fetch):
    hub.features += [Hub.feature("day3", "2024-07-03T10:00:00Z", 2)]
    assert fetch(days=scene.parse_days("2024-07-01/2024-07-15")).passes == ("day3",)
    with pytest.raises(ValueError, match=r"no scene over .* on 2024-07-05 to 2024-07-06; the nearest .* 2024-07-03"):
        fetch(days=scene.parse_days("2024-07-05/2024-07-06"))


@pytest.mark.parametrize("missing", [["SH_CLIENT_ID"], ["SH_CLIENT_SECRET"], ["SH_CLIENT_ID", "SH_CLIENT_SECRET"]])
def test_without_an_account_one_line_says_what_is_missing_and_where_it_is_from(hub, tmp_path, monkeypatch, missing):
    for name in missing:
        monkeypatch.setenv(name, "")
    asked = ["scene", "--bbox", TEXT, "--date", "2024-07-01", "-o", str(tmp_path / "x.tif"), "--source", "sentinel-hub"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2
    assert f"{' and '.join(missing)} not set" in done.stderr
    assert "https://apps.sentinel-hub.com" in done.stderr
    assert done.stderr.count("\n") == 1
    assert hub.service.asked == []


def test_on_the_command_line(hub, tmp_path):
    out = tmp_path / "x.tif"
    asked = ["scene", "--bbox", TEXT, "--date", "2024-07-01", "-o", str(out), "--source", "sentinel-hub"]
    done = CliRunner().invoke(app, [*asked, "--catalog", hub.service.address + "/", "--bands", "B4,DEM"])
    assert done.exit_code == 0, done.output
    with rasterio.open(out) as file:
        assert file.descriptions == ("B4", "DEM")


def broken(hub, fault):
    if fault == "account":
        hub.service.faults[TOKEN] = 401
    elif fault == "echo":  # a service that repeats what it was sent
        hub.service.answers[("POST", TOKEN)] = lambda body: {"error": "invalid_client", "error_description": str(body)}
    elif fault == "down":
        hub.service.faults[TOKEN] = 503
    elif fault == "search":
        hub.service.answers[("POST", SEARCH)] = lambda _: b"<html>"
    elif fault == "empty":
        hub.service.answers[("POST", SEARCH)] = lambda _: {"features": [{}]}
    elif fault == "process":
        hub.service.faults[PROCESS] = 400
    elif fault == "nonsense":
        hub.service.answers[("POST", PROCESS)] = lambda _: b"<html>"
    elif fault == "cut":
        whole = hub.process
        hub.service.answers[("POST", PROCESS)] = lambda body: whole(body)[:3000]
    elif fault == "small":
        out = io.BytesIO()
        tifffile.imwrite(out, np.zeros((4, 4, 3), np.float32))
        hub.service.answers[("POST", PROCESS)] = lambda _: out.getvalue()


@pytest.mark.parametrize("fault", ["account", "echo", "down", "search", "empty", "process", "nonsense", "cut", "small"])
def test_what_goes_wrong_is_one_line_and_leaves_nothing(hub, fetch, tmp_path, fault):
    broken(hub, fault)
    with pytest.raises(ValueError, match="Sentinel Hub gives no scene") as error:
        fetch()
    assert "\n" not in str(error.value)
    assert SECRET not in "".join(traceback.format_exception(error.value))
    assert list(tmp_path.iterdir()) == []


def test_the_account_reaches_the_service_and_nothing_else(hub, fetch, tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    fetch()
    assert f"client_secret={SECRET}" in hub.tokens[0]
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]  # sentinelhub has written no file of its own
    content, written = (tmp_path / "scene.tif").read_bytes(), capfd.readouterr()
    for text in (caplog.text, written.out, written.err, f"{sentinel_hub.account()!r}{sentinel_hub.account()}"):
        assert SECRET not in text
        assert ID not in text
    assert SECRET.encode() not in content
    assert ID.encode() not in content


def test_an_account_of_the_copernicus_data_space_asks_there_for_its_token(hub):
    found = sentinel_hub.account("https://sh.dataspace.copernicus.eu")
    assert found.sh_token_url.startswith("https://identity.dataspace.copernicus.eu/")
    assert sentinel_hub.account().sh_token_url.startswith("https://services.sentinel-hub.com/")
