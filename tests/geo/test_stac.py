"""A scene from a STAC catalogue, beside what the ground of the test reflects."""

import datetime as dt
import json

import numpy as np
import pytest
import rasterio
from catalogue import BOX, FINE, MIDDLE, NAMES, OURS, SIDE, TEXT, Catalogue, height, reflectance, serving
from pyproj import Geod, Transformer
from typer.testing import CliRunner

from landslide_lib.cli import app
from landslide_lib.data.bands import L4S
from landslide_lib.geo import scene, stac

DAY = scene.parse_days("2024-07-01")


@pytest.fixture
def catalogue(monkeypatch, tmp_path):
    (tmp_path / "files").mkdir()
    with serving(monkeypatch) as service:
        yield Catalogue(service, tmp_path / "files")


@pytest.fixture
def fetch(catalogue, tmp_path):
    def fetch(bands=("B4", "B3"), days=DAY, where=BOX, **how):
        return stac.fetch(where, days, tmp_path / "scene.tif", bands=bands, catalog=catalogue.address, **how)

    return fetch


def places(file):
    """Return easting and northing of the pixels, (1, W) and (H, 1)."""
    x = file.transform.c + (np.arange(file.width) + 0.5) * 10
    return x[None], file.transform.f - (np.arange(file.height)[:, None] + 0.5) * 10


def folder(tmp_path):
    return [path.name for path in tmp_path.iterdir() if path.name != "files"]


def test_a_scene_has_reflectances_metres_and_degrees_where_they_belong(catalogue, fetch, tmp_path):
    catalogue.add("S2A_33UWP_20240701_0_L2A", assets=NAMES)
    catalogue.add_elevation()
    written = fetch((*OURS, "slope", "DEM"))
    assert (written.day, written.passes, written.notes) == (dt.date(2024, 7, 1), ("S2A_33UWP_20240701_0_L2A",), ())
    with rasterio.open(written.path) as file:
        assert (file.crs.to_epsg(), file.res, file.descriptions) == (32633, (10, 10), (*OURS, "slope", "DEM"))
        assert file.units == (*["reflectance"] * 12, "degree", "m")
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.transform.c % 10 == file.transform.f % 10 == 0  # the grid of Sentinel-2
        corners = Transformer.from_crs("EPSG:4326", file.crs, always_xy=True).transform(
            [BOX[0], BOX[2]], [BOX[1], BOX[3]]
        )
        assert 0 <= corners[0][0] - file.bounds.left < 20
        assert 0 <= file.bounds.top - corners[1][1] < 20
        x, y = places(file)
        found = dict(zip(file.descriptions, file.read(), strict=True))
        for name, ours in zip(NAMES, OURS, strict=True):
            np.testing.assert_allclose(found[ours], reflectance(name, x, y), atol=6e-5 if name in FINE else 1.2e-4)
        lon, lat = Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True).transform(*np.broadcast_arrays(x, y))
        np.testing.assert_allclose(found["DEM"], height(lon, lat), atol=0.05)  # no step where the tiles meet
        geod = Geod(ellps="WGS84")
        east, north = (geod.inv(16, 48.185, 16 + a, 48.185 + b)[2] for a, b in ((0.001, 0), (0, 0.001)))
        assert found["slope"] == pytest.approx(np.degrees(np.arctan(np.hypot(12 / east, 9 / north))), abs=0.02)
        tags = file.tags()
    assert tags["SOURCE"] == catalogue.address
    assert tags["ITEMS"] == "S2A_33UWP_20240701_0_L2A"
    assert tags["DATES"] == "2024-07-01T10:00:00+00:00"
    assert "Copernicus Sentinel data 2024" in tags["LICENCE"]
    assert "Copernicus DEM" in tags["LICENCE"]
    assert folder(tmp_path) == ["scene.tif"]


@pytest.mark.parametrize(
    ("baseline", "added", "applied"),
    [("02.14", 0, None), ("05.09", 1000, False), ("05.09", 1000, None), ("05.09", 0, True), ("03.01", 0, False)],
)
def test_reflectance_is_the_same_whatever_the_processing_baseline(catalogue, fetch, baseline, added, applied):
    catalogue.add("one", baseline=baseline, added=added, applied=applied)
    with rasterio.open(fetch().path) as file:
        np.testing.assert_allclose(file.read(1), reflectance("red", *places(file)), atol=6e-5)
        assert file.tags()["PROCESSING_BASELINE"] == baseline
        assert file.tags()["BOA_OFFSET_APPLIED"] == "true"


