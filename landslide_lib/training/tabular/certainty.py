"""Certainty factors: how they are made of labels, and what they show of the labels. No torch.

Shortliffe and Buchanan 1975, doi:10.1016/0025-5564(75)90047-4, for landslides in the form of Chung and Fabbri 1993: of
a class of a map, such as a range of slopes, with the density f of landslides in it and p in the whole region,

    CF = (f - p) / (f (1 - p))  where f >= p,    CF = (f - p) / (p (1 - f))  where f < p.

So a factor in a table is a step function of the class, and each step tells how landslides were distributed over the
classes: 1 / (1 - CF) where the CF is at least 0, else 1 + CF, is the odds of a landslide in the class over those in the
region, whatever p is. The share of the landslides that a class holds, divided by that, is its share of the places
without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc

from landslide_lib.training.tabular import boosting

Floats = NDArray[np.float64]

#: The share of the landslides that susceptibility studies commonly learn from, and others.
FRACTIONS = (0.5, 0.7, 0.9, 0.95, 0.99)


def factor(density: ArrayLike, prior: float) -> Floats:
    """Return the certainty factor of classes, in -1..1.

    Args:
        density: Share of positives in each class, in 0..1.
        prior: The same of all classes together, above 0 and below 1.

    >>> factor([0.0, 0.1, 0.5, 1.0], 0.1).round(3)
    array([-1.   ,  0.   ,  0.889,  1.   ])
    """
    f = np.asarray(density, np.float64)
    above, below = np.maximum(f, prior), np.minimum(f, prior)
    return (above - prior) / (above * (1 - prior)) + (below - prior) / (prior * (1 - below))


def odds(cf: ArrayLike) -> Floats:
    """Return the odds of a landslide in classes, over those in the region: f (1 - p) / (p (1 - f)), 0 to infinity.

    >>> odds([-1.0, -0.5, 0.0, 0.75]), odds(factor([0.2], 0.1)).round(3)
    (array([0. , 0.5, 1. , 4. ]), array([2.25]))
    """
    value = np.asarray(cf, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(value >= 0, 1 / (1 - value), 1 + value)


def levels(factors: pd.DataFrame, labels: ArrayLike) -> pd.DataFrame:
    """Return the values that each factor takes, with the samples at each.

    Returns:
        A line a factor and value, in order: `factor`, `value`, `positives`, `negatives`.
    """
    truth = np.asarray(labels)
    parts = []
    for name in factors:
        counts = pd.crosstab(factors[name].to_numpy(), truth).reindex(columns=[0, 1], fill_value=0)
        columns = {"positives": counts[1].to_numpy(), "negatives": counts[0].to_numpy()}
        parts.append(pd.DataFrame({"factor": name, "value": counts.index.astype(float), **columns}))
    return pd.concat(parts, ignore_index=True)


def areas(table: pd.DataFrame) -> Floats:
    """Return how the region without its landslides is spread over the classes of each factor of `levels`.

    It is the positives' share over the odds, and holds if the certainty factors were made of the positives of the
    table. Of a class with a CF of -1 it is 0: it holds no landslide, so they tell nothing of its area.
    """
    share = table["positives"] / table.groupby("factor")["positives"].transform("sum")
    return _ratio(share.to_numpy(np.float64), odds(table["value"].to_numpy()))


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return a ratio, 0 where there is nothing to divide by."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def balance(table: pd.DataFrame) -> pd.DataFrame:
    """Ask whether the positives of a table are those that its certainty factors were made of.

    If they are, the areas of a factor's classes sum to 1 exactly, but for what classes without any landslide cover. If
    the factors are of other landslides of the region, they miss 1 by chance.

    Returns:
        A line a factor: `factor`, `levels`, `sum` (of `areas`), `error` (its standard error if the positives were a
        fresh sample), `empty` (classes with a CF of -1), `own` (the largest distance of a value from the certainty
        factor of this very table's samples, positives among all) and `correlation` (of the two, over the samples).
    """
    lines = []
    prior = float(table["positives"].sum() / table[["positives", "negatives"]].to_numpy().sum())
    for name, part in table.groupby("factor", sort=False):
        area, count = areas(part), part["positives"] + part["negatives"]
        share = part["positives"].to_numpy() / part["positives"].sum()
        variance = float((share * _ratio(area, share) ** 2).sum() - area.sum() ** 2)
        own, value = factor(part["positives"] / count, prior), part["value"].to_numpy()
        covariance = np.cov(value, own, fweights=count.to_numpy())
        spread = float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
        lines.append(
            {
                "factor": name,
                "levels": len(part),
                "sum": float(area.sum()),
                "error": float(np.sqrt(max(variance, 0) / part["positives"].sum())),
                "empty": int((value == -1).sum()),
                "own": float(np.abs(value - own).max()),
                "correlation": float(covariance[0, 1]) / spread if spread else 0.0,
            }
        )
    return pd.DataFrame(lines)


def made_of(
    factors: pd.DataFrame, labels: ArrayLike, fractions: Sequence[float] = FRACTIONS, draws: int = 400, seed: int = 0
) -> dict[str, Any]:
    """Simulate which positives the certainty factors may have been made of.

    The region is taken as `areas` gives it, scaled to sum to 1. Certainty factors are made anew of a part of the
    positives, or of a fresh sample of as many, and `balance` is asked again: how far from 1 do the sums lie (root mean
    square over the factors)? One draw is of whole samples, so that factors which go together do so in it, too. Of a
    class that a draw leaves without a landslide the region's area stands in, which makes its distance smaller.

    Returns:
        `distance` (of the table itself; factors with a class whose CF is -1 are left out) and `draws`: of each way `of`
        (a fraction, or "fresh"), `median` distance and `nearer`: the share of the draws whose sums are as near to 1.
    """
    truth = np.asarray(labels)
    whole = factors.loc[:, (factors > -1).all()]
    positives = whole[truth == 1]
    table, count = levels(whole, truth), len(positives)
    # One column a level; the levels of a factor are neighbours.
    parts = table.groupby("factor", sort=False)
    member = np.concatenate(
        [positives[name].to_numpy()[:, None] == part["value"].to_numpy() for name, part in parts], axis=1
    ).astype(np.float32)
    starts = np.flatnonzero(~table["factor"].duplicated())
    share, area = member.mean(0), areas(table)
    sums = np.add.reduceat(area, starts)
    region = area / np.repeat(sums, np.diff([*starts, len(area)]))
    distance = float(_far(sums))
    draw = np.random.default_rng(seed)
    results = []
    for fraction in (*fractions, None):
        if fraction is None:
            weights = draw.multinomial(count, np.full(count, 1 / count), draws)
        else:
            rank = draw.random((draws, count)).argsort(1)
            weights = (rank < round(fraction * count)).astype(np.int64)
        drawn = (weights @ member) / weights.sum(1, keepdims=True)
        # As `areas`, with the odds of the draw, drawn / region.
        implied = np.divide(share * region, drawn, out=np.tile(region, (draws, 1)), where=drawn > 0)
        far = _far(np.add.reduceat(implied, starts, axis=1))
        of = "fresh" if fraction is None else fraction
        results.append({"of": of, "median": float(np.median(far)), "nearer": float((far <= distance).mean())})
    return {"distance": distance, "draws": results}


def _far(sums: Floats) -> Floats:
    """Return how far sums lie from 1, as the root of the mean square over the last axis."""
    return np.asarray(np.sqrt(np.mean((sums - 1) ** 2, axis=-1)))


def negatives(table: pd.DataFrame) -> pd.DataFrame:
    """Ask whether the negatives of a table may be places drawn at random from its region.

    Then they would be spread over a factor's classes as the area is.

    Args:
        table: Of `levels`.

    Returns:
        A line a factor: `factor`; `chi2` and `freedom` of the negatives against the area, classes that expect fewer
        than five put together, and `chance` of so much or more; `bare`: the share of the area in classes that hold
        positives and no negative, and `bare_expected`, the negatives due there; `auc`: how well the one factor tells
        positives from negatives, in 0..1, and `auc_region`, how well it would from places drawn at random.
    """
    lines = []
    for name, part in table.groupby("factor", sort=False):
        area = areas(part)
        area = area / area.sum()
        negative, positive = part["negatives"].to_numpy(), part["positives"].to_numpy()
        due = area * negative.sum()
        few = due < 5
        observed, expected = (np.append(each[~few], each[few].sum()) for each in (negative, due))
        observed, expected = observed[expected > 0], expected[expected > 0]
        chi2, freedom = float(((observed - expected) ** 2 / expected).sum()), len(observed) - 1
        bare = (negative == 0) & (positive > 0)
        lines.append(
            {
                "factor": name,
                "chi2": chi2,
                "freedom": freedom,
                "chance": float(gammaincc(freedom / 2, chi2 / 2)) if freedom else 1.0,
                "bare": float(area[bare].sum()),
                "bare_expected": float(due[bare].sum()),
                "auc": _auc(positive, negative),
                "auc_region": _auc(positive, area),
            }
        )
    return pd.DataFrame(lines)


def _auc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Return the area under the ROC from weights by level, lowest level first."""
    up, down = (np.asarray(weights, np.float64) / np.sum(weights) for weights in (positive, negative))
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum())


