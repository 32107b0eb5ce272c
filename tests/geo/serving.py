"""A server on this machine, with tiny networks, for the tests of the API and of the demo."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
import uploads

from landslide_lib.data.bands import L4S
from landslide_lib.data.simulator.scenes import UNITS


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server in a thread: its address, client (httpx), application, limits and networks (paths by name)."""
    import uvicorn

    from landslide_lib.geo.server import create_app
    from landslide_lib.geo.work import Limits

    folder = tmp_path_factory.mktemp("networks")
    networks = {
        "photo": uploads.network(folder / "photo.safetensors"),
        "sat": uploads.network(folder / "sat.safetensors", L4S, 20.0, UNITS, 1.0),
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
