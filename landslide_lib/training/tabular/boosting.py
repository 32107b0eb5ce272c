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


class OutOfFold(NamedTuple):
    """What each row's own fold says of it, whose trees never saw it.

    Attributes:
        probabilities: Of a landslide by row, in 0..1, in the order of the table; rows that no split tests are not in
            it.
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
    if not np.isin(truth, (0, 1)).all():
        odd = truth[~np.isin(truth, (0, 1))][0]
        raise ValueError(f"labels: {odd!r} is neither 0 nor 1")
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
    good = np.isfinite(features.to_numpy(np.float64))
    if not good.all():
        row, column = np.argwhere(~good)[0]
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
    given = np.arange(len(truth)) if groups is None else np.asarray(groups)
    for value, name in ((1, "positive"), (0, "negative")):
        there = len(np.unique(given[truth == value]))
        if count < 2 or there < count:
            what = "rows" if groups is None else "groups"
            raise ValueError(
                f"folds = {count}: {there} {what} hold a {name} one, and each fold needs one; "
                "take fewer folds, at least two, or more data"
            )
    if groups is None:
        cut = StratifiedKFold(count, shuffle=True, random_state=seed).split(truth, truth)
    else:
        cut = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(
            truth, truth, np.unique(given, return_inverse=True)[1]
        )
    made = [(np.sort(train), np.sort(test)) for train, test in cut]
    for number, (train, test) in enumerate(made, 1):
        for value, name in ((1, "positive"), (0, "negative")):
            if not (truth[test] == value).any() or not (truth[train] == value).any():
                raise ValueError(
                    f"folds: fold {number} of {count} leaves no {name} row to test or to learn; "
                    "the groups are too uneven: take fewer folds, or another seed"
                )
    return made


def train(features: pd.DataFrame, labels: ArrayLike, seed: int = 0) -> Booster:
    """Grow trees on all rows.

    Raises:
        ValueError: See `check`.
    """
    truth = check(features, labels)
    import xgboost as xgb

    data = xgb.DMatrix(features.to_numpy(np.float64), truth)
    return xgb.train({**PARAMETERS, "seed": seed}, data, ROUNDS)


def probabilities(booster: Booster, features: pd.DataFrame) -> Floats:
    """Return the probability of a landslide of each row, in 0..1."""
    return np.asarray(booster.inplace_predict(features.to_numpy(np.float64)), np.float64)


def out_of_fold(features: pd.DataFrame, labels: ArrayLike, splits: Sequence[Split], seed: int = 0) -> OutOfFold:
    """Return what trees say of rows that they did not learn from.

    Args:
        features: A row a tile, whose index names it; columns are used as they are.
        labels: (N,) in {0, 1}.
        splits: Of `folds`, or those of another model, so that the two can be set side by side: numbers of training and
            of test rows.
        seed: Of the trees.

    Raises:
        ValueError: See `check`; two splits test a row, or one learns from a row that it tests.
    """
    truth = check(features, labels)
    score, fold = np.full(len(truth), np.nan), np.full(len(truth), -1)
    grown = []
    for number, (learnt, tested) in enumerate(splits):
        if len(np.intersect1d(learnt, tested)):
            raise ValueError(f"splits: split {number} learns from rows that it tests")
        if (fold[tested] >= 0).any():
            raise ValueError(f"splits: split {number} tests rows that an earlier one tests")
        booster = train(features.iloc[learnt], truth[learnt], seed)
        score[tested] = probabilities(booster, features.iloc[tested])
        fold[tested] = number
        grown.append(booster)
    there = fold >= 0
    return OutOfFold(
        pd.Series(score[there], features.index[there], name="probability"),
        pd.Series(fold[there], features.index[there], name="fold"),
        tuple(grown),
    )


def fold_scores(labels: ArrayLike, scores: ArrayLike, fold: ArrayLike, at: float = 0.5) -> Floats:
    """Return F1 of the positives at a threshold, and the area under the ROC, of each fold.

    Args:
        labels: (N,) in {0, 1}.
        scores: (N,) the higher, the likelier positive.
        fold: (N,) which fold tested each.
        at: The threshold; what is above it is called positive.

    Returns:
        (folds, 2): F1 and AUC.
    """
    truth, score, number = np.asarray(labels), np.asarray(scores), np.asarray(fold)
    each = []
    for one in np.unique(number):
        mine = number == one
        called = score[mine] > at
        each.append((f1_score(truth[mine], called), roc_auc_score(truth[mine], score[mine])))
    return np.array(each)


def summary(each: Floats) -> dict[str, float]:
    """Return mean and standard deviation over folds of `fold_scores`.

    >>> summary(np.array([[0.5, 0.8], [0.7, 0.8]]))
    {'f1': 0.6, 'f1_std': 0.1414, 'auc': 0.8, 'auc_std': 0.0, 'folds': 2}
    """
    mean, spread = each.mean(0), each.std(0, ddof=1)
    return {
        "f1": round(float(mean[0]), 4),
        "f1_std": round(float(spread[0]), 4),
        "auc": round(float(mean[1]), 4),
        "auc_std": round(float(spread[1]), 4),
        "folds": len(each),
    }


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
        some = features.iloc[tested]
        given = booster.predict(xgb.DMatrix(some.to_numpy(np.float64)), pred_contribs=True)
        parts.append(pd.DataFrame(given[:, :-1], some.index, features.columns).set_index(tested))
    whole = pd.concat(parts).sort_index()
    return whole.set_index(features.index[whole.index])
