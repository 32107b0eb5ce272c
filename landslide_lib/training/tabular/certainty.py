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
    above = np.maximum(f, prior)
    below = np.minimum(f, prior)
    return (above - prior) / (above * (1 - prior)) + (below - prior) / (prior * (1 - below))


def odds(cf: ArrayLike) -> Floats:
    """Return the odds of a landslide in classes, over those in the region.

    Args:
        cf: Certainty factors, in -1..1.

    Returns:
        f (1 - p) / (p (1 - f)), from 0 for never to infinity for always.

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
        found = pd.crosstab(factors[name].to_numpy(), truth).reindex(columns=[0, 1], fill_value=0)
        parts.append(
            pd.DataFrame(
                {
                    "factor": name,
                    "value": found.index.astype(float),
                    "positives": found[1].to_numpy(),
                    "negatives": found[0].to_numpy(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def areas(table: pd.DataFrame) -> Floats:
    """Return how the region without its landslides is spread over the classes of each factor.

    That holds if the certainty factors were made of the positives of the table.

    Args:
        table: Of `levels`.

    Returns:
        (lines,) the positives' share over the odds. Of a class with a CF of -1 it is 0: it holds no landslide, so they
        tell nothing of its area.
    """
    share = table["positives"] / table.groupby("factor")["positives"].transform("sum")
    wanted = odds(table["value"].to_numpy())
    made: Floats = np.divide(share.to_numpy(np.float64), wanted, out=np.zeros(len(table)), where=wanted > 0)
    return made


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
    for name, some in table.groupby("factor", sort=False):
        area = areas(some)
        share = some["positives"].to_numpy() / some["positives"].sum()
        inverse = np.divide(area, share, out=np.zeros(len(some)), where=share > 0)
        variance = float((share * inverse**2).sum() - area.sum() ** 2)
        count = some["positives"] + some["negatives"]
        own = factor(some["positives"] / count, prior)
        value = some["value"].to_numpy()
        both = np.cov(value, own, fweights=count.to_numpy())
        spread = float(np.sqrt(both[0, 0] * both[1, 1]))
        lines.append(
            {
                "factor": name,
                "levels": len(some),
                "sum": float(area.sum()),
                "error": float(np.sqrt(max(variance, 0) / some["positives"].sum())),
                "empty": int((value == -1).sum()),
                "own": float(np.abs(value - own).max()),
                "correlation": float(both[0, 1]) / spread if spread else 0.0,
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
        (a fraction, or "fresh"), `median` distance and `nearer`: the share of the draws whose sums are as near to 1 as
        the table's.
    """
    truth = np.asarray(labels)
    whole = factors.loc[:, (factors > -1).all()]
    some = whole[truth == 1]
    table = levels(whole, truth)
    count = len(some)
    # One column a level; the levels of a factor are neighbours.
    onto = np.concatenate(
        [
            some[name].to_numpy()[:, None] == part["value"].to_numpy()
            for name, part in table.groupby("factor", sort=False)
        ],
        axis=1,
    ).astype(np.float32)
    starts = np.flatnonzero(~table["factor"].duplicated())
    share, area = onto.mean(0), areas(table)
    sums = np.add.reduceat(area, starts)
    region = area / np.repeat(sums, np.diff([*starts, len(area)]))
    mine = float(_far(sums))
    draw = np.random.default_rng(seed)
    found = []
    for fraction in (*fractions, None):
        if fraction is None:
            weights = draw.multinomial(count, np.full(count, 1 / count), draws)
        else:
            rank = draw.random((draws, count)).argsort(1)
            weights = (rank < round(fraction * count)).astype(np.int64)
        drawn = (weights @ onto) / weights.sum(1, keepdims=True)
        # As `areas`, with the odds of the draw, drawn / region.
        implied = np.divide(share * region, drawn, out=np.tile(region, (draws, 1)), where=drawn > 0)
        far = _far(np.add.reduceat(implied, starts, axis=1))
        of = "fresh" if fraction is None else fraction
        nearer = float((far <= mine).mean())
        found.append({"of": of, "median": float(np.median(far)), "nearer": nearer})
    return {"distance": mine, "draws": found}


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
    for name, some in table.groupby("factor", sort=False):
        area = areas(some)
        area = area / area.sum()
        there, right = some["negatives"].to_numpy(), some["positives"].to_numpy()
        due = area * there.sum()
        few = due < 5
        seen = np.append(there[~few], there[few].sum())
        hoped = np.append(due[~few], due[few].sum())
        seen, hoped = seen[hoped > 0], hoped[hoped > 0]
        chi2, freedom = float(((seen - hoped) ** 2 / hoped).sum()), len(seen) - 1
        bare = (there == 0) & (right > 0)
        lines.append(
            {
                "factor": name,
                "chi2": chi2,
                "freedom": freedom,
                "chance": float(gammaincc(freedom / 2, chi2 / 2)) if freedom else 1.0,
                "bare": float(area[bare].sum()),
                "bare_expected": float(due[bare].sum()),
                "auc": _auc(right, there),
                "auc_region": _auc(right, area),
            }
        )
    return pd.DataFrame(lines)


