"""Batches of a packed dataset against one HDF5 file a sample in a DataLoader."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.clock import race, timed
from benchmarks.results import Measurement
from landslide_lib.data import batches
from landslide_lib.data.batches import Batches
from landslide_lib.data.datasets.landslide4sense import SIZE, Landslide4Sense
from landslide_lib.data.prepare import band_means
from landslide_lib.data.registry import load_packed

Sample = tuple[NDArray[np.float32], NDArray[np.float32]]
WORKERS = 2
BOUND = 15.0  # the least ratio


class FileASample(Dataset[Sample]):
    """The style of the competition's baseline: open, transpose, normalise, for every sample.

    The baseline divides band by band in Python; here it is one division, which is faster.

    Args:
        home: With `img/image_N.h5` and `mask/mask_N.h5`, N from 1.
        count: How many.
        means: (C, 1, 1).
    """

    def __init__(self, home: Path, count: int, means: NDArray[np.float32]) -> None:
        self.home, self.count, self.means = home, count, means

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> Sample:
        with h5py.File(self.home / "img" / f"image_{place + 1}.h5", "r") as file:
            image = file["img"][:]
        with h5py.File(self.home / "mask" / f"mask_{place + 1}.h5", "r") as file:
            mask = file["mask"][:]
        image = np.asarray(image, np.float32).transpose(2, 0, 1)
        return image / self.means, np.asarray(mask, np.float32)


def write_files(root: Path, count: int) -> Path:
    """Write patches of the shape and types of the genuine files, of random values.

    Returns:
        The folder of `img` and `mask`, which `FileASample` takes.
    """
    home = root / "landslide4sense" / "TrainData"
    (home / "img").mkdir(parents=True)
    (home / "mask").mkdir()
    draw = np.random.default_rng(0)
    for number in range(1, count + 1):
        with h5py.File(home / "img" / f"image_{number}.h5", "w") as file:
            file["img"] = draw.normal(1, 0.3, (SIZE, SIZE, len(Landslide4Sense().bands)))
        with h5py.File(home / "mask" / f"mask_{number}.h5", "w") as file:
            file["mask"] = (draw.random((SIZE, SIZE)) < 0.03).astype(np.uint8)
    return home


def pass_over(batches: Iterable[tuple[Tensor, Tensor]], images: int) -> None:
    """Take every batch of an epoch and do nothing with it.

    Raises:
        RuntimeError: They hold another number of images.
    """
    seen = sum(len(batch) for batch, _ in batches)
    if seen != images:
        raise RuntimeError(f"loader: an epoch held {seen} images of {images}")


def same_content(ours: tuple[Tensor, Tensor], peer: tuple[Tensor, Tensor]) -> bool:
    """Return whether two batches hold the same, as far as float16 can tell.

    The packed arrays are float16 (a relative error of up to 2^-11).
    """
    images = torch.allclose(ours[0].float(), peer[0], rtol=2.0**-10, atol=1e-6)
    return images and torch.equal(ours[1].float().squeeze(1), peer[1])


def measure(threads: int, *, images: int = 512, batch: int = 32, repeats: int = 15) -> list[Measurement]:
    """Measure an epoch over the same files.

    Args:
        threads: Of torch in this process; the peer has two worker processes.
        images: How many files of each kind, a multiple of the batch.
        batch: Images a batch.
        repeats: Epochs timed, after a first one that is not.

    Returns:
        One measurement.

    Raises:
        RuntimeError: Ours delivers something else than the peer.
    """
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        home = write_files(root, images)
        start = time.perf_counter()
        packed = load_packed(Landslide4Sense(), SIZE, root=root, cache=root / "packed")
        packing = time.perf_counter() - start
        every = np.arange(images)
        means = band_means(packed, every)
        files = FileASample(home, images, means.numpy())
        in_order = next(iter(DataLoader(files, batch)))
        peer = DataLoader(files, batch, shuffle=True, num_workers=WORKERS, persistent_workers=True, drop_last=True)
        if not same_content(next(iter(Batches(packed, every, batch, means))), in_order):
            raise RuntimeError("loader: a batch differs from the peer's")
        batches._shelf.clear()  # what the comparison has read
        start = time.perf_counter()
        ours = Batches(packed, every, batch, means, seed=0)
        keeping = time.perf_counter() - start
        seconds = race(timed(partial(pass_over, ours, images)), timed(partial(pass_over, peer, images)), repeats)
    return [
        Measurement(
            "loader/float32",
            f"an epoch of {images} patches in batches of {batch}: Batches / DataLoader, {WORKERS} workers, a file a "
            "sample",
            *seconds,
            f"best of {repeats}",
            threads,
            "float32 / float32",
            at_least=BOUND,
            note=f"not in it: packing, once a dataset, {packing:.1f} s; reading the packed images into memory, once a "
            f"table, {keeping:.1f} s",
        )
    ]
