"""The server: what it answers is right, what it refuses is said in one sentence, and it lives on."""

import contextlib
import io
import os
import re
import socket
import time
from itertools import islice

import anyio
import httpx
import numpy as np
import pytest
import rasterio
import torch
import uploads
from fastapi import HTTPException
from fastapi.responses import JSONResponse, Response
from PIL import Image

from landslide_lib.geo.server import Guard, Jobs
from landslide_lib.geo.work import Limits
from landslide_lib.training.bundle import load_bundle


@pytest.fixture(scope="module")
def server(served):
    return served.client


@pytest.fixture(scope="module")
def model(served):
    return served.networks["photo"]


def post(server, content, name="a.tif", **query):
    return server.post("/predict", files={"file": (name, content)}, params=query)


def truth(model, image):
    """Return what the network says of an image, (H, W)."""
    with torch.no_grad():
        return (
            load_bundle(model).predict(torch.from_numpy(image / np.float32(255)).permute(2, 0, 1)[None])[0, 0].numpy()
        )


def test_a_geotiff_comes_back_as_the_networks_probability_on_its_grid(server, model):
    image = uploads.pixels(1)
    answer = post(server, uploads.geotiff(image), format="geotiff")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/tiff")
    with rasterio.open(io.BytesIO(answer.content)) as file:
        assert (file.crs.to_epsg(), file.transform.a, file.dtypes) == (32645, 0.8, ("float32",))
        np.testing.assert_allclose(file.read(1), truth(model, image), atol=1e-5)
        assert not [value for value in file.tags().values() if "/tmp" in value]


def test_polygons_cover_what_is_above_the_threshold(server, model):
    image = uploads.pixels(2)
    middle = float(np.median(truth(model, image)))
    above = truth(model, image) > middle
    answer = post(server, uploads.geotiff(image), threshold=middle).json()
    area = sum(one["properties"]["area_m2"] for one in answer["features"])
    assert area == pytest.approx(above.sum() * 0.64, rel=2e-3)  # UTM's scale is not 1
    longitude, latitude = np.array(answer["features"][0]["geometry"]["coordinates"][0])[0][:2]
    assert (longitude, latitude) == pytest.approx((86, 27.1), abs=0.1)
    assert (answer["properties"]["threshold"], answer["properties"]["pixels"]) == (middle, uploads.SIZE**2)
    large = post(server, uploads.geotiff(image), threshold=middle, minimum_area=50).json()["features"]
    assert large == [one for one in answer["features"] if one["properties"]["area_m2"] >= 50] != answer["features"]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_picture_gives_polygons_in_pixels(server, model, form):
    image = uploads.pixels(3)
    content = uploads.picture(image, form)
    probability = truth(model, np.asarray(Image.open(io.BytesIO(content))))
    middle = float(np.quantile(probability, 0.7))
    found = [one["properties"] for one in post(server, content, "a.png", threshold=middle).json()["features"]]
    assert sum(one["area_pixels"] for one in found) == pytest.approx((probability > middle).sum(), abs=2)
    total = sum(one["area_pixels"] * one["probability"] for one in found)
    assert total == pytest.approx(probability[probability > middle].sum(), rel=1e-3)


def test_transparent_is_unknown_and_a_palette_is_its_colours(server, model):
    image = uploads.pixels(4)
    clear = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    clear[:20, :, 3] = 0
    assert post(server, uploads.picture(clear)).json()["properties"]["unknown"] == 20 * uploads.SIZE
    few = Image.fromarray(image).quantize(16)
    file = io.BytesIO()
    few.save(file, "PNG")
    answer = post(server, file.getvalue(), format="geotiff")
    with rasterio.open(io.BytesIO(answer.content)) as read:
        np.testing.assert_allclose(read.read(1), truth(model, np.asarray(few.convert("RGB"))), atol=1e-5)


