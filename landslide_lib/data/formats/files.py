"""Where data lies, and what a set of files is identified by."""

from __future__ import annotations

import errno
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

#: Written into a downloaded dataset's folder: where it came from.
SOURCE = "SOURCE.json"

#: What a file system answers that has no room for a file, or may not hold one so large; and what
#: one answers that cannot reserve space.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RESERVING = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@cache
def say_once(text: str) -> None:
    """Print a line on stderr, and nothing when the same line is said again."""
    print(text, file=sys.stderr)


def list_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files of a folder that have one of some suffixes, in the order of their names.

    Hidden ones are left out: `._x.png` of macOS is no picture.

    Args:
        folder: Where to look; one that is not there has none.
        suffixes: In lower case; those of the files may be in any.
    """
    if not folder.is_dir():
        return []
    there = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in there if path.suffix.lower() in suffixes)


def stem(path: Path) -> str:
    """Return the stem of a file's name in the form in which names are compared.

    >>> stem(Path("scarpa\u0300.png")) == stem(Path("scarp\u00e0.xml"))
    True
    """
    return plain_name(path.stem)


def by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Return files by the stem of their names, see `stem`."""
    named = defaultdict(list)
    for path in paths:
        named[stem(path)].append(path)
    return dict(named)


def hash_files(samples: Iterable[Sample]) -> str:
    """Hash the names and the bytes of the files of samples: 16 hexadecimal digits.

    The folder they lie in does not count, so that a copy elsewhere has the same hash.
    """
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
    """Make an NPY file of zeros, to be written through memory, with its space on the disk.

    Such a file takes no space until it is written to; on a full disk Python would be killed then.

    Args:
        path: The file; its folder is there.
        dtype: Of its values.
        shape: Of the array.

    Returns:
        The array, memory-mapped.

    Raises:
        OSError: The disk is too full; the message names the folder, and no file is left.
    """
    needed, free = math.prod(shape) * np.dtype(dtype).itemsize, shutil.disk_usage(path.parent).free
    full = OSError(
        f"{path.parent.parent}: {path.name.strip('.').removesuffix('.part')} needs "
        f"{needed / 1e6:.1f} MB there, and {free / 1e6:.1f} MB are free. Make room, or set "
        "LANDSLIDE_CACHE to a folder on another disk"
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
    """Have a dataset put together in a hidden folder and move it in place whole.

    A download that breaks off, or is killed, leaves the hidden folder and no `home`; the next
    attempt goes on with it. A second process waits for the first.

    Args:
        home: The dataset's folder, to be.
        fetch: Given the hidden folder, returns the folder in it that is to become `home`, and
            where it came from, to be written into `SOURCE.json`.

    Returns:
        `home`. If it was downloaded before, `fetch` is not called: move the folder away to
        fetch it anew.

    Raises:
        DownloadError: `home` holds something that was not downloaded, and is left alone.
    """
    if (home / SOURCE).is_file():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    work = home.with_name(f".{home.name}.download")
    with FileLock(home.with_name(f".{home.name}.lock")):
        if (home / SOURCE).is_file():
            return home
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            raise DownloadError(f"{home} is there already. Move it away to download {home.name}")
        work.mkdir(exist_ok=True)
        folder, source = fetch(work)
        (folder / SOURCE).write_text(json.dumps(source, indent=1) + "\n", "utf-8")
        if home.is_dir():
            home.rmdir()
        folder.rename(home)
        shutil.rmtree(work, ignore_errors=True)
    return home
