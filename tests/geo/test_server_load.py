"""The server under load, as `landslide serve` starts it: bounded in time and memory, never wrong."""

import asyncio
import collections
import re
import subprocess
import sys
import time
from itertools import islice

import httpx
import numpy as np
import psutil
import pytest
import rasterio
import uploads

pytestmark = pytest.mark.slow
REQUESTS, AT_ONCE, FUZZED = 200, 8, 300


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Return the address of a server in a process of its own, and the process."""
    folder = tmp_path_factory.mktemp("served")
    network, log = uploads.network(folder / "tiny.safetensors"), folder / "log"
    command = [sys.executable, "-m", "landslide_lib.cli", "serve", "--model", network, "--port", "0"]
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        while not (address := re.search(r"http://\S+", log.read_text())) and process.poll() is None:
            time.sleep(0.2)
        httpx.get(f"{address[0]}/health", timeout=300)
        yield address[0], process
        process.terminate()


def memory(process):
    """Return the resident memory of a server and its workers, MB."""
    every = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return sum(one.memory_info().rss for one in every) / 1e6


async def crowd(address, files, at_once=AT_ONCE):
    """Post files, so many at a time; return status, content and seconds of each."""
    gate = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(base_url=address, timeout=300) as client:

        async def one(content):
            async with gate:
                began = time.monotonic()
                answer = await client.post("/predict", files={"file": content}, params={"format": "geotiff"})
                return answer.status_code, answer.content, time.monotonic() - began

        return await asyncio.gather(*map(one, files))


def probability(content):
    with rasterio.MemoryFile(content) as file, file.open() as source:
        return source.read(1)


def test_two_hundred_requests_eight_at_a_time_are_answered_and_a_crowd_is_sent_away_in_part(started):
    address, process = started
    files = [uploads.geotiff(uploads.pixels(seed)) for seed in range(6)]
    truth = [probability(content) for _, content, _ in asyncio.run(crowd(address, files))]
    sent = [n % 6 for n in range(REQUESTS)]
    asyncio.run(crowd(address, [files[n] for n in sent[:40]]))
    for at_once, allowed in ((AT_ONCE, {200}), (40, {200, 503})):
        before, began = memory(process), time.monotonic()
        answers = asyncio.run(crowd(address, [files[n] for n in sent], at_once))
        took, after = time.monotonic() - began, memory(process)
        counted = collections.Counter(status for status, _, _ in answers)
        slowest = max(seconds for _, _, seconds in answers)
        print(f"\n{at_once} at a time: {dict(counted)}; {took:.1f} s, slowest {slowest:.2f} s")
        print(f"{before:.0f} MB before, {after:.0f} MB after")
        assert set(counted) == allowed
        for n, (status, content, _) in zip(sent, answers, strict=True):
            if status == 200:
                np.testing.assert_array_equal(probability(content), truth[n])
        assert slowest < 60
        assert after < before * 1.1 + 50


@pytest.mark.parametrize(("files", "allowed"), [(uploads.bad(1), set()), (uploads.flipped(1), {200})])
def test_three_hundred_fuzzed_uploads(started, files, allowed):
    address, process = started
    before, said = memory(process), collections.Counter()
    with httpx.Client(base_url=address, timeout=300) as client:
        for name, content in islice(files, FUZZED):
            answer = client.post("/predict", files={"file": (name, content)})
            said[answer.status_code] += 1
            if answer.status_code not in allowed:
                assert 400 <= answer.status_code < 500, (name, answer.text)
                assert not re.search(r"\n|/tmp|site-packages|vsicurl", answer.json()["detail"])
        print(f"\n{dict(said)}; {before:.0f} MB before, {memory(process):.0f} MB after")
        content = uploads.geotiff(uploads.pixels())
        assert client.post("/predict", files={"file": content}).status_code == 200
    assert process.poll() is None
