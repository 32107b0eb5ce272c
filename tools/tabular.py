"""Measure what chapters 41 and 42 show of tables and of tiles, and publish it for who has no files. No torch.

`python -m tools.tabular [DATASET …]` measures the two tables in `LANDSLIDE_DATA/tabular`, and the tiles of each dataset
named. What is published stays as it is: remove its file to measure anew.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import f1_score, roc_auc_score

from landslide_lib.data import features
from landslide_lib.data.features import OPTICAL, PASSES, possible
from landslide_lib.data.registry import get_dataset, load_packed
from landslide_lib.metrics.scores import roc_auc
from landslide_lib.paths import write_once
from landslide_lib.study import recipe
from landslide_lib.study.teaching import TABULAR
from landslide_lib.training import boosting
from landslide_lib.training.boosting import Floats
from tools import tables
from tools.tables import FACTORS

FOLDS = 5
#: How often labels are permuted.
REPEATS = 8
#: The bands whose features a model of a kind may look at.
KINDS = {
    "optical": (*OPTICAL, *(f"B{number}" for number in range(1, 13))),
    "radar": tuple(f"{band}_{name}" for name in PASSES for band in ("VV", "VH", "dVV", "dVH")),
}
#: Shares of the landslides that certainty factors may have been made of.
FRACTIONS = (0.5, 0.7, 0.9, 0.95, 0.99)


def factor(density: ArrayLike, prior: float) -> NDArray[np.float64]:
    """Return the certainty factor of classes, in -1..1, of the share of positives in each and in all together.

    Shortliffe and Buchanan 1975, doi:10.1016/0025-5564(75)90047-4, in the form of Chung and Fabbri 1993: of a class of
    a map, such as a range of slopes, with the density f of landslides in it and p in the whole region,

        CF = (f - p) / (f (1 - p))  where f >= p,    CF = (f - p) / (p (1 - f))  where f < p.

    >>> factor([0.0, 0.1, 0.5, 1.0], 0.1).round(3)
    array([-1.   ,  0.   ,  0.889,  1.   ])
    """
    f = np.asarray(density, np.float64)
    above, below = np.maximum(f, prior), np.minimum(f, prior)
    return (above - prior) / (above * (1 - prior)) + (below - prior) / (prior * (1 - below))


def encode(classes: pd.DataFrame, labels: ArrayLike, learnt: NDArray[np.int64] | slice = slice(None)) -> pd.DataFrame:
    """Put certainty factors among the `learnt` samples in place of classes; 0 for a class that none of them has."""
    known = pd.Series(np.asarray(labels), classes.index).iloc[learnt]
    prior = float(known.mean())

    def codes(column: pd.Series[Any]) -> pd.Series[float]:
        density = known.groupby(column.iloc[learnt]).mean()
        return column.map(pd.Series(factor(density, prior), density.index)).fillna(0.0).astype(np.float64)

    return classes.apply(codes)


def odds(cf: ArrayLike) -> Floats:
    """Return the odds of a landslide in classes, over those in the region: f (1 - p) / (p (1 - f)), 0 to infinity.

    A certainty factor tells them, whatever p is. The share of the landslides that a class holds, divided by them, is
    its share of the places without one.

    >>> odds([-1.0, -0.5, 0.0, 0.75]), odds(factor([0.2], 0.1)).round(3)
    (array([0. , 0.5, 1. , 4. ]), array([2.25]))
    """
    value = np.asarray(cf, np.float64)
    with np.errstate(divide="ignore"):
        return np.where(value >= 0, 1 / (1 - value), 1 + value)


def levels(factors: pd.DataFrame, labels: ArrayLike) -> pd.DataFrame:
    """Return a line for each value of each factor, in order: `factor`, `value`, `positives`, `negatives`."""
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
    share = (table["positives"] / table.groupby("factor")["positives"].transform("sum")).to_numpy(np.float64)
    over = odds(table["value"].to_numpy())
    return np.asarray(np.divide(share, over, out=np.zeros(len(share)), where=over > 0))


def balance(table: pd.DataFrame) -> pd.DataFrame:
    """Ask whether certainty factors were made of the very positives of a table of `levels`.

    Returns:
        A line a factor: `factor`, `sum` (of `areas`, 1 if so) and `error`, its standard error if the positives were a
        fresh sample.
    """
    lines = []
    for name, part in table.groupby("factor", sort=False):
        area, over = areas(part), odds(part["value"].to_numpy())
        total, count = area.sum(), part["positives"].sum()
        # The area is the share over the odds: each positive of a class adds one over its odds.
        variance = float((area[over > 0] / over[over > 0]).sum() - total**2)
        lines.append({"factor": name, "sum": float(total), "error": float(np.sqrt(max(variance, 0) / count))})
    return pd.DataFrame(lines)


def made_of(
    factors: pd.DataFrame, labels: ArrayLike, fractions: Sequence[float] = FRACTIONS, draws: int = 400, seed: int = 0
) -> dict[str, Any]:
    """Simulate which positives the certainty factors may have been made of.

    The region is taken as `areas` gives it, scaled to sum to 1. Certainty factors are made anew of a part of the
    positives, or of a fresh sample of as many: how far from 1 do the sums of `areas` then lie (root mean square over
    the factors)? Samples are drawn whole, so that factors which go together do so in a draw, too. Of a class that a
    draw leaves without a landslide the region's area stands in, which makes its distance smaller.

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

    def far(sums: Floats) -> Floats:
        return np.asarray(np.sqrt(np.mean((sums - 1) ** 2, axis=-1)))

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
        distances = far(np.add.reduceat(implied, starts, axis=1))
        nearer = (distances <= far(sums)).mean()
        results.append({"of": fraction or "fresh", "median": float(np.median(distances)), "nearer": float(nearer)})
    return {"distance": float(far(sums)), "draws": results}


