"""What stands in a table: headings, cells and caption as text. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from landslide_lib.study.reports import Table

DASH = "—"
Rows = Sequence[dict[str, Any]]


class Follower(NamedTuple):
    """A column of ours that follows the report's own: its names, where in `ours`, which score."""

    name: str
    heading: str
    where: str
    convention: str
    score: str


#: By task.
FOLLOWING: dict[str, tuple[Follower, ...]] = {
    "segmentation": (
        Follower("landslide_f1", "landslide F1 at 0.5", "metrics", "pooled", "f1"),
        Follower("landslide_f1_tuned", "landslide F1 at validation's threshold", "tuned", "pooled", "f1"),
    ),
    "detection": (
        Follower("f1", "F1 of boxes at validation's score", "tuned", "boxes", "f1"),
        Follower("recall", "recall there", "tuned", "boxes", "recall"),
    ),
    "classification": (
        Follower("f1_tuned", "F1 at validation's threshold", "tuned", "tiles", "f1"),
        Follower("recall", "recall at 0.5", "metrics", "tiles", "recall"),
    ),
}
#: What a row is compared with the reference row by.
COMPARED = {"segmentation": "F1 at 0.5", "detection": "mAP (IoU 0.5)", "classification": "F1 at 0.5"}


def text_of(value: dict[str, Any] | None, scale: int = 1) -> str:
    """Return mean ± half the 95 % interval over seeds, or an em dash.

    An interval that is not as long below as above stands in brackets.

    >>> text_of({"mean": 0.5, "low": 0.48, "high": 0.52, "values": [0.49, 0.51]})
    '0.500 ± 0.020'
    >>> text_of({"mean": 0.46, "low": 0.045, "high": 0.939, "values": [0.62, 0.64, 0.13]})
    '0.460 [0.045, 0.939]'
    >>> text_of({"mean": 0.5, "low": None, "high": None, "values": [0.5]}, scale=100)
    '50.0'
    """
    if value is None or value["mean"] is None:
        return DASH
    digits = 1 if scale == 100 else 3
    mean = f"{scale * value['mean']:.{digits}f}"
    if value["low"] is None:
        return mean
    below, above = (f"{scale * abs(value[end] - value['mean']):.{digits}f}" for end in ("low", "high"))
    if below == above:
        return f"{mean} ± {below}"
    return f"{mean} [{scale * value['low']:.{digits}f}, {scale * value['high']:.{digits}f}]"


def reported_text(value: float | int | str | None, uncertain: bool, digits: int = 4) -> str:
    """Return a reported cell as printed; a reading carries a question mark."""
    if value is None:
        return DASH
    shown = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    return f"{shown} (?)" if uncertain else shown


def caption(rows: Rows) -> str:
    """Say in one line what `ours` is: data, budget, seeds, floor."""
    run = [row["ours"] for row in rows if row["ours"]]
    if not run:
        quoted = all(row["kind"] == "quoted" for row in rows)
        return "Quoted; nothing of it is run." if quoted else "Ours: not run yet."
    first, seeds = run[0], sorted({len(ours["seeds"]) for ours in run})
    budget = first["budget"]
    if seeds == [1]:
        spread = "one seed, so no interval"
    else:
        spread = f"{_span(seeds)} seeds, mean ± 95 % interval over seeds"
    bands = _span(sorted({ours["bands"] for ours in run}))
    images = f"{budget['subset']} images" if budget["subset"] else "all images"
    epochs = f"{budget['epochs']} epoch{'s' * (budget['epochs'] != 1)}"
    return (
        f"Ours: {first['dataset']}, {budget['profile'] or 'own'} profile ({bands} bands, {images}, "
        f"{budget['image_size']} px, {_network(budget)}{epochs}, "
        f"batch {budget['batch']}), {spread}.{_floor(run)}{_origin(run)}"
    )


def _origin(run: Sequence[dict[str, Any]]) -> str:
    """Say that records were not made on the data that is here, where that is so."""
    strange = [ours["data"] for ours in run if ours["data"]["made_on"] in ("other", "absent")]
    if not strange:
        return ""
    whose = "published records" if all(d["published"] for d in strange) else "records"
    why = {"absent": "which is not on this machine", "other": "which is not the data at LANDSLIDE_DATA or --data-root"}[
        strange[0]["made_on"]
    ]
    return f" These are {whose} of data {strange[0]['fingerprint'][:8]}, {why}."


def _network(budget: dict[str, Any]) -> str:
    small = "small encoders for a quick look, " if budget.get("tiny") else ""
    return f"{small}width {budget['width']}, " if "width" in budget else small


