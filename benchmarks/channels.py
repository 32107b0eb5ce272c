"""Engineered channels computed once, against computing them for every sample of every epoch."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.clock import race
from benchmarks.loader import WORKERS
from benchmarks.results import Measurement
from landslide_lib.data.bands import ENGINEERED, L4S, engineer
from landslide_lib.data.pack import Packed, with_bands
from landslide_lib.study import reports

#: Seconds for all of them, on two cores.
BOUND = 20.0
#: The recipe of the report with the most channels.
TABLE, ROW = ("raunet", "bands"), "26"


def channels() -> tuple[str, ...]:
    """Return the bands of the report's largest recipe: those of the files and the engineered."""
    report, table = TABLE
    found = reports.reports()[report].tables[table]
    return reports.resolve(found, found.row(ROW)).bands


def packed(folder: Path, images: int, size: int) -> Packed:
    """Write random patches as packing leaves them, memory-mapped, each a scene of its own."""
    draw = np.random.default_rng(0)
    shape = (images, len(L4S), size, size)
    written = np.lib.format.open_memmap(folder / "images.npy", "w+", np.float16, shape)
    for image in written:
        image[:] = draw.normal(1, 0.3, shape[1:])
    written.flush()
    names = tuple(map(str, range(images)))
    return Packed(
        "random",
        np.load(folder / "images.npy", mmap_mode="r"),
        np.zeros((images, size, size), np.uint8),
        L4S,
        names,
        names,
        ("train",) * images,
        ("",) * images,
        "0" * 16,
        (),
        folder,
    )


class EverySample(Dataset[Tensor]):
    """The channels of an image each time that it is asked for, as a transform in a loader is.

    Args:
        data: As `packed` returns it.
        names: The channels.
    """

    def __init__(self, data: Packed, names: tuple[str, ...]) -> None:
        self.data, self.names = data, names
        self.made = [name for name in names if name in ENGINEERED]
        self.of = sorted({band for name in self.made for band in ENGINEERED[name].of})
        # Not in the loop; ours looks for them in its own time.
        self.extremes = {
            band: (float(data.plane(band).min()), float(data.plane(band).max()))
            for name in self.made
            if ENGINEERED[name].whole
            for band in ENGINEERED[name].of
        }

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, place: int) -> Tensor:
        one = slice(place, place + 1)
        planes = {band: self.data.plane(band)[one].astype(np.float32) for band in self.of}
        made = engineer(self.made, planes, self.extremes)
        both = [made[n] if n in made else self.data.plane(n)[one] for n in self.names]
        return torch.from_numpy(np.concatenate(both).astype(np.float32))


def measure(threads: int, *, images: int = 3799, size: int = 128, repeats: int = 2) -> list[Measurement]:
    """Measure the channels of all images of a dataset, those of the competition unless said.

    Args:
        threads: Not used: ours has a thread a core, the peer its worker processes.
        images: How many.
        size: Of them, in pixels.
        repeats: Timed, after one that is not.

    Returns:
        One measurement.

    Raises:
        RuntimeError: An image of ours differs from the peer's by more than float16 does.
    """
    names = channels()
    with tempfile.TemporaryDirectory() as home:
        data = packed(Path(home), images, size)
        peer = EverySample(data, names)
        loader = DataLoader(peer, batch_size=32, num_workers=WORKERS, persistent_workers=True)

        def ours() -> float:
            for path in Path(home).glob("*.npy"):
                if path.name != "images.npy":
                    path.unlink()
            start = time.perf_counter()
            with_bands(data, names)
            return time.perf_counter() - start

        def epoch() -> float:
            start = time.perf_counter()
            for _ in loader:
                pass
            return time.perf_counter() - start

        seconds = race(ours, epoch, repeats)
        some = np.arange(min(images, 4))
        found = with_bands(data, names).read(some, names).astype(np.float32)
        expected = torch.stack([peer[i] for i in some]).numpy()
        if not np.allclose(found, expected, rtol=2e-3, atol=2e-3):
            raise RuntimeError("channels: ours are not those of the peer")
        free = shutil.disk_usage(home).free
    made = len(peer.made)
    return [
        Measurement(
            "channels",
            f"{made} engineered of {len(names)} channels of {images} patches of {size} px: "
            f"computed once, written / computed in a DataLoader, {WORKERS} workers, one epoch",
            *seconds,
            f"best of {repeats}",
            precision="float16 / float32",
            within=BOUND,
            note=f"ours writes {images * made * size**2 * 2 / 1e9:.1f} GB, {free / 1e9:.0f} GB free",
        )
    ]
