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
    f1 = np.nan_to_num(curve["f1"])
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
    the tiles of a scene are neighbours and no independent evidence. The counts of a row's
    seeds are summed image by image first, so the interval is over images, not over seeds.

    Args:
        ours: Per-image counts (N, 4), one a seed.
        base: The same of the base row.
        blocks: (N,) the scene of each image.
        draws: Bootstrap samples.
        level: Of the percentile interval.
        seed: Of the draws.

    Returns:
        `difference` (ours minus base), `low`, `high`, and `share` of the draws in which
        ours is better.

    Raises:
        ValueError: The two rows were not tested on the same number of images.
    """
    tables = [np.sum([np.asarray(c, np.int64) for c in rows], axis=0) for rows in (ours, base)]
    if tables[0].shape != tables[1].shape or len(blocks) != len(tables[0]):
        raise ValueError(
            f"paired bootstrap: {len(tables[0])} and {len(tables[1])} images, {len(blocks)} "
            "blocks; both rows need the same test images"
        )
    names, place = np.unique(np.asarray(blocks), return_inverse=True)
    sums = np.zeros((2, len(names), 4), np.int64)
    for row, table in enumerate(tables):
        np.add.at(sums[row], place, table)
    drawn = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), draws
    )
    f1 = [_f1(drawn @ sums[row]) for row in (0, 1)]
    whole = [_f1(sums[row].sum(0)) for row in (0, 1)]
    differences = f1[0] - f1[1]
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return {
        "difference": float(whole[0] - whole[1]), "low": float(low), "high": float(high),
        "share": float((differences > 0).mean()),
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
        draws: Bootstrap samples: in each, a row's seeds are drawn with replacement.
        seed: Of the draws.

    Returns:
        `tau` of the row means with `low` and `high`, the 95 % percentile interval over
        seeds; None for fewer than five rows or where a row has one seed only.
    """
    if len(reported) < 5 or any(len(row) < 2 for row in ours):
        return None
    generator = np.random.default_rng(seed)
    taus = []
    for _ in range(draws):
        means = [np.mean(generator.choice(np.asarray(row), len(row))) for row in ours]
        taus.append(stats.kendalltau(reported, means).statistic)
    low, high = np.nanquantile(taus, [0.025, 0.975])
    tau = stats.kendalltau(reported, [np.mean(row) for row in ours]).statistic
    return {"tau": float(tau), "low": float(low), "high": float(high)}
