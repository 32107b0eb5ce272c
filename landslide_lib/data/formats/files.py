"""Listing files, hashing them, and writing arrays and downloads so that they are complete or not there."""

import hashlib
import json
import math
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import DTypeLike

from landslide_lib.data.base import DownloadError, Sample, plain_name

SOURCE = "SOURCE.json"  # written into a downloaded dataset's folder: where it came from


@cache
def say_once(text: str) -> None:
    """Print a line on stderr, and nothing when the same line comes again."""
    print(text, file=sys.stderr)


def list_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files of a folder with one of some suffixes (lower case), by name; no hidden ones (`._x.png`)."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in paths if path.suffix.lower() in suffixes and path.name[0] != ".")


def by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return files by their stem as `plain_name`."""
    named = defaultdict(list)
    for path in paths:
        named[plain_name(path.stem)].append(path)
    return dict(named)


def listing(samples: Iterable[Sample]) -> str:
    """Hash names, sizes and times of the files: cheap, to notice that data changed."""
    digest = hashlib.sha256()
    resolve = cache(Path.resolve)  # a folder once, not for each of its files
    for sample in samples:
        digest.update(f"{sample.id}\0{sample.group}\0{sample.part}\0{sample.region}\0".encode())
        for path in sample.files:
            stat = path.stat() if path.is_file() else None
            size, time = (stat.st_size, stat.st_mtime_ns) if stat else (-1, 0)
            digest.update(os.fsencode(f"{resolve(path.parent) / path.name}\0{size}\0{time}\0"))
    return digest.hexdigest()[:16]


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """Make an NPY file of zeros, memory-mapped. Raises OSError: the disk is too full, which would kill Python later."""
    needed, free = math.prod(shape) * np.dtype(dtype).itemsize, shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(
            f"{path.parent.parent}: {path.name.strip('.').removesuffix('.part')} needs {needed / 1e6:.1f} MB there, "
            f"and {free / 1e6:.1f} MB are free. Make room, or set LANDSLIDE_CACHE to a folder on another disk"
        )
    return np.lib.format.open_memmap(path, "w+", dtype, shape)


def deliver(home: Path, fetch: Callable[[Path], tuple[Path, dict[str, str]]]) -> Path:
    """Download a dataset into a hidden folder, move it in place as a whole, and return its folder `home`.

    `fetch` is given the hidden folder; it returns the folder in it that is to become `home`, and where it came from. A
    download that is broken off is continued by the next attempt. Raises DownloadError: `home` holds something else.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    scratch = home.with_name(f".{home.name}.download")
    with FileLock(home.with_name(f".{home.name}.lock")):
        if (home / SOURCE).is_file():
            return home
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise DownloadError(f"{home} is there already. Move it away to download {home.name}")
        scratch.mkdir(exist_ok=True)
        folder, source = fetch(scratch)
        (folder / SOURCE).write_text(json.dumps(source, indent=1) + "\n", "utf-8")
        if home.is_dir():
            home.rmdir()
        folder.rename(home)
        shutil.rmtree(scratch, ignore_errors=True)
    return home