def negatives(table: pd.DataFrame) -> pd.DataFrame:
    """Ask whether the negatives of a table of `levels` may be places drawn at random from its region.

    Then they would be spread over a factor's classes as the area is.

    Returns:
        A line a factor: `factor`; `bare`, the share of the area in classes that hold positives and no negative, and
        `bare_expected`, the negatives due there; `auc`, how well the one factor tells positives from negatives, and
        `auc_region`, how well it would from places drawn at random.
    """
    lines = []
    for name, part in table.groupby("factor", sort=False):
        area = areas(part)
        area = area / area.sum()
        negative, positive = part["negatives"].to_numpy(), part["positives"].to_numpy()
        bare = (negative == 0) & (positive > 0)
        line = {"factor": name, "bare": float(area[bare].sum())}
        line["bare_expected"] = float((area * negative.sum())[bare].sum())
        lines.append({**line, "auc": roc_auc(positive, negative), "auc_region": roc_auc(positive, area)})
    return pd.DataFrame(lines)


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
    classes: pd.DataFrame, labels: ArrayLike, splits: Sequence[boosting.Split], seed: int = 0
) -> dict[str, dict[str, Floats]]:
    """Score trees, and the plain sum of the factors, under encodings that saw more or less.

    The encoding to be judged is `classes`; the others take its values for classes.

    Returns:
        By encoding, of `trees` and `sum` the scores of `fold_scores`: `given`; `order lost`, a random number a
        class, of trees alone, as its sum means nothing; `inside`, certainty factors of each fold's training samples
        alone; `all`, those of all samples, the tested ones with them.
    """
    truth = np.asarray(labels)
    encodings = {
        "given": [classes] * len(splits),
        "order lost": [shuffled(classes, seed)] * len(splits),
        "all": [encode(classes, truth)] * len(splits),
        "inside": [encode(classes, truth, learnt) for learnt, _ in splits],
    }
    results = {}
    for name, frames in encodings.items():
        scores: dict[str, list[Floats]] = {"trees": []} if name == "order lost" else {"trees": [], "sum": []}
        for frame, (learnt, tested) in zip(frames, splits, strict=True):
            booster = boosting.train(frame.iloc[learnt], truth[learnt], seed)
            true, given, fold = truth[tested], frame.iloc[tested], np.zeros(len(tested))
            scores["trees"].append(fold_scores(true, boosting.probabilities(booster, given), fold))
            if "sum" in scores:
                scores["sum"].append(fold_scores(true, given.sum(axis=1), fold, at=0.0))
        results[name] = {model: np.concatenate(each) for model, each in scores.items()}
    return results


