"""A system put together step by step, and a choice made on validation images alone. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from landslide_lib.study import comparison, derived
from landslide_lib.study.records import Record, Store
from landslide_lib.study.render import plain
from landslide_lib.study.reports import Table
from landslide_lib.study.reports import table as named


class Step(NamedTuple):
    """What is added, the row that the report prints of it, and the row of ours.

    The rows are `report/table/row`; both are the same where `ours` is empty.
    """

    added: str
    printed: str
    ours: str = ""


def assembled(
    steps: Sequence[Step], store: Store, *, dataset: str, profile: str, seeds: Sequence[int] | None = None
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
        common. NaN where the data has no such row or it was not run. `possible`: whether the
        data has it; our gain is over the nearest line above that is, and `spans` what is between.
    """
    every = [_ours(step.ours or step.printed, store, dataset, profile, seeds) for step in steps]
    common = [set(ours["seeds"]) for ours in every if ours]
    shared = sorted(set.intersection(*common)) if common else []
    lines = []
    for step in steps:
        table, name = _place(step.printed)
        ours = _ours(step.ours or step.printed, store, dataset, profile, shared)
        metrics = ours and ours["metrics"]
        lines.append(
            {
                "step": step.added,
                "reported": table.row(name).reported["f1"],
                "f1": metrics and metrics[table.columns["f1"].convention]["f1"]["mean"],
                "landslide_f1": metrics and metrics["pooled"]["f1"]["mean"],
                "seeds": len(ours["seeds"]) if ours else 0,
            }
        )
    frame = pd.DataFrame(lines).astype({"f1": float, "landslide_f1": float})
    frame["possible"] = [_possible(step.ours or step.printed, dataset) for step in steps]
    frame["reported_gain"] = frame["reported"].diff()
    above = [max((k for k in range(n) if frame["possible"][k]), default=-1) for n in frame.index]
    frame["spans"] = [", ".join(frame["step"][k + 1 : n]) for n, k in zip(frame.index, above, strict=True)]
    for column, gain in (("f1", "f1_gain"), ("landslide_f1", "landslide_gain")):
        frame[gain] = [
            frame[column][n] - frame[column][k] if k >= 0 else float("nan")
            for n, k in zip(frame.index, above, strict=True)
        ]
    return frame


def said(frame: pd.DataFrame, dataset: str) -> str:
    """Say in sentences what the steps come to.

    Args:
        frame: From `assembled`.
        dataset: Of ours.
    """
    run = frame.dropna(subset=["f1"])
    if len(run) < 2:
        return f"Too few steps have been run on {dataset} to compare them."
    gains = frame.dropna(subset=["f1_gain"])
    parts = [f"On {dataset} no step has been run together with the one above it."]
    if len(gains):
        up, best = gains[gains["f1_gain"] > 0], gains.nlargest(1, "f1_gain").iloc[0]
        most = f", most of all {best['step']} ({best['f1_gain']:+.4f})" if len(up) else ""
        parts = [
            f"On {dataset} the gains that can be compared ({', '.join(gains['step'])}) sum up to "
            f"{gains['f1_gain'].sum():+.4f} in F1 under the reading taken for the report's; those "
            f"of the same steps in the slides to {gains['reported_gain'].sum():+.4f}.",
            f"Above zero here: {len(up)} of {len(gains)}{most}.",
        ]
    parts += [
        f"Our gain of {line['step']} is over the step before {line['spans']}: it spans what cannot be run on this data."
        for line in gains[gains["spans"] != ""].to_dict("records")
    ]
    missing = frame[frame["f1"].isna()]
    for there, words in ((False, "Not there on this data"), (True, f"Not run yet on {dataset}")):
        left = missing["step"][missing["possible"] == there]
        parts += [f"{words}: {', '.join(left)}."] if len(left) else []
    if run["seeds"].min() == 1:
        parts.append("With one seed nothing is known of what another training would give.")
    return " ".join(parts)


def clean_test(table: Table, rows: Sequence[dict[str, Any]], chosen: str) -> str:
    """Say in sentences how the chosen candidate does with another fold as the test set.

    Args:
        table: With a row of the candidate, and others to compare it with.
        rows: From `beside`, of that table.
        chosen: The id of the candidate.
    """
    there = {row["id"]: row for row in comparison.over_common_seeds(rows)}
    if chosen not in {row.id for row in table.rows}:
        return "The candidate that validation chooses with these seeds has no row in this table."
    if chosen not in there or len(there) < 2:
        return "The chosen candidate has not been run on this fold together with another row."

    def f1(row: dict[str, Any]) -> float:
        return float(row["ours"]["tuned"]["pooled"]["f1"]["mean"] or 0.0)

    mine = there.pop(chosen)
    others = [f"{f1(mine) - f1(row):+.3f} against {row['label']} ({f1(row):.3f})" for row in there.values()]
    seeds = mine["ours"]["seeds"]
    single = " One training each: another may turn the order." if len(seeds) == 1 else ""
    return (
        f"On the images of the second fold the chosen candidate reaches a landslide F1 of "
        f"{f1(mine):.3f} at the threshold of validation: {', '.join(others)}, with {len(seeds)} "
        f"seed(s).{single}"
    )


HEADINGS = {
    "step": "step",
    "reported": "reported F1",
    "reported_gain": "reported gain",
    "f1": "ours, same convention",
    "f1_gain": "our gain",
    "landslide_f1": "ours, landslide F1",
    "landslide_gain": "our gain in it",
    "seeds": "seeds",
}


def html(frame: pd.DataFrame, *, name: str, caption: str) -> str:
    """Return what `assembled` found as an HTML table; an em dash where nothing was run."""

    def text(column: str, value: Any) -> str | None:
        if not isinstance(value, float):
            return str(value) if value else None
        return None if value != value else f"{value:{'+' if column.endswith('gain') else ''}.4f}"

    lines = [{HEADINGS[column]: text(column, line[column]) for column in HEADINGS} for line in frame.to_dict("records")]
    return plain(pd.DataFrame(lines, dtype=object), name=name, caption=caption)


def _possible(where: str, dataset: str) -> bool:
    table, name = _place(where)
    leaves = derived.leaves(table, table.row(name))
    return bool(leaves) and all(leaf in other.runnable(dataset) for other, leaf in leaves)


def _place(where: str) -> tuple[Table, str]:
    table, _, row = where.rpartition("/")
    return named(table), row


def _ours(where: str, store: Store, dataset: str, profile: str, seeds: Sequence[int] | None) -> dict[str, Any] | None:
    table, name = _place(where)
    rows = comparison.compare(table, store, dataset=dataset, profile_name=profile, seeds=seeds)
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
        name: {
            record.seed: record.valid_tuned.metrics["pooled"]["f1"] or 0.0
            for record in records
            if record.valid_tuned is not None
        }
        for name, records in runs.items()
    }
    sides = {name: side for name, side in kept.items() if side}
    common = set.intersection(*map(set, sides.values())) if sides else set()
    found = {name: sum(side[seed] for seed in common) / len(common) for name, side in sides.items() if common}
    return dict(sorted(found.items(), key=lambda item: item[1], reverse=True))
