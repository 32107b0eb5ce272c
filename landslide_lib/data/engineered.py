"""Engineered channels of a packed dataset: made when a recipe first asks, then read by index."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from landslide_lib.data.bands import ENGINEERED, check, engineer
from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.files import new_array
from landslide_lib.data.pack import REMOVE, Packed, in_threads
from landslide_lib.fields import REVISIONS
from landslide_lib.paths import atomic_write

CHUNK = 16  # images that a thread processes at once: their planes stay in its cache


def with_bands(packed: Packed, names: Sequence[str]) -> Packed:
    """Return a packed dataset of which these bands can be read, engineered ones in its `engineered`.

    An engineered channel is computed from the packed images and stored beside them, a file each. Raises ValueError: the
    dataset has no such band and none to make it of, or lies nowhere. BadFileError: a file is damaged.
    """
    check(names, packed.bands, packed.name)
    wanted = [name for name in names if name in ENGINEERED and name not in packed.engineered]
    if not wanted:
        return packed
    if packed.folder is None:
        raise ValueError(f"bands: {packed.name} lies in no folder, beside which {', '.join(wanted)} could be kept")
    paths = {name: packed.folder / f"{name}-{REVISIONS.get(f'bands/{name}', 1)}.npy" for name in wanted}
    if not all(path.exists() for path in paths.values()):
        # The lock that packed the folder.
        with FileLock(packed.folder.with_name(f"{packed.folder.name}.lock")):
            _make(packed, {name: path for name, path in paths.items() if not path.exists()})
    opened = {name: _open(path, packed) for name, path in paths.items()}
    return replace(packed, engineered={**packed.engineered, **opened})


def _make(packed: Packed, paths: Mapping[str, Path]) -> None:
    planes = {band: packed.plane(band) for name in paths for band in ENGINEERED[name].of}
    whole = {band for name in paths if ENGINEERED[name].whole for band in ENGINEERED[name].of}
    extremes = {band: (float(planes[band].min()), float(planes[band].max())) for band in whole}

    def fill(start: int) -> None:
        part = slice(start, start + CHUNK)
        inputs = {band: plane[part].astype(np.float32) for band, plane in planes.items()}
        for name, values in engineer(paths, inputs, extremes).items():
            files[name][part] = values

    with ExitStack() as stack:
        scratch = {name: stack.enter_context(atomic_write(path)) for name, path in paths.items()}
        files = {name: new_array(path, np.float16, _shape(packed)) for name, path in scratch.items()}
        for _ in in_threads(fill, range(0, len(packed), CHUNK), f"engineering {packed.name}"):
            pass
        for file in files.values():
            file.flush()


def _shape(packed: Packed) -> tuple[int, ...]:
    return len(packed), *packed.images.shape[2:]  # a mask may be of one pixel


def _open(path: Path, packed: Packed) -> NDArray[np.float16]:
    try:
        plane: NDArray[np.float16] = np.load(path, mmap_mode="r")
        if plane.shape != _shape(packed) or plane.dtype != np.float16:
            raise ValueError(f"{plane.dtype} of {plane.shape}, not float16 of {_shape(packed)}")
    except (OSError, EOFError, ValueError) as error:
        raise BadFileError(path, f"the channel is damaged ({error})", REMOVE.format("file")) from error
    return plane