def test_the_offset_is_that_of_the_baseline_where_no_file_says_one(catalogue, fetch):
    item = catalogue.add("one", added=1000, applied=None)
    for asset in item["assets"].values():
        asset.pop("raster:bands", None)
    with rasterio.open(fetch().path) as file:
        np.testing.assert_allclose(file.read(1), reflectance("red", *places(file)), atol=6e-5)
    del item["properties"]["s2:processing_baseline"]
    with pytest.raises(ValueError, match="one: neither its offset nor its processing baseline is said"):
        fetch()


def test_the_offset_is_read_as_the_second_version_of_the_extension_raster_has_it(catalogue, fetch):
    item = catalogue.add("one", added=500, applied=None)
    for asset in item["assets"].values():
        asset.pop("raster:bands", None)
        asset |= {"raster:scale": 0.0001, "raster:offset": -0.05}
    with rasterio.open(fetch().path) as file:
        np.testing.assert_allclose(file.read(1), reflectance("red", *places(file)), atol=6e-5)


def test_two_baselines_of_one_day_make_one_image_without_a_step(catalogue, fetch):
    catalogue.add("east", baseline="02.14", applied=None, left=MIDDLE)
    catalogue.add("west", baseline="05.09", added=1000, applied=False, left=MIDDLE - SIDE)
    written = fetch()
    assert sorted(written.passes) == ["east", "west"]
    with rasterio.open(written.path) as file:
        assert file.bounds.left < MIDDLE < file.bounds.right
        np.testing.assert_allclose(file.read(1), reflectance("red", *places(file)), atol=6e-5)


def test_an_offset_that_the_pixels_contradict_is_refused(catalogue, fetch, tmp_path):
    catalogue.add("dark", applied=False, change=-0.08, assets=["coastal"])
    with pytest.raises(ValueError, match=r"dark: its metadata say an offset of -0\.1.*less than nothing.*c1-l2a"):
        fetch(("B1",))
    assert folder(tmp_path) == []


def test_clouds_and_what_was_not_seen_are_unknown(catalogue, fetch):
    classes = np.full((120, 120), 4, np.uint8)
    classes[:, 60:66] = [0, 1, 3, 8, 9, 10]
    classes[:, 66:72] = [2, 5, 6, 7, 11, 4]  # the ground is seen in these
    catalogue.add("one", classes=classes)
    catalogue.add_elevation()
    with rasterio.open(fetch(("B4", "DEM")).path) as file:
        columns = (places(file)[0][0] - 573_000) / 20
        red, metres = file.read()
        assert np.isnan(red[:, (columns > 60) & (columns < 66)]).all()
        assert np.isfinite(red[:, columns > 66]).all()
        assert np.isfinite(metres).all()
        assert np.isnan(file.nodata)
        assert "8, 9, 10" in file.tags()["CLOUDS"]


def test_under_a_cloud_of_one_pass_stands_the_other_of_the_day(catalogue, fetch):
    cloudy = np.full((120, 120), 9, np.uint8)
    catalogue.add("a", classes=cloudy, cloud=40, left=MIDDLE - SIDE)
    catalogue.add("b", cloud=50)
    with rasterio.open(fetch().path) as file:
        assert file.tags()["ITEMS"] == "a,b"
        assert np.isfinite(file.read(1)).all()


def test_of_some_days_the_clearest_is_taken_and_the_first_of_equal_ones(catalogue, fetch):
    for day, cloud in ((3, 20), (5, 5), (8, 5), (11, 90), (12, 5.5)):
        catalogue.add(f"day{day}", f"2024-07-{day:02}T10:00:00Z", cloud=cloud)
    catalogue.add("sliver", "2024-07-09T10:00:00Z", cloud=0, left=MIDDLE)
    days = scene.parse_days("2024-07-01/2024-07-15")
    assert fetch(["B4"], days).passes == ("day5",)
    assert [asked.get("token", 0) for asked in catalogue.searches] == [0, 2, 4]  # pages


def test_what_the_catalogue_lacks_is_refused_or_left_out_and_said(catalogue, fetch):
    catalogue.add("one")
    with pytest.raises(ValueError, match="sentinel-2-l2a has no B10"):
        fetch(("B4", "B10"))
    written = fetch(("B4", "B10"), optional=True)
    assert "sentinel-2-l2a has no B10" in written.notes[0]
    with rasterio.open(written.path) as file:
        assert file.descriptions == ("B4",)


def test_level_1c_has_the_cirrus_band_and_no_cloud_mask_and_says_so(catalogue, fetch):
    item = catalogue.add("one", collection="sentinel-2-l1c", assets=["red", "blue"])
    item["assets"] = {"red": item["assets"]["red"], "cirrus": item["assets"]["blue"]}
    written = fetch(("B10", "B4"), collection="sentinel-2-l1c")
    assert written.notes == ("sentinel-2-l1c has no scene classification: clouds are not masked",)
    with rasterio.open(written.path) as file:
        np.testing.assert_allclose(file.read(1), reflectance("blue", *places(file)), atol=6e-5)


