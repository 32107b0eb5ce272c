"""Boosted trees on a table, and a filter made of them that sorts out tiles which surely show no landslide. No torch.

Chen and Guestrin 2016, XGBoost, arXiv:1603.02754. One thread and a seed: the same numbers again.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import assert_all_finite, check_consistent_length

from landslide_lib.paths import atomic_write

if TYPE_CHECKING:  # importing it takes seconds
    from xgboost import Booster

Floats = NDArray[np.float64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]
Groups = Sequence[Any] | NDArray[Any] | None  # the scene of each row; None where none is known

#: Small trees, many of them, rows and columns drawn: usual values, tuned to nothing here.
PARAMETERS = {"objective": "binary:logistic", "nthread": 1, "eta": 0.1, "subsample": 0.8, "colsample_bytree": 0.8}
FORMAT = "negative-filter-1"  # of the file that `FittedFilter.save` writes


class OutOfFold(NamedTuple):
    """What the trees of each row's own fold, which never saw it, make of it."""

    probabilities: Floats  # (N,) of a landslide, in 0..1
    fold: NDArray[np.int64]  # (N,) which split tested each row, from 0
    boosters: tuple["Booster", ...]  # the trees of each split


def check(features: pd.DataFrame, labels: ArrayLike) -> NDArray[np.int64]:
    """Return labels as integers after refusing what trees would take without a word.

    Raises ValueError: lengths differ, a label is neither 0 nor 1, or a feature is NaN or infinite.
    """
    truth = np.asarray(labels)
    check_consistent_length(features, truth)
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"labels: 0 and 1 are possible, not {np.setdiff1d(truth, (0, 1))}")
    assert_all_finite(features.to_numpy(np.float64), input_name="features")
    return truth.astype(np.int64)


def fold_rows(labels: ArrayLike, count: int, seed: int = 0, groups: Groups = None) -> list[Split]:
    """Return sorted training and test rows of each of at least two folds, with about the same share of positives.

    Rows of one group, such as tiles of a scene, stay in one fold. Raises ValueError: one class is missing in a fold.
    """
    truth = np.asarray(labels)
    group = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    cut = kind(count, shuffle=True, random_state=seed).split(truth, truth, group)
    splits = [(np.sort(train), np.sort(test)) for train, test in cut]
    if any(len(np.unique(truth[rows])) < 2 for split in splits for rows in split):
        positive = f"of the {len(truth)} rows {int(truth.sum())} are positive"
        raise ValueError(f"folds: one of {count} leaves no row of each class to learn or to test; {positive}")
    return splits


def train(
    features: pd.DataFrame, labels: ArrayLike, seed: int = 0, *, depth: int = 4, trees: int = 120, **other: float
) -> "Booster":
    """Grow trees on all rows, with `other` parameters of XGBoost; see `check` for what is refused."""
    truth = check(features, labels)
    import xgboost as xgb

    data = xgb.DMatrix(features.to_numpy(np.float64), truth)
    return xgb.train({**PARAMETERS, "max_depth": depth, "seed": seed, **other}, data, trees)


def probabilities(booster: "Booster", features: pd.DataFrame) -> Floats:
    """Return the probability of a landslide of each row, in 0..1."""
    return np.asarray(booster.inplace_predict(features.to_numpy(np.float64)), np.float64)


def out_of_fold(
    features: pd.DataFrame, labels: ArrayLike, splits: Sequence[Split], seed: int = 0, **grown: Any
) -> OutOfFold:
    """Return what trees, `grown` as in `train`, make of rows that they did not learn from."""
    truth = np.asarray(labels)
    score, fold = np.full(len(truth), np.nan), np.full(len(truth), -1)
    boosters = []
    for number, (learnt, tested) in enumerate(splits):
        boosters.append(train(features.iloc[learnt], truth[learnt], seed, **grown))
        score[tested] = probabilities(boosters[-1], features.iloc[tested])
        fold[tested] = number
    return OutOfFold(score, fold, tuple(boosters))