def test_health_model_and_openapi_say_what_there_is(server):
    assert server.get("/health").json() == {"status": "ok", "requests": 0}
    said = server.get("/model").json()
    assert (said["model"], said["bands"], said["threshold"]) == ("photo", ["R", "G", "B"], 0.5)
    assert (said["licence"], said["models"], said["card"][:6]) == ("MIT for\n  the file.", ["photo", "sat"], "# tiny")
    assert server.get("/model", params={"model": "other"}).status_code == 422
    assert set(server.get("/openapi.json").json()["paths"]) == {"/predict", "/health", "/model"}


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 415, "no GeoTIFF, PNG or JPEG"),
        (uploads.VRT, 415, "no GeoTIFF, PNG or JPEG"),
        (uploads.sparse(600, 500), 413, "600 x 500 pixels are more than the 262,144 allowed"),
        (uploads.sparse(64, 64, count=40), 413, "40 bands are more than the 32 allowed"),
        (uploads.sparse(64, 64, tiled=True, blockxsize=32_768, blockysize=32_768), 413, "tiles of 512 pixels"),
        (uploads.geotiff(uploads.pixels(), "/etc/passwd"), 422, "overviews in another file"),
        (uploads.geotiff(uploads.pixels(), uploads.VRT.decode()), 422, "overviews in another file"),
        (bytes(300_001), 413, "more than the 300,000 bytes allowed"),
    ],
)
def test_what_is_refused_is_said_in_one_sentence(server, content, status, said):
    answer = post(server, content)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    "query", [{"threshold": "nan"}, {"threshold": 2}, {"format": "png"}, {"minimum_area": -1}, {"minimum_area": "x"}]
)
def test_a_query_that_cannot_be_is_named(server, query):
    answer = post(server, uploads.geotiff(uploads.pixels()), **query)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(next(iter(query)))


@pytest.mark.parametrize(
    "place",
    [
        {"transform": rasterio.Affine(0.8, 0.8, 5e5, 0.8, 0.8, 3e6)},
        {"transform": rasterio.Affine(0.8, 0, 1e12, 0, -0.8, 1e12)},
        {"transform": rasterio.Affine(1e-5, 0, 10, 0, -1e-5, 100), "crs": "EPSG:4326"},
        {"crs": "EPSG:4978"},
    ],
)
def test_what_is_no_place_on_earth_is_refused(server, place):
    answer = post(server, uploads.geotiff(uploads.pixels(), **place))
    assert answer.status_code == 422, answer.text
    assert "\n" not in answer.json()["detail"]


def test_a_request_without_a_file_is_refused(server):
    assert server.post("/predict").json()["detail"].startswith("file: ")
    assert server.post("/predict", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400
    assert server.post("/predict", data={"file": "text"}).status_code == 422


@pytest.mark.parametrize(
    "sent", [b"Content-Length: 1000000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n61A80\r\n"]
)
def test_what_is_too_large_is_refused_before_it_is_there(served, sent):
    place = served.address.split("/")[2]
    host, port = place.split(":")
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n" + kind + sent)
        if b"chunked" in sent:  # 400,000 bytes of more that never come
            connection.sendall(
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(399_000)
            )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def refused(server, files, allowed=()):
    for name, content in files:
        answer = post(server, content, name)
        if answer.status_code in allowed:
            continue
        assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text)
        said = answer.json()["detail"]
        assert not re.search(r"\n|/tmp|site-packages|vsicurl", said), said


def test_fuzzed_uploads_are_refused_and_the_server_lives_on(server):
    refused(server, islice(uploads.bad(0), 44))
    refused(server, islice(uploads.flipped(0), 24), {200})
    assert post(server, uploads.geotiff(uploads.pixels())).status_code == 200


