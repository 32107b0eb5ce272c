"""Simulated scenes on disk, small, networks to read them for, and a server on this machine."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import rasterio
import torch
import uploads

from landslide_lib.data.bands import L4S
from landslide_lib.data.simulator.scenes import UNITS
from landslide_lib.geo.simulated import write_scene
from landslide_lib.models import MODELS
from landslide_lib.training.bundle import load_bundle, save_bundle


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    """A simulated scene of 256 x 256 pixels, its truth beside it."""
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif", "humid_mountains", 100, 256)


@pytest.fixture(scope="session")
def simulated():
    """The trained network for simulated scenes: 14 bands, pixels of 20 m."""
    return load_bundle("simulated")


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """An untrained network for photographs of 8 bits and 1 m."""
    fields = {"bands": ("R", "G", "B"), "shift": torch.full((3,), 0.4), "scale": torch.full((3,), 0.15)}
    fields |= {"threshold": 0.5, "post_processing": [], "metres_per_pixel": 1.0, "units": [255.0] * 3}
    network = MODELS["unet"](in_channels=3, width=4)
    path = tmp_path_factory.mktemp("bundle") / "photographs.safetensors"
    return load_bundle(save_bundle(path, network, {"model": "unet", "in_channels": 3, "width": 4}, **fields, about={}))


@pytest.fixture
def edited(scene, tmp_path):
    """A function that writes the scene with other bands, names, tags or profile: `edited(bands, names=…, tags=…)`."""

    def write(change=lambda bands: bands, names=None, tags=None, name="edited.tif", finish=None, **profile):
        with rasterio.open(scene) as file:
            bands, how, own = change(file.read()), file.profile | profile, file.descriptions
            tags = (
                {key: value for key, value in file.tags().items() if key != "AREA_OR_POINT"} if tags is None else tags
            )
        out = tmp_path / name
        how |= {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
        with rasterio.open(out, "w", **how) as file:
            file.write(bands.astype(how["dtype"]))
            file.update_tags(**tags)
            for place, text in enumerate(own[: len(bands)] if names is None else names, 1):
                file.set_band_description(place, text)
            if finish:
                finish(file)
        return out

    return write


@pytest.fixture
def picture(tmp_path):
    """A function that writes a photograph of 64 x 48 pixels, 1 m of UTM 32 north: `picture(bands, …)`."""

    def write(bands=None, name="picture.tif", finish=None, **profile):
        if bands is None:
            bands = np.random.default_rng(0).integers(60, 160, (3, 48, 64))
        how = {"driver": "GTiff", "dtype": "uint8", "crs": "EPSG:32632", "photometric": "RGB"}
        how |= {"transform": rasterio.Affine(1, 0, 500_000, 0, -1, 5_000_000)} | profile
        how |= {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
        with rasterio.open(
            tmp_path / name, "w", **{key: value for key, value in how.items() if value is not None}
        ) as file:
            file.write(bands.astype(how["dtype"]))
            if finish:
                finish(file)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server in a thread: its address, client (httpx), application, limits and networks (paths by name)."""
    import uvicorn

    from landslide_lib.geo.server import create_app
    from landslide_lib.geo.work import Limits

    folder = tmp_path_factory.mktemp("networks")
    networks = {
        "photo": uploads.network(folder / "photo.safetensors"),
        # As wide as the published network: it reads each of the scenes that the demo simulates.
        "sat": uploads.network(folder / "sat.safetensors", L4S, 20.0, UNITS, 1.0, 4.0),
    }
    limits = Limits(upload=300_000, pixels=512 * 512, seconds=60, workers=1, waiting=2)
    app = create_app([str(path) for path in networks.values()], limits)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    with httpx.Client(base_url=address, timeout=120) as client:
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        yield SimpleNamespace(address=address, client=client, app=app, limits=limits, networks=networks)
    server.should_exit = True
    with contextlib.suppress(KeyboardInterrupt):
        thread.join(20)
