"""A dataset in numbers: what its files hold and what is wrong with them, and the statistics that are published."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from landslide_lib.data.bands import LABELS
from landslide_lib.data.base import BadFileError, BoxDataset, Dataset, Sample, printable, read_sample
from landslide_lib.data.formats.duplicates import copies, lines
from landslide_lib.data.formats.files import list_files
from landslide_lib.paths import PUBLISHED, data_root

FOLDER = PUBLISHED / "statistics"


class Problem(NamedTuple):
    """A file that cannot be used, and why."""

    file: str
    problem: str


@dataclass(frozen=True)
class Verdict:
    """What `verify_files` reports of a dataset."""

    images: int  # how many can be used
    with_landslide: int  # how many of them hold a landslide pixel, or a box
    landslide_share: float | None  # of the pixels of the images with masks; None for a dataset of boxes or labels
    boxes: int | None  # None for a dataset of masks or labels
    sizes: tuple[str, ...]  # heights and widths, all of up to three, else the smallest and the largest
    bands: dict[str, dict[str, float]]  # minimum, maximum, mean and standard deviation of each
    bad: tuple[Problem, ...]  # each file that cannot be used, and why
    parts: dict[str, int]  # how many usable images each part has, such as `train` or `test, no masks`
    remarks: tuple[str, ...]  # which images are the same, byte for byte


def verify_files(dataset: Dataset, root: Path | None = None) -> Verdict:
    """Read every file of a dataset, by default below `LANDSLIDE_DATA`; `bad` is empty where all can be used."""
    bad, sizes, stats = [], set(), []
    usable: list[Sample] = []
    positive = pixels = landslide = boxes = 0
    samples = dataset.samples(root or data_root())
    for sample in tqdm(samples, desc=f"verifying {dataset.name}", disable=None, leave=False):
        try:
            image, mask = read_sample(dataset, sample)
        except BadFileError as error:
            bad.append(Problem(printable(str(error.path)), error.problem))
            continue
        usable.append(sample)
        sizes.add(image.shape[:2])
        count = len(dataset.boxes(sample)) if isinstance(dataset, BoxDataset) else 0
        boxes += count
        positive += bool(mask.any() or count)
        pixels += mask.size * (not sample.part.endswith("no masks"))
        landslide += int(mask.sum())
        flat = image.reshape(-1, image.shape[2]).astype(np.float64)
        stats.append((flat.min(0), flat.max(0), flat.sum(0), (flat**2).sum(0), len(flat)))
    bands = {}
    if stats:
        low, high, total, square, length = (np.array(column) for column in zip(*stats, strict=True))
        mean = total.sum(0) / length.sum()
        std = np.sqrt(np.maximum(square.sum(0) / length.sum() - mean**2, 0))
        columns = {"min": low.min(0), "max": high.max(0), "mean": mean, "std": std}
        bands = {n: {key: float(of[i]) for key, of in columns.items()} for i, n in enumerate(dataset.bands)}
    boxed = isinstance(dataset, BoxDataset)
    masked = not boxed and dataset.name not in LABELS
    part_of = {sample.id: sample.part for sample in usable}
    ordered = sorted(sizes)
    return Verdict(
        images=len(usable),
        with_landslide=positive,
        landslide_share=(landslide / pixels if pixels else 0.0) if masked else None,
        boxes=boxes if boxed else None,
        sizes=tuple(f"{h}x{w}" for h, w in (ordered if len(ordered) < 4 else (ordered[0], ordered[-1]))),
        bands=bands,
        bad=tuple(bad),
        parts=dict(Counter(part_of.values())),
        remarks=tuple(lines(copies(usable), part_of)),
    )


def published(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Return by dataset the newest statistics among the JSON files of a folder, see `tools/describe.py`."""
    of_files = [json.loads(path.read_text("utf-8")) for path in list_files(folder, {".json"})]
    return {facts["dataset"]: facts for facts in sorted(of_files, key=lambda facts: facts["made"])}
