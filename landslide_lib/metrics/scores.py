"""Scores from counts. No torch.

Every score is computed from exact counts (tp, fp, fn, tn) of each image, under one of three conventions that the five
reports mix:

- `pooled`: the landslide class, counts summed over all test images; the competition's, and that of
  `label-refinement.md`.
- `two_class`: the mean of the pooled scores of landslide and of background.
- `per_image`: the mean over images of the landslide scores, without images in which nothing is to find and none found.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONVENTIONS = ("pooled", "two_class", "per_image")
SCORES = ("f1", "iou", "precision", "recall")

Floats = NDArray[np.float64]


def class_scores(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> dict[str, Floats]:
    """Return F1, IoU, precision and recall of one class; NaN where one is 0/0."""
    tp, fp, fn = (np.asarray(x, np.float64) for x in (tp, fp, fn))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "iou": tp / (tp + fp + fn),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
        }


def scores(counts: ArrayLike) -> dict[str, dict[str, float | None]]:
    """Return every score under every convention, `{convention: {score: value in 0..1}}`, from counts (N, 4).

    A score is None where it is undefined, such as the precision of a model that predicts no landslide.

    >>> scores([[2, 1, 1, 12]])["pooled"]["iou"]
    0.5
    """
    table = np.asarray(counts, np.int64)
    tp, fp, fn, tn = table.sum(0)
    landslide, background = class_scores(tp, fp, fn), class_scores(tn, fn, fp)
    images = class_scores(table[:, 0], table[:, 1], table[:, 2])
    defined = {k: v[np.isfinite(v)] for k, v in images.items()}
    return {
        "pooled": {k: defined_or_none(landslide[k]) for k in SCORES},
        "two_class": {k: defined_or_none((landslide[k] + background[k]) / 2) for k in SCORES},
        "per_image": {k: defined_or_none(defined[k].mean() if len(defined[k]) else np.nan) for k in SCORES},
    }


def defined_or_none(value: ArrayLike) -> float | None:
    """Return a number, or None where it is NaN or infinite."""
    number = float(np.asarray(value))
    return number if np.isfinite(number) else None


def all_positive_f1(counts: ArrayLike) -> float:
    """Return the pooled F1 of calling every pixel landslide: what any model must beat."""
    tp, fp, fn, tn = np.asarray(counts, np.int64).sum(0)
    return float(class_scores(tp + fn, fp + tn, 0)["f1"])


def sweep(landslide: ArrayLike, background: ArrayLike) -> dict[str, Floats]:
    """Return the pooled scores at every threshold k/K, (K,) each, from two histograms of probability.

    `landslide` and `background` (K,) count the pixels with a probability in (k/K, (k+1)/K]; those at exactly 0 are in
    the first bin too, so at `threshold` 0 all are called.
    """
    positive, negative = np.asarray(landslide, np.int64), np.asarray(background, np.int64)
    tp = positive[::-1].cumsum()[::-1]
    fp = negative[::-1].cumsum()[::-1]
    return {"threshold": np.arange(len(tp)) / len(tp), **class_scores(tp, fp, positive.sum() - tp)}


def at_threshold(
    landslide: ArrayLike, background: ArrayLike, *, threshold: float
) -> dict[str, dict[str, float | None]]:
    """Return the `scores` at one threshold, from histograms as `sweep` takes them; those per image are None.

    Raises ValueError: the threshold is no multiple of 1/K, so it lies inside a bin.

    >>> at_threshold([0, 0, 1, 4], [9, 0, 1, 0], threshold=0.5)["pooled"]["iou"]
    0.8333333333333334
    """
    positive, negative = np.asarray(landslide, np.int64), np.asarray(background, np.int64)
    first = round(threshold * len(positive))
    if abs(first - threshold * len(positive)) > 1e-9:
        raise ValueError(f"threshold {threshold}: the histogram has {len(positive)} bins")
    tp, fp = positive[first:].sum(), negative[first:].sum()
    pooled = scores([[tp, fp, positive[:first].sum(), negative[:first].sum()]])
    return {**pooled, "per_image": dict.fromkeys(SCORES)}


def best_threshold(landslide: ArrayLike, background: ArrayLike) -> float:
    """Return the threshold with the highest pooled F1; 0.5 where none finds anything. Histograms as `sweep` takes them.

    >>> best_threshold([0, 0, 0, 5], [9, 9, 1, 0])
    0.75
    """
    curve = sweep(landslide, background)
    # At 0 the sweep calls every pixel landslide, also one of probability 0; that is no choice.
    f1 = np.nan_to_num(curve["f1"]) * (curve["threshold"] > 0)
    return float(curve["threshold"][int(f1.argmax())]) if f1.max() > 0 else 0.5


def roc_auc(landslide: ArrayLike, background: ArrayLike) -> float:
    """Return the area under the ROC curve, from two histograms as `sweep` takes them, not empty.

    How often a landslide pixel has a higher probability than one of the background; two of a bin count as a half.

    >>> roc_auc([0, 0, 1, 4], [9, 0, 1, 0])
    0.99
    """
    positive, negative = np.asarray(landslide, float), np.asarray(background, float)
    below = negative.cumsum() - negative / 2
    return float((positive / positive.sum()) @ (below / negative.sum()))
