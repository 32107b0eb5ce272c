"""Tiles read from their packed form against a file a tile, plain and compressed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clock import race, timed
from benchmarks.results import Measurement
from landslide_lib.data.bands import ZINDI
from landslide_lib.data.datasets.zindi import OPTICAL, SIZE, UNIT, Zindi
from landslide_lib.data.pack import Packed
from landslide_lib.data.registry import load_packed

Batch = NDArray[np.float32]
#: An epoch: the numbers of the tiles in their order and the size of a batch, to batches.
Epoch = Callable[[NDArray[np.int64], int], Iterator[Batch]]


def write_files(root: Path, count: int) -> tuple[Path, Path]:
    """Write tiles of the shape and the units of the challenge's as users keep them.

    Smooth fields with noise, so that they compress as imagery does.

    Returns:
        The folder of `ID_N.npy`, as the challenge hands them out, and that of `ID_N.npz`, in which
        `all.npz` holds all tiles.
    """
    home = root / "zindi"
    plain, compressed = home / "train_data", root / "compressed"
    plain.mkdir(parents=True)
    compressed.mkdir()
    draw = np.random.default_rng(0)
    rows, columns = np.indices((SIZE, SIZE)) / SIZE
    every = np.empty((count, SIZE, SIZE, len(ZINDI)), np.float32)
    for number, tile in enumerate(every):
        slopes = draw.normal(0, 1, (2, len(ZINDI)))
        smooth = rows[..., None] * slopes[0] + columns[..., None] * slopes[1]
        noisy = smooth + draw.normal(0, 0.3, tile.shape)
        tile[..., :OPTICAL] = np.rint(1500 + 300 * noisy[..., :OPTICAL])
        tile[..., OPTICAL:] = -12 + 4 * noisy[..., OPTICAL:]
        np.save(plain / f"ID_{number}.npy", tile)
        np.savez_compressed(compressed / f"ID_{number}.npz", tile=tile)
    np.savez_compressed(compressed / "all.npz", tiles=every)
    lines = [f"ID_{number},{number % 2}" for number in range(count)]
    (home / "Train.csv").write_text("\n".join(["ID,label", *lines]) + "\n", "utf-8")
    return plain, compressed


def ours(packed: Packed, order: NDArray[np.int64], batch: int) -> Iterator[Batch]:
    """Read whole batches by index from the memory-mapped arrays, (B, C, S, S)."""
    for start in range(0, len(order), batch):
        yield packed.read(order[start : start + batch]).astype(np.float32)


def scaled(tiles: list[NDArray[np.float32]] | NDArray[np.float32]) -> Batch:
    """Bring tiles (S, S, C) as they are stored into the unit and the layout of ours."""
    images = np.asarray(tiles, np.float32).transpose(0, 3, 1, 2).copy()
    images[:, :OPTICAL] /= UNIT
    return images


def file_a_tile(
    folder: Path, read: Callable[[Path], NDArray[np.float32]], suffix: str, order: NDArray[np.int64], batch: int
) -> Iterator[Batch]:
    """Open a file for every tile."""
    for start in range(0, len(order), batch):
        yield scaled([read(folder / f"ID_{n}{suffix}") for n in order[start : start + batch]])


def read_npz(path: Path) -> NDArray[np.float32]:
    """Decompress the one array of a file."""
    with np.load(path, allow_pickle=False) as file:
        tile: NDArray[np.float32] = file["tile"]
    return tile


def one_file(path: Path, order: NDArray[np.int64], batch: int) -> Iterator[Batch]:
    """Decompress all tiles, then hand out batches of them."""
    with np.load(path, allow_pickle=False) as file:
        tiles = file["tiles"]
    for start in range(0, len(order), batch):
        yield scaled(tiles[order[start : start + batch]])


def pass_over(epoch: Epoch, count: int, batch: int) -> None:
    """Take every batch of a shuffled epoch and do nothing with it.

    Raises:
        RuntimeError: They hold another number of tiles.
    """
    order = np.random.default_rng(0).permutation(count)
    seen = sum(len(images) for images in epoch(order, batch))
    if seen != count:
        raise RuntimeError(f"tiles: an epoch held {seen} tiles of {count}")


def measure(threads: int, *, tiles: int = 512, batch: int = 32, repeats: int = 5) -> list[Measurement]:
    """Measure an epoch over the same tiles, kept in four ways.

    Args:
        threads: Not used: all sides read in one process, and no torch computes.
        tiles: How many.
        batch: Tiles a batch.
        repeats: Epochs timed, after a first one that is not.

    Returns:
        One measurement a peer.

    Raises:
        RuntimeError: Ours delivers something else than a peer.
    """
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plain, compressed = write_files(root, tiles)
        start = time.perf_counter()
        packed = load_packed(Zindi(), SIZE, root=root, cache=root / "packed")
        packing = time.perf_counter() - start
        packed_epoch = partial(ours, packed)
        peers: dict[str, tuple[str, Epoch]] = {
            "npy": ("a .npy a tile", partial(file_a_tile, plain, np.load, ".npy")),
            "npz": ("a compressed .npz a tile", partial(file_a_tile, compressed, read_npz, ".npz")),
            "cache": ("one compressed .npz of all", partial(one_file, compressed / "all.npz")),
        }
        first = np.arange(min(batch, tiles))
        kept = next(packed_epoch(first, batch))
        for name, (what, epoch) in peers.items():
            # float16 has a relative error of up to 2^-11.
            if not np.allclose(kept, next(epoch(first, batch)), rtol=2.0**-10, atol=1e-6):
                raise RuntimeError(f"tiles: a batch differs from that of {what}")
            seconds = race(
                timed(partial(pass_over, packed_epoch, tiles, batch)),
                timed(partial(pass_over, epoch, tiles, batch)),
                repeats,
            )
            measured.append(
                Measurement(
                    f"tiles/{name}",
                    f"an epoch of {tiles} tiles in batches of {batch}: packed, memory-mapped / {what}",
                    *seconds,
                    f"best of {repeats}",
                    precision="float16 / float32",
                    note=f"not in it: packing, once a dataset, {packing:.1f} s",
                )
            )
    return measured
