"""What the book's pages about the study itself show: reports, tables, runs. No torch."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

import pandas as pd

from landslide_lib.study import chapters, comparison
from landslide_lib.study import machine as here
from landslide_lib.study.recipe import PROFILES, Classification, Detection, Pretraining, profile_of
from landslide_lib.study.records import Record, Store
from landslide_lib.study.render import html, plain, record_link
from landslide_lib.study.reports import ASSUMED, Report, Table, reports, resolve
from landslide_lib.study.reports import table as named
from landslide_lib.training import energy


def about(report: Report) -> str:
    """Return what a report asked, how, what it says it found, what to know and what we assume, as Markdown."""
    lists = {
        "How.": report.method,
        "What it found, by its text and its tables.": report.found,
        "What its reader has to know.": report.notes,
        f"{ASSUMED}.": report.deviations,
    }
    parts = [
        f"{report.title}: {report.authors}. {report.venue}. {{cite:p}}`{report.cite}`",
        f"**What was asked.** {report.asked}",
        f"**On what.** {report.data}",
        *(f"**{head}**\n\n{_items(lines)}" for head, lines in lists.items() if lines),
    ]
    return "\n\n".join(parts)


def facts(report: Report) -> str:
    """Return the numbers that a report states outside its tables, as HTML."""
    lines = [
        {"what": fact.label, "as printed": f"{'≈ ' * fact.about}{fact.value} {fact.unit}".strip(), "where": fact.where}
        for fact in report.facts.values()
    ]
    return _frame(f"{report.report}-facts", lines, "What the report states outside its tables.")


def table(name: str, on: str = "") -> str:
    """Return a table beside our run of its report, its notes and deviations, and its chapter.

    The page of a report shows one run, that with the most records (`on` one dataset, or any); of a table that has none
    of it, the one with the most rows.
    """
    chosen = named(name)
    found: Counter[tuple[str, str]] = Counter()
    for one in _tables(name.split("/")[0]):
        found.update({(dataset, profile): count for dataset, profile, count in _known(one.name)})
    dataset, profile = next((run for run, _ in found.most_common() if on in ("", run[0])), ("", ""))
    there = any(run[:2] == (dataset, profile) for run in _known(name))
    where: dict[str, Any] = {"dataset": dataset, "profile_name": profile} if there else {}
    shown = [html(chosen, comparison.compare(chosen, _store(), **where))]
    for head, lines in {"": chosen.notes, f"<p>{ASSUMED}:</p>": chosen.deviations}.items():
        if lines:
            shown.append(f"{head}<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")
    if chapter := _chapter(name):
        shown.append(f"<p>Its chapter: {chapter}.</p>")
    return "\n".join(shown)


def deviations() -> str:
    """Return what is assumed or other than printed, and its number, as Markdown: by report, below the tables it is of.

    Each deviation stands there once, below all tables that share it.
    """
    count, parts = 0, []
    for report in reports().values():
        tables_of: dict[str, list[str]] = {line: ["The whole report"] for line in report.deviations}
        for one in report.tables.values():
            for line in one.deviations:
                tables_of.setdefault(line, []).append(_link(one))
        lists: dict[str, list[str]] = defaultdict(list)
        for line, where in tables_of.items():
            lists[", ".join(where)].append(line)
        count += len(tables_of)
        parts.append(f"## {{doc}}`{report.report}`")
        parts += [f"**{where}**\n\n{_items(lines)}" for where, lines in lists.items()]
    text = (
        f"What our runs of the reports assume, or do otherwise than printed: {count} deviations, report by report, "
        "each below the tables that it is of. They stand beside these tables too, on the page of the report."
    )
    return "\n\n".join([text, *parts])


def findings() -> str:
    """Return what the chapters claim, as Markdown; a claim that does not hold fails the build of its chapter."""
    return "\n\n".join(
        f"## {{doc}}`{chapters.title(path)} <../notebooks/{path.stem}>`\n\n{_items(claims)}"
        for path in chapters.chapters()
        if (claims := chapters.claims(path))
    )


def progress() -> str:
    """Return how many rows of each report have a number of ours, as HTML."""
    lines = []
    for report in reports().values():
        printed = [(one, row) for one in report.tables.values() for row in one.rows if not row.ours]
        seeds: dict[tuple[str, str], int] = defaultdict(int)
        for one, dataset, profile in _every_run(report.report):
            found = comparison.collect_records(one, _store(), dataset, profile)
            for row in one.rows:
                seeds[one.name, row.id] = max(seeds[one.name, row.id], len(comparison.scores_of(one, row, found)))
        counts = [seeds[one.name, row.id] for one, row in printed if row.kind != "quoted"]
        lines.append(
            {
                "report": f'<a href="{report.report}.html">{report.title}</a>',
                "tables": len({one.name for one, _ in printed}),
                "rows": len(counts),
                "with a number of ours": sum(count > 0 for count in counts),
                "with three seeds or more": sum(count >= 3 for count in counts),
                "quoted rows": len(printed) - len(counts),
            }
        )
    text = "Rows of the reports, and how many of them have a number of ours, on any data and at any budget."
    return _frame("progress", lines, text, links=True)


def tables() -> str:
    """Return an index of every table of every report, as HTML."""
    lines = []
    for one in _tables():
        kinds = Counter("ours" if row.ours else row.kind for row in one.rows)
        if kinds["ours"] == len(one.rows):
            continue
        lines.append(
            {
                "table": _link(one),
                "name": one.name,
                "columns": ", ".join(one.columns[metric].label for metric in one.metrics),
                "rows": len(one.rows) - kinds["ours"],
                "of them run": kinds["run"],
                "derived": kinds["derived"],
                "quoted": kinds["quoted"],
                "published": ", ".join(f"{d} {p} ({n})" for d, p, n in _known(one.name)) or None,
                "chapter": _chapter(one.name),
            }
        )
    text = "Every table of the reports. Rows of kind run are trained; derived rows are computed from others, quoted "
    text += "rows are someone else's. Published: data, profile and number of records."
    return _frame("tables", lines, text, links=True)


def published() -> str:
    """Return what is published of each table at which budget, on which machine, as HTML."""
    lines = []
    for one, dataset, profile in _every_run():
        collected = comparison.collect_records(one, _store(), dataset, profile)
        found = {row: records for (name, row), records in collected.items() if name == one.name}
        if not found:
            continue  # all its rows are derived from another table's
        flat = [record for records in found.values() for record in records]
        lines.append(
            {
                "table": one.name,
                "data": dataset,
                "profile": profile,
                "rows": f"{sum(map(bool, found.values()))} of {len(found)}",
                "seeds": len({record.seed for record in flat}),
                "records": len(flat),
                "minutes": round(sum(map(_minutes, flat))),
                "device": ", ".join(sorted({record.device for record in flat})),
                "torch": ", ".join(sorted({record.versions["torch"] for record in flat})),
                "commit": ", ".join(sorted({record.commit[:7] for record in flat})),
            }
        )
    text = "What this book's numbers come from. Minutes are of training these records, without members of ensembles."
    return _frame("published", lines, text)


def budgets() -> str:
    """Return the profiles, as HTML, a table a task."""
    lines = {task: [{"profile": name, **fields} for name, fields in of.items()] for task, of in PROFILES.items()}
    return "".join(_frame(f"profiles-{task}", of, f"The named budgets of {task}.") for task, of in lines.items())


def machine() -> str:
    """Return what this book was built with, as HTML."""
    commit, changed = here.commit()
    facts = {"processor": here.processor(), "commit": commit[:7] + " (changed tree)" * changed, **here.versions()}
    lines = [{"what": what, "value": value} for what, value in facts.items()]
    return _frame("machine", lines, "What this book was built with.")


def runs() -> str:
    """Return every record with its origin, as HTML, a table a task; an anchor a recipe and data."""
    rows_of: dict[str, dict[str, None]] = defaultdict(dict)  # in their order, each once
    for one, dataset, profile in _every_run():
        for row in one.runnable(dataset):
            recipe, name = resolve(one, row, dataset=dataset, profile_name=profile), f"{one.name}, {row.label}"
            rows_of[recipe.hash][name] = None
            for other in recipe.ancestors:
                rows_of[other.hash][f"for {name}"] = None
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    seen = set()
    shown = [record for record in _store().all() if record.hash in rows_of]
    for record in sorted(shown, key=lambda r: (r.recipe.dataset, r.run, r.seed)):
        target = "" if record.run in seen else f' id="{record.run}"'
        seen.add(record.run)
        lines[record.recipe.task].append(
            {
                "row": f"<span{target}>{'; '.join(rows_of[record.hash])}</span>",
                "data": record.recipe.dataset,
                "profile": profile_of(record.recipe),
                "seed": record.seed,
                **_shown(record),
                "test images": record.images["test"],
                "device": f"{record.device}, {record.threads} thread(s)",
                "minutes": round(_minutes(record), 1) if record.history else None,
                "commit": record.commit[:7] + (" (changed tree)" if record.dirty else ""),
                "record": record_link(record.name, record.run),
            }
        )
    text = "Every record of {} that a table of this book is made from."
    source = " CO2e is by {grams_per_kwh} g a kWh, of {of} ({source}).".format(**energy.carbon())
    texts = {task: text.format(task) + source * (task == "classification") for task in lines}
    return "".join(_frame(f"runs-{task}", found, texts[task], links=True) for task, found in lines.items())


def _shown(record: Record) -> dict[str, Any]:
    """Return the scores of a record as the page of runs shows them, by its task."""
    recipe, tuned = record.recipe, record.test_tuned
    kind = next(iter(record.test.metrics))
    fixed, best = (
        {name: None if value is None else round(value, 3) for name, value in one.metrics.get(kind, {}).items()}
        for one in (record.test, tuned)
    )
    if isinstance(recipe, Pretraining):
        ((score, value),) = list(fixed.items())[:1]
        start = {"encoder": recipe.encoder, "objective": recipe.objective.name}
        return start | {"score": f"{score} of {kind}", "on test images": value}
    if isinstance(recipe, Detection):
        scores = {"mAP": best["map"], "mAP (IoU 0.5)": best["map_50"], "F1 at validation's score": best["f1"]}
        return scores | {"score": tuned.threshold, "start": recipe.start.name if recipe.start else "random"}
    at = {"at validation's threshold": best["f1"], "threshold": tuned.threshold}
    if isinstance(recipe, Classification):
        network = {"network": recipe.model, "ensemble": recipe.ensemble is not None}
        grams = record.energy_wh and round(record.energy_wh / 1000 * energy.carbon()["grams_per_kwh"], 3)
        return network | {"F1 at 0.5": fixed["f1"]} | at | {"Wh": record.energy_wh, "g CO2e": grams}
    return {"landslide F1 at 0.5": fixed["f1"]} | at


@cache
def _store() -> Store:
    return Store()  # read once


@cache
def _known(table: str) -> list[tuple[str, str, int]]:
    return comparison.known_runs(named(table), _store())


def _tables(report: str = "") -> list[Table]:
    return [one for each in reports().values() if report in ("", each.report) for one in each.tables.values()]


def _every_run(report: str = "") -> list[tuple[Table, str, str]]:
    return [(one, dataset, profile) for one in _tables(report) for dataset, profile, _ in _known(one.name)]


def _frame(name: str, lines: list[dict[str, Any]], caption: str, *, links: bool = False) -> str:
    return plain(pd.DataFrame(lines, dtype=object), name=name, links=links, caption=caption)


def _items(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _link(table: Table) -> str:
    return f'<a href="{table.name.split("/")[0]}.html#{table.name.replace("/", "-")}">{table.title}</a>'


def _chapter(table: str) -> str | None:
    name = chapters.showing(table)
    return f'<a href="../notebooks/{name}.html">{name}</a>' if name else None


def _minutes(record: Record) -> float:
    return record.seconds_per_epoch * len(record.history) / 60
