"""*Reported* beside *ours*: a table's rows with what its records say. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landslide_lib.data.bands import OF_DATASET
from landslide_lib.metrics import detection, intervals, scores
from landslide_lib.paths import PUBLISHED
from landslide_lib.study import reports
from landslide_lib.study.recipe import BUDGETS, PROFILES, profile_of
from landslide_lib.study.records import Record, Store
from landslide_lib.study.reports import Row, Table, has_stand_in, network_of, resolve

#: `{convention: {score: value in 0..1}}`, None where a score is undefined.
Metrics = dict[str, dict[str, float | None]]

#: The records of the rows that are run, by table and row.
Found = Mapping[tuple[str, str], Sequence[Record]]


def known_runs(table: Table, store: Store, *, smoke: bool = False) -> list[tuple[str, str, int]]:
    """Return what has been run of a table: dataset, profile, number of records.

    Smoke runs are left out unless asked for. The pair with the most rows, and then records, comes first.
    """
    found = []
    names = {path.stem.rsplit("-", 4)[0] for path in store.paths()}  # see `Record.name`
    for dataset in sorted({table.on(name) or "" for name in names & {*OF_DATASET}}):
        for name in BUDGETS:
            rows = [records for records in collect_records(table, store, dataset, name).values() if records]
            if rows and (smoke or name != "smoke"):
                found.append((dataset, name, len(rows), sum(map(len, rows))))
    return [(on, name, records) for on, name, _, records in sorted(found, key=lambda run: run[2:], reverse=True)]


def most_records(
    table: Table, store: Store, dataset: str | None, profile_name: str | None
) -> tuple[str | None, str | None]:
    """Return dataset and profile; of what is None, that with the most records, if there are any."""
    if dataset and profile_name:
        return dataset, profile_name
    runs = known_runs(table, store, smoke=profile_name == "smoke")
    fits = ((on, name) for on, name, _ in runs if dataset in (None, on) and profile_name in (None, name))
    return next(fits, (dataset, profile_name))


def collect_records(
    table: Table, store: Store, dataset: str | None, profile_name: str | None, seeds: Sequence[int] | None = None
) -> dict[tuple[str, str], list[Record]]:
    """Return the records of each row to run of a table, and of those its rows derive from, by table and row.

    They are in the order of the seeds, and all made on one copy of the data, see `Store.copies`. Without a dataset that
    of the report is taken, without a profile `full`, without seeds all there are.
    """
    wanted = {
        (other.name, leaf.id): resolve(other, leaf, dataset=dataset, profile_name=profile_name)
        for row in table.rows
        for other, leaf in reports.leaves(table, row)
        if leaf in other.runnable(dataset)
    }
    copies = store.copies(list(wanted.values()), seeds)
    found = {key: store.find(made, fingerprint=copies.get(made.hash, "")) for key, made in wanted.items()}
    return {key: [one for one in records if seeds is None or one.seed in seeds] for key, records in found.items()}


def scores_of(table: Table, row: Row, found: Found) -> dict[int, Metrics]:
    """Return by seed the scores of a row on the test images: at 0.5 if it is run, else at its own threshold.

    Without one it is the mean over its sources and their common seeds, `f1_std` the population's standard deviation.
    """
    if row.kind == "run":
        return {one.seed: one.test.metrics for one in found.get((table.name, row.id), ())}
    if row.at is not None:
        ((other, source),) = reports.sources(table, row)
        return {one.seed: _at(one, row.at) for one in found.get((other.name, source.id), ())}
    sides = [scores_of(other, source, found) for other, source in reports.sources(table, row)]
    common = set.intersection(*map(set, sides)) if len(sides) > 1 else set()
    return {seed: _over_rows([side[seed] for side in sides]) for seed in sorted(common)}


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


def _over_rows(sides: Sequence[Metrics]) -> Metrics:
    """Return the mean of each score over folds; None where a fold has none."""
    made: Metrics = {}
    for convention in sides[0]:
        # None becomes NaN, which makes a mean NaN.
        values = {score: np.array([side[convention][score] for side in sides], float) for score in scores.SCORES}
        found = {score: value.mean() for score, value in values.items()} | {"f1_std": values["f1"].std()}
        made[convention] = {score: None if np.isnan(value) else float(value) for score, value in found.items()}
    return made


def compare(
    table: Table,
    store: Store,
    *,
    dataset: str | None = None,
    profile_name: str | None = None,
    seeds: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """Set each row of a table beside our records of it.

    Without a dataset or a profile that with the most records is taken, without seeds all there are.

    Returns:
        A dict a row: `id`, `label`, `kind`, `at` (the threshold of a derived row), `reported`, `uncertain`, `added` (a
        row of ours) and `ours`, which is None where nothing was run, else

        - `run` (recipe and data), `data` (for `made_on` see `Store`), `bands` (their number), `budget`, `seeds`,
          `records` (file names) and so on; `floor` (F1 of calling all landslide; None for boxes); `apart` (whether it
          was tested on other images than the reference row);
        - `metrics`, at threshold 0.5 or that of a derived row, and `tuned`, at the one best on validation images (None
          for a derived row): `{convention: {score: {mean, low, high, values}}}`, `low` and `high` the 95 % interval
          over seeds, None for one seed;
        - `thresholds`: those of `tuned`; of a derived row its own;
        - `versus`: the `effect` against the table's reference row; None for a derived row.
    """
    dataset, profile_name = most_records(table, store, dataset, profile_name)
    found = collect_records(table, store, dataset, profile_name, seeds)
    on = table.on(dataset)
    reference = table.reference_on(dataset)
    base = found.get((table.name, reference.id), []) if reference else []
    return [
        {
            **{name: getattr(row, name) for name in ("id", "label", "kind", "at", "reported")},
            "uncertain": list(row.uncertain),
            "added": row.ours,
            "ours": _ours(table, row, found, base, store),
        }
        for row in table.rows
        # A row of ours that means nothing on this dataset is no gap in the table.
        if not (row.ours and row.only and on not in row.only)
    ]


def _ours(table: Table, row: Row, found: Found, base: Sequence[Record], store: Store) -> dict[str, Any] | None:
    by_seed = scores_of(table, row, found)
    if not by_seed:
        return None
    leaves = [found[other.name, leaf.id] for other, leaf in reports.leaves(table, row)]
    records = list({one.name: one for side in leaves for one in side}.values())
    first, run = records[0], row.kind == "run"
    recipe = first.recipe
    budget = [name for name in ("epochs", *PROFILES[recipe.task]["full"]) if name not in recipe.unused_fields]
    # What calling everything landslide scores; of boxes there is no end.
    floors = [scores.all_positive_f1(record.test_counts) for record in records if record.test_counts]
    unknown: Metrics = {c: dict.fromkeys(found) for c, found in first.test.metrics.items()}
    at = "validation" if row.at is None else row.at
    return {
        "run": first.run,
        "dataset": recipe.dataset,
        "data": {
            "fingerprint": first.fingerprint,
            "made_on": store.made_on(first),
            "published": all((PUBLISHED / f"{record.name}.json").is_file() for record in records),
        },
        "bands": recipe.channels,
        "budget": {"profile": profile_of(recipe)} | {name: getattr(recipe, name) for name in budget},
        "seeds": list(by_seed),
        "parameters": first.parameters,
        "images": first.images,
        "floor": float(np.mean(floors)) if len(floors) == len(records) else None,
        "apart": bool(base) and first.test_ids != base[0].test_ids,
        "metrics": _over_seeds(list(by_seed.values())),
        "tuned": _over_seeds([r.test_tuned.metrics if run else unknown for r in records]),
        "thresholds": [threshold(record, at) for record in records],
        "versus": effect(records, base) if run else None,
        "seconds_per_epoch": float(np.median([record.seconds_per_epoch for record in records])),
        "device": first.device,
        "threads": first.threads,
        "records": [record.name for record in records],
        **({"stand_in": network_of(recipe)} if run and has_stand_in(table, row, profile_of(recipe)) else {}),
    }


def _over_seeds(metrics: Sequence[Metrics]) -> dict[str, Any]:
    def summary(values: list[float | None]) -> dict[str, Any]:
        defined = [value for value in values if value is not None]
        if len(defined) < len(values):  # a seed without a value (no landslide predicted) makes no mean of the others
            return {"mean": None, "low": None, "high": None, "values": values}
        low, high = intervals.interval(defined) or (None, None)
        return {"mean": float(np.mean(defined)), "low": low, "high": high, "values": values}

    return {
        convention: {score: summary([one[convention][score] for one in metrics]) for score in found}
        for convention, found in metrics[0].items()
    }


def effect(records: Sequence[Record], base: Sequence[Record]) -> intervals.Comparison | None:
    """Compare two rows over common seeds: pixels and tiles by landslide F1 at 0.5, boxes by mAP at IoU 0.5.

    See `intervals.paired_bootstrap`; `common` is the number of seeds. None where they have no seed in common, were
    tested on other images, or are runs of one recipe.
    """
    by_seed = [{record.seed: record for record in side} for side in (records, base)]
    common = sorted(set.intersection(*map(set, by_seed)))
    if not common or records[0].hash == base[0].hash:
        return None
    mine, others = ([side[seed] for seed in common] for side in by_seed)
    if mine[0].test_ids != others[0].test_ids:
        return None
    if mine[0].recipe.task == "detection":
        boxes, other_boxes = ([one.detections for one in side if one.detections] for side in (mine, others))
        found = detection.paired_bootstrap(boxes, other_boxes, mine[0].test_groups)
    else:
        counts, other_counts = ([one.test_counts for one in side] for side in (mine, others))
        found = intervals.paired_bootstrap(counts, other_counts, mine[0].test_groups)
    return {**found, "common": len(common)}
