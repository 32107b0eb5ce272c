"""The reports: their tables as printed, and the recipe of each row. No torch."""

from collections.abc import Mapping, Sequence
from functools import cache, reduce
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from landslide_lib.data.bands import BOXES, LABELS, OF_DATASET, OWN, possible
from landslide_lib.fields import Frozen
from landslide_lib.paths import REPORTS
from landslide_lib.study.recipe import STAND_INS, Recipe, merge, profile, recipe
from landslide_lib.study.recipe.adaptation import TARGETS
from landslide_lib.study.recipe.parts import PACKAGED

Task = Literal["segmentation", "detection", "classification"]
#: What stands above a list of deviations.
ASSUMED = "Assumed, or other than printed"


class Row(Frozen):
    """A row of a reported table.

    Attributes:
        kind: `run` has a `change`, a partial recipe; `derived` is computed from the records of the rows in `source`
            (`from` in the file: a row of the table, or `table/row` of the report); `quoted` is someone else's result.
        reported: Cells as printed, by column; of `uncertain` ones the print is garbled.
        ours: The report has no such row.
        only: The datasets that the row makes sense on; () is any.
        at: The threshold of a derived row, or the images that it is chosen on. Without one it is the mean over sources.
    """

    id: str
    label: str
    kind: Literal["run", "derived", "quoted"]
    change: dict[str, Any] | None = None
    source: tuple[str, ...] = Field((), alias="from")
    reported: dict[str, float | int | str | None] = Field({})
    uncertain: tuple[str, ...] = ()
    ours: bool = False
    only: tuple[str, ...] = ()
    at: float | Literal["validation", "scored"] | None = None


class Fact(Frozen):
    """A number that a report states outside its tables; `about` where it prints a ~."""

    label: str
    value: float | int
    about: bool = False
    unit: str = ""
    where: str


class Column(Frozen):
    """A column of scores: its label as printed, and the convention and score of ours that it is set beside.

    `pooled`, `two_class` and `per_image` count pixels, `boxes` detections (COCO), `tiles` whole images. `f1_std` is the
    population's standard deviation of F1 over the rows that a row is derived from.
    """

    label: str
    convention: Literal["pooled", "two_class", "per_image", "boxes", "tiles"]
    score: Literal["f1", "f1_std", "iou", "precision", "recall", "map", "map_50"]
    unit: Literal["", "%"] = ""
    digits: int = 4

    @property
    def scale(self) -> int:
        """What a score in 0..1 is multiplied with to stand beside the printed one."""
        return 100 if self.unit == "%" else 1


class Table(Frozen):
    """A reported table.

    Attributes:
        metrics: The columns that are scores, in order; `columns` is what each of them is.
        extra: Columns that are printed and not compared: name and label.
        reference: The row that others are compared with; of several the first that the dataset has.
        budgets: What the table changes of a profile's budget, by profile.
        notes: What is to be known of the print: what it leaves open, what is odd in it, what a word means.
        deviations: What our runs assume, or do otherwise than printed.
    """

    name: str
    title: str
    where: str
    metrics: tuple[str, ...]
    columns: dict[str, Column]
    extra: dict[str, str] = Field({})
    task: Task = "segmentation"
    reference: tuple[str, ...] = ()
    base: dict[str, Any] = Field({})
    budgets: dict[str, dict[str, Any]] = Field({})
    notes: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    rows: tuple[Row, ...]

    def on(self, dataset: str | None = None) -> str | None:
        """Return the dataset that rows are run on, by default the report's: of tables of tiles simulated tiles."""
        on = dataset or self.base.get("dataset")
        tiles = self.base.get("task") == "classification"
        return "synthetic-zindi" if tiles and on == "synthetic" else on

    def runnable(self, dataset: str | None = None) -> list[Row]:
        """Return the rows that have a recipe for a dataset, by default the report's own."""
        on, does = self.on(dataset), self.base.get("task")
        if (on in BOXES and does != "detection") or (on in LABELS and does != "classification"):
            return []  # there are no masks
        return [row for row in self.rows if row.change is not None and (not row.only or on in row.only)]

    def chosen(self, names: Sequence[str], dataset: str | None = None) -> list[Row]:
        """Return rows by id, or all that can be run on a dataset. Raises ValueError: there is none, or not for it."""
        on = self.on(dataset)
        rows = [self.row(name) for name in names] or self.runnable(dataset)
        for row in rows:
            if row.only and on not in row.only:
                raise ValueError(f"{self.name}, row {row.id}: is for {' and '.join(row.only)}, not for {on}")
        return rows

    def reference_on(self, dataset: str | None = None) -> Row | None:
        """Return the row that others are compared with on a dataset, by default the report's."""
        there = {row.id for row in self.runnable(dataset)}
        return next((self.row(name) for name in self.reference if name in there), None)

    def row(self, name: str) -> Row:
        """Return a row by id. Raises ValueError: there is none; the message names those there are."""
        rows = {row.id: row for row in self.rows}
        if name not in rows:
            raise ValueError(f"{self.name} has no row {name!r}; its rows: {', '.join(rows)}")
        return rows[name]


