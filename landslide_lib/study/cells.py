"""What stands in a table: columns, cells and caption as text. No torch."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from landslide_lib.study.reports import Table

DASH = "—"
Rows = Sequence[dict[str, Any]]


class Score(NamedTuple):
    """A score of ours: its column's name and heading, where it stands in `ours`, and what it is multiplied with."""

    name: str
    heading: str
    where: str
    convention: str
    score: str
    scale: int = 1

    def text(self, row: dict[str, Any]) -> str:
        """Return a row's cell."""
        return text_of(row["ours"] and row["ours"][self.where][self.convention][self.score], self.scale)


#: What follows the report's own scores, by task.
FOLLOWING: dict[str, tuple[Score, ...]] = {
    "segmentation": (
        Score("landslide_f1", "landslide F1 at 0.5", "metrics", "pooled", "f1"),
        Score("landslide_f1_tuned", "landslide F1 at validation's threshold", "tuned", "pooled", "f1"),
    ),
    "detection": (
        Score("f1", "F1 of boxes at validation's score", "tuned", "boxes", "f1"),
        Score("recall", "recall there", "tuned", "boxes", "recall"),
    ),
    "classification": (
        Score("f1_tuned", "F1 at validation's threshold", "tuned", "tiles", "f1"),
        Score("recall", "recall at 0.5", "metrics", "tiles", "recall"),
    ),
}
#: What a row is compared with the reference row by.
COMPARED = {"segmentation": "landslide F1 at 0.5", "detection": "mAP (IoU 0.5)", "classification": "F1 at 0.5"}


def scores(table: Table) -> list[Score]:
    """Return the scores of ours in a table: those that the report prints, then those that follow."""
    found = []
    for name in table.metrics:
        column = table.columns[name]
        heading = f"{column.label} ({column.convention.replace('_', '-')})"
        found.append(Score(name, heading, "metrics", column.convention, column.score, column.scale))
    return [*found, *FOLLOWING[table.task]]


class Column(NamedTuple):
    """A column after the row's name: what it is, its heading, the text of a row's cell.

    It is printed (`score` or `extra`), or ours: a `result`, what rows are `compared` by, a `stand-in`, or a `count`.
    """

    kind: str
    heading: str
    text: Callable[[dict[str, Any]], str]

    @property
    def whose(self) -> str:
        """`reported` or `ours`."""
        return "reported" if self.kind in ("score", "extra") else "ours"


def columns(table: Table, rows: Rows) -> list[Column]:
    """Return the columns of a table; where nothing was run there is one empty column of ours."""
    printed = [("score", name, table.columns[name].label) for name in table.metrics]
    printed += [("extra", name, label) for name, label in table.extra.items()]
    if all(row["added"] for row in rows):  # of a table of ours nothing is printed
        printed = []
    found = [Column(kind, label, partial(reported_text, table, name=name)) for kind, name, label in printed]
    if not any(row["ours"] for row in rows):
        quoted = all(row["kind"] == "quoted" for row in rows)
        return [*found, Column("result", "never run" if quoted else "not run yet", lambda row: DASH)]
    derived = any(row["kind"] == "derived" and row["ours"] for row in rows)
    for score in scores(table):
        at_row = derived and score.name == "landslide_f1"
        heading = "landslide F1 at the row's threshold, else at 0.5" if at_row else score.heading
        found.append(Column("result", heading, score.text))
    if reference := table.reference_on(dataset_of(rows)):
        found.append(Column("compared", f"{COMPARED[table.task]} against {reference.label}", difference_text))
    if any(map(stand_in, rows)):
        found.append(Column("stand-in", "network of ours", lambda row: stand_in(row) or DASH))
    if "epoch_time" in table.extra:
        found.append(Column("count", table.extra["epoch_time"], epoch_text))
    counts: dict[str, Callable[[dict[str, Any]], str]] = {
        "parameters": lambda row: f"{row['ours']['parameters'] / 1e6:.2f} M" if row["ours"] else DASH,
        "seeds": lambda row: str(len(row["ours"]["seeds"])) if row["ours"] else DASH,
    }
    return [*found, *(Column("count", name, text) for name, text in counts.items())]


def epoch_text(row: dict[str, Any]) -> str:
    """Return how many seconds an epoch of ours took, validation included, or a dash where none was trained.

    >>> epoch_text({"ours": {"seconds_per_epoch": 31.62}}), epoch_text({"ours": {"seconds_per_epoch": 2.345}})
    ('32 s', '2.3 s')
    """
    seconds = (row["ours"] or {}).get("seconds_per_epoch")
    return f"{seconds:.{0 if seconds >= 10 else 1}f} s" if seconds else DASH


def dataset_of(rows: Rows) -> str | None:
    """Return the dataset that ours were run on, None where nothing was."""
    return next((row["ours"]["dataset"] for row in rows if row["ours"]), None)


def stand_in(row: dict[str, Any]) -> str:
    """Return the network of ours that stands in for the report's, "" where none does."""
    return str((row["ours"] or {}).get("stand_in", ""))


