"""Rows computed from the records of other rows: at a threshold, or over folds. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from landslide_lib.metrics import scores
from landslide_lib.study.records import Record
from landslide_lib.study.reports import Row, Table
from landslide_lib.study.reports import table as named

#: `{convention: {score: value in 0..1}}`, None where a score is undefined.
Metrics = dict[str, dict[str, float | None]]

#: The records of the rows that are run, by table and row.
Found = Mapping[tuple[str, str], Sequence[Record]]


def sources(table: Table, row: Row) -> list[tuple[Table, Row]]:
    """Return the rows that a row is derived from, each with its table."""
    found = []
    for source in row.source:
        name, _, identifier = source.rpartition("/")
        other = named(f"{table.name.partition('/')[0]}/{name}") if name else table
        found.append((other, other.row(identifier)))
    return found


def leaves(table: Table, row: Row) -> list[tuple[Table, Row]]:
    """Return the rows to run that a row comes from: itself, where it is run."""
    if row.kind == "run":
        return [(table, row)]
    return [leaf for source in sources(table, row) for leaf in leaves(*source)]


def records(table: Table, row: Row, found: Found) -> list[Record]:
    """Return the records that a row comes from, each once; none if one of its rows was not run."""
    sides = [found.get((other.name, leaf.id), ()) for other, leaf in leaves(table, row)]
    return list({one.name: one for side in sides for one in side}.values()) if all(sides) else []


def metrics(table: Table, row: Row, found: Found) -> dict[int, Metrics]:
    """Return by seed the scores of a row on the test images: at 0.5 if it is run, else at its own threshold.

    Without one it is the mean over its sources and their common seeds, `f1_std` the population's standard deviation.
    """
    if row.kind == "run":
        return {one.seed: one.test.metrics for one in found.get((table.name, row.id), ())}
    if row.at is not None:
        ((other, source),) = sources(table, row)
        return {one.seed: _at(one, row.at) for one in found.get((other.name, source.id), ())}
    sides = [metrics(other, source, found) for other, source in sources(table, row)]
    common = set.intersection(*map(set, sides)) if len(sides) > 1 else set()
    return {seed: _over([side[seed] for side in sides]) for seed in sorted(common)}


def threshold(record: Record, at: float | str) -> float:
    """Return the threshold that a row takes of a record, see `Row.at`."""
    if at == "validation":
        return record.test_tuned.threshold
    return scores.best_threshold(*record.histogram) if at == "scored" else float(at)


def _at(record: Record, at: float | str) -> Metrics:
    if at == "validation":
        return record.test_tuned.metrics
    found = scores.at_threshold(*record.histogram, threshold=threshold(record, at))
    return {"tiles": found["pooled"]} if "tiles" in record.test.metrics else found


def _over(sides: Sequence[Metrics]) -> Metrics:
    """Return the mean of each score over folds; None where a fold has none."""
    made: Metrics = {}
    for convention in sides[0]:
        # None becomes NaN, which makes a mean NaN.
        values = {score: np.array([side[convention][score] for side in sides], float) for score in scores.SCORES}
        found = {score: value.mean() for score, value in values.items()} | {"f1_std": values["f1"].std()}
        made[convention] = {score: None if np.isnan(value) else float(value) for score, value in found.items()}
    return made