def _floor(run: Sequence[dict[str, Any]]) -> str:
    floors = sorted({f"{ours['floor']:.3f}" for ours in run if ours["floor"] is not None})
    if not floors:
        return ""
    floor = _span(floors) + (", by row," if len(floors) > 1 else "")
    what = "tile" if "tiles" in run[0]["metrics"] else "pixel"
    return f" Calling every {what} landslide scores {floor} landslide F1."


def _span(values: Sequence[Any]) -> str:
    """Return sorted values as text: one, or the first to the last."""
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def dataset_of(rows: Rows) -> str | None:
    """Return the dataset that ours were run on, None where nothing was."""
    return next((row["ours"]["dataset"] for row in rows if row["ours"]), None)


def header(table: Table, rows: Rows) -> list[tuple[str, str]]:
    """Return the headings after the row's name: whose column it is, and its text.

    Where nothing was run there is one empty column of ours.
    """
    names = [table.columns[name] for name in table.metrics]
    headings = [("reported", column.label) for column in names]
    headings += [("reported", label) for label in table.extra.values()]
    if all(row["added"] for row in rows):  # a table of ours, of which nothing is printed
        headings = []
    if not any(row["ours"] for row in rows):
        quoted = all(row["kind"] == "quoted" for row in rows)
        return [*headings, ("ours", "never run" if quoted else "not run yet")]
    headings += [("ours", f"{column.label} ({column.convention.replace('_', '-')})") for column in names]
    names_of_ours = [column.heading for column in FOLLOWING[table.task]]
    derived = any(row["kind"] == "derived" and row["ours"] for row in rows)
    if table.task == "segmentation" and derived:
        names_of_ours[0] = "landslide F1 at the row's threshold, else at 0.5"
    headings += [("ours", name) for name in names_of_ours]
    reference = table.reference_on(dataset_of(rows))
    if reference:
        headings.append(("ours", f"{COMPARED[table.task]} against {reference.label}"))
    return [*headings, ("ours", "parameters"), ("ours", "seeds")]


def label(row: dict[str, Any]) -> str:
    """Return a row's name; one that nobody here runs says why."""
    name = str(row["label"])
    if row["kind"] == "derived" and row["ours"] and isinstance(row["at"], str):
        # Chosen for our network: another threshold than the one that the row is named after.
        chosen = ", ".join(f"{value:g}" for value in row["ours"]["thresholds"])
        return f"{name} (derived; ours at {chosen})"
    return name + {"derived": " (derived)", "quoted": " (quoted)"}.get(row["kind"], "")


def cells(table: Table, row: dict[str, Any], rows: Rows) -> list[str]:
    """Return the cells of one of a table's rows after its name, as text, see `header`."""
    ours, unsure = row["ours"], row["uncertain"]
    columns = [table.columns[name] for name in table.metrics]
    printed = [
        reported_text(row["reported"].get(name), name in unsure, column.digits)
        for name, column in zip(table.metrics, columns, strict=True)
    ]
    printed += [reported_text(row["reported"].get(name), name in unsure) for name in table.extra]
    if all(other["added"] for other in rows):
        printed = []
    if not any(other["ours"] for other in rows):
        return [*printed, DASH]
    mine = [text_of(ours and ours["metrics"][c.convention][c.score], c.scale) for c in columns]
    mine += [text_of(ours and ours[column.where][column.convention][column.score]) for column in FOLLOWING[table.task]]
    if table.reference_on(dataset_of(rows)):
        mine.append(difference(ours and ours["versus"]))
    mine.append(f"{ours['parameters'] / 1e6:.2f} M" if ours else DASH)
    mine.append(str(len(ours["seeds"])) if ours else DASH)
    return [*printed, *mine]


def difference(versus: Mapping[str, Any] | None) -> str:
    """Return a difference with its interval, or why it has none, or an em dash.

    Args:
        versus: From `intervals.paired_bootstrap`; None where nothing was compared.

    >>> difference({"difference": 0.1, "low": -0.05, "high": 0.25})
    '+0.100 [-0.050, +0.250]'
    >>> difference({"difference": 0.1, "low": None, "high": None, "reason": "too few scenes"})
    '+0.100 (too few scenes)'
    """
    if versus is None:
        return DASH
    return f"{versus['difference']:+.3f} {interval(versus)}"


def interval(versus: Mapping[str, Any], scale: int = 1) -> str:
    """Return the interval of a difference in brackets, or why it has none in parentheses."""
    if versus["low"] is None:
        return f"({versus['reason']})"
    digits = 1 if scale == 100 else 3
    return f"[{scale * versus['low']:+.{digits}f}, {scale * versus['high']:+.{digits}f}]"