def label(row: dict[str, Any]) -> str:
    """Return a row's name, with a dagger where another network stands in, and its kind where it is not run."""
    name = f"{row['label']} †" if stand_in(row) else str(row["label"])
    if row["kind"] == "derived" and row["ours"] and isinstance(row["at"], str):
        # Chosen for our network: another threshold than the one that the row is named after.
        chosen = ", ".join(f"{value:g}" for value in row["ours"]["thresholds"])
        return f"{name} (derived; ours at {chosen})"
    return name + {"derived": " (derived)", "quoted": " (quoted)"}.get(row["kind"], "")


def reported_text(table: Table, row: Mapping[str, Any], name: str) -> str:
    """Return a reported cell as printed; a reading carries a question mark."""
    value = row["reported"].get(name)
    if value is None:
        return DASH
    digits = table.columns[name].digits if name in table.metrics else 4
    shown = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    return f"{shown} (?)" if name in row["uncertain"] else shown


def text_of(value: Mapping[str, Any] | None, scale: int = 1) -> str:
    """Return mean ± half the 95 % interval over seeds; in brackets if it is longer on one side; or a dash.

    >>> text_of({"mean": 0.5, "low": 0.48, "high": 0.52})
    '0.500 ± 0.020'
    >>> text_of({"mean": 0.46, "low": 0.045, "high": 0.939})
    '0.460 [0.045, 0.939]'
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


def difference_text(row: dict[str, Any]) -> str:
    """Return the difference from the reference row with its interval, or why it has none, or a dash.

    >>> difference_text({"ours": {"versus": {"difference": 0.1, "low": -0.05, "high": 0.25}}})
    '+0.100 [-0.050, +0.250]'
    """
    versus = row["ours"] and row["ours"]["versus"]
    if versus is None:
        return DASH
    interval = f"({versus['reason']})" if versus["low"] is None else f"[{versus['low']:+.3f}, {versus['high']:+.3f}]"
    return f"{versus['difference']:+.3f} {interval}"


def caption(rows: Rows, *, timed: bool = False) -> str:
    """Say in one line what `ours` is: data, budget, seeds, floor; and of `timed` ones, on what they ran."""
    run = [row["ours"] for row in rows if row["ours"]]
    if not run:
        quoted = all(row["kind"] == "quoted" for row in rows)
        return "Quoted; nothing of it is run." if quoted else "Ours: not run yet."
    first, budget = run[0], run[0]["budget"]
    budgeted = f"{budget['profile']} profile" if budget["profile"] else "a budget of its own"
    seeds = sorted({len(ours["seeds"]) for ours in run})
    spread = f"{span(seeds)} seeds, mean ± 95 % interval over seeds"
    sizes, widths, epochs = (
        span(sorted({ours["budget"].get(name, 0) for ours in run})) for name in ("image_size", "width", "epochs")
    )
    parts = [
        f"Ours: {first['dataset']}",
        f"{budgeted} ({span(sorted({ours['bands'] for ours in run}))} bands",
        f"{budget['subset']} images" if budget["subset"] else "all images",
        f"{sizes} px",
        "small encoders for a quick look" if budget.get("tiny") else "",
        f"width {widths}" if "width" in budget else "",
        f"{epochs} epoch{'s' * (epochs != '1')}",
        f"batch {budget['batch']})",
        "one seed, so no interval." if seeds == [1] else f"{spread}.",
    ]
    text = ", ".join(filter(None, parts))
    if any(ours["versus"] for ours in run):
        one = "an interval over test images alone, which leaves out what another seed would give"
        several = "its 95 % interval, over seeds where there are several, and test images"
        text += f" A difference is over the seeds that both rows have; in brackets: {one if seeds == [1] else several}."
    if swapped := [row["ours"]["records"] for row in rows if stand_in(row)]:
        text += " † In place of the report's network stands one that this profile can train, see “network of ours”"
        same = "; rows with the same one are the same runs, and say nothing of how the report's differ."
        text += same if len(set(map(tuple, swapped))) < len(swapped) else "."
    floors = sorted({f"{ours['floor']:.3f}" for ours in run if ours["floor"] is not None})
    if floors:
        what, by_row = "tile" if "tiles" in first["metrics"] else "pixel", ", by row," if len(floors) > 1 else ""
        text += f" Calling every {what} landslide scores {span(floors)}{by_row} landslide F1."
    if timed:
        used = sorted({f"{ours['device']} ({ours['threads']} used)" for ours in run})
        text += " Seconds: of an epoch with its validation, the median over epochs and seeds, beside other runs "
        text += f"on {'; '.join(used)}."
    strange = [ours["data"] for ours in run if ours["data"]["made_on"] in ("other", "absent")]
    if strange:
        whose = "published records" if all(data["published"] for data in strange) else "records"
        absent = strange[0]["made_on"] == "absent"
        why = "not on this machine" if absent else "not the data at LANDSLIDE_DATA or --data-root"
        text += f" These are {whose} of data {strange[0]['fingerprint'][:8]}, which is {why}."
    return text


def span(values: Sequence[Any]) -> str:
    """Return sorted values as text: one, or the first to the last."""
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"
