"""Trees on hand-made features of tiles: what the tabular model makes of an image. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landslide_lib.data.features import OPTICAL, PASSES, possible
from landslide_lib.training.tabular import boosting

#: Which features a model may look at: those of these bands.
KINDS = {
    "optical": (*OPTICAL, *(f"B{number}" for number in range(1, 13))),
    "radar": tuple(f"{band}_{name}" for name in PASSES for band in ("VV", "VH", "dVV", "dVH")),
}


def of_kind(features: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return the features of `KINDS`; of "all" every one. It may have no column.

    >>> list(of_kind(pd.DataFrame({"R_mean": [1.0], "VV_asc_mean": [2.0]}), "radar"))
    ['VV_asc_mean']
    """
    allowed = set(features) if kind == "all" else set(possible(KINDS[kind]))
    return features[[name for name in features if name in allowed]]


def out_of_fold(
    features: pd.DataFrame, labels: ArrayLike, splits: Sequence[boosting.Split], seed: int = 0
) -> pd.Series[float]:
    """Return the probability of a landslide by tile id, each from trees that did not learn it.

    With the splits of an image model the two can check each other, tile by tile.

    Args:
        features: Of `features.measure`, with the ids as index.
        labels: (N,) in {0, 1}.
        splits: Numbers of training and of test tiles; tiles that none tests are not answered.
        seed: Of the trees.

    Raises:
        ValueError: Two tiles have one id; else see `boosting.out_of_fold`.
    """
    if features.index.has_duplicates:
        twice = features.index[features.index.duplicated()][0]
        raise ValueError(f"features: two rows have the id {twice!r}")
    return boosting.out_of_fold(features, labels, splits, seed).probabilities


def describe(
    features: pd.DataFrame,
    labels: ArrayLike,
    *,
    folds: int = 5,
    seed: int = 0,
    groups: Sequence[Any] | NDArray[Any] | None = None,
) -> dict[str, Any]:
    """Return how well trees tell tiles, and by what.

    Args:
        features: Of `features.measure`.
        labels: (N,) in {0, 1}.
        folds: How many.
        seed: Of folds and trees.
        groups: (N,) the scene of each tile.

    Returns:
        `tiles`, `positives`, `grouped` (whether scenes are fewer than tiles), `features` (how many), `scores` (by kind
        of features `boosting.summary`; a kind without any is left out), `out_of_fold` (`ids` and `probability` of all
        tiles, by all features) and `planes`: of each plane of `features.PLANES` the mean over the tiles of the absolute
        sum of what its statistics gave, in log odds, largest first.

    Raises:
        ValueError: See `boosting.folds` and `boosting.out_of_fold`.
    """
    truth = boosting.check(features, labels)
    if groups is not None and len(set(groups)) == len(truth):
        groups = None  # each tile a scene of its own
    splits = boosting.folds(truth, folds, seed, groups)
    scores, planes, judged = {}, {}, {}
    for kind in ("all", *KINDS):
        used = of_kind(features, kind)
        if not used.shape[1] or (kind != "all" and used.shape[1] == features.shape[1]):
            continue
        result = boosting.out_of_fold(used, truth, splits, seed)
        scores[kind] = boosting.summary(boosting.fold_scores(truth, result.probabilities, result.fold))
        if kind == "all":
            judged = {
                "ids": [str(name) for name in features.index],
                "probability": [round(float(p), 4) for p in result.probabilities],
            }
            shap = boosting.contributions(used, splits, result.boosters)
            by_plane = shap.T.groupby(lambda name: name.rsplit("_", 1)[0]).sum().T
            mean = by_plane.abs().mean().sort_values(ascending=False)
            planes = {str(name): round(float(value), 4) for name, value in mean.items()}
    return {
        "tiles": len(truth),
        "positives": int(np.sum(truth)),
        "grouped": groups is not None,
        "features": features.shape[1],
        "scores": scores,
        "planes": planes,
        "out_of_fold": judged,
    }