def fold_scores(labels: ArrayLike, scores: ArrayLike, fold: ArrayLike, at: float = 0.5) -> Floats:
    """Return F1 of scores above `at` and area under the ROC of each fold, (folds, 2); `fold` (N,) tested a row."""
    truth, score, number = np.asarray(labels), np.asarray(scores), np.asarray(fold)
    parts = [(truth[number == each], score[number == each]) for each in np.unique(number)]
    return np.array([(f1_score(true, given > at), roc_auc_score(true, given)) for true, given in parts])


def closed(factors: pd.DataFrame, table: pd.DataFrame, due: float = 5) -> pd.DataFrame:
    """Put classes that no negative stands in together with the class of the nearest value.

    What trees score then, they do not owe to gaps that the choice of the negatives left. Only those factors change
    whose classes with a positive and no negative miss at least `due` negatives, by the area; `table` are the `levels`.
    """
    joined = factors.copy()
    missing = negatives(table).set_index("factor")["bare_expected"]
    for name, part in table.groupby("factor", sort=False):
        if missing[name] >= due:
            value = part["value"].to_numpy()
            bare = ((part["negatives"] == 0) & (part["positives"] > 0)).to_numpy()
            nearest = np.abs(value[bare][:, None] - value[~bare]).argmin(1)
            joined[name] = factors[name].replace(dict(zip(value[bare], value[~bare][nearest], strict=True)))
    return joined


def summary(each: Floats) -> dict[str, float]:
    """Return mean and standard deviation over folds of `fold_scores`.

    >>> summary(np.array([[0.5, 0.8], [0.7, 0.8]]))
    {'f1': 0.6, 'f1_std': 0.1414, 'auc': 0.8, 'auc_std': 0.0, 'folds': 2}
    """
    (f1, auc), (f1_std, auc_std) = each.mean(0), each.std(0, ddof=1)
    values = {"f1": f1, "f1_std": f1_std, "auc": auc, "auc_std": auc_std}
    return {name: round(float(value), 4) for name, value in values.items()} | {"folds": len(each)}


def contributions(features: pd.DataFrame, splits: Sequence[boosting.Split], boosters: Sequence[Any]) -> pd.DataFrame:
    """Return what each column gave to the prediction of each row, by trees of `out_of_fold`, which never saw it.

    TreeSHAP (Lundberg and others 2020, doi:10.1038/s42256-019-0138-9), as XGBoost computes it: log odds, which sum to
    the prediction with the bias, which is left out.
    """
    import xgboost as xgb

    values = np.zeros(features.shape, np.float32)
    for (_, tested), booster in zip(splits, boosters, strict=True):
        data = xgb.DMatrix(features.iloc[tested].to_numpy(np.float64))
        values[tested] = booster.predict(data, pred_contribs=True)[:, :-1]
    return pd.DataFrame(values, features.index, features.columns)


def losses(
    features: pd.DataFrame,
    labels: ArrayLike,
    folds: int = 10,
    seed: int = 0,
    groups: boosting.Groups = None,
    **how: Any,
) -> pd.DataFrame:
    """Count how often a filter, see `boosting.fit_filter`, loses a positive on tiles that it was not tuned on.

    Nested folds, as many inner as outer ones: on all folds but one a filter is fitted, threshold and all, and the one
    that is left is sorted by it. `how` goes to the filter.

    Returns:
        A line an outer fold: `fold` from 1, `tiles`, `positives`, `removed` (tiles), `lost` (positives among them),
        `threshold`, `tuned_on` (positives that set it) and `expected`: positives lost if the new ones were like those,
        `positives / (tuned_on + 1)`. That holds where one trained model judges all; here it is the mean of several.
    """
    truth = boosting.check(features, labels)
    scenes = None if groups is None else np.asarray(groups)
    lines = []
    for number, (rest, left) in enumerate(boosting.fold_rows(truth, folds, seed, groups), 1):
        fitted = boosting.fit_filter(
            features.iloc[rest], truth[rest], folds, seed, None if scenes is None else scenes[rest], **how
        )
        removed = ~fitted.keeps(features.iloc[left])
        new, old = int(truth[left].sum()), int(truth[rest].sum())
        lines.append(
            {
                "fold": number,
                "tiles": len(left),
                "positives": new,
                "removed": int(removed.sum()),
                "lost": int(truth[left][removed].sum()),
                "threshold": fitted.threshold,
                "tuned_on": old,
                "expected": new / (old + 1),
            }
        )
    return pd.DataFrame(lines)