def test_a_bucket_is_read_without_an_account_or_with_that_of_the_environment(catalogue, fetch, monkeypatch):
    assert stac.PUBLIC.format(bucket="copernicus-dem-30m", key="a/b.tif") == (
        "https://copernicus-dem-30m.s3.amazonaws.com/a/b.tif"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(stac, "PUBLIC", catalogue.service.address + "/public/{bucket}/{key}")
    item, files = catalogue.add("one", collection="sentinel-2-l1c"), catalogue.service.files
    item["assets"]["red"]["href"] = "s3://bucket/B04.tif"

    def red():
        with rasterio.open(fetch(collection="sentinel-2-l1c").path) as file:
            np.testing.assert_allclose(file.read(1), reflectance("red", *places(file)), atol=6e-5)

    with pytest.raises(ValueError, match=r"one: red cannot be read whole .* its reader pays: set AWS_ACCESS_KEY_ID"):
        red()
    account = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REQUEST_PAYER": "requester"}
    place = {"AWS_S3_ENDPOINT": catalogue.service.address[7:], "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    files["/bucket/B04.tif"] = files["/one/red.tif"]
    with monkeypatch.context() as patch:
        for name, value in {**account, **place}.items():
            patch.setenv(name, value)
        red()
    files["/public/other/B04.tif"] = files["/one/red.tif"]
    item["assets"]["red"]["href"] = "s3://other/B04.tif"
    red()


def test_no_scene_says_what_was_searched_and_the_nearest_day(catalogue, fetch):
    for day in ("2024-06-20", "2024-07-06"):
        catalogue.add(day, f"{day}T10:00:00Z")
    with pytest.raises(ValueError, match=rf"no scene over {TEXT} on 2024-07-01; the nearest day .* 2024-07-06"):
        fetch()
    with pytest.raises(ValueError, match="nor is there in the 30 days before and after"):
        fetch(days=scene.parse_days("2023-01-01/2023-01-09"))


def test_a_missing_asset_of_one_item_is_named(catalogue, fetch, tmp_path):
    catalogue.add("east", left=MIDDLE)
    del catalogue.add("west", left=MIDDLE - SIDE)["assets"]["red"]
    with pytest.raises(ValueError, match="west has no B4, which other items of its day have"):
        fetch()
    assert folder(tmp_path) == []


@pytest.mark.parametrize("fault", [404, 500, "cut", "page"])
def test_an_asset_that_cannot_be_read_whole_leaves_nothing(catalogue, fetch, tmp_path, fault, monkeypatch, capfd):
    monkeypatch.setitem(stac.GDAL, "GDAL_HTTP_MAX_RETRY", "1")
    monkeypatch.setitem(stac.GDAL, "GDAL_HTTP_RETRY_DELAY", "0.01")
    catalogue.add("one")
    path = "/one/red.tif"
    if fault == "cut":
        catalogue.service.cut[path] = 70_000
    elif fault == "page":
        catalogue.service.files[path] = b"<html>moved</html>"
    else:
        catalogue.service.faults[path] = fault
    with pytest.raises(ValueError, match=r"^one: red cannot be read whole \(.*\); try again later$"):
        fetch()
    assert folder(tmp_path) == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("href", ["/etc/passwd", "file:///etc/passwd", "/vsizip/x.zip", "ftp://x/y.tif"])
def test_a_catalogue_reads_no_file_of_this_machine(catalogue, fetch, href):
    catalogue.add("one")["assets"]["red"]["href"] = href
    with pytest.raises(ValueError, match="only http, https and s3 are read"):
        fetch()


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>hello</html>",
        b"",
        b"[]",
        b"null",
        {"type": "FeatureCollection"},
        {"features": [{"type": "Feature"}]},
        {"features": 3},
        {"features": [{"type": "Feature", "id": "x", "geometry": None, "properties": {}, "assets": {}, "links": []}]},
    ],
)
def test_nonsense_is_one_clear_error(catalogue, fetch, answer):
    catalogue.service.answers[("POST", "/v1/search")] = lambda _: answer
    with pytest.raises(ValueError, match=r"no STAC catalogue, or it does not answer|has no scene") as error:
        fetch()
    assert "\n" not in str(error.value)
    assert catalogue.address in str(error.value)


