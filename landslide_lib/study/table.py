"""A table of a report as a student or a researcher uses it: run it, read it, compare its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from landslide_lib.study import audit, cells, comparison, render, reports, runs
from landslide_lib.study.records import Record, Store
from landslide_lib.study.reports import Row, Table


def table(
    name: str,
    *,
    dataset: str | None = None,
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    data_root: str | Path | None = None,
) -> "StudyTable":
    """Return a table of a report, such as `raunet/losses`, reported beside ours; a ValueError names those there are.

    Without a dataset or a profile (`smoke`, `quick`, `cpu`, `full`) those with the most records are taken, without
    `seeds` all that there are, or 0 to run. `data_root` stands in place of `LANDSLIDE_DATA`.
    """
    return StudyTable(reports.table(name), dataset, profile, seeds, data_root)


@dataclass(repr=False)
class StudyTable:
    """A table with its records; see `table`."""

    report: Table
    dataset: str | None
    profile: str | None
    seeds: Sequence[int] | None
    data_root: str | Path | None = None

    @cached_property
    def store(self) -> Store:
        """The records."""
        return runs.open_store(self.data_root)

    @property
    def selection(self) -> dict[str, Any]:
        """Dataset and profile that are shown."""
        dataset, profile = comparison.most_records(self.report, self.store, self.dataset, self.profile)
        return {"dataset": dataset, "profile_name": profile}

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows with what their records say; see `comparison.compare`."""
        return comparison.compare(self.report, self.store, **self.selection, seeds=self.seeds)

    @property
    def records(self) -> dict[str, list[Record]]:
        """The records of each row, by its id, in the order of the seeds; empty where nothing was run."""
        found = comparison.collect_records(self.report, self.store, **self.selection, seeds=self.seeds)
        return {row.id: found[self.report.name, row.id] for row in self.report.runnable(self.selection["dataset"])}

    def run(self, rows: Sequence[str] = (), *, device: str = "auto", rerun: bool = False) -> Self:
        """Train what is missing; nothing where all records are there, or while the book is built.

        Without ids of rows all that can be run without weights of others. A derived row runs those that it comes from.
        Rows of the report's other tables, and those that this data does not have, are passed over, so that a chapter
        can name rows of several tables; others raise a ValueError. With `rerun` the old records stay.
        """
        table, chosen = self.report, {**self.selection, "seeds": self.seeds or (0,)}
        there = table.runnable(chosen["dataset"])
        wanted = [(table, row) for row in there if not self._needs_download(row)]
        if rows:
            tables = reports.reports()[table.name.split("/")[0]].tables.values()
            for name in set(rows) - {row.id for other in tables for row in other.rows}:
                table.row(name)  # refused
            wanted = [leaf for row in table.rows if row.id in rows for leaf in reports.leaves(table, row)]
        root = Path(self.data_root) if self.data_root else None
        for other in {other.name: other for other, _ in wanted}.values():
            ids = [row.id for row in other.runnable(chosen["dataset"]) if (other, row) in wanted]
            if ids:
                runs.ensure(other, rows=ids, device=device, rerun=rerun, data_root=root, store=self.store, **chosen)
        return self

    def frame(self) -> pd.DataFrame:
        """Return the table, tidy: a line a row and a score.

        `column` is one of the report, such as `f1`, or of ours, such as `landslide_f1_tuned`; `ours`, `low` and `high`
        are mean and 95 % interval over `seeds`; `all_positive_f1` is that of calling everything landslide.
        """
        return pd.DataFrame(render.tidy(self.report, self.rows))

    def effects(self, pairs: Mapping[str, tuple[str, str]] | None = None) -> pd.DataFrame:
        """Return what rows differ by: each from the table's reference row, or pairs of rows.

        The only place where rows are compared: paired over the seeds and test images that both rows have, blocked by
        scene, with the spread over seeds added; see `metrics.intervals.paired_bootstrap`. A pair has a name of your own
        and the ids of a row and of the row it is compared with; others raise a ValueError.

        Returns:
            A line a row or pair that was run on the same images: `label`, `against`, `reported` (difference of what
            is printed, of a mean over both classes that of the landslide F1 in it), `difference` (ours, of landslide
            F1 at 0.5, of boxes mAP at IoU 0.5), `low`, `high` (its 95 % interval), `seeds` (how many both have),
            `verdict`.
        """
        records, lines, profile = self.records, {}, self.selection["profile_name"]
        if pairs is None:
            reference = self.report.reference_on(self.selection["dataset"])
            pairs = {name: (name, reference.id) for name in records} if reference else {}
        for name, (one, other) in pairs.items():
            row, base = self.report.row(one), self.report.row(other)
            if versus := comparison.effect(records.get(one, ()), records.get(other, ())):
                marked = row.label + " †" * reports.has_stand_in(self.report, row, profile)
                lines[name] = {
                    "label": marked if name == one else name,
                    "against": base.label,
                    "reported": self._printed(row) - self._printed(base),
                    **{key: versus[key] for key in ("difference", "low", "high")},
                    "seeds": versus["common"],
                    "verdict": verdict(versus),
                }
        columns = ["label", "against", "reported", "difference", "low", "high", "seeds", "verdict"]
        frame = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
        return frame.astype(dict.fromkeys(columns[2:6], float)).rename_axis("row")

    def plot(self, pairs: Mapping[str, tuple[str, str]] | None = None) -> Any:
        """Draw `effects` with their intervals, reported beside ours; a ValueError says that there are none."""
        from landslide_lib.study.plots import forest

        effects = self.effects(pairs)
        if effects.empty:
            raise ValueError(f"{self.report.name}: no two rows of it have been run to compare")
        name = f"{self.report.name.replace('/', '-')}-effects"
        return forest(effects, score=cells.COMPARED[self.report.task], name=name)

    def examples(self, rows: Sequence[str]) -> Any:
        """Draw what rows answer on six test images, each in its first run that keeps the probabilities, for a notebook.

        With image, truth, hits and misses where the data is here; the book, which holds no image of a publisher, shows
        the probabilities alone. Where no run keeps them, a line says so. Raises ValueError: there is no such row.
        """
        from landslide_lib.study import domains
        from landslide_lib.training import pictures

        if not rows:
            raise ValueError("examples: name one row at least")
        labels = [self.report.row(row).label for row in rows]
        kept = [[record for record in self.records.get(row, ()) if record.examples] for row in rows]
        shared = set.intersection(*({*each[0].examples} if each else set() for each in kept))
        if not shared:
            return Markdown(f"No runs of {' and '.join(labels)} keep their probabilities of the same images yet.")
        first, size = kept[0][0], kept[0][0].recipe.image_size
        names = [name for name in first.examples if name in shared]
        answers = [np.stack([pictures.decode(each[0].examples[name], size) for name in names]) for each in kept]
        if self.store.made_on(first) != "here":
            return pictures.draw_grid(dict(zip(names, np.stack(answers, 1), strict=True)), labels)
        packed = domains.load(first.recipe, root=Path(self.data_root) if self.data_root else None)
        packed, columns = packed.target or packed, dict(zip(labels, answers, strict=True))
        return pictures.image_grid(packed, np.array([packed.ids.index(name) for name in names]), columns)

    def notes(self) -> Any:
        """Return what is to be known of the report's table, then what we assume or do otherwise, for a notebook."""
        lists = {"": self.report.notes, f"{reports.ASSUMED}:\n\n": self.report.deviations}
        shown = [head + "\n".join(f"- {line}" for line in lines) for head, lines in lists.items() if lines]
        return Markdown("\n\n".join(shown))

    def missing(self) -> Any:
        """Return which rows have no run of ours and what they need, for a notebook."""
        records, needs = self.records, dict[bool, list[str]]()
        for row in self.report.runnable(self.selection["dataset"]):
            if not records[row.id]:
                needs.setdefault(self._needs_download(row), []).append(row.label)
        texts = {True: "need weights of others, from a model hub or a file", False: "need only time"}
        lines = [f"- Not run here, and {text}: {'; '.join(needs[key])}." for key, text in texts.items() if key in needs]
        return Markdown("\n".join(lines) or "Every row that can be run has been.")

    def elsewhere(self) -> Any:
        """Return every other run of this table that is stored here, for a notebook."""
        others = [
            render.html(self.report, comparison.compare(self.report, self.store, dataset=data, profile_name=profile))
            for data, profile, _ in comparison.known_runs(self.report, self.store)
            if {"dataset": data, "profile_name": profile} != self.selection
        ]
        return HTML("".join(others) or '<p class="study-note">None yet.</p>')

    def _needs_download(self, row: Row) -> bool:
        return reports.resolve(self.report, row, **self.selection).needs_download

    def _printed(self, row: Row) -> float:
        """Return the printed score that rows are compared by, else the first printed, in 0..1; NaN where none is.

        Of a mean over both classes: the landslide F1 that goes with it and the mean IoU beside it, see `audit`.
        """
        compared = "map_50" if self.report.task == "detection" else "f1"
        names = sorted(self.report.metrics, key=lambda name: self.report.columns[name].score != compared)
        column, value = self.report.columns[names[0]], row.reported.get(names[0])
        if column.convention != "two_class":
            return value / column.scale if isinstance(value, float) else float("nan")
        found = [pair["readings"]["two_class"] for pair in audit.audit_table(self.report) if pair["id"] == row.id]
        return float(np.mean(found[0].f1)) if found and found[0] else float("nan")

    def _repr_html_(self) -> str:
        return render.html(self.report, self.rows)

    def __repr__(self) -> str:
        return render.markdown(self.report, self.rows)


def verdict(versus: Mapping[str, Any]) -> str:
    """Return what a comparison says, by the signs of the ends of its 95 % interval."""
    if versus["common"] < 2 or versus["low"] is None:
        return "too few seeds" if versus["common"] < 2 else str(versus["reason"])
    return "better" if versus["low"] > 0 else "worse" if versus["high"] < 0 else "no significant difference"
