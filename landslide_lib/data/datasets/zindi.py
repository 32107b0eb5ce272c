"""Zindi's landslide challenge: 64x64 tiles of Sentinel-2 and Sentinel-1 with a label each."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data import tabular
from landslide_lib.data.bands import ZINDI
from landslide_lib.data.base import BadFileError, Dataset, Sample, hash_files, mark_twins, plain_name
from landslide_lib.data.formats.files import by_stem, child, list_files, locate

ADDRESS = "https://zindi.africa/competitions/classification-for-landslide-detection"
SIZE = 64
OPTICAL = 4
LONGEST = 250  # bytes of the longest name of a tile, without its suffix, that a file system takes
UNIT = 10_000  # digital numbers of Sentinel-2 in one unit of reflectance
#: Headers are parsed one at a time: in Python 3.11 threads that do so sometimes fail with a "SystemError: AST
#: constructor recursion depth mismatch", see github.com/python/cpython, #106905.
HEADER = Lock()
#: Part, its list, whether that has labels, and the names of the folder of its tiles.
PARTS = (
    ("train", "Train.csv", True, ("train_data", "train_data/train_data", "train/images", "train")),
    ("test", "Test.csv", False, ("test_data", "test_data/test_data", "test/images", "test")),
)


class Zindi(Dataset):
    """7,147 labelled tiles and 5,398 without a label: 4 optical bands, 8 of radar.

    Reads `zindi/Train.csv` (columns `ID` and `label`, 0 or 1), `zindi/Test.csv` (column `ID`) and the tile of each
    line, `train_data/ID.npy` and `test_data/ID.npy` (or as in `PARTS`): arrays (64, 64, 12) of finite numbers, never
    unpickled. Test tiles have no label, so they are neither trained nor scored on. The mask of a tile is its label, 1
    everywhere or 0 everywhere (`bands.LABELS`). Each tile is a group of its own, as no scenes are published. Optical
    bands are read as reflectance, a digital number / 10,000, with an offset that they may have; radar is in dB. A line
    without a tile, a tile without a line, an id of several lines and another label are each refused.
    """

    name = "zindi"
    scale = "reflectance, digital number / 10,000 (R, G, B, NIR); dB (SAR)"
    units = None
    about = "Zindi landslide challenge, Sentinel-2 and Sentinel-1, a label a tile"
    remedy = f"fetch it from {ADDRESS} (needs a login) into zindi/ below LANDSLIDE_DATA"
    manual = (
        f"the tiles need a login. Join {ADDRESS}, and put Train.csv, Test.csv and the unpacked train_data/ and "
        "test_data/ into {home}"
    )

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of the lists, then those that stand in none."""
        expected = "Train.csv with the ID.npy of its tiles in train_data/"
        home = locate(root, self.name, lambda at: all(_places(at, PARTS[0][1], PARTS[0][3])), expected, self.remedy)
        samples: list[Sample] = []
        for part, name, labelled, folders in PARTS:
            lines, tiles = _places(home, name, folders)
            if lines and tiles:
                samples += _part(part, lines, labelled, tiles)
        return mark_twins(samples)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        assert sample.image is not None
        image = read_tile(sample.image)
        image[..., :OPTICAL] /= UNIT
        return image, np.full(image.shape[:2], sample.truth == "1", np.uint8)

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        tiles = hash_files(replace(sample, mask=None) for sample in samples)
        labels = [f"{sample.id}\0{sample.truth}" for sample in samples]
        return hashlib.sha256("\n".join([tiles, *labels]).encode()).hexdigest()[:16]


def read_tile(path: Path) -> NDArray[np.float32]:
    """Read one tile, (64, 64, 12), in the units of its file; nothing is unpickled."""
    try:
        # Mapped: nothing of the size that a damaged header claims is allocated before the shape is checked.
        with HEADER:
            raw = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a damaged header ends in whatever the parser of Python raises
        problem = f"is no array of numbers that can be read ({error}); nothing is unpickled"
        raise BadFileError(path, problem) from None
    shape = (SIZE, SIZE, len(ZINDI))
    if raw.shape != shape or raw.dtype.kind not in "fiu":
        raise BadFileError(path, f"holds {raw.dtype} of shape {raw.shape}, not numbers of {shape}")
    return np.array(raw, np.float32)


def _places(home: Path, name: str, folders: Sequence[str]) -> tuple[Path | None, Path | None]:
    lines = next((path for path in home.glob("*.*") if path.name.lower() == name.lower()), None)
    for words in folders:
        folder: Path | None = home
        for word in words.split("/"):
            folder = folder and child(folder, word)
        if folder and list_files(folder, {".npy"}):
            return lines, folder
    return lines, None


def _part(part: str, path: Path, labelled: bool, folder: Path) -> list[Sample]:
    lines = tabular.read(path, ["ID", "label"] if labelled else ["ID"]).apply(lambda column: column.str.strip())
    lines["ID"] = lines["ID"].map(plain_name)
    tiles = by_stem(list_files(folder, {".npy"}))
    mask, named = (path, part) if labelled else (None, f"{part}, no masks")
    samples = []

    def add(name: str, paths: Sequence[Path], label: str, problem: str) -> None:
        for tile in paths:
            samples.append(Sample(name, name, tile, mask, named, problem=problem, truth=label))

    for name, rows in lines.groupby("ID", sort=False):
        labels = rows["label"].tolist() if labelled else [""]
        image, problem = folder / f"{name}.npy", ""
        if len(rows) > 1:
            given = f", with labels {', '.join(sorted(set(labels)))}" if labelled else ""
            problem = f"stands in {len(rows)} lines of {path.name}{given}"
        elif labelled and labels[0] not in ("0", "1"):
            problem = f"has the label {labels[0]!r} in {path.name}, neither 0 nor 1"
        if Path(name).name != name or not name or "\0" in name or len(name.encode()) > LONGEST:
            image, problem = path, f"has the id {name[:99]!r}, which is no name of a file"
        add(str(name), tiles.pop(name, [image]), labels[0], problem)
    for name, paths in tiles.items():
        add(name, paths, "", f"stands in no line of {path.name}")
    return samples