def test_a_landing_page_that_is_none_and_a_server_that_is_gone(catalogue, fetch, monkeypatch, tmp_path):
    catalogue.service.answers[("GET", "/v1")] = lambda _: b"<html>hello</html>"
    with pytest.raises(ValueError, match="no STAC catalogue"):
        fetch()
    monkeypatch.setattr("time.sleep", lambda _: None)
    catalogue.service.faults["/v1"] = 503
    before = len(catalogue.service.asked)
    with pytest.raises(ValueError, match="no STAC catalogue"):
        fetch()
    assert len(catalogue.service.asked) - before <= 4
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:9: no STAC catalogue"):
        stac.fetch(BOX, DAY, tmp_path / "x.tif", bands=["B4"], catalog="http://127.0.0.1:9")


@pytest.mark.parametrize("path", ["/v1", "/one/red.tif"])
def test_a_server_that_falls_silent_is_left(catalogue, fetch, monkeypatch, tmp_path, path):
    monkeypatch.setattr(stac, "TIMEOUT", (1, 0.2))
    monkeypatch.setitem(stac.GDAL, "GDAL_HTTP_LOW_SPEED_TIME", "1")
    monkeypatch.setitem(stac.GDAL, "GDAL_HTTP_MAX_RETRY", "0")
    catalogue.add("one")
    catalogue.service.silent = path
    with pytest.raises(ValueError, match=r"does not answer|cannot be read whole"):
        fetch()
    assert folder(tmp_path) == []


def test_user_password_and_key_of_an_address_are_not_said(catalogue, fetch, tmp_path, monkeypatch):
    address = catalogue.address.replace("//", "//me:secret@") + "?key=secret"
    asked = {"bands": ["B4"], "catalog": address}
    catalogue.add("one")
    with rasterio.open(stac.fetch(BOX, DAY, tmp_path / "scene.tif", **asked).path) as file:
        assert file.tags()["SOURCE"] == catalogue.address
    monkeypatch.setattr("time.sleep", lambda _: None)
    gone = address.replace(catalogue.service.address[7:], "127.0.0.1:9")
    for catalog, band, days in (
        (address, "B4", "2020-01-01"),
        (address, "B10", "2024-07-01"),
        (gone, "B4", "2024-07-01"),
    ):
        with pytest.raises(ValueError, match=r"^http://127\.0\.0\.1:\d+/v1: ") as error:
            stac.fetch(BOX, scene.parse_days(days), tmp_path / "x.tif", bands=[band], catalog=catalog)
        assert "secret" not in str(error.value)


def test_pages_without_an_end_end(catalogue, fetch, monkeypatch):
    monkeypatch.setattr(stac, "MOST", 20)
    item = catalogue.add("one")
    link = {"rel": "next", "href": f"{catalogue.address}/search", "method": "POST", "body": {}}
    catalogue.service.answers[("POST", "/v1/search")] = lambda _: {"features": [item] * 5, "links": [link]}
    with pytest.raises(ValueError, match="more than 20 items"):
        fetch()


def test_no_elevation_is_said(catalogue, fetch):
    catalogue.add("one")
    with pytest.raises(ValueError, match="cop-dem-glo-30 has no elevation here; leave DEM and slope out"):
        fetch(("B4", "DEM"))


def test_on_the_command_line(catalogue, tmp_path):
    catalogue.add("one", assets=NAMES)
    catalogue.add_elevation()
    out = tmp_path / "scene.tif"
    asked = ["scene", "--bbox", TEXT, "--date", "2024-07-01", "-o", str(out), "--catalog", catalogue.address]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert f"{out}: 2024-07-01, one" in done.stdout
    assert "sentinel-2-l2a has no B10" in done.stderr
    with rasterio.open(out) as file:
        assert file.descriptions == tuple(name for name in L4S if name != "B10")
    wrong = CliRunner().invoke(app, [*asked, "--bands", "B4,B99"])
    assert wrong.exit_code == 2
    assert "a scene of Sentinel-2 has no B99" in wrong.stderr
    assert json.dumps(wrong.stderr).count("\\n") == 1


def test_a_model_chooses_the_bands(catalogue, tmp_path, monkeypatch):
    catalogue.add("one", assets=["red", "green", "blue", "nir"])
    bundle = type("Bundle", (), {"bands": ("R", "G", "B", "NDVI")})
    monkeypatch.setattr("landslide_lib.training.bundle.load_bundle", lambda name: {"mine": bundle}[name])
    out = tmp_path / "scene.tif"
    asked = ["scene", "--bbox", TEXT, "--date", "2024-07-01", "-o", str(out), "--catalog", catalogue.address]
    done = CliRunner().invoke(app, [*asked, "--model", "mine"])
    assert done.exit_code == 0, done.output
    with rasterio.open(out) as file:
        assert file.descriptions == ("B4", "B3", "B2", "B8")
