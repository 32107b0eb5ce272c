"""Listing files, hashing them, and writing arrays and downloads so that they are complete or not there."""

import errno
import hashlib
import json
import math
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import DTypeLike

from landslide_lib.data.bands import RGB
from landslide_lib.data.base import DownloadError, Sample, plain_name

#: Written into a downloaded dataset's folder: where it came from.
SOURCE = "SOURCE.json"
#: What a file system answers that has no room for a file, or that cannot reserve space.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RESERVING = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class FileDataset:
    """What datasets in files share: pictures are RGB, the fingerprint is of all files, nothing can be downloaded."""

    name: str
    bands: tuple[str, ...] = RGB
    scale = "digital number / 255"
    manual: str  # how a user puts the files in place; `{home}` stands for the dataset's folder

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of all files."""
        return hash_files(samples)

    def download(self, root: Path) -> Path:
        """Say how the files get there: they cannot be downloaded. Raises DownloadError: always."""
        raise DownloadError(f"{self.name}: {self.manual.format(home=root / self.name)}")


@cache
def say_once(text: str) -> None:
    """Print a line on stderr, and nothing when the same line comes again."""
    print(text, file=sys.stderr)


def list_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files of a folder with one of some suffixes (lower case), by name; no hidden ones (`._x.png`)."""
    if not folder.is_dir():
        return []
    paths = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in paths if path.suffix.lower() in suffixes)


def stem(path: Path) -> str:
    """Return the stem of a file's name in the form in which names are compared.

    >>> stem(Path("scarpa\u0300.png")) == stem(Path("scarp\u00e0.xml"))
    True
    """
    return plain_name(path.stem)


def by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return files by `stem`."""
    named = defaultdict(list)
    for path in paths:
        named[stem(path)].append(path)
    return dict(named)


def hash_files(samples: Iterable[Sample]) -> str:
    """Hash names and bytes of the files of samples, 16 hexadecimal digits; a copy elsewhere has the same hash."""
    digest = hashlib.sha256()
    for sample in samples:
        for path in sample.files:
            digest.update(os.fsencode(f"{path.parent.name}/{path.name}\0"))
            if path.is_file():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def listing(samples: Iterable[Sample]) -> str:
    """Hash names, sizes and times of the files: cheap, to notice that data changed."""
    digest = hashlib.sha256()
    folders: dict[Path, Path] = {}  # a folder is resolved once, not for each of its files
    for sample in samples:
        digest.update(f"{sample.id}\0{sample.group}\0{sample.part}\0{sample.region}\0".encode())
        for path in sample.files:
            stat = path.stat() if path.is_file() else None
            size, time = (stat.st_size, stat.st_mtime_ns) if stat else (-1, 0)
            if path.parent not in folders:
                folders[path.parent] = path.parent.resolve()
            digest.update(os.fsencode(f"{folders[path.parent] / path.name}\0{size}\0{time}\0"))
    return digest.hexdigest()[:16]


def new_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """Make an NPY file of zeros, memory-mapped, with its space reserved on the disk.

    Without the reservation such a file takes no space until it is written to, and a full disk would kill Python then.
    Raises OSError: the disk is too full; the message names the folder, and no file is left.
    """
    needed, free = math.prod(shape) * np.dtype(dtype).itemsize, shutil.disk_usage(path.parent).free
    full = OSError(
        f"{path.parent.parent}: {path.name.strip('.').removesuffix('.part')} needs {needed / 1e6:.1f} MB there, and "
        f"{free / 1e6:.1f} MB are free. Make room, or set LANDSLIDE_CACHE to a folder on another disk"
    )
    if needed > free:
        raise full
    try:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        if hasattr(os, "posix_fallocate"):  # not on macOS
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno in NO_RESERVING:
            return array
        path.unlink(missing_ok=True)
        raise full if error.errno in FULL else error from None
    return array


def deliver(home: Path, fetch: Callable[[Path], tuple[Path, dict[str, str]]]) -> Path:
    """Download a dataset into a hidden folder, move it in place as a whole, and return its folder `home`.

    `fetch` is given the hidden folder; it returns the folder in it that is to become `home`, and where it came from,
    for `SOURCE.json`. It is not called where `home` was downloaded before. A download that is broken off leaves the
    hidden folder and no `home`; the next attempt continues it. A second process waits for the first. Raises
    DownloadError: `home` holds something that was not downloaded, and is left alone.
    """
    if (home / SOURCE).is_file():
        return home
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
