"""What all tests share: nothing is written into the checkout, and training takes one thread."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read once, when torch is imported

import cv2
import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from landslide_lib.data.registry import Packed
from landslide_lib.metrics import scores
from landslide_lib.study.recipe import recipe
from landslide_lib.study.records import Record

Picture = NDArray[np.uint8]

# A machine that is busy with something else is no failure.
settings.register_profile("study", deadline=None)
settings.load_profile("study")


@pytest.fixture(scope="session", autouse=True)
def _outside_the_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Packed data is shared by all tests of a session; it is found by the files it is of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANDSLIDE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LANDSLIDE_RUNS", str(tmp_path_factory.mktemp("runs")))
        patch.delenv("LANDSLIDE_TRAIN", raising=False)
        yield


@pytest.fixture(autouse=True)
def _runs_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """No test finds the record of another one."""
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path_factory.mktemp("runs")))


def squares(count: int, size: int, seed: int = 0) -> tuple[Picture, Picture]:
    """Draw dark noise; every other picture has a bright square, which is its landslide.

    Returns:
        Pictures (count, size, size, 3) and masks (count, size, size) in {0, 1}.
    """
    draw = np.random.default_rng(seed)
    images = draw.integers(20, 100, (count, size, size, 3), np.uint8)
    masks = np.zeros((count, size, size), np.uint8)
    for i in range(0, count, 2):
        side = int(draw.integers(size // 4, size // 2))
        top, left = draw.integers(0, size - side, 2)
        masks[i, top : top + side, left : left + side] = 1
    images[masks == 1] += 120
    return images, masks


@pytest.fixture(scope="session")
def packed() -> Packed:
    """Forty pictures of 16 pixels, in memory, each a scene of its own, two regions."""
    images, masks = squares(40, 16)
    names = tuple(f"picture{i:02}" for i in range(len(images)))
    return Packed(
        name="squares",
        images=(images.transpose(0, 3, 1, 2) / 255).astype(np.float16),
        masks=masks,
        bands=("R", "G", "B"),
        ids=names,
        groups=names,
        parts=("train",) * len(names),
        regions=tuple("north" if i % 2 else "south" for i in range(len(names))),
        fingerprint="0123456789abcdef",
        excluded=(),
    )


@pytest.fixture(scope="session")
def bijie_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with `bijie/`, 48 pictures of 32 pixels, and `uav/`, 16 darker tiles."""
    root = tmp_path_factory.mktemp("data")
    landslide, rest = root / "bijie" / "landslide", root / "bijie" / "non-landslide"
    for folder in (landslide / "image", landslide / "mask", rest / "image"):
        folder.mkdir(parents=True)
    for i, (image, mask) in enumerate(zip(*squares(48, 32), strict=True)):
        if mask.any():
            cv2.imwrite(str(landslide / "image" / f"{i:03}.png"), image)
            cv2.imwrite(str(landslide / "mask" / f"{i:03}.png"), mask * 255)
        else:
            cv2.imwrite(str(rest / "image" / f"{i:03}.png"), image)
    images, masks = squares(16, 128, seed=1)
    for kind, some in (("image", images // 2), ("mask", masks * 255)):
        (root / "uav" / kind).mkdir(parents=True)
        for i, one in enumerate(some):
            cv2.imwrite(str(root / "uav" / kind / f"image_{i}.png"), one)
    return root


@pytest.fixture
def bijie(bijie_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, named by `LANDSLIDE_DATA`."""
    monkeypatch.setenv("LANDSLIDE_DATA", str(bijie_root))
    return bijie_root


def make_record(change: dict[str, Any] | None = None, counts: list[list[int]] | None = None, **fields: Any) -> Record:
    """Return a record as a run leaves it, without running anything.

    Args:
        change: Of the recipe of the bijie dataset with its defaults.
        counts: tp, fp, fn, tn of each test image.
        **fields: In place of the record's.
    """
    wanted = recipe({"dataset": "bijie"}, change or {})
    counts = counts or [[3, 1, 2, 10], [0, 0, 0, 16]]
    outcome = {"threshold": 0.5, "metrics": scores.scores(counts)}
    names = [f"image{i}" for i in range(len(counts))]
    whole = {
        "recipe": wanted,
        "hash": wanted.hash,
        "seed": 0,
        "fingerprint": "0123456789abcdef",
        "revisions": wanted.components,
        "excluded": [],
        "images": {"train": 8, "valid": 2, "test": len(counts)},
        "test": outcome,
        "test_tuned": outcome,
        "valid": outcome,
        "test_ids": names,
        "test_groups": names,
        "test_counts": counts,
        "histogram": [[1] * 100, [2] * 100],
        "history": [{"train_loss": 0.7, "valid_loss": 0.6, "valid_f1": None, "seconds": 1.5}],
        "parameters": 1234,
        "seconds_per_epoch": 1.5,
        "samples_per_second": 5.3,
        "peak_memory_mb": 512.0,
        "energy_wh": None,
        "device": "a CPU, 2 threads",
        "threads": 1,
        "versions": {"python": "3.13.0"},
        "commit": "0" * 40,
        "dirty": False,
        "started": "2026-11-20T10:15:00.123456+00:00",
        "finished": "2026-11-20T10:25:52.907820+00:00",
        "resumed": 0,
    }
    return Record.model_validate({**whole, **fields})


@pytest.fixture
def record() -> Callable[..., Record]:
    """Make records: see `make_record`."""
    return make_record
