"""Submissions: what a record's networks predict, written as competitions want it; and a check of one of masks.

Landslide4Sense's is one flat ZIP of `mask_1.h5`, `mask_2.h5` and so on, one a patch, in which the key `mask` holds
128x128 uint8, 1 for landslide and 0 for the rest. The validation set has 245 patches, the test set 800. So says the
guide of https://github.com/iarai/Landslide4Sense-2022; the key is its baseline's.

That to Zindi's landslide challenge is a CSV with the columns `ID` and `label`, a line a test tile.

Boxes have no competition: they are a ZIP of YOLO's `ID.txt`, one an image, a line a box: class 0, middle, width and
height in shares of the image's sides, and score. All of them, as an average precision asks. No torch at import.
"""

import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.bands import BOXES
from landslide_lib.paths import atomic_write
from landslide_lib.study.recipe import Adaptation
from landslide_lib.study.records import Record, Store

#: The datasets whose images a submission of each task is of, the report's first.
DATASETS: dict[str, tuple[str, ...]] = {"classification": ("zindi",), "detection": BOXES}
DATASETS |= dict.fromkeys(("segmentation", "adaptation"), ("landslide4sense",))
SHAPE = (128, 128)
NAME = re.compile(r"mask_[1-9][0-9]{0,8}\.h5", re.ASCII)
LARGEST = 2**20  # bytes of a member that are read; a mask has 16,384 pixels


def submit(record: Record, part: str, path: Path, *, store: Store, data_root: Path | None = None) -> Path:
    """Write what a trained network, or an ensemble, predicts on a part of a dataset, whole or not at all.

    It is a ZIP of masks of Landslide4Sense's `train`, `valid` or `test`; a CSV of labels of Zindi's, and beside it
    `NAME.tiles.csv` with how sure the networks are, see `classification.predict`; or a ZIP of boxes. Masks and labels
    are at the threshold that was chosen on validation images. Raises ValueError: the record is of something else, or
    the part is not all here. FileNotFoundError: the weights are not.
    """
    recipe = record.recipe
    target = recipe.target.dataset or recipe.dataset if isinstance(recipe, Adaptation) else recipe.dataset
    if target not in DATASETS.get(recipe.task, ()):
        possible = "; ".join(f"{task} on {' or '.join(data)}" for task, data in DATASETS.items())
        raise ValueError(f"{record.name} is of {recipe.task} on {target}; a submission is of {possible}")
    from landslide_lib.study.tasks.run import reopen

    task, setting = reopen(record, _trained(record, store), data_root)
    predicted = task.predict(recipe, setting, part, record.test_tuned.threshold)
    if recipe.task == "detection":
        return _zipped(path, predicted)
    if recipe.task == "classification":
        for file, columns in ((path.with_suffix(".tiles.csv"), [*predicted]), (path, ["label"])):
            with atomic_write(file) as scratch:
                predicted[columns].to_csv(scratch)
        return path
    if gaps := sorted(set(range(1, max(predicted) + 1)) - predicted.keys()):
        raise ValueError(f"landslide4sense: the {part} part lacks {len(gaps)} patches, such as {gaps[0]}; get them all")
    return write(predicted, path)


def _trained(record: Record, store: Store) -> list[tuple[Record, Path]]:
    """Return the records that were trained, and the files of their weights."""
    files = {one.name: (one, store.weights(one)) for one in (*store.all(), record)}
    names = [record.name] if record.recipe.trains else record.depends_on
    if lost := [name for name in names if name not in files or not files[name][1].is_file()]:
        raise FileNotFoundError(f"{', '.join(lost)}: not here, or no weights; `landslide weights` gets or trains them")
    return [files[name] for name in names]


def write(masks: Mapping[int, NDArray[np.uint8]], path: Path) -> Path:
    """Write masks, (128, 128) in {0, 1} by patch, whole or not at all; the same masks give the same bytes."""
    members = {}
    for number in sorted(masks):
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            file["mask"] = masks[number]
        members[f"mask_{number}.h5"] = content.getvalue()
    return _zipped(path, members)


def _zipped(path: Path, members: Mapping[str, bytes | str]) -> Path:
    with atomic_write(path) as scratch, zipfile.ZipFile(scratch, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # without the time of day
    return path


def validate(path: Path, count: int | None = None) -> None:
    """Check a submission of `count` patches (None: of any), whoever made it. Nothing is unpacked onto the disk.

    Raises ValueError: it would be refused; the message says what is wrong with which files.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            wrong = [name for name in names if not (NAME.fullmatch(name) and _is_mask(archive, name))]
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{path}: no whole ZIP ({error}); name one, or make it anew") from None
    asked = {f"mask_{number}.h5" for number in range(1, count + 1)} if count else {*names} or {"mask_1.h5"}
    faults = {
        f"not mask_N.h5 in no folder, with uint8 {SHAPE} at the key mask, 1 for landslide and 0 for the rest": wrong,
        "missing": sorted(asked - {*names}),
        f"too many, of {count} patches": sorted({*names} - asked),
        "more than once in it": [name for name, times in Counter(names).items() if times > 1],
    }
    if any(faults.values()):
        lines = [f"- {', '.join(found[:5])} (of {len(found)}): {what}" for what, found in faults.items() if found]
        raise ValueError("\n".join([f"{path} is no submission to Landslide4Sense:", *lines]))


def _is_mask(archive: zipfile.ZipFile, name: str) -> bool:
    """Return whether a member, of which no more than `LARGEST` bytes are read, holds a mask itself, and no link."""
    try:
        with archive.open(name) as stream, h5py.File(h5py.h5f.open_file_image(stream.read(LARGEST))) as file:
            if not isinstance(file.get("mask", getlink=True), h5py.HardLink):
                return False
            mask = file["mask"]
            itself = isinstance(mask, h5py.Dataset) and not (mask.external or mask.is_virtual)
            return bool(itself and mask.shape == SHAPE and mask.dtype == np.uint8 and mask[()].max() <= 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, LookupError, TypeError):
        return False
