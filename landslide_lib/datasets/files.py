"""Where data lies, and what a set of files is identified by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from landslide_lib.datasets.base import Sample


def data_root() -> Path:
    """Return the folder that `LANDSLIDE_DATA` names, by default `data/cache`."""
    return Path(os.environ.get("LANDSLIDE_DATA", "data/cache"))


def cache_root() -> Path:
    """Return the folder of packed arrays: `LANDSLIDE_CACHE`, by default `data/cache/packed`.

    It is apart from the data root because imagery often lies on a read-only disk.
    """
    return Path(os.environ.get("LANDSLIDE_CACHE", "data/cache/packed"))


def hash_files(samples: Iterable[Sample]) -> str:
    """Hash the names and the bytes of the files of samples: 16 hexadecimal digits.

    The folder they lie in does not count, so that a copy elsewhere has the same hash.
    """
    digest = hashlib.sha256()
    for sample in samples:
        for path in sample.files:
            digest.update(f"{path.parent.name}/{path.name}\0".encode())
            if path.is_file():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def listing(samples: Iterable[Sample]) -> str:
    """Hash names, sizes and times of the files: cheap, to notice that data changed."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.id}\0{sample.group}\0{sample.part}\0{sample.region}\0".encode())
        for path in sample.files:
            stat = path.stat() if path.is_file() else None
            size, time = (stat.st_size, stat.st_mtime_ns) if stat else (-1, 0)
            digest.update(f"{path.resolve()}\0{size}\0{time}\0".encode())
    return digest.hexdigest()[:16]
