"""Submissions to two competitions: what a record's networks predict, written; and a check of one of masks.

Landslide4Sense's is one flat ZIP of `mask_1.h5`, `mask_2.h5` and so on, one a patch, in which the key `mask` holds
128x128 uint8, 1 for landslide and 0 for the rest. The validation set has 245 patches, the test set 800. So says the
guide of https://github.com/iarai/Landslide4Sense-2022; the key is its baseline's.

That to Zindi's landslide challenge is a CSV with the columns `ID` and `label`, a line a test tile. No torch at import.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from landslide_lib.paths import atomic_write
from landslide_lib.study.recipe import Adaptation, Classification
from landslide_lib.study.records import Record, Store

#: The competition of each task, which is of the dataset of that name.
COMPETITIONS = {"adaptation": "landslide4sense", "classification": "zindi"}
KEY = "mask"
SHAPE = (128, 128)
NAME = re.compile(r"mask_([1-9][0-9]{0,8})\.h5", re.ASCII)
#: Bytes of a member that are read; a mask has 16,384 pixels.
LARGEST = 2**20
#: How many of the files with the same fault are named.
SHOWN = 5


def submit(record: Record, part: str, path: Path, *, store: Store, data_root: Path | None = None) -> Path:
    """Write what a trained network, or an ensemble, predicts as a submission, whole or not at all.

    The threshold is the record's own, which was chosen on validation images: of adaptation those of the source.

    Args:
        record: Of adaptation to Landslide4Sense, or of classification of Zindi's tiles.
        part: Of Landslide4Sense `valid` or `test`, of Zindi `test`. No truth of it is needed.
        path: The ZIP of masks, or the CSV of labels, to be.
        store: Where the weights are.
        data_root: In place of `LANDSLIDE_DATA`.

    Raises:
        ValueError: The record is of something else, its weights are of another run, or there is no such part, or not
            all of it.
        FileNotFoundError: The weights are not here.
        DatasetNotFoundError: The imagery is not here.
    """
    recipe = record.recipe
    target = recipe.target.dataset or recipe.dataset if isinstance(recipe, Adaptation) else recipe.dataset
    if target != COMPETITIONS.get(recipe.task):
        possible = " or ".join(f"{task} on {data}" for task, data in COMPETITIONS.items())
        raise ValueError(f"{record.name} is of {recipe.task} on {target}; a submission is of {possible}")
    from landslide_lib.study import domains
    from landslide_lib.study.tasks import adaptation, classification
    from landslide_lib.study.tasks.run import Setting
    from landslide_lib.training.loop import device_of

    trained = _trained(record, store)
    setting = Setting(domains.load(recipe, root=data_root), record.seed, device_of(), None, trained, data_root)
    threshold = record.test_tuned.threshold
    if isinstance(recipe, Classification):
        labels = classification.labels(recipe, setting, part, threshold)
        lines = ["ID,label", *(f"{name},{label}" for name, label in labels.items())]
        with atomic_write(path) as scratch:
            scratch.write_text("\n".join(lines) + "\n", "utf-8")
        return path
    masks = adaptation.masks(setting, part, threshold)
    if gaps := sorted(set(range(1, max(masks) + 1)) - masks.keys()):
        raise ValueError(
            f"landslide4sense: the {part} part lacks the patches {', '.join(map(str, gaps[:SHOWN]))}, {len(gaps)} in "
            "all, and the competition wants a mask of each; get the rest of the part"
        )
    return write(masks, path)


def _trained(record: Record, store: Store) -> list[tuple[Record, Path]]:
    """Return the records that were trained, and the files of their weights."""
    members = [record]
    if not record.recipe.trains:
        here = {one.name: one for one in store.all()}
        if lost := sorted(set(record.grown_from) - here.keys()):
            raise FileNotFoundError(
                f"{record.name} is of {', '.join(lost)}, whose records are not here; train the row again with --rerun"
            )
        members = [here[name] for name in record.grown_from]
    grown = [(one, store.weights(one)) for one in members]
    if missing := [str(weights) for _, weights in grown if not weights.is_file()]:
        raise FileNotFoundError(f"{', '.join(missing)}: the weights are not here; train the row again with --rerun")
    return grown


def write(masks: Mapping[int, NDArray[np.uint8]], path: Path) -> Path:
    """Write masks as a submission, whole or not at all. The same masks give the same bytes.

    Args:
        masks: (128, 128) uint8 in {0, 1} of each patch, by its number, from 1.
        path: The ZIP to be; one that is there is replaced.
    """
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
        ValueError: It would be refused; the message lists what is wrong, and with which files.
    """
    faults: dict[str, list[str]] = defaultdict(list)
    names: Counter[str] = Counter()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                names[member.filename] += 1
                if fault := _fault(archive, member):
                    faults[fault].append(member.filename)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{path}: no whole ZIP ({error}); name one, or make it anew") from None
    asked = {f"mask_{n}.h5" for n in range(1, count + 1)} if count else names.keys()
    faults |= {
        "more than once in it; keep one": [name for name in names if names[name] > 1],
        f"missing; there are {count} patches": sorted(asked - names.keys()),
        f"too many; there are {count} patches": [name for name in names.keys() - asked if NAME.fullmatch(name)],
        "no mask in it; add one for each patch": [] if names else ["the ZIP"],
    }
    lines = []
    for fault, files in faults.items():
        more = [f"{len(files) - SHOWN} more"] if len(files) > SHOWN else []
        lines += [f"- {', '.join(files[:SHOWN] + more)}: {fault}"] if files else []
    if lines:
        raise ValueError("\n".join([f"{path} is no submission to Landslide4Sense:", *lines]))


def _fault(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str | None:
    """Return what is wrong with a member, of which no more than `LARGEST` bytes are read, and what to do."""
    if not NAME.fullmatch(member.filename):
        return "not named mask_N.h5, N the number of a patch from 1, without a folder; rename it or leave it out"
    try:
        with archive.open(member) as stream, h5py.File(h5py.h5f.open_file_image(stream.read(LARGEST))) as file:
            found = file.get(KEY)
            mask: Any = found[()] if isinstance(found, h5py.Dataset) and found.shape == SHAPE else found
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, KeyError, TypeError):
        return f"damaged, encrypted, larger than {LARGEST} bytes or no HDF5 file; write it anew"
    if not isinstance(mask, np.ndarray):
        return f"the key {KEY!r} holds no array of {SHAPE}; save the mask of one patch under it"
    if mask.dtype != np.uint8:
        return f"mask of {mask.dtype}, not uint8; convert it with .astype('uint8')"
    if (largest := mask.max()) > 1:
        return f"mask with values up to {largest}; write 1 for landslide and 0 for the rest"
    return None
