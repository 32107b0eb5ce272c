"""Published weights: fetched when a recipe asks for them, from a server on localhost here."""

import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save
from torch import Tensor

SOURCES = {"resnet18": "timm/resnet18.a1_in1k", "efficientnet_b0": "timm/efficientnet_b0.ra_in1k"}
"""Encoders whose weights are on the hub alone, and the repository of each."""
BANDS = 5
COMMIT = "0123456789abcdef0123456789abcdef01234567"

A_RUN = """
import shutil, sys, time, urllib.request
import torch
from huggingface_hub import constants
from landslide_lib.models.encoders import encoder
from landslide_lib.models.weights import start

address, out, *names = sys.argv[1:]

def started(name, bands):
    network = encoder(name, bands, 64)
    start(network, "imagenet")
    return network.state_dict()

for name in names:
    encoder(name, 5, 64)
urllib.request.urlopen(address + "/from-here-on")
fetched = {name: started(name, 5) for name in names}
urllib.request.urlopen(address + "/close")
cached = {name: started(name, 3) for name in names}
shutil.rmtree(constants.HF_HUB_CACHE)
time.sleep = lambda seconds: None  # the library waits longer and longer between its tries
messages = {}
for name in names:
    try:
        started(name, 5)
    except FileNotFoundError as error:
        messages[name] = str(error)
torch.save({"fetched": fetched, "cached": cached, "messages": messages}, out)
"""


def weights(repository: str) -> dict[str, Tensor]:
    """An encoder's weights by the names of its repository, made up."""
    draw = torch.Generator().manual_seed(len(repository))
    state = timm.create_model(repository.removeprefix("timm/")).state_dict()
    return {
        key: torch.rand(value.shape, generator=draw) if value.is_floating_point() else value
        for key, value in state.items()
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


def test_weights_are_fetched_once_and_when_asked_for_or_their_lack_is_one_clear_error(tmp_path):
    """One test, because the process that it starts takes seconds to import what it needs."""
    published = {name: weights(repository) for name, repository in SOURCES.items()}
    run = a_run(published, tmp_path)
    assert run["asked"][0] == "/from-here-on"  # nothing before, for networks without weights

    for name, wanted in published.items():
        for key, value in run["cached"][name].items():  # of three bands, with the server gone
            assert torch.equal(value, wanted[key]), (name, key)

        (first, weight), *others = run["fetched"][name].items()
        for key, value in others:
            assert torch.equal(value, wanted[key]), (name, key)
        torch.testing.assert_close(weight, wanted[first][:, [0, 1, 2, 0, 1]] * 3 / BANDS)

        message = run["messages"][name]
        assert f"{run['address']}/{SOURCES[name]}" in message
        assert f"cache {tmp_path / 'hub'} " in message
