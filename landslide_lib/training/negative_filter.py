"""Boosted trees that sort out tiles which surely show no landslide, as the report `filter` does. No torch.

The threshold is the lowest probability that a positive training tile got from trees that had not seen it: the highest
one that loses none out of fold. A new positive of the same kind falls below all n of them with chance 1 / (n + 1);
chapter 41 counts how many really do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landslide_lib.paths import atomic_write
from landslide_lib.training import boosting

if TYPE_CHECKING:
    from xgboost import Booster

FORMAT = "negative-filter-1"  # of the file that `Filter.save` writes


@dataclass(frozen=True)
class Filter:
    """A fitted filter; see `fit`."""

    boosters: tuple[Booster, ...]  # the trees of each fold; a new tile gets the mean of their probabilities
    columns: tuple[str, ...]  # names of the features, in order
    threshold: float  # tiles at or above it are kept; 0 where none could be sorted out
    out_of_fold: NDArray[np.float64]  # (N,) probability of each training tile by the fold that did not see it
    #: On its `tiles`, each judged out of fold: `removed`, the share that it sorts out; that of positives before and
    #: after; `lost`, the share of the positives that it sorts out, 0 by its making; `seconds` of fitting.
    cost: dict[str, float]
    seed: int  # of folds and trees

    @property
    def keep(self) -> NDArray[np.bool_]:
        """(N,) which training tiles it keeps: those it learnt from are judged out of fold."""
        return np.asarray(self.out_of_fold >= self.threshold)

    def probabilities(self, features: pd.DataFrame) -> NDArray[np.float64]:
        known = features[list(self.columns)]
        return np.asarray(np.mean([boosting.probabilities(booster, known) for booster in self.boosters], axis=0))

    def keeps(self, features: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which new tiles it keeps, (M,); on the others it sees surely no landslide."""
        return np.asarray(self.probabilities(features) >= self.threshold)

    def save(self, path: Path) -> None:
        content = {
            **vars(self),
            "format": FORMAT,
            "out_of_fold": self.out_of_fold.tolist(),
            "boosters": [json.loads(bytes(booster.save_raw("json"))) for booster in self.boosters],
        }
        with atomic_write(path) as scratch:
            scratch.write_text(json.dumps(content) + "\n", "utf-8")


def load(path: Path) -> Filter:
    """Read a filter that `Filter.save` wrote; a ValueError names a file that is missing, is none, or is damaged."""
    import xgboost as xgb

    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if (given := content.pop("format")) != FORMAT:
            raise ValueError(f"its format is {given!r}, not {FORMAT!r}")
        boosters = [xgb.Booster({"nthread": 1}) for _ in content["boosters"]]
        for booster, saved in zip(boosters, content["boosters"], strict=True):
            booster.load_model(bytearray(json.dumps(saved).encode()))
        arrays = {
            "boosters": tuple(boosters),
            "columns": tuple(content["columns"]),
            "out_of_fold": np.array(content["out_of_fold"], np.float64),
        }
        return Filter(**{**content, **arrays})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, xgb.core.XGBoostError) as error:
        what = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: no negative filter that can be read ({what}); fit and save it anew, or move "
            "the network's file away, which is then trained again with its filter"
        ) from error


def fit(
    features: pd.DataFrame, labels: ArrayLike, folds: int = 10, seed: int = 0, groups: boosting.Groups = None
) -> Filter:
    """Fit a filter that loses no positive training tile out of fold.

    `features` (N, columns) are those of `features.measure`, `labels` (N,) in {0, 1}. Each tile is judged by the trees
    of the other folds; `groups` (N,) are scenes, so that a tile's neighbours do not judge it. Raises ValueError: a fold
    without a positive or a negative, a feature that is NaN or infinite.
    """
    start = perf_counter()
    truth = boosting.check(features, labels)
    judged = boosting.out_of_fold(features, truth, boosting.folds(truth, folds, seed, groups), seed)
    lowest = float(judged.probabilities[truth == 1].min())
    keep = judged.probabilities >= lowest
    cost = {
        "tiles": len(truth),
        "removed": float(1 - keep.mean()),
        "positive_before": float(truth.mean()),
        "positive_after": float(truth[keep].mean()),
        "lost": float(1 - keep[truth == 1].mean()),
        "seconds": perf_counter() - start,
    }
    threshold = 0.0 if keep.all() else lowest
    return Filter(judged.boosters, tuple(map(str, features.columns)), threshold, judged.probabilities, cost, seed)