def test_one_request_too_many_is_sent_away(served, server):
    jobs = served.app.state.jobs
    with contextlib.ExitStack() as places:
        for _ in range(served.limits.workers + served.limits.waiting):
            places.enter_context(jobs.place())
        full = post(server, uploads.geotiff(uploads.pixels()))
        assert (full.status_code, full.headers["retry-after"]) == (503, "10")
    assert post(server, uploads.geotiff(uploads.pixels())).status_code == 200


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_what_the_demo_keeps_of_uploads_is_bounded(tmp_path, size):
    async def app(scope, receive, send):
        (tmp_path / f"{len(list(tmp_path.iterdir()))}").write_bytes(bytes(size))
        await Response()(scope, receive, send)

    async def asked():
        guard = Guard(app, Jobs(Limits(kept=6_000_000)), tmp_path)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://a") as client:
            answers = [await client.post("/gradio_api/upload", content=b"x") for _ in range(9)]
            return [answer.status_code for answer in answers], answers[-1], await client.post("/predict")

    codes, last, other = anyio.run(asked)
    room = 7 if size == 1 else 3
    assert codes == [200] * room + [503] * (9 - room)
    assert (last.headers["retry-after"], last.json()["detail"][:7], other.status_code) == ("600", "no room", 200)


def test_what_takes_too_long_or_dies_is_ended_and_the_next_one_is_answered():
    async def tried():
        jobs, said = Jobs(Limits(seconds=5)), []
        for function, argument in ((time.sleep, 60), (os._exit, 1), (abs, -3)):
            try:
                said.append(await jobs.run(function, argument))
            except HTTPException as refused:
                said.append(refused.status_code)
        return said

    began = time.monotonic()
    assert anyio.run(tried) == [504, 422, 3]
    assert time.monotonic() - began < 30


def test_the_demo_serves_no_file_but_its_own(served, server):
    (own,) = server.post("/gradio_api/upload", files={"files": ("a.png", uploads.picture(uploads.pixels()))}).json()
    assert server.get(f"/gradio_api/file={own}").status_code == 200
    cards = served.networks["photo"].with_suffix(".md")
    for path in ("/etc/passwd", cards, "pyproject.toml", f"{own}/../../../../../etc/passwd", "http://127.0.0.1:9/a"):
        answer = server.get(f"/gradio_api/file={path}")
        assert answer.status_code in (403, 404), path
    for name in ("landslides.geojson", "scene.tif", "..%2f..%2fetc%2fpasswd"):
        assert server.get(f"/results/visit-none/{name}").status_code == 404
    large = server.post("/gradio_api/upload", files={"files": ("a.png", bytes(300_001))})
    assert large.status_code == 413


@pytest.mark.parametrize("route", ["file=", "file/", "proxy="])
def test_the_demo_gets_no_file_of_another_host(server, monkeypatch, route):
    async def get(*asked):
        fetched.append(asked)
        return JSONResponse("fetched")

    fetched = []
    monkeypatch.setattr("gradio.routes.secure_url_stream_response", get)
    for address in ("http://127.0.0.1:9/a", "https://a.hf.space/a", "https%3A//a.hf.space/a"):
        for ask in (server.get, server.head):
            assert ask(f"/gradio_api/{route}{address}").status_code == 404
    assert not fetched


def test_the_demo_takes_no_path_for_an_upload(served, server, monkeypatch):
    """Whoever talks to the demo's library by hand names a file of the server, or of another host."""
    fetched = []
    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", lambda *a, **k: fetched.append(a))
    config = server.get("/config").json()
    upload = next(one for one in config["dependencies"] if any(event == "upload" for _, event in one["targets"]))
    for path in ("/etc/passwd", str(served.networks["photo"]), "http://127.0.0.1:9/a.tif"):
        file = {"path": path, "url": path, "orig_name": "a.tif", "meta": {"_type": "gradio.FileData"}}
        body = {"data": [file, "photo", None, 0], "fn_index": upload["id"], "session_hash": "abc"}
        assert server.post("/gradio_api/queue/join", json=body).status_code == 200
        with server.stream("GET", "/gradio_api/queue/data", params={"session_hash": "abc"}) as events:
            said = "".join(line for line in events.iter_lines() if "process_completed" in line)
        assert '"success":false' in said.replace(" ", ""), said
    assert not fetched
