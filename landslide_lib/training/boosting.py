"""Boosted trees on a table: folds, probabilities of rows that were not learnt, SHAP. No torch.

Chen and Guestrin 2016, XGBoost, arXiv:1603.02754. One thread and a seed: the same numbers again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import assert_all_finite, check_consistent_length

if TYPE_CHECKING:  # importing it takes seconds
    from xgboost import Booster

Floats = NDArray[np.float64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]
Groups = Sequence[Any] | NDArray[Any] | None  # the scene of each row; None where none is known

#: Small trees, many of them, rows and columns drawn: usual values, tuned to nothing here.
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eta": 0.1,
    "max_depth": 4,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "nthread": 1,
}
ROUNDS = 120


class OutOfFold(NamedTuple):
    """What the trees of each row's own fold, which never saw it, make of it."""

    probabilities: Floats  # (N,) of a landslide, in 0..1
    fold: NDArray[np.int64]  # (N,) which split tested each row, from 0
    boosters: tuple[Booster, ...]  # the trees of each split


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


def folds(labels: ArrayLike, count: int, seed: int = 0, groups: Groups = None) -> list[Split]:
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


def train(features: pd.DataFrame, labels: ArrayLike, seed: int = 0) -> Booster:
    """Grow trees on all rows; see `check` for what is refused."""
    truth = check(features, labels)
    import xgboost as xgb

    data = xgb.DMatrix(features.to_numpy(np.float64), truth)
    return xgb.train({**PARAMETERS, "seed": seed}, data, ROUNDS)


def probabilities(booster: Booster, features: pd.DataFrame) -> Floats:
    """Return the probability of a landslide of each row, in 0..1."""
    return np.asarray(booster.inplace_predict(features.to_numpy(np.float64)), np.float64)


def out_of_fold(features: pd.DataFrame, labels: ArrayLike, splits: Sequence[Split], seed: int = 0) -> OutOfFold:
    """Return what trees make of rows that they did not learn from; see `check` for what is refused."""
    truth = np.asarray(labels)
    score, fold = np.full(len(truth), np.nan), np.full(len(truth), -1)
    boosters = []
    for number, (learnt, tested) in enumerate(splits):
        boosters.append(train(features.iloc[learnt], truth[learnt], seed))
        score[tested] = probabilities(boosters[-1], features.iloc[tested])
        fold[tested] = number
    return OutOfFold(score, fold, tuple(boosters))


def fold_scores(labels: ArrayLike, scores: ArrayLike, fold: ArrayLike, at: float = 0.5) -> Floats:
    """Return F1 of scores above `at` and area under the ROC of each fold, (folds, 2); `fold` (N,) tested a row."""
    truth, score, number = np.asarray(labels), np.asarray(scores), np.asarray(fold)
    parts = [(truth[number == each], score[number == each]) for each in np.unique(number)]
    return np.array([(f1_score(true, given > at), roc_auc_score(true, given)) for true, given in parts])
