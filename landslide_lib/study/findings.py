"""What a table of ours says, in sentences whose every number is of a record. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from landslide_lib.metrics import intervals
from landslide_lib.study import comparison
from landslide_lib.study.cells import dataset_of, text_of
from landslide_lib.study.reports import Table

Rows = Sequence[dict[str, Any]]


def summary(table: Table, rows: Rows) -> str:
    """Return the findings of a table as Markdown: extremes, differences, agreement.

    Args:
        table: Of a report.
        rows: From `comparison.compare`.
    """
    if not any(row["ours"] for row in rows):
        return "Not run yet."
    column = "f1" if "f1" in table.metrics else table.metrics[0]
    if _nothing_found(rows):
        return (
            f"{extremes(rows, HEADLINES[table.task])}\n\nNone of our rows is above calling every "
            "pixel landslide. Neither their order nor their differences say which finds landslides."
        ).strip()
    said = [extremes(rows, HEADLINES[table.task]), differences(table, rows), agreement(table, rows, column)]
    return "\n\n".join(filter(None, said)) or "Too few rows have been run to compare them."


def _nothing_found(rows: Rows) -> bool:
    """Return whether no row is above the floor of its images, at 0.5 or a threshold of its own."""
    scored = [
        ((row["ours"][where]["pooled"]["f1"]["mean"] or 0.0), row["ours"]["floor"])
        for row in rows
        if row["ours"] and row["ours"]["floor"] is not None
        for where in ("metrics", "tuned")
        if "pooled" in row["ours"][where]
    ]
    return bool(scored) and all(f1 <= floor for f1, floor in scored)


class Headline(NamedTuple):
    """A score that rows are ranked by: how it is said, where in `ours`, which score."""

    said: str
    where: str
    convention: str
    score: str


#: By task.
HEADLINES: dict[str, tuple[Headline, ...]] = {
    "segmentation": (
        Headline("at threshold 0.5", "metrics", "pooled", "f1"),
        Headline("at the threshold that each run chose on its validation images", "tuned", "pooled", "f1"),
    ),
    "detection": (
        Headline("in mAP at IoU 0.5", "metrics", "boxes", "map_50"),
        Headline("in mAP over ten IoUs", "metrics", "boxes", "map"),
    ),
    "classification": (
        Headline("at threshold 0.5", "metrics", "tiles", "f1"),
        Headline("at the threshold that each run chose on its validation tiles", "tuned", "tiles", "f1"),
    ),
}


def extremes(rows: Rows, headlines: Sequence[Headline] = HEADLINES["segmentation"]) -> str:
    """Say which rows are first and last, over the seeds that all of them have.

    A row that was tested on other images than the reference row has no place in the order.
    """
    alike = [row for row in rows if not (row["ours"] and row["ours"]["apart"])]
    elsewhere = [
        _named(row, headlines[0]) for row in rows if row["ours"] and row["ours"]["apart"] and row["kind"] == "run"
    ]
    rows, run = alike, comparison.over_common_seeds(alike)
    every = {tuple(row["ours"]["seeds"]) for row in rows if row["ours"] and row["kind"] == "run"}
    if len(run) < 2:
        return "No order is known: the rows have no seed in common." if len(every) > 1 else ""
    seeds = run[0]["ours"]["seeds"]
    over = ""
    if len(every) > 1:
        over = f"Over the seeds that all rows have ({', '.join(map(str, seeds))}): "
    parts = []
    for one in headlines:
        ranked = sorted(run, key=lambda row: _of(row, one), reverse=True)
        first, last = ranked[0], ranked[-1]
        spread = _of(first, one) - _of(last, one)
        if round(spread, 3) == 0:
            parts.append(f"{one.said} all rows of ours have {_of(first, one):.3f}")
            continue
        parts.append(
            f"{one.said} **{_named(first, one)}** is the best of ours and "
            f"{_named(last, one)} the last, a spread of {spread:.3f}"
        )
    text = over + "; ".join(parts)
    out = f" Tested on other images, so out of this order: {', '.join(elsewhere)}."
    return f"{text[0].upper()}{text[1:]}.{out if elsewhere else ''}"


def differences(table: Table, rows: Rows) -> str:
    """Say which rows differ from the reference row by more than images and seeds leave open."""
    against = [row for row in rows if row["ours"] and row["ours"]["versus"]]
    reference = table.reference_on(dataset_of(rows))
    if not against or reference is None:
        return ""
    clear = [
        f"{row['label']} ({row['ours']['versus']['difference']:+.3f})"
        for row in against
        if intervals.sign(row["ours"]["versus"])
    ]
    untold = [row["label"] for row in against if row["ours"]["versus"]["low"] is None]
    few = f" Not told, of too few scenes: {', '.join(untold)}." if untold else ""
    fewest = min(row["ours"]["versus"]["common"] for row in against)
    open_ = "test images and seeds leave" if fewest > 1 else "the test images alone leave"
    beware = (
        " With one seed nothing is known of what another training would give, so that these intervals are too narrow."
        if fewest == 1
        else ""
    )
    many = f", not corrected for looking at {len(against)} of them" if len(against) > 1 else ""
    return (
        f"Different from {reference.label} {HEADLINES[table.task][0].said} by more than {open_} "
        f"open: {', '.join(clear) if clear else 'no row'}. (An interval of 95 % a row{many}.)"
        f"{few}{beware}"
    )


def agreement(table: Table, rows: Rows, column: str = "f1") -> str:
    """Say how our order of the rows agrees with the report's, in its own column."""
    what = table.columns[column]
    both = [
        row
        for row in comparison.over_common_seeds(rows)
        if isinstance(row["reported"].get(column), float) and _value(row, what) is not None
    ]
    found = comparison.agreement(table, both, column)
    if found is None:
        return ""
    theirs = sorted(both, key=lambda row: row["reported"][column], reverse=True)
    ours = sorted(both, key=lambda row: _value(row, what) or 0.0, reverse=True)
    reach = (
        f"95 % of the taus that our seeds leave open lie from {found['low']:+.2f} to {found['high']:+.2f}; "
        if found["low"] is not None
        else "with so few rows or seeds no interval is known; "
    )
    best = (
        f"Both have {theirs[0]['label']} first."
        if theirs[0] is ours[0]
        else f"The report's best, {theirs[0]['label']}, is number {1 + ours.index(theirs[0])} of "
        f"{len(both)} here; our best, {ours[0]['label']}, number {1 + theirs.index(ours[0])} there."
    )
    return (
        f"The order of our {len(both)} rows by {what.label} "
        f"({what.convention.replace('_', '-')}) and the report's have a Kendall tau of "
        f"{found['tau']:+.2f} ({reach}+1 is the same order, 0 no relation, -1 the reverse). {best}"
    )


def name_f1(row: Mapping[str, Any], where: str = "metrics") -> str:
    """Return a row's label with its landslide F1, at 0.5 or, for `tuned`, at validation's."""
    return f"{row['label']} ({text_of(row['ours'][where]['pooled']['f1'])})"


def _of(row: Mapping[str, Any], one: Headline) -> float:
    return float(row["ours"][one.where][one.convention][one.score]["mean"] or 0.0)


def _named(row: Mapping[str, Any], one: Headline) -> str:
    return f"{row['label']} ({text_of(row['ours'][one.where][one.convention][one.score])})"


def _value(row: Mapping[str, Any], what: Any) -> float | None:
    value: float | None = row["ours"]["metrics"][what.convention][what.score]["mean"]
    return value
