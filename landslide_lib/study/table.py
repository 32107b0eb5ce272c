"""A table of a report as a student or a researcher uses it: run it, read it, compare its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landslide_lib.study import cells, comparison, render, reports, runs
from landslide_lib.study.records import Store
from landslide_lib.study.reports import Table

if TYPE_CHECKING:  # it takes seconds to import
    import pandas as pd

#: What a comparison says, by the signs of the ends of its 95 % interval.
BETTER, WORSE, OPEN = "better", "worse", "no significant difference"
FEW_SEEDS = "too few seeds"


def table(
    name: str,
    *,
    dataset: str | None = None,
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    data_root: str | Path | None = None,
) -> StudyTable:
    """Return a table of a report, reported beside ours.

    Args:
        name: Such as `raunet/losses`; `landslide list` has them all.
        dataset: To run it on; None is the one with the most records.
        profile: The budget: `smoke`, `quick`, `cpu` or `full`; None as for the dataset, and `full`
            where nothing has been run.
        seeds: Only these; None is all that there are, or 0 to run.
        data_root: In place of `LANDSLIDE_DATA`.

    Raises:
        ValueError: There is no such table.
    """
    return StudyTable(reports.table(name), dataset, profile, seeds, data_root)


@dataclass
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
    def rows(self) -> list[dict[str, Any]]:
        """The rows with what their records say; see `comparison.compare`."""
        return comparison.compare(
            self.report, self.store, dataset=self.dataset, profile_name=self.profile, seeds=self.seeds
        )

    def run(self, rows: Sequence[str] = (), device: str = "auto") -> StudyTable:
        """Train what is missing; nothing where all records are there.

        Args:
            rows: Ids; () for all that can be run.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
        """
        dataset, profile = comparison.most_records(self.report, self.store, self.dataset, self.profile)
        runs.ensure(
            self.report,
            rows=rows,
            seeds=self.seeds or (0,),
            dataset=dataset,
            profile_name=profile,
            device=device,
            data_root=Path(self.data_root) if self.data_root else None,
            store=self.store,
        )
        return self

    def frame(self) -> pd.DataFrame:
        """Return the table, tidy: a line a row, a column and whose it is.

        Returns:
            Columns `row`, `label`, `column` (such as `f1`), `reported` (as printed), `ours`, `low`
            and `high` (mean and 95 % interval over seeds), `seeds`.
        """
        import pandas as pd

        lines = []
        for row in self.rows:
            for name in self.report.metrics:
                column, ours = self.report.columns[name], row["ours"]
                score = ours["metrics"][column.convention][column.score] if ours else {}
                lines.append(
                    {
                        "row": row["id"],
                        "label": row["label"],
                        "column": name,
                        "reported": row["reported"].get(name),
                        "ours": score.get("mean"),
                        "low": score.get("low"),
                        "high": score.get("high"),
                        "seeds": len(ours["seeds"]) if ours else 0,
                    }
                )
        return pd.DataFrame(lines)

    def effects(self) -> pd.DataFrame:
        """Return each row's difference from the reference row of the table.

        It is paired over the seeds and test images that both rows have, blocked by scene; see
        `intervals.paired_bootstrap`.

        Returns:
            Index `row`, its id; columns `label`, `reported` (difference of the printed F1, of
            boxes mAP at IoU 0.5; of the first printed score where that is not printed),
            `difference` (ours, of the F1 of landslide at threshold 0.5, of boxes mAP at IoU 0.5),
            `low`, `high` (its 95 % interval), `seeds` (that both rows have) and `verdict`:
            `better`, `worse`, `no significant difference` or, with fewer than two seeds, `too few
            seeds`. Empty where the table compares no rows.
        """
        import pandas as pd

        rows, lines = self.rows, {}
        reference = self.report.reference_on(cells.dataset_of(rows))
        base = next((row for row in rows if reference and row["id"] == reference.id), None)
        for row in rows:
            if row is not base and base and row["ours"] and row["ours"]["versus"]:
                printed = _printed_difference(self.report, row, base)
                lines[row["id"]] = {"label": row["label"], "reported": printed} | _effect(row["ours"]["versus"])
        columns = ["label", "reported", "difference", "low", "high", "seeds", "verdict"]
        frame = pd.DataFrame.from_dict(lines, orient="index", columns=columns)
        numbers = ["reported", "difference", "low", "high"]
        return frame.astype(dict.fromkeys(numbers, float)).rename_axis("row")

    def plot(self) -> Any:
        """Draw those differences with their intervals, reported beside ours.

        Raises:
            ValueError: No row of the table can be compared with another.
        """
        from landslide_lib.study.plots.effects import forest

        effects, reference = self.effects(), self.report.reference_on(cells.dataset_of(self.rows))
        if reference is None or effects.empty:
            raise ValueError(f"{self.report.name}: no two rows of it have been run to compare")
        return forest(
            effects,
            reference=reference.label,
            score=cells.COMPARED[self.report.task],
            name=f"{self.report.name.replace('/', '-')}-effects",
        )

    def _repr_html_(self) -> str:
        """Return the table as the book shows it."""
        return render.html(self.report, self.rows)

    def __str__(self) -> str:
        return render.markdown(self.report, self.rows)


def _printed_difference(report: Table, row: dict[str, Any], base: dict[str, Any]) -> float | None:
    """Return what the score that rows are compared by differs by as printed, as a share of 1."""
    compared = "map_50" if report.task == "detection" else "f1"
    same = [name for name in report.metrics if report.columns[name].score == compared]
    name = next(iter([*same, *report.metrics]), "")
    pair = row["reported"].get(name), base["reported"].get(name)
    if not all(isinstance(value, float) for value in pair):
        return None
    return float(pair[0] - pair[1]) / report.columns[name].scale


def _effect(versus: dict[str, Any]) -> dict[str, Any]:
    low, high, seeds = versus["low"], versus["high"], versus["common"]
    if seeds < 2 or low is None:
        verdict = FEW_SEEDS
    else:
        verdict = BETTER if low > 0 else WORSE if high < 0 else OPEN
    return {"difference": versus["difference"], "low": low, "high": high, "seeds": seeds, "verdict": verdict}
