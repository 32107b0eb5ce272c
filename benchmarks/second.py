"""How soon the second run of a table trains, against the first one of the process."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.results import Measurement
from landslide_lib.data.bands import L4S
from landslide_lib.data.base import Sample
from landslide_lib.data.registry import DATASETS, Dataset, get_dataset, load_packed
from landslide_lib.study import reports, runs
from landslide_lib.study.recipe import Recipe
from landslide_lib.study.records import Store
from landslide_lib.training.segmentation import SegmentationTask

#: Seconds from the end of a run to the first step of the next.
BOUND = 1.0
#: Two rows that differ in the loss alone, as most rows of a table do.
TABLE, ROWS = ("raunet", "losses"), ("ce", "focal")
NAME = "landslide4sense"


class Random(Dataset):
    """Patches of the competition's shape, of random values, in place of its files.

    Args:
        images: How many.
        size: Of them, in pixels.
    """

    name, scale = NAME, "about 1"
    about, remedy = "random values", "they are made when they are read"

    def __init__(self, images: int, size: int) -> None:
        self.images, self.size = images, size

    def samples(self, root: Path) -> Sequence[Sample]:
        """List them, each a scene of its own."""
        return [Sample(str(i), str(i)) for i in range(self.images)]

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Draw one."""
        draw = np.random.default_rng(int(sample.id))
        shape = (self.size, self.size)
        image = draw.normal(1, 0.3, (*shape, len(L4S))).astype(np.float32)
        return image, (draw.random(shape) < 0.03).astype(np.uint8)

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Say how many there are."""
        return f"{len(samples):016d}"

    def download(self, root: Path) -> Path:
        """Nothing is fetched."""
        return root


def recipes(size: int, width: int) -> list[Recipe]:
    """Return the recipes of the rows, one epoch long."""
    report, table = TABLE
    found = reports.reports()[report].tables[table]
    short = {"image_size": size, "width": width, "epochs": 1, "subset": None}
    return [reports.resolve(found, found.row(row), dataset=NAME).model_copy(update=short) for row in ROWS]


def measure(threads: int, *, images: int = 3799, size: int = 128, width: int = 4) -> list[Measurement]:
    """Measure what lies between two runs, on as many patches as the competition has.

    Args:
        threads: Of torch.
        images: How many.
        size: Of them, in pixels.
        width: Of the U-Net; small, since what is measured is not the training.

    Returns:
        One measurement: the second run's wait against the first one's.
    """
    torch.set_num_threads(threads)
    begun: list[float] = []
    step = SegmentationTask.training_loss

    def noted(self: SegmentationTask, batch: Any, epoch: int, place: int) -> Any:
        if place == 0:
            begun.append(time.perf_counter())
        return step(self, batch, epoch, place)

    waits = []
    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.dict(DATASETS, {NAME: Random(images, size)}),
        mock.patch.dict(os.environ, {"LANDSLIDE_CACHE": home, "LANDSLIDE_TRAIN": "yes"}),
        mock.patch.object(SegmentationTask, "training_loss", noted),
    ):
        load_packed(get_dataset(NAME), size)  # packed once a dataset, not once a process
        store = Store(Path(home) / "records")
        for wanted in recipes(size, width):
            start = time.perf_counter()
            runs.run(wanted, 0, store=store)
            waits.append(begun[-1] - start)
    return [
        Measurement(
            "second",
            f"from a run's end to the first step of the next, {images} patches of "
            f"{size} px and {len(L4S)} bands: the second run of a process / its first",
            waits[1],
            waits[0],
            "once",
            threads,
            within=BOUND,
        )
    ]
