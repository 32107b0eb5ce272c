"""The demo, in headless Chromium, as a visitor uses it: drop a scene, move the threshold, take the polygons away."""

import json
import os
import re
import sqlite3

import numpy as np
import pytest
import rasterio
import uploads

pytest.importorskip("playwright")
from playwright.sync_api import expect, sync_playwright

from tools.browser import launch


@pytest.fixture(scope="module")
def browser():
    if os.environ.get("LANDSLIDE_BOOK") != "required":
        pytest.skip("the demo in Chromium: make check-book")
    with sync_playwright() as play:
        try:
            started = launch(play)
        except FileNotFoundError as missing:
            pytest.skip(str(missing))
        expect.set_options(timeout=60_000)
        yield started
        expect.set_options(timeout=5_000)
        started.close()


@pytest.fixture
def page(browser, served):
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.asked = set()
    page.on("request", lambda request: page.asked.add(request.url.split("/")[2] if "//" in request.url else "data"))
    page.goto(served.address)
    yield page
    assert page.asked <= {served.address.split("/")[2], "data"}  # it works without the internet
    page.close()


def upload(page, name, content):
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/tiff", "buffer": content})


def landslides(page, at_least=0):
    """Return how many landslides the page says there are, once there is a picture."""
    page.locator(".scene svg[role=img]").wait_for()
    return int(re.match(r"([\d,]+) landslide", page.locator(".found b").inner_text())[1].replace(",", ""))


def test_a_geotiff_is_mapped_its_threshold_moved_and_its_polygons_taken_away(page, served, tmp_path):
    content = uploads.geotiff(uploads.pixels(7))
    map_ = served.client.post("/predict", files={"file": content}, params={"format": "geotiff"}).content
    with rasterio.MemoryFile(map_) as file, file.open() as source:
        levels = np.quantile(source.read(1), (0.9, 0.5)).round(3)
    upload(page, "a.tif", content)
    page.locator(".scene svg[role=img]").wait_for()
    expect(page.locator(".prose.status")).to_contain_text("9,216 pixels")
    expect(page.locator(".prose.status a")).to_have_attribute("href", re.compile("openstreetmap.*mlat=27.1.*mlon=85.9"))
    for level in map(float, levels):
        query = {"threshold": level}
        truth = served.client.post("/predict", files={"file": content}, params=query).json()["features"]
        page.locator("input[type=number]").first.fill(str(level))
        page.keyboard.press("Tab")
        expect(page.locator(".found b")).to_contain_text(f"{len(truth):,} landslide")
    files = {}
    for link in page.locator(".files a").all():
        with page.expect_download() as download:
            link.click()
        files[download.value.suggested_filename] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[download.value.suggested_filename])
    taken = json.loads(files["landslides.geojson"].read_text())["features"]
    assert [one["geometry"] for one in taken] == [one["geometry"] for one in truth]
    with sqlite3.connect(files["landslides.gpkg"]) as database:
        assert database.execute("select count(*) from landslides").fetchone() == (len(truth),)
    with rasterio.open(files["probability.tif"]) as source, rasterio.MemoryFile(map_) as file, file.open() as other:
        np.testing.assert_array_equal(source.read(1), other.read(1))


def test_the_mask_can_be_taken_off(page):
    upload(page, "a.png", uploads.picture(uploads.pixels(8)))
    mask = page.locator(".scene svg .mask")
    expect(mask).to_be_visible()
    page.get_by_label("show the landslides").uncheck()
    expect(mask).to_be_hidden()
    assert page.locator(".files a").count() == 2  # a picture without coordinates has no GeoPackage


def test_a_bad_file_is_one_sentence_and_the_next_one_is_mapped(page):
    upload(page, "a.tif", b"no picture")
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("the file is no GeoTIFF, PNG or JPEG; send one of these")
    page.get_by_label("Remove").or_(page.get_by_label("Clear")).first.click()
    upload(page, "b.png", uploads.picture(uploads.pixels(9)))
    page.locator(".scene svg[role=img]").wait_for()
    expect(alert).to_have_count(0)


def test_a_simulated_scene_is_mapped_by_the_network_that_reads_it(page):
    page.get_by_role("button", name="Take a simulated scene").click()
    page.locator(".scene svg[role=img]").wait_for()
    expect(page.locator(".prose.status")).to_contain_text("averaged to the network's 20 m")
    expect(page.get_by_label("Network")).to_have_value("sat")
