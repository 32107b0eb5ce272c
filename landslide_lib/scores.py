"""Scores from counts, and what can be said of several of them. No torch.

Counts come first (tp, fp, fn, tn, exact integers per image); every score is computed from
them, under one of three conventions that the five reports mix:

- `pooled`: counts summed over all pixels of the test images, score of the landslide class.
  The competition's convention, and that of `label-refinement.md`.
- `two_class`: the mean of the pooled scores of landslide and of background.
- `per_image`: the mean over images of the landslide scores. An image in which there is
  nothing to find and nothing found has none and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONVENTIONS = ("pooled", "two_class", "per_image")
SCORES = ("f1", "iou", "precision", "recall")

Floats = NDArray[np.float64]


def class_scores(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> dict[str, Floats]:
    """Return F1, IoU, precision and recall of one class; NaN where one is 0/0.

    >>> {k: float(v) for k, v in class_scores(2, 1, 1).items()}["iou"]
    0.5
    """
    tp, fp, fn = (np.asarray(x, np.float64) for x in (tp, fp, fn))
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "iou": tp / (tp + fp + fn),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
        }


def scores(counts: ArrayLike) -> dict[str, dict[str, float | None]]:
    """Return every score under every convention.

    Args:
        counts: (N, 4) integers: tp, fp, fn, tn of each image.

    Returns:
        `{convention: {score: value in 0..1}}`; None where a score is undefined, such as the
        precision of a model that predicts no landslide.

    Raises:
        ValueError: Not of shape (N, 4), or negative.

    >>> scores([[2, 1, 1, 12]])["pooled"]["iou"]
    0.5
    """
    table = np.asarray(counts, np.int64)
    if table.ndim != 2 or table.shape[1] != 4 or (table < 0).any():
        raise ValueError(f"counts of shape {table.shape}: need (N, 4), none negative")
    tp, fp, fn, tn = table.sum(0)
    landslide, background = class_scores(tp, fp, fn), class_scores(tn, fn, fp)
    images = class_scores(table[:, 0], table[:, 1], table[:, 2])
    defined = {k: v[np.isfinite(v)] for k, v in images.items()}
    return {
        "pooled": {k: _number(landslide[k]) for k in SCORES},
        "two_class": {k: _number((landslide[k] + background[k]) / 2) for k in SCORES},
        "per_image": {k: _number(defined[k].mean() if len(defined[k]) else np.nan) for k in SCORES},
    }


def _number(value: ArrayLike) -> float | None:
    number = float(np.asarray(value))
    return number if np.isfinite(number) else None


def floor(counts: ArrayLike) -> float:
    """Return the pooled F1 of calling every pixel landslide: what any model must beat.

    >>> floor([[1, 0, 1, 2]])
    0.6666666666666666
    """
    tp, fp, fn, tn = np.asarray(counts, np.int64).sum(0)
    return float(class_scores(tp + fn, fp + tn, 0)["f1"])


def sweep(landslide: ArrayLike, background: ArrayLike) -> dict[str, Floats]:
    """Return the pooled scores at every threshold, from two histograms of probability.

    Args:
        landslide: (K,) how many landslide pixels have a probability p in (k/K, (k+1)/K];
            those at exactly 0 are in the first bin too, so at threshold 0 all are called.
        background: (K,) the same of the background pixels.

    Returns:
        `threshold` (K,), k/K: a pixel is called landslide when p > threshold; and `f1`,
        `iou`, `precision`, `recall`, (K,) each, F1 and IoU 0 where nothing is found.
    """
    positive, negative = np.asarray(landslide, np.int64), np.asarray(background, np.int64)
    tp = positive[::-1].cumsum()[::-1]
    fp = negative[::-1].cumsum()[::-1]
    found = class_scores(tp, fp, positive.sum() - tp)
    return {"threshold": np.arange(len(tp)) / len(tp), **found}


def best_threshold(landslide: ArrayLike, background: ArrayLike) -> float:
    """Return the threshold with the highest pooled F1; 0.5 where none finds anything.

    >>> best_threshold([0, 0, 0, 5], [9, 9, 1, 0])
    0.75
    """
    curve = sweep(landslide, background)
    # At 0 the sweep calls every pixel landslide, also one of probability 0; that is no choice.
    f1 = np.nan_to_num(curve["f1"]) * (curve["threshold"] > 0)
    return float(curve["threshold"][int(f1.argmax())]) if f1.max() > 0 else 0.5


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return Student's t interval of the mean over seeds; None for fewer than two.

    >>> low, high = interval([0.5, 0.6, 0.7])
    >>> round(low, 3), round(high, 3)
    (0.352, 0.848)
    """
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(stats.sem(values))
    reach = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * error
    return mean - reach, mean + reach


