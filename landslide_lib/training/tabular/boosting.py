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

if TYPE_CHECKING:  # importing it takes seconds
    from xgboost import Booster

Floats = NDArray[np.float64]
Split = tuple[NDArray[np.int64], NDArray[np.int64]]

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
CLASSES = ((1, "positive"), (0, "negative"))


class OutOfFold(NamedTuple):
    """What the trees of each row's own fold, which never saw it, make of it.

    Attributes:
        probabilities: Of a landslide by row, in 0..1, in the order of the table; rows that no split tests are missing.
        fold: Which split tested each, from 0.
        boosters: The trees of each split.
    """

    probabilities: pd.Series[float]
    fold: pd.Series[int]
    boosters: tuple[Booster, ...]


def check(features: pd.DataFrame, labels: ArrayLike) -> NDArray[np.int64]:
    """Return labels as 0 and 1 after refusing what trees would take without a word.

    Raises:
        ValueError: Lengths differ, a label is neither 0 nor 1, one class is all there is, or a feature is NaN or
            infinite.
    """
    truth = np.asarray(labels)
    if truth.shape != (len(features),):
        raise ValueError(f"labels: {truth.shape} for {len(features)} rows; one a row is needed")
    if (odd := truth[~np.isin(truth, (0, 1))]).size:
        raise ValueError(f"labels: {odd[0]!r} is neither 0 nor 1")
    if len(np.unique(truth)) < 2:
        only = "positive" if len(truth) and truth[0] else "negative"
        raise ValueError(f"labels: all {len(truth)} rows are {only}; both classes are needed")
    check_finite(features)
    return truth.astype(np.int64)


def check_finite(features: pd.DataFrame) -> None:
    """Refuse NaN and infinity, which trees would take for a value like any other.

    Raises:
        ValueError: A feature is NaN or infinite; the message names column and row.
    """
    bad = np.argwhere(~np.isfinite(features.to_numpy(np.float64)))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"features: {features.columns[column]} of row {features.index[row]!r} is NaN or "
            "infinite; repair the row or leave it out"
        )


def folds(
    labels: ArrayLike, count: int, seed: int = 0, groups: Sequence[Any] | NDArray[Any] | None = None
) -> list[Split]:
    """Cut rows into folds with about the same share of positives each.

    Args:
        labels: (N,) in {0, 1}.
        count: Of the folds, at least 2.
        seed: Of the order.
        groups: (N,) rows of one group stay in one fold, such as tiles of a scene; None for none.

    Returns:
        Sorted indices of training and test rows of each fold.

    Raises:
        ValueError: A fold would hold no positive or no negative to test, or to learn from.
    """
    truth = np.asarray(labels)
    group = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    for value, name in CLASSES:
        holding = len(np.unique(group[truth == value]))
        if count < 2 or holding < count:
            what = "rows" if groups is None else "groups"
            raise ValueError(
                f"folds = {count}: {holding} {what} hold a {name} one, and each fold needs one; "
                "take fewer folds, at least two, or more data"
            )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    cut = kind(count, shuffle=True, random_state=seed).split(truth, truth, None if groups is None else group)
    splits = [(np.sort(train), np.sort(test)) for train, test in cut]
    for number, split in enumerate(splits, 1):
        for value, name in CLASSES:
            if not all((truth[rows] == value).any() for rows in split):
                raise ValueError(
                    f"folds: fold {number} of {count} leaves no {name} row to test or to learn; "
                    "the groups are too uneven: take fewer folds, or another seed"
                )
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
    """Return what trees make of rows that they did not learn from.

    Args:
        features: A row a tile, whose index names it; columns are used as they are.
        labels: (N,) in {0, 1}.
        splits: Numbers of training and of test rows: of `folds`, or those of another model, for a comparison.
        seed: Of the trees.

    Raises:
        ValueError: See `check`; two splits test a row, or one learns from a row that it tests.
    """
    truth = check(features, labels)
    score, fold = np.full(len(truth), np.nan), np.full(len(truth), -1)
    boosters = []
    for number, (learnt, tested) in enumerate(splits):
        if len(np.intersect1d(learnt, tested)):
            raise ValueError(f"splits: split {number} learns from rows that it tests")
        if (fold[tested] >= 0).any():
            raise ValueError(f"splits: split {number} tests rows that an earlier one tests")
        boosters.append(train(features.iloc[learnt], truth[learnt], seed))
        score[tested] = probabilities(boosters[-1], features.iloc[tested])
        fold[tested] = number
    table = pd.DataFrame({"probability": score, "fold": fold}, features.index)[fold >= 0]
    return OutOfFold(table["probability"], table["fold"], tuple(boosters))


def fold_scores(labels: ArrayLike, scores: ArrayLike, fold: ArrayLike, at: float = 0.5) -> Floats:
    """Return F1 of the positives at a threshold, and the area under the ROC, of each fold, (folds, 2).

    Args:
        labels: (N,) in {0, 1}.
        scores: (N,) the higher, the likelier positive.
        fold: (N,) which fold tested each.
        at: The threshold; what is above it is called positive.
    """
    truth, score, number = np.asarray(labels), np.asarray(scores), np.asarray(fold)
    parts = [(truth[number == each], score[number == each]) for each in np.unique(number)]
    return np.array([(f1_score(true, given > at), roc_auc_score(true, given)) for true, given in parts])


def summary(each: Floats) -> dict[str, float]:
    """Return mean and standard deviation over folds of `fold_scores`.

    >>> summary(np.array([[0.5, 0.8], [0.7, 0.8]]))
    {'f1': 0.6, 'f1_std': 0.1414, 'auc': 0.8, 'auc_std': 0.0, 'folds': 2}
    """
    (f1, auc), (f1_std, auc_std) = each.mean(0), each.std(0, ddof=1)
    values = {"f1": f1, "f1_std": f1_std, "auc": auc, "auc_std": auc_std}
    return {name: round(float(value), 4) for name, value in values.items()} | {"folds": len(each)}


def contributions(features: pd.DataFrame, splits: Sequence[Split], boosters: Sequence[Booster]) -> pd.DataFrame:
    """Return what each column gave to the prediction of each row, by trees that never saw it.

    TreeSHAP (Lundberg and others 2020, doi:10.1038/s42256-019-0138-9), as XGBoost computes it.

    Args:
        features: As learnt.
        splits: As learnt.
        boosters: Of `out_of_fold`.

    Returns:
        (N, columns) in log odds: with the bias, which is left out, they sum to the prediction. Rows that no split tests
        are not in it.
    """
    import xgboost as xgb

    parts = []
    for (_, tested), booster in zip(splits, boosters, strict=True):
        values = booster.predict(xgb.DMatrix(features.iloc[tested].to_numpy(np.float64)), pred_contribs=True)
        parts.append(pd.DataFrame(values[:, :-1], tested, features.columns))
    whole = pd.concat(parts).sort_index()
    return whole.set_index(features.index[whole.index])
