"""A system put together step by step, and a choice made on validation images alone. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from landslide_lib import beside
from landslide_lib.records import Record, Store
from landslide_lib.render import plain
from landslide_lib.reports import Table
from landslide_lib.reports import table as named


class Step(NamedTuple):
    """What is added, the row that the report prints of it, and the row of ours.

    The rows are `report/table/row`; both are the same where `ours` is empty.
    """

    added: str
    printed: str
    ours: str = ""


def assembled(
    steps: Sequence[Step],
    store: Store,
    *,
    dataset: str,
    profile: str,
    seeds: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return what each step gains over the last one that was run.

    Args:
        steps: In the order in which they are added.
        store: Of records.
        dataset: Of ours.
        profile: Of ours.
        seeds: Only these.

    Returns:
        A line a step: `step`, `reported` and `reported_gain` in the report's own F1, `f1` and
        `f1_gain` ours under the same convention, `landslide_f1` and `landslide_gain` pooled over
        the landslide class: means over `seeds`, those that all steps that were run have in
        common. NaN where the data has no such row or it was not run; the gain after it is over
        the step before.
    """
    every = [_ours(step.ours or step.printed, store, dataset, profile, seeds) for step in steps]
    common = [set(ours["seeds"]) for ours in every if ours]
    shared = sorted(set.intersection(*common)) if common else []
    lines = []
    for step in steps:
        table, name = _place(step.printed)
        ours = _ours(step.ours or step.printed, store, dataset, profile, shared)
        metrics = ours and ours["metrics"]
        lines.append({
            "step": step.added,
            "reported": table.row(name).reported["f1"],
            "f1": metrics and metrics[table.columns["f1"].convention]["f1"]["mean"],
            "landslide_f1": metrics and metrics["pooled"]["f1"]["mean"],
            "seeds": len(ours["seeds"]) if ours else 0,
        })  # fmt: skip
    frame = pd.DataFrame(lines).astype({"f1": float, "landslide_f1": float})
    for column_name, gain in (("reported", "reported_gain"), ("f1", "f1_gain"),
                              ("landslide_f1", "landslide_gain")):  # fmt: skip
        frame[gain] = frame[column_name].dropna().diff()
    return frame


HEADINGS = {
    "step": "step", "reported": "reported F1", "reported_gain": "reported gain",
    "f1": "ours, same convention", "f1_gain": "our gain", "landslide_f1": "ours, landslide F1",
    "landslide_gain": "our gain in it", "seeds": "seeds",
}  # fmt: skip


def html(frame: pd.DataFrame, *, name: str, caption: str) -> str:
    """Return what `assembled` found as an HTML table; an em dash where nothing was run."""

    def text(column: str, value: Any) -> str | None:
        if not isinstance(value, float):
            return str(value) if value else None
        return None if value != value else f"{value:{'+' if column.endswith('gain') else ''}.4f}"

    lines = [{HEADINGS[column]: text(column, line[column]) for column in HEADINGS}
             for line in frame.to_dict("records")]  # fmt: skip
    return plain(pd.DataFrame(lines, dtype=object), name=name, caption=caption)


def _place(where: str) -> tuple[Table, str]:
    table, _, row = where.rpartition("/")
    return named(table), row


def _ours(
    where: str, store: Store, dataset: str, profile: str, seeds: Sequence[int] | None
) -> dict[str, Any] | None:
    table, name = _place(where)
    rows = beside.beside(table, store, dataset=dataset, profile_name=profile, seeds=seeds)
    found: dict[str, Any] | None = next((r["ours"] for r in rows if r["id"] == name), None)
    return found


def on_validation(runs: Mapping[str, Sequence[Record]]) -> dict[str, float]:
    """Return the landslide F1 of each row on its validation images, the best row first.

    Args:
        runs: From `beside.records_of`; the test scores in the records are not looked at.

    Returns:
        By row id the mean over the seeds that all rows have, at the threshold that is best on
        the same images; rows without a record that keeps it are left out.
    """
    kept = {
        name: {record.seed: record.valid_tuned.metrics["pooled"]["f1"] or 0.0 for record in records
               if record.valid_tuned is not None}
        for name, records in runs.items()
    }  # fmt: skip
    sides = {name: side for name, side in kept.items() if side}
    common = set.intersection(*map(set, sides.values())) if sides else set()
    found = {name: sum(side[seed] for seed in common) / len(common)
             for name, side in sides.items() if common}  # fmt: skip
    return dict(sorted(found.items(), key=lambda item: item[1], reverse=True))
