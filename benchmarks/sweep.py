"""The best threshold from a histogram against sklearn's precision-recall curve."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import precision_recall_curve
from torch import Tensor

from benchmarks.clock import race, timed
from benchmarks.results import Measurement
from landslide_lib.metrics import scores
from landslide_lib.metrics.counts import BINS, Counter

BOUND = 10.0


def predictions(images: int, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return probabilities (N, 1, S, S) of a middling model, and masks with 3 % landslide."""
    draw = torch.Generator().manual_seed(seed)
    masks = (torch.rand(images, 1, size, size, generator=draw) < 0.03).float()
    logits = torch.randn(masks.shape, generator=draw) + 3.5 * masks - 3
    return logits.sigmoid(), masks


def ours(probability: Tensor, masks: Tensor, batch: int) -> tuple[float, float]:
    """Count batch by batch as validation does; return the best F1 and its threshold."""
    counter = Counter()
    for p, y in zip(probability.split(batch), masks.split(batch), strict=True):
        counter.update(p, y)
    curve = scores.sweep(*counter.histogram().numpy())
    best = int(np.nanargmax(curve["f1"]))
    return float(curve["f1"][best]), float(curve["threshold"][best])


def sklearn(probability: Tensor, masks: Tensor) -> tuple[float, float]:
    """Return the best F1 over all distinct probabilities, and that probability."""
    precision, recall, thresholds = precision_recall_curve(masks.flatten().numpy(), probability.flatten().numpy())
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1.argmax())
    return float(f1[best]), float(thresholds[best])


def agree(found: float, exact: float) -> bool:
    """Return whether a best F1 over multiples of 1/BINS fits the best over all thresholds.

    It cannot be higher, and is lower by no more than the step.
    """
    return -1e-9 <= exact - found <= 1 / BINS


def measure(
    threads: int, *, images: int = 256, size: int = 128, batch: int = 32, repeats: int = 5
) -> list[Measurement]:
    """Measure the search of the threshold with the best F1 over the pixels of some images.

    Args:
        threads: Of torch; sklearn's curve has one.
        images: How many.
        size: Of them, in pixels.
        batch: Ours counts so many at a time.
        repeats: Timed, after one that is not.

    Returns:
        One measurement.

    Raises:
        RuntimeError: The two do not agree.
    """
    torch.set_num_threads(threads)
    made = predictions(images, size)
    found, exact = ours(*made, batch), sklearn(*made)
    if not agree(found[0], exact[0]):
        raise RuntimeError(f"sweep: F1 and threshold are {found}, sklearn's {exact}")
    seconds = race(timed(lambda: ours(*made, batch)), timed(lambda: sklearn(*made)), repeats)
    return [
        Measurement(
            "sweep",
            f"best F1 over {images} images of {size} px: Counter and sweep, {BINS} thresholds "
            "/ precision_recall_curve, every probability",
            *seconds,
            f"best of {repeats}",
            threads,
            "float32",
            at_least=BOUND,
            note="ours also counts each image at 0.5",
        )
    ]