def of_susceptibility(root: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """Measure the samples of susceptibility: half a minute of one core.

    Returns:
        `rows`, `positives`, `twins`, `blocks`; `levels` ; `shap` (by factor the mean of its absolute
        contribution out of fold, in log odds); `balance`, `negatives` and `made_of`; `scores` (a line a
        choice of columns and of folds) and `encodings`: a line an encoding and model, with `labels` true or permuted.
        Means over folds, or over folds and permutations; `auc_std` of permuted ones is over the permutations.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: It is not as it should be.
    """
    frame = tables.samples(root)
    factors, truth = frame[list(FACTORS)], frame["target"].to_numpy()
    groups, table = tables.blocks(frame), levels(factors, truth)
    cuts = {"random": boosting.fold_rows(truth, FOLDS, seed), "blocks": boosting.fold_rows(truth, FOLDS, seed, groups)}
    columns = {"factors": factors, "closed": closed(factors, table), "place": frame[["lon", "lat"]]}
    scores = []
    for name, some in columns.items():
        for how, cut in cuts.items():
            judged = boosting.out_of_fold(some, truth, cut, seed)
            each = fold_scores(truth, judged.probabilities, judged.fold)
            scores.append({"columns": name, "folds_by": how, **summary(each)})
            if (name, how) == ("factors", "random"):
                given = contributions(some, cut, judged.boosters)
    return {
        "rows": len(frame),
        "positives": int(truth.sum()),
        "twins": int(frame.duplicated(["lon", "lat"]).sum()),
        "blocks": len(set(groups)),
        "levels": _lines(table),
        "shap": {str(name): round(float(value), 4) for name, value in given.abs().mean().items()},
        "balance": _lines(balance(table)),
        "negatives": _lines(negatives(table)),
        "made_of": made_of(factors, truth, seed=seed),
        "scores": scores,
        "encodings": _encodings(factors, truth, cuts["random"], seed),
    }


def _encodings(factors: pd.DataFrame, truth: Any, cut: list[boosting.Split], seed: int) -> list[dict[str, Any]]:
    """Score encodings with the true labels, and with permuted ones, where there is nothing to learn."""
    draw, permuted = np.random.default_rng(seed), []
    for number in range(REPEATS):
        noise = draw.permutation(truth)
        permuted.append(compare(factors, noise, boosting.fold_rows(noise, FOLDS, number), seed=number))
    lines: dict[str, list[dict[str, Any]]] = {"true": [], "permuted": []}
    for name, models in compare(factors, truth, cut, seed=seed).items():
        for model, each in models.items():
            lines["true"].append({"encoding": name, "model": model, **summary(each)})
            means = np.array([one[name][model].mean(0) for one in permuted])
            line = {"encoding": name, "model": model, **summary(means)}
            lines["permuted"].append({**line, "folds": FOLDS, "repeats": REPEATS})
    return [{"labels": labels, **line} for labels, each in lines.items() for line in each]


def _lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return plain values, numbers to six digits."""
    return [
        {str(key): float(f"{value:.6g}") if isinstance(value, float) else value for key, value in line.items()}
        for line in frame.to_dict("records")
    ]


def of_tiles(name: str, profile: str = "cpu", root: Path | None = None) -> dict[str, Any]:
    """Measure how well trees tell the tiles of a dataset that have a truth.

    Args:
        name: Of the dataset; a tile is positive where its mask holds a landslide pixel.
        profile: Whose image size is taken.
        root: The data root; by default `LANDSLIDE_DATA`.

    Returns:
        `name`, `fingerprint`, `image_size`, the facts of `describe`, and `losses`, the lines of
        `losses`.

    Raises:
        ValueError: No dataset of this name, or no tiles of both kinds in it.
        DatasetNotFoundError: It is not there.
        BadFileError: A file cannot be used.
    """
    size = recipe.profile(profile)["image_size"]
    packed = load_packed(get_dataset(name), size, root=root)
    known = np.array([not part.endswith("no masks") for part in packed.parts])
    measured = features.measure({band: packed.plane(band) for band in packed.bands}, packed.ids)[known]
    truth, groups = packed.positive[known], np.array(packed.groups)[known]
    lost = losses(measured, truth, folds=FOLDS, groups=groups)
    return {
        "name": f"tiles-{name}",
        "fingerprint": packed.fingerprint,
        "image_size": size,
        **describe(measured, truth, groups),
        "losses": lost.to_dict("records"),
    }


def describe(measured: pd.DataFrame, labels: NDArray[Any], groups: NDArray[Any] | None = None) -> dict[str, Any]:
    """Return how well trees tell tiles by their features.

    Args:
        measured: Of `features.measure`, with the ids as index.
        labels: (N,) in {0, 1}.
        groups: (N,) the scene of each tile.

    Returns:
        `tiles`, `positives`, `grouped` (whether scenes are fewer than tiles), `features` (how many), `scores` (of
        `summary`, by kind of features, where there are any) and `out_of_fold` (`ids` and `probability` of all
        tiles, by all features).
    """
    truth = boosting.check(measured, labels)
    if groups is not None and len(set(groups)) == len(truth):
        groups = None  # each tile a scene of its own
    splits = boosting.fold_rows(truth, FOLDS, groups=groups)

    def judged(used: pd.DataFrame) -> tuple[dict[str, float], boosting.OutOfFold]:
        found = boosting.out_of_fold(used, truth, splits)
        return summary(fold_scores(truth, found.probabilities, found.fold)), found

    score, found = judged(measured)
    scores = {"all": score}
    for kind, bands in KINDS.items():
        names = [name for name in measured if name in set(possible(bands))]
        if 0 < len(names) < measured.shape[1]:
            scores[kind], _ = judged(measured[names])
    return {
        "tiles": len(truth),
        "positives": int(truth.sum()),
        "grouped": groups is not None,
        "features": measured.shape[1],
        "scores": scores,
        "out_of_fold": {
            "ids": [str(name) for name in measured.index],
            "probability": [round(float(p), 4) for p in found.probabilities],
        },
    }


CELL = 3  # of a cell of the map of events, in degrees


def of_catalogue(root: Path | None = None) -> dict[str, Any]:
    """Return the events in counts: `twins` have date and place of an earlier event, `months` are by hemisphere.

    `cells` are west and south edge of a square of `cell` degrees and its events, where there are any.
    """
    events = tables.events(root)
    dated = events.dropna(subset="date")
    north, month = dated["latitude"] >= 0, dated["date"].dt.month
    places = np.floor(events[["longitude", "latitude"]].to_numpy() / CELL).astype(int) * CELL
    cells, counts = np.unique(places, axis=0, return_counts=True)
    years = dated["date"].dt.year.value_counts().sort_index()
    sides = {"north": north, "south": ~north}
    return {
        "events": len(events),
        "undated": len(events) - len(dated),
        "twins": int(events.duplicated(["date", "longitude", "latitude"]).sum()),
        "years": {str(year): int(n) for year, n in years.items()},
        "triggers": {str(name): int(n) for name, n in events["trigger"].value_counts().items()},
        "months": {name: [int(((month == m) & side).sum()) for m in range(1, 13)] for name, side in sides.items()},
        "cell": CELL,
        "cells": np.column_stack([cells, counts]).tolist(),
    }


#: What is measured of which file.
MEASURED: dict[str, tuple[str, Callable[[Path | None], dict[str, Any]]]] = {
    "susceptibility": (tables.SAMPLES, of_susceptibility),
    "catalogue": (tables.EVENTS, of_catalogue),
}


def measure(name: str, root: Path | None = None) -> dict[str, Any]:
    """Measure one of `MEASURED`: what its function returns, with `name` and `fingerprint`.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: It is not as it should be.
    """
    file, how = MEASURED[name]
    digest = hashlib.sha256(tables.find(file, root).read_bytes()).hexdigest()
    return {"name": name, "fingerprint": digest[:16], **how(root)}


def publish(facts: dict[str, Any], folder: Path = TABULAR) -> Path:
    """Write facts of `measure` or `of_tiles`, a file a name and fingerprint; one that is there stays."""
    path = folder / f"{facts['name']}-{facts['fingerprint'][:8]}.json"
    made = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in {"made": made, **facts}.items()]
    return path if path.exists() else write_once(path, "{\n " + ",\n ".join(lines) + "\n}\n")


if __name__ == "__main__":
    for table in MEASURED:
        print(publish(measure(table)))
    for dataset in sys.argv[1:]:
        print(publish(of_tiles(dataset)))
