"""Published weights: fetched when a recipe asks for them, from a server on localhost here."""

import hashlib
import inspect
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save
from torch import Tensor, nn

from landslide_lib.models import MODELS
from landslide_lib.study.recipe import PRETRAINED, recipe
from landslide_lib.study.tasks.segmentation import model_of

SOURCES = {
    "deeplab_v3": "smp-hub/resnet18.imagenet",
    "efficientnet_v2": "timm/tf_efficientnetv2_b0.in1k",
    "small_deeplab_v3": "smp-hub/mobilenet_v2.imagenet",
    "small_mobilenet_v3": "timm/mobilenetv3_small_100.lamb_in1k",
}
"""The networks whose encoders have published weights, and the repository of each."""
BANDS = 5
COMMIT = "0123456789abcdef0123456789abcdef01234567"

A_RUN = """
import shutil, sys, time, urllib.request
import torch
from huggingface_hub import constants
from landslide_lib.models import MODELS
from landslide_lib.models.weights import WeightsNotFoundError

address, out, *names = sys.argv[1:]

def encoder(name, bands):
    network = MODELS[name](in_channels=bands, width=4, pretrained=True)
    return network.network.encoder.state_dict()

for name in names:
    MODELS[name](in_channels=5, width=4)
urllib.request.urlopen(address + "/from-here-on")
fetched = {name: encoder(name, 5) for name in names}
urllib.request.urlopen(address + "/close")
cached = {name: encoder(name, 3) for name in names}
shutil.rmtree(constants.HF_HUB_CACHE)
time.sleep = lambda seconds: None  # the library waits longer and longer between its tries
said = {}
for name in names:
    try:
        encoder(name, 5)
    except WeightsNotFoundError as error:
        said[name] = str(error)
torch.save({"fetched": fetched, "cached": cached, "said": said}, out)
"""


def weights(repository: str) -> dict[str, Tensor]:
    """An encoder's weights by the names of its repository, made up."""
    owner, name = repository.split("/")
    encoder = f"tu-{name}" if owner == "timm" else name.removesuffix(".imagenet")
    made = smp.encoders.get_encoder(encoder, in_channels=3, weights=None).state_dict()
    draw = torch.Generator().manual_seed(len(name))
    return {
        key.removeprefix("model."): torch.rand(value.shape, generator=draw) if value.is_floating_point() else value
        for key, value in made.items()
    }


class Hub(ThreadingHTTPServer):
    """Serves `files` by repository and name, and remembers which paths it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.head()

    def do_GET(self) -> None:
        if self.path == "/close":
            self.server.shutdown()
            self.server.socket.close()
        self.wfile.write(self.head())

    def head(self) -> bytes:
        """Send the head of an answer and return its body."""
        self.server.asked.append(self.path)
        repository, _, where = self.path.partition("/resolve/")
        revision, _, name = where.partition("/")
        data = self.server.files.get((repository.strip("/"), name)) if where else b""
        if data is None:
            self.send_error(404)
            return b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT if revision == "main" else revision)
        self.end_headers()
        return data

    def log_message(self, *_: object) -> None:
        pass


def a_run(published: dict[str, dict[str, Tensor]], home: Path) -> dict[str, Any]:
    """What a process gets that builds all networks: without weights, with them, from its cache
    when the server is gone, and without any cache; and what it asked the server for.

    It is a process because the hub's library reads its environment once, when it is imported.
    """
    hub = Hub()
    for name, repository in SOURCES.items():
        hub.files[repository, "model.safetensors"] = save(published[name])
        hub.files[repository, "config.json"] = b"{}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "TRANSFO"))}
    ours = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "NO_PROXY": "*", "no_proxy": "*"}
    command = [sys.executable, "-c", A_RUN, hub.address, str(home / "out.pt"), *SOURCES]
    done = subprocess.run(command, env=kept | ours, capture_output=True, text=True)
    hub.close()
    assert done.returncode == 0, done.stderr
    return {**torch.load(home / "out.pt"), "asked": hub.asked, "address": hub.address}


def test_the_networks_that_may_ask_for_weights_are_those_that_can_have_them():
    can = {n for n, build in MODELS.items() if "pretrained" in inspect.signature(build).parameters}
    assert can == set(PRETRAINED) == set(SOURCES)


@pytest.mark.parametrize("head", ["mono", "multi_resolution"])
@pytest.mark.parametrize("change", [{}, {"pretrained": True}])
def test_a_network_hears_of_weights_when_the_recipe_asks_for_them(monkeypatch, head, change):
    heard = {}

    def build(**settings: object) -> nn.Module:
        heard.update(settings)
        return nn.Identity()

    monkeypatch.setitem(MODELS, "deeplab_v3", build)
    model_of(recipe({"dataset": "bijie", "model": "deeplab_v3", "head": head}, change), bands=3)
    assert {key: heard[key] for key in heard if key == "pretrained"} == change


def test_weights_are_fetched_once_and_when_asked_for_or_their_lack_is_one_clear_error(tmp_path):
    """One test, because the process that it starts takes seconds to import what it needs."""
    published = {name: weights(repository) for name, repository in SOURCES.items()}
    run = a_run(published, tmp_path)
    assert run["asked"][0] == "/from-here-on"  # nothing before, for networks without weights

    for name, wanted in published.items():
        for key, value in run["cached"][name].items():  # of three bands, with the server gone
            assert torch.equal(value, wanted[key.removeprefix("model.")]), (name, key)

        (first, weight), *others = run["fetched"][name].items()
        for key, value in others:
            assert torch.equal(value, wanted[key.removeprefix("model.")]), (name, key)
        of_three = wanted[first.removeprefix("model.")]
        torch.testing.assert_close(weight, of_three[:, [0, 1, 2, 0, 1]] * 3 / BANDS)

        message = run["said"][name]
        assert f"{run['address']}/{SOURCES[name]}" in message
        assert f"cache {tmp_path / 'hub'} " in message
        assert "run with pretrained: false, or set HF_HOME" in message