def paired_bootstrap(
    ours: Sequence[ArrayLike],
    base: Sequence[ArrayLike],
    blocks: Sequence[str],
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, float]:
    """Compare the pooled F1 of two rows over the same test images.

    Whole blocks (scenes) are drawn with replacement, the same ones for both rows, because
    the tiles of a scene are neighbours and no independent evidence; and of each row its
    seeds, so that the interval is over test images and training runs. With few seeds it is
    still too narrow.

    Args:
        ours: Per-image counts (N, 4), one a seed.
        base: The same of the base row.
        blocks: (N,) the scene of each image.
        draws: Bootstrap samples.
        level: Of the percentile interval.
        seed: Of the draws.

    Returns:
        `difference` (ours minus base, each the F1 of the counts summed over its seeds),
        `low`, `high`, and `share` of the draws in which ours is better.

    Raises:
        ValueError: The two rows were not tested on the same number of images.
    """
    names, place = np.unique(np.asarray(blocks), return_inverse=True)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    f1, whole = [], []
    for rows in (ours, base):
        tables = np.stack([np.asarray(counts, np.int64) for counts in rows])
        if tables.shape[1] != len(place):
            raise ValueError(
                f"paired bootstrap: a row has {tables.shape[1]} test images, {len(place)} are "
                "told apart by scene; both rows need the same test images"
            )
        sums = np.zeros((len(names), len(tables), 4), np.int64)
        np.add.at(sums, place, tables.transpose(1, 0, 2))
        by_seed = np.tensordot(drawn, sums, axes=1)  # (draws, seeds, 4)
        times = generator.multinomial(len(tables), np.full(len(tables), 1 / len(tables)), draws)
        f1.append(_f1((by_seed * times[..., None]).sum(1)))
        whole.append(_f1(tables.sum((0, 1))))
    low, high = np.quantile(f1[0] - f1[1], [(1 - level) / 2, (1 + level) / 2])
    return {
        "difference": float(whole[0] - whole[1]), "low": float(low), "high": float(high),
        "share": float((f1[0] > f1[1]).mean()),
    }  # fmt: skip


def _f1(counts: NDArray[np.int64]) -> Floats:
    tp, fp, fn = counts[..., 0], counts[..., 1], counts[..., 2]
    return np.nan_to_num(class_scores(tp, fp, fn)["f1"])


def kendall(
    reported: Sequence[float], ours: Sequence[Sequence[float]], *, draws: int = 2000, seed: int = 0
) -> dict[str, float] | None:
    """Return Kendall's tau-b between the reported order of rows and ours.

    Args:
        reported: One number a row.
        ours: The seeds of each row, in the same order.
        draws: Samples of the row means.
        seed: Of the draws.

    Returns:
        `tau` of the row means with `low` and `high`, the central 95 % of tau when each row's
        mean is drawn from Student's t around it (a bootstrap of three seeds would be far
        too narrow); None for fewer than five rows or where a row has one seed only.
    """
    if len(reported) < 5 or any(len(row) < 2 for row in ours):
        return None
    means = np.array([np.mean(row) for row in ours])
    errors = np.array([stats.sem(row) for row in ours])
    freedom = np.array([len(row) - 1 for row in ours])
    drawn = means + errors * np.random.default_rng(seed).standard_t(freedom, (draws, len(means)))
    taus = [stats.kendalltau(reported, one).statistic for one in drawn]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    tau = stats.kendalltau(reported, means).statistic
    return {"tau": float(tau), "low": float(low), "high": float(high)}
