"""Results of others in one currency: the F1 of the landslide class, pooled over the pixels of all images. No torch.

`data/field.yaml` holds what they print. The landslide F1 is computed by those of `RULES` whose scores are of the
landslide class, as an interval, because what is printed was rounded. A score whose source does not say what it is of is
read as the landslide's only to see whether it contradicts the others.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import Field

from landslide_lib.fields import Part
from landslide_lib.paths import FIELD
from landslide_lib.study import audit, reports

Over = Literal["landslide", "two_class", "per_image", "micro", "tiles", "regions", "unknown"]
Rate = Literal["precision", "recall", "f1", "iou"]
Printed = dict[Rate | Literal["miou", "background_iou", "tp", "fp", "fn", "tn"], str]

#: What a landslide F1 is computed from; where several are there, the first names the rule.
RULES = (
    ("counts", ("tp", "fp", "fn"), lambda tp, fp, fn: 2 * tp / (2 * tp + fp + fn)),
    ("IoU", ("iou",), lambda iou: 2 * iou / (1 + iou)),
    ("precision and recall", ("precision", "recall"), lambda p, r: 2 * p * r / (p + r) if p + r else 0.0),
    ("mean and background IoU", ("miou", "background_iou"), lambda m, b: 2 * (2 * m - b) / (1 + 2 * m - b)),
    ("F1", ("f1",), lambda f1: f1),
)
#: Landslide F1 that lie further apart than this, rounding set aside, contradict each other.
TOLERANCE = 0.005
WHY_NOT = {
    "unknown": "not said what the scores are of",
    "two_class": "F1 is a mean over both classes",
    "per_image": "F1 is a mean over images",
    "micro": "F1 is over the pixels of both classes",
    "tiles": "F1 is of whole tiles",
    "regions": "F1 is a mean over regions",
    None: "a mean IoU alone does not give the IoU of one class",
}


class Result(Part):
    """A line of a source; what it does not say is the source's."""

    id: str
    model: str
    printed: Printed
    spread: Printed = Field(default_factory=dict)
    dataset: str | None = None
    split: str | None = None
    over: dict[Rate, Over] | None = None


class Source(Part):
    """Where results are printed, and what their scores are of; results are listed, or those of a report's table."""

    id: str
    dataset: Literal["landslide4sense", "bijie", "cas", "sen12landslides", "gvlm", "zindi"]
    split: str
    scale: Literal[1, 100] = 1
    over: dict[Rate, Over] = Field(default_factory=dict)
    why: str
    doubt: str = ""
    seen: Literal["text", "issue"] = "text"
    where: str = Field(pattern=r"^(https://|arXiv:|doi:|data/reports/)")
    place: str
    results: list[Result] = Field(default_factory=list)
    table: str | None = None
    only: list[str] = Field(default_factory=list)


@cache
def field() -> pd.DataFrame:
    """Return the results, a row each: as the file has them, and what `landslide_f1` tells of each."""
    sources = [Source.model_validate(one) for one in yaml.safe_load(FIELD.read_text("utf-8"))["sources"]]
    return pd.DataFrame([_row(source, *found) for source in sources for found in _results(source)])


def landslide_f1(printed: Printed, over: dict[Rate, Over], scale: int = 1) -> dict[str, Any]:
    """Return landslide_f1, low, high and rule, or why it cannot be told (`cannot`), and what contradicts it.

    >>> landslide_f1({"iou": "68.1", "f1": "89.7"}, {"iou": "landslide", "f1": "unknown"}, scale=100)["contradicts"]
    'IoU means 0.810, F1 means 0.897'
    """
    # What each score may have been before it was rounded, in 0..1; counts are exact.
    values: dict[str, audit.Interval] = {
        name: (int(text), int(text))
        if name in ("tp", "fp", "fn", "tn")
        else audit.bounds(text, digits=len(text.partition(".")[2]), scale=scale)
        for name, text in printed.items()
    }
    found: dict[str, audit.Interval] = {}
    firm: dict[str, audit.Interval] = {}
    for rule, names, compute in RULES:
        of = {over.get(name, "landslide") for name in names}  # type: ignore[call-overload]
        if values.keys() >= set(names) and of <= {"landslide", "unknown"}:
            # All but the counts, which are exact, grow with their scores, and fall with a background IoU.
            low, high = (compute(*(values[n][end != (n == "background_iou")] for n in names)) for end in (0, 1))
            found[rule] = low, high
            firm |= {rule: (low, high)} if of == {"landslide"} else {}
    first = next(iter(firm or found), "")
    apart = [r for r, one in found.items() if max(one[0] - found[first][1], found[first][0] - one[1]) > TOLERANCE]
    told = ", ".join(f"{rule} means {sum(found[rule]) / 2:.3f}" for rule in [first, *apart]) if apart else ""
    low = high = float("nan")
    rule, cannot = "", "its scores of the landslide class contradict each other" if firm else WHY_NOT[over.get("f1")]
    if firm and not firm.keys() & set(apart):
        (low, high), rule, cannot = audit.common(firm.values()) or firm[first], first, ""
    f1 = {"landslide_f1": (low + high) / 2, "low": low, "high": high}
    return {**f1, "rule": rule, "cannot": cannot, "contradicts": told}


def _results(source: Source) -> Iterator[tuple[Result, int]]:
    yield from ((one, source.scale) for one in source.results)
    if source.table is None:
        return
    table = reports.table(source.table)
    first = {table.columns[name].score: name for name in reversed(table.metrics)}
    column = table.columns[first["f1"]]
    kinds: dict[str, Over] = {"tiles": "tiles", "two_class": "two_class"}
    over: dict[Rate, Over] = {"f1": kinds.get(column.convention, "landslide")}
    for row in table.rows:
        cells = {score: row.reported[name] for score, name in first.items() if row.reported.get(name) is not None}
        text = {score: x if isinstance(x, str) else f"{x:.{column.digits}f}" for score, x in cells.items()}
        if "f1" in text and (not source.only or row.id in source.only):
            printed: Printed = {"f1": text["f1"]}
            if column.convention == "two_class" and "iou" in text:
                printed["miou"] = text["iou"]
            yield Result(id=row.id, model=f"{row.label} ({source.table})", printed=printed, over=over), column.scale


def _row(source: Source, one: Result, scale: int) -> dict[str, Any]:
    over = source.over if one.over is None else one.over
    spread = {name: f" ± {text}" for name, text in one.spread.items()}
    return {
        "id": f"{source.id}/{one.id}",
        "dataset": one.dataset or source.dataset,
        "model": one.model,
        "split": one.split or source.split,
        "over": over.get("f1", ""),
        "printed": ", ".join(f"{name} {text}{spread.get(name, '')}" for name, text in one.printed.items()),
        "f1": float(one.printed.get("f1", "nan")) / scale,
        **landslide_f1(one.printed, over, scale),
        **{"scores": one.printed, "scale": scale, "doubt": source.doubt, "seen": source.seen},
        **{"where": source.where, "place": source.place},
    }
