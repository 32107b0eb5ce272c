"""Submissions to two competitions: writing them, refusing a wrong one of masks. No torch.

Landslide4Sense's is one flat ZIP of `mask_1.h5`, `mask_2.h5` and so on, one a patch, in which the key `mask` holds
128x128 uint8, 1 for landslide and 0 for the rest. The validation set has 245 patches, the test set 800. So says the
guide of https://github.com/iarai/Landslide4Sense-2022; the key is its baseline's.

That to Zindi's landslide challenge is a CSV with the columns `ID` and `label`, a line a test tile.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from landslide_lib.paths import atomic_write

KEY = "mask"
SHAPE = (128, 128)
NAME = re.compile(r"mask_([1-9][0-9]{0,8})\.h5")
#: Bytes of a member, packed or unpacked; a mask has 16,384 pixels.
LARGEST = 2**20
#: How many of the files with the same fault are named.
SHOWN = 5

EMPTY = "no mask in it; add one for each patch"


class SubmissionError(ValueError):
    """No submission: every fault, which files have it, and what to do.

    Args:
        path: The ZIP.
        faults: What is wrong and what to do, with the names of the files; none is the whole ZIP.
    """

    def __init__(self, path: Path, faults: Mapping[str, list[str]]) -> None:
        lines = [f"- {_listed(names)}: {fault}" for fault, names in faults.items()]
        super().__init__("\n".join([f"{path} is no submission to Landslide4Sense:", *lines]))


def write_labels(labels: Mapping[str, int], path: Path) -> Path:
    """Write the labels of tiles as a CSV, whole or not at all.

    Args:
        labels: 1 or 0 by the id of a tile, in the order of the lines.
        path: The CSV to be; one that is there is replaced.

    Returns:
        The path.
    """
    lines = ["ID,label", *(f"{name},{label}" for name, label in labels.items())]
    with atomic_write(path) as scratch:
        scratch.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write(masks: Mapping[int, NDArray[np.uint8]], path: Path) -> Path:
    """Write masks as a submission, whole or not at all. The same masks give the same bytes.

    Args:
        masks: (128, 128) uint8 in {0, 1} of each patch, by its number, from 1.
        path: The ZIP to be; one that is there is replaced.

    Returns:
        The path.

    Raises:
        SubmissionError: There is no mask, or one has a wrong number, shape, type or value.
        OSError: The file cannot be written.
    """
    faults: dict[str, list[str]] = {} if masks else {EMPTY: []}
    for number, mask in masks.items():
        name = f"mask_{number}.h5"
        if fault := _misnamed(name) or _misfit(mask) or _strange(mask):
            faults.setdefault(fault, []).append(name)
    if faults:
        raise SubmissionError(path, faults)
    with atomic_write(path) as scratch, zipfile.ZipFile(scratch, "w") as archive:
        for number in sorted(masks):
            content = io.BytesIO()
            with h5py.File(content, "w") as file:
                file[KEY] = masks[number]
            member = zipfile.ZipInfo(f"mask_{number}.h5")  # without the time of day
            archive.writestr(member, content.getvalue(), zipfile.ZIP_DEFLATED)
    return path


def validate(path: Path, count: int | None = None) -> None:
    """Check a submission, whoever made it. Nothing is unpacked onto the disk.

    Args:
        path: The ZIP.
        count: How many patches there are: each of 1 to `count` must have its mask, and no other. None takes any
            numbers.

    Raises:
        SubmissionError: It would be refused; the message lists what is wrong, one fault a file.
    """
    faults: dict[str, list[str]] = {}
    names: Counter[str] = Counter()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.orig_filename  # in `filename` a zero byte would hide the rest
                names[name] += 1
                if fault := _misnamed(name) or _broken(archive, member):
                    faults.setdefault(fault, []).append(name)
    except OSError as error:
        fault = f"cannot be read ({error.strerror or error}); name the ZIP that is to be checked"
        raise SubmissionError(path, {fault: []}) from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise SubmissionError(path, {f"no whole ZIP ({error}); make it anew": []}) from None
    faults |= _miscounted(names, count) if names else {EMPTY: []}
    if faults:
        raise SubmissionError(path, faults)


def _listed(names: list[str]) -> str:
    shown = [name if NAME.fullmatch(name) else repr(name[:80]) for name in names[:SHOWN]]
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join(shown + more) or "the ZIP"


def _misnamed(name: str) -> str | None:
    if "/" in name or "\\" in name:
        return "in a folder; put the files themselves into the ZIP, not their folder"
    if not NAME.fullmatch(name):
        return "not named mask_N.h5, N the number of a patch, from 1; rename it or leave it out"
    return None


def _miscounted(names: Counter[str], count: int | None) -> dict[str, list[str]]:
    found = [name for name in names if NAME.fullmatch(name)]
    asked = found if count is None else [f"mask_{n}.h5" for n in range(1, count + 1)]
    wrong = {
        "more than once in it; keep one": [name for name in found if names[name] > 1],
        f"missing; there are {count} patches": [name for name in asked if name not in names],
        f"too many; there are {count} patches": sorted({*found} - {*asked}),
    }
    return {fault: where for fault, where in wrong.items() if where}


def _broken(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str | None:
    """Look into a member; nothing in it makes this read much more than `LARGEST` bytes."""
    if max(member.file_size, member.compress_size) > LARGEST:
        return f"larger than {LARGEST} bytes, so it was not opened; a mask needs a fiftieth"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed by a method that is not deflate; make the ZIP anew with deflate"
    try:
        # A size is given because what the ZIP says of the size need not be so.
        with archive.open(member) as stream:
            content = stream.read(LARGEST + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        return "damaged or encrypted in the ZIP; make the ZIP anew, without a password"
    try:
        with h5py.File(h5py.h5f.open_file_image(content)) as file:
            if not isinstance(file.get(KEY, getlink=True), h5py.HardLink):
                return f"without the key {KEY!r}; save the mask under it"
            mask = file[KEY]
            if not isinstance(mask, h5py.Dataset):
                return f"{KEY!r} is a group in it; save the mask itself under this key"
            if mask.external or mask.is_virtual or math.prod(mask.chunks or ()) > LARGEST:
                return f"{KEY!r} lies in other files or in huge chunks; save it plainly"
            return _misfit(mask) or _strange(mask[()])
    except (KeyError, OSError, RuntimeError, TypeError, ValueError):
        return "truncated or no HDF5 file; write it anew"


def _misfit(mask: NDArray[Any] | h5py.Dataset) -> str | None:
    if mask.shape != SHAPE:
        return f"mask of shape {mask.shape}, not {SHAPE}; take the mask of one patch"
    if mask.dtype != np.uint8:
        return f"mask of {mask.dtype}, not uint8; convert it with .astype('uint8')"
    return None


def _strange(mask: NDArray[np.uint8]) -> str | None:
    if (largest := mask.max()) > 1:
        return f"mask with values up to {largest}; write 1 for landslide and 0 for the rest"
    return None