@dataclass(frozen=True)
class FittedFilter:
    """A fitted filter of tiles, as the report `filter` has it.

    The threshold is the lowest probability that a positive training tile got from trees that had not seen it: the
    highest one that loses none out of fold. A new positive of the same kind falls below all n of them with chance
    1 / (n + 1); chapter 41 counts how many really do.
    """

    boosters: tuple["Booster", ...]  # the trees of each fold; a new tile gets the mean of their probabilities
    columns: tuple[str, ...]  # names of the features, in order
    threshold: float  # tiles at or above it are kept; 0 where none could be sorted out
    out_of_fold: Floats  # (N,) probability of each training tile by the fold that did not see it
    #: On its `tiles`, each judged out of fold: `removed`, the share that it sorts out; that of positives before and
    #: after; `lost`, the share of the positives that it sorts out, 0 by its making; `seconds` of fitting.
    cost: dict[str, float]
    seed: int  # of folds and trees
    scales: tuple[float, ...] = ()  # a threshold for each fold, which its probabilities are divided by; then it is 1

    @property
    def keep(self) -> NDArray[np.bool_]:
        """(N,) which training tiles it keeps: those it learnt from are judged out of fold."""
        return np.asarray(self.out_of_fold >= self.threshold)

    def probabilities(self, features: pd.DataFrame) -> Floats:
        """Return the mean of the folds' trees; with a threshold for each fold the highest, divided by its threshold."""
        known = features[list(self.columns)]
        each = np.array([probabilities(booster, known) for booster in self.boosters])
        return np.asarray((each.T / self.scales).max(1) if self.scales else each.mean(0))

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


def load_filter(path: Path) -> FittedFilter:
    """Read what `FittedFilter.save` wrote; a ValueError names a file that is missing, is none, or is damaged."""
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
        return FittedFilter(**{**content, **arrays})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, xgb.core.XGBoostError) as error:
        what = str(error).splitlines()[-1] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: no negative filter that can be read ({what}); fit and save it anew, or move "
            "the network's file away, which is then trained again with its filter"
        ) from error


def fit_filter(
    features: pd.DataFrame,
    labels: ArrayLike,
    folds: int = 10,
    seed: int = 0,
    groups: Groups = None,
    each_fold: bool = False,
    **grown: Any,
) -> FittedFilter:
    """Fit a filter that loses no positive training tile out of fold.

    `features` (N, columns) are those of `features.measure`, `labels` (N,) in {0, 1}. Each tile is judged by the trees
    of the other folds; `groups` (N,) are scenes, so that a tile's neighbours do not judge it; trees are `grown` as in
    `train`. With `each_fold` a fold has a threshold of its own, as in the code of the report's author, and a new tile
    goes where all folds agree. Raises ValueError: a fold without a positive or a negative, a feature NaN or infinite.
    """
    start = perf_counter()
    truth = check(features, labels)
    judged = out_of_fold(features, truth, fold_rows(truth, folds, seed, groups), seed, **grown)
    score, scales = judged.probabilities, tuple[float, ...]()
    if each_fold:
        scales = tuple(float(score[(truth == 1) & (judged.fold == fold)].min()) for fold in range(folds))
        score = score / np.array(scales)[judged.fold]
    lowest = float(score[truth == 1].min())
    keep = score >= lowest
    cost = {
        "tiles": len(truth),
        "removed": float(1 - keep.mean()),
        "positive_before": float(truth.mean()),
        "positive_after": float(truth[keep].mean()),
        "lost": float(1 - keep[truth == 1].mean()),
        "seconds": perf_counter() - start,
    }
    threshold = 0.0 if keep.all() else lowest
    return FittedFilter(judged.boosters, tuple(map(str, features.columns)), threshold, score, cost, seed, scales)