def _auc(right: ArrayLike, wrong: ArrayLike) -> float:
    """Return the area under the ROC from weights by level, lowest level first."""
    up, down = (np.asarray(some, np.float64) / np.sum(some) for some in (right, wrong))
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
    truth = pd.Series(np.asarray(labels), classes.index)
    known = truth.iloc[learnt]
    prior = float(known.mean())
    made = {}
    for name in classes:
        density = known.groupby(classes[name].iloc[learnt]).mean()
        codes = pd.Series(factor(density, prior), density.index)
        made[name] = classes[name].map(codes).fillna(0.0).to_numpy(np.float64)
    return pd.DataFrame(made, classes.index)


def shuffled(classes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Put a random number in place of each class, which looks at no label at all."""
    draw = np.random.default_rng(seed)
    made = {}
    for name in classes:
        values = np.unique(classes[name])
        codes = dict(zip(values, draw.permutation(len(values)), strict=True))
        made[name] = classes[name].map(codes).to_numpy(np.float64)
    return pd.DataFrame(made, classes.index)


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
    ways: Mapping[str, list[pd.DataFrame]] = {
        name: [frame] * len(splits)
        for name, frame in (
            ("given", classes if given is None else given),
            ("order lost", shuffled(classes, seed)),
            ("all", encode(classes, truth)),
        )
    } | {"inside": [encode(classes, truth, learnt) for learnt, _ in splits]}
    found = {}
    for name, frames in ways.items():
        each: dict[str, list[Floats]] = {"trees": [], "sum": []}
        for frame, (learnt, tested) in zip(frames, splits, strict=True):
            booster = boosting.train(frame.iloc[learnt], truth[learnt], seed)
            guessed = boosting.probabilities(booster, frame.iloc[tested])
            one = np.zeros(len(tested))
            each["trees"].append(boosting.fold_scores(truth[tested], guessed, one))
            total = frame.iloc[tested].sum(axis=1)
            each["sum"].append(boosting.fold_scores(truth[tested], total, one, at=0.0))
        if name == "order lost":
            del each["sum"]  # of numbers that mean nothing
        found[name] = {model: np.concatenate(some) for model, some in each.items()}
    return found


def closed(factors: pd.DataFrame, table: pd.DataFrame, due: float = 5) -> pd.DataFrame:
    """Put classes that no negative stands in together with the class of the nearest value.

    What trees score then, they do not owe to gaps that the choice of the negatives left.

    Args:
        factors: (N, factors).
        table: Its `levels`.
        due: Only classes that hold a positive and miss at least so many negatives, by the area, together with the other
            such ones of their factor.
    """
    made = factors.copy()
    for name, some in table.groupby("factor", sort=False):
        value, area = some["value"].to_numpy(), areas(some)
        bare = ((some["negatives"] == 0) & (some["positives"] > 0)).to_numpy()
        if (area[bare] / area.sum()).sum() * some["negatives"].sum() < due:
            continue
        nearest = np.abs(value[bare][:, None] - value[~bare]).argmin(1)
        joined = dict(zip(value[bare], value[~bare][nearest], strict=True))
        made[name] = factors[name].replace(joined)
    return made