def encode(classes: pd.DataFrame, labels: ArrayLike, learnt: NDArray[np.int64] | slice = slice(None)) -> pd.DataFrame:
    """Put in place of each class its certainty factor among some of the samples.

    Args:
        classes: (N, factors) any values; samples of one value are of one class.
        labels: (N,) in {0, 1}.
        learnt: The samples whose labels are looked at. A class that none of them has gets 0: nothing is known of it.

    Returns:
        (N, factors) in -1..1, of all samples.
    """
    known = pd.Series(np.asarray(labels), classes.index).iloc[learnt]
    prior = float(known.mean())

    def codes(column: pd.Series[Any]) -> pd.Series[float]:
        density = known.groupby(column.iloc[learnt]).mean()
        return column.map(pd.Series(factor(density, prior), density.index)).fillna(0.0).astype(np.float64)

    return classes.apply(codes)


def shuffled(classes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Put a random number in place of each class, which looks at no label at all."""
    draw = np.random.default_rng(seed)
    columns = {}
    for name in classes:
        values = np.unique(classes[name])
        codes = dict(zip(values, draw.permutation(len(values)), strict=True))
        columns[name] = classes[name].map(codes).to_numpy(np.float64)
    return pd.DataFrame(columns, classes.index)


def compare(
    classes: pd.DataFrame,
    labels: ArrayLike,
    splits: Sequence[boosting.Split],
    given: pd.DataFrame | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Floats]]:
    """Score trees, and the plain sum of the factors, under encodings that saw more or less.

    Args:
        classes: (N, factors) as of `encode`.
        labels: (N,) in {0, 1}.
        splits: Training and test rows; each row is tested at most once.
        given: The encoding to be judged; by default the classes themselves.
        seed: Of the trees.

    Returns:
        By encoding, of `trees` and `sum` the scores of `boosting.fold_scores`: `given`; `order lost`, a random number a
        class, of trees alone; `inside`, certainty factors of each fold's training samples alone; `all`, those of all
        samples, the tested ones with them.
    """
    truth = np.asarray(labels)
    encodings: Mapping[str, list[pd.DataFrame]] = {
        "given": [classes if given is None else given] * len(splits),
        "order lost": [shuffled(classes, seed)] * len(splits),
        "all": [encode(classes, truth)] * len(splits),
        "inside": [encode(classes, truth, learnt) for learnt, _ in splits],
    }
    results = {}
    for name, frames in encodings.items():
        scores: dict[str, list[Floats]] = {"trees": [], "sum": []}
        for frame, (learnt, tested) in zip(frames, splits, strict=True):
            booster = boosting.train(frame.iloc[learnt], truth[learnt], seed)
            probabilities, total = boosting.probabilities(booster, frame.iloc[tested]), frame.iloc[tested].sum(axis=1)
            fold = np.zeros(len(tested))
            scores["trees"].append(boosting.fold_scores(truth[tested], probabilities, fold))
            scores["sum"].append(boosting.fold_scores(truth[tested], total, fold, at=0.0))
        if name == "order lost":
            del scores["sum"]  # of numbers that mean nothing
        results[name] = {model: np.concatenate(each) for model, each in scores.items()}
    return results


def closed(factors: pd.DataFrame, table: pd.DataFrame, due: float = 5) -> pd.DataFrame:
    """Put classes that no negative stands in together with the class of the nearest value.

    What trees score then, they do not owe to gaps that the choice of the negatives left.

    Args:
        factors: (N, factors).
        table: Its `levels`.
        due: Only classes that hold a positive and miss at least so many negatives, by the area, together with the other
            such ones of their factor.
    """
    joined = factors.copy()
    for name, part in table.groupby("factor", sort=False):
        value, area = part["value"].to_numpy(), areas(part)
        bare = ((part["negatives"] == 0) & (part["positives"] > 0)).to_numpy()
        if (area[bare] / area.sum()).sum() * part["negatives"].sum() < due:
            continue
        nearest = np.abs(value[bare][:, None] - value[~bare]).argmin(1)
        joined[name] = factors[name].replace(dict(zip(value[bare], value[~bare][nearest], strict=True)))
    return joined