class Report(Frozen):
    """One of the five sources; `report` is its short name, `cite` its key in the book's bibliography.

    `asked`, `method` and `found` are in our words; numbers stand in tables and facts. `notes` and `deviations` are as
    those of a `Table`, of the whole report.
    """

    report: str
    title: str
    authors: str
    venue: str
    cite: str
    data: str
    task: Task = "segmentation"
    asked: str
    method: tuple[str, ...]
    found: tuple[str, ...]
    notes: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    base: dict[str, Any] = Field({})
    columns: dict[str, Column] = Field({})
    facts: dict[str, Fact] = Field({})
    tables: dict[str, Table]

    @model_validator(mode="before")
    @classmethod
    def _name_tables(cls, given: Any) -> Any:
        """Give each table its full name, and the report's base under its own."""
        tables = {
            name: {
                **table,
                "name": f"{given['report']}/{name}",
                "task": given.get("task", "segmentation"),
                "columns": {**given.get("columns", {}), **table.get("columns", {})},
                "base": merge(given.get("base", {}), table.get("base", {})),
            }
            for name, table in given["tables"].items()
        }
        return {**given, "tables": tables}


@cache
def reports(folder: Path = REPORTS) -> dict[str, Report]:
    """Read every report; what has to hold in the files besides their types is in `tests/study/test_reports.py`.

    Raises ValueError: a file is none; the message names it.
    """
    found = {}
    for path in sorted(folder.glob("[!.]*.yaml")):
        try:
            found[path.stem] = Report.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except (yaml.YAMLError, ValidationError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: no report ({type(error).__name__}: {error})") from None
    return found


def table(name: str) -> Table:
    """Return a table by its full name. Raises ValueError: there is none; the message names those there are.

    >>> table("raunet/losses").row("focal").label
    'Focal'
    """
    known = {one.name: one for report in reports().values() for one in report.tables.values()}
    if name not in known:
        raise ValueError(f"table {name!r}: unknown; allowed: {', '.join(known)}")
    return known[name]


def sources(of: Table, row: Row) -> list[tuple[Table, Row]]:
    """Return the rows that a row is derived from, each with its table."""
    found = []
    for source in row.source:
        name, _, identifier = source.rpartition("/")
        other = table(f"{of.name.partition('/')[0]}/{name}") if name else of
        found.append((other, other.row(identifier)))
    return found


def leaves(of: Table, row: Row) -> list[tuple[Table, Row]]:
    """Return the rows to run that a row comes from: itself, where it is run."""
    if row.kind == "run":
        return [(of, row)]
    return [leaf for source in sources(of, row) for leaf in leaves(*source)]


def resolve(table: Table, row: Row, *, dataset: str | None = None, profile_name: str | None = None) -> Recipe:
    """Return the recipe of a row: the table's base, the budget (by default `full`), the row's change, the dataset.

    Another dataset brings its own bands, where the row names none; it is split by scenes, where it has no published
    parts; and an adaptation is to what `TARGETS` names, else to its valid part. A smaller encoder may stand in for a
    large one, see `stand_in`. Raises ValueError: the row has no recipe, or one that cannot be (a RecipeError).

    >>> losses = table("raunet/losses")
    >>> resolve(losses, losses.row("focal"), profile_name="cpu").loss[0].gamma
    2.0
    """
    if row.change is None:
        places = " and ".join(dict.fromkeys(source.rpartition("/")[0] or source for source in row.source))
        why = f"derived; train {places}, and `landslide table` shows it" if places else "quoted and never run"
        raise ValueError(f"{table.name}, row {row.id}: is {why}")
    change: dict[str, Any] = {}
    if dataset:
        change["dataset"] = dataset = table.on(dataset) or dataset
        if "bands" not in row.change and not {*table.base.get("bands", ())} <= {*possible(OF_DATASET.get(dataset, ()))}:
            change["bands"] = []  # those of the report's data; another sensor is taken as it is
        if recipe(table.base, row.change).split.method == "published" and dataset not in (*BOXES, *OWN):
            change["split"] = {"method": "blocked"}  # nobody has published parts of it
        if "target" in table.base and dataset != table.base.get("dataset"):
            change["target"] = TARGETS.get(dataset, {"dataset": "", "part": "valid"})
    name = profile_name or "full"
    budget = merge(profile(name, table.base.get("task", "segmentation")), table.budgets.get(name, {}))
    layers = reduce(merge, (table.base, budget, row.change, change))
    return recipe(layers if row.ours else {**layers, **stand_in(layers, name)})


def has_stand_in(table: Table, row: Row, profile_name: str | None) -> bool:
    """Return whether another network than the report's is run for a row in a profile."""
    return not row.ours and bool(stand_in(merge(table.base, row.change or {}), profile_name or "full"))


def stand_in(layers: Mapping[str, Any], profile_name: str) -> dict[str, Any]:
    """Return what a profile changes in the encoder of a row and in what it starts from; see `stand_ins.yaml`.

    >>> stand_in({"dataset": "uav", "encoder": "vit_tiny", "start": {"name": "imagenet"}}, "cpu")
    {'start': {'name': 'presence', 'on': 'bijie'}}
    """
    if not (swaps := STAND_INS.get(profile_name)):
        return {}
    change: dict[str, Any] = {"size": swaps["size"]} if layers.get("task") == "adaptation" else {}
    encoder = layers.get("encoder")
    if encoder in swaps["encoder"]:
        encoder = change["encoder"] = swaps["encoder"][encoder]
    ensemble = layers.get("ensemble")
    if isinstance(ensemble, Mapping) and (members := ensemble.get("encoders")):
        swapped = [{**one, "encoder": swaps["encoder"].get(one["encoder"], one["encoder"])} for one in members]
        change["ensemble"] = {**ensemble, "encoders": swapped}
    start = layers.get("start")
    if isinstance(start, Mapping):  # of a detector
        if start["name"] == "file" or (start["name"] == "imagenet" and encoder not in PACKAGED):
            change["start"] = dict(swaps[start["name"]])
            if OF_DATASET.get(layers.get("dataset", "")) != OF_DATASET[change["start"]["on"]]:
                del change["start"]["on"]  # of other bands: learnt on the row's own data
        elif start["name"] == "distillation":
            change["start"] = {**start, "teacher": swaps["teacher"], "start": None}
    if change and encoder in PACKAGED:
        change["precision"] = swaps["precision"]
    return change


def network_of(made: Recipe) -> str:
    """Name the encoders of a recipe and what they start from.

    >>> network_of(recipe({"task": "detection", "dataset": "bijie", "encoder": "vit_tiny", "start": {"name": "mae"}}))
    'vit_tiny, mae'
    """
    encoders = [one.encoder for one in getattr(made, "weighted", ())] or [getattr(made, "encoder", made.task)]
    start = getattr(made, "start", None)
    name = getattr(start, "name", start) or "random"
    where = getattr(start, "on", "")
    return f"{' + '.join(encoders)}, {name}{f' on {where}' if where else ''}"
