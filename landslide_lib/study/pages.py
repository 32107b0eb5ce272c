"""What the book's pages about the study itself show: reports, tables, runs. No torch."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from landslide_lib.paths import HOME
from landslide_lib.study import chapters, comparison, derived
from landslide_lib.study import machine as here
from landslide_lib.study.recipe import PROFILES, Classification, Detection, Pretraining, profile_of
from landslide_lib.study.records import Record, Store
from landslide_lib.study.render import html, plain, record_link
from landslide_lib.study.reports import Report, reports, resolve
from landslide_lib.study.reports import table as named

BENCHMARKS = HOME / "benchmarks" / "results"
VERSIONS = ("python", "torch", "numpy", "h5py", "scikit-learn", "lightning")


def about(report: Report) -> str:
    """Return what a report asked, how, what it says it found, and what to know, as Markdown."""
    parts = [
        f"{report.title}: {report.authors}. {report.venue}. {{cite:p}}`{report.cite}`",
        f"**What was asked.** {report.asked}",
        f"**On what.** {report.data}",
        "**How.**\n\n" + _items(report.method),
        "**What it says it found.**\n\n" + _items(report.found),
    ]
    if report.notes:
        parts.append("**What its reader has to know.**\n\n" + _items(report.notes))
    return "\n\n".join(parts)


def facts(report: Report) -> str:
    """Return the numbers that a report states outside its tables, as HTML."""
    lines = [
        {"what": fact.label, "as printed": f"{'≈ ' * fact.about}{fact.value} {fact.unit}".strip(), "where": fact.where}
        for fact in report.facts.values()
    ]
    return plain(
        pd.DataFrame(lines), name=f"{report.report}-facts", caption="What the report states outside its tables."
    )


@cache
def _of_report(report: str) -> tuple[str, str]:
    """Return dataset and profile with the most records of a report: its page shows one run, not a mixture."""
    found: Counter[tuple[str, str]] = Counter()
    for one in reports()[report].tables.values():
        for dataset, profile, count in comparison.known_runs(one, Store()):
            found[dataset, profile] += count
    return found.most_common(1)[0][0]


def table(name: str) -> str:
    """Return a table beside our run of its report, its notes, and its chapter.

    Where the table was not run on the data of that run, the run of it with the most rows is shown.
    """
    chosen, store = named(name), Store()
    dataset, profile = _of_report(name.split("/")[0])
    known = [run[:2] for run in comparison.known_runs(chosen, store)]
    where: dict[str, Any] = {"dataset": dataset, "profile_name": profile} if (dataset, profile) in known else {}
    rows = comparison.compare(chosen, store, **where)
    shown = [html(chosen, rows)]
    if chosen.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in chosen.notes)
        shown.append(f"<ul>{items}</ul>")
    chapter = chapters.showing(name)
    if chapter:
        shown.append(f"<p>Its chapter: {_chapter(chapter)}.</p>")
    return "\n".join(shown)


def findings() -> str:
    """Return what the chapters claim, as Markdown; a claim that does not hold fails the build of its chapter."""
    parts = []
    for path in chapters.chapters():
        if sentences := chapters.claims(path):
            items = "\n".join(f"- {sentence}" for sentence in sentences)
            parts.append(f"## {{doc}}`{_title(path)} <../notebooks/{path.stem}>`\n\n{items}")
    return "\n\n".join(parts)


def _title(path: Path) -> str:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    lines = ("".join(cell["source"]).splitlines() for cell in cells)
    return next((str(line[2:]) for cell in lines for line in cell if line.startswith("# ")), path.stem)


def progress() -> str:
    """Return how many rows of each report have a number of ours, as HTML."""
    store, lines = Store(), []
    for report in reports().values():
        printed = [(one, row) for one in report.tables.values() for row in one.rows if not row.ours]
        best: dict[tuple[str, str], int] = {}
        for one in report.tables.values():
            for dataset, profile, _ in comparison.known_runs(one, store):
                found = comparison.collect_records(one, store, dataset, profile)
                for row in one.rows:
                    seeds = len(derived.metrics(one, row, found))
                    best[one.name, row.id] = max(best.get((one.name, row.id), 0), seeds)
        counts = [best.get((one.name, row.id), 0) for one, row in printed if row.kind != "quoted"]
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
    return plain(pd.DataFrame(lines), name="progress", links=True, caption=text)


def tables() -> str:
    """Return an index of every table of every report, as HTML."""
    store = Store()
    lines = []
    for report in reports().values():
        for one in report.tables.values():
            if all(row.ours for row in one.rows):
                continue
            kinds = Counter("ours" if row.ours else row.kind for row in one.rows)
            anchor = one.name.replace("/", "-")
            chapter = chapters.showing(one.name)
            lines.append(
                {
                    "table": f'<a href="{report.report}.html#{anchor}">{one.title}</a>',
                    "name": one.name,
                    "columns": ", ".join(one.columns[metric].label for metric in one.metrics),
                    "rows": sum(kinds.values()) - kinds["ours"],
                    "of them run": kinds["run"],
                    "derived": kinds["derived"],
                    "quoted": kinds["quoted"],
                    "published": ", ".join(f"{d} {p} ({n})" for d, p, n in comparison.known_runs(one, store)) or None,
                    "chapter": _chapter(chapter),
                }
            )
    return plain(
        pd.DataFrame(lines),
        name="tables",
        links=True,
        caption="Every table of the reports. Rows of kind run can be run once their parts exist; "
        "derived rows are computed from others, quoted rows are someone else's. Published: data, "
        "profile and number of records.",
    )


def published() -> str:
    """Return what is published of each table at which budget, on which machine, as HTML."""
    store = Store()
    lines = []
    for report in reports().values():
        for one in report.tables.values():
            for dataset, profile, _ in comparison.known_runs(one, store):
                found = comparison.records_of(one, store, dataset=dataset, profile_name=profile)
                if not found:
                    continue  # all its rows are derived from another table's
                flat = [record for records in found.values() for record in records]
                lines.append(
                    {
                        "table": one.name,
                        "data": dataset,
                        "profile": profile,
                        "rows": f"{sum(map(bool, found.values()))} of {len(one.runnable(dataset))}",
                        "seeds": len({record.seed for record in flat}),
                        "records": len(flat),
                        "minutes": round(sum(map(_minutes, flat))),
                        "device": ", ".join(sorted({record.device for record in flat})),
                        "torch": ", ".join(sorted({record.versions["torch"] for record in flat})),
                        "commit": ", ".join(sorted({record.commit[:7] for record in flat})),
                    }
                )
    return plain(
        pd.DataFrame(lines),
        name="published",
        caption="What this book's numbers come from. Minutes are training, all records together.",
    )


def budgets() -> str:
    """Return the profiles, as HTML."""
    shown = []
    for task, budgets in PROFILES.items():
        lines = [{"profile": name, **fields} for name, fields in budgets.items()]
        shown.append(
            plain(pd.DataFrame(lines, dtype=object), name=f"profiles-{task}", caption=f"The named budgets of {task}.")
        )
    return "".join(shown)


def machine() -> str:
    """Return what this book was built with, as HTML."""
    commit, changed = here.commit()
    facts = {"processor": here.processor(), "commit": commit[:7] + " (changed tree)" * changed, **here.versions()}
    frame = pd.DataFrame({"what": list(facts), "value": list(facts.values())})
    return plain(frame, name="machine", caption="What this book was built with.")


def speed() -> str:
    """Return what benchmarks measured on the last machine, each when it last ran, as HTML."""
    every = pd.concat([pd.read_csv(path) for path in BENCHMARKS.glob("[!.]*.csv")]).sort_values("date")
    last = every.iloc[-1]
    newest = every[every["device"] == last["device"]].drop_duplicates("name", keep="last")
    newest = newest.assign(
        day=newest["date"].str[:10],
        commit=newest["commit"].str[:7],
        threads=newest["threads"].map("{:.0f}".format, na_action="ignore"),
    )
    shown = newest[
        ["name", "what", "ours_seconds", "peer_seconds", "ratio", "bound", "holds", "threads", "day", "commit"]
    ]
    versions = ", ".join(f"{name} {last[name]}" for name in VERSIONS)
    return plain(
        shown.rename(columns={"ours_seconds": "ours, s", "peer_seconds": "peer, s"}),
        name="speed-ratios",
        caption=f"Ours against a peer in the same run, on {last['device']}, each when it last ran; "
        f"on {last['date'][:10]} with {versions}.",
    )


def runs() -> str:
    """Return every record with its origin, as HTML, a table a task; an anchor a recipe and data."""
    store = Store()
    rows_of: dict[str, list[str]] = defaultdict(list)
    for report in reports().values():
        for one in report.tables.values():
            for dataset, profile, _ in comparison.known_runs(one, store):
                for row in one.runnable(dataset):
                    recipe = resolve(one, row, dataset=dataset, profile_name=profile)
                    name = f"{one.name}, {row.label}"
                    rows_of[recipe.hash].append(name)
                    for other in recipe.ancestors:
                        if f"for {name}" not in rows_of[other.hash]:
                            rows_of[other.hash].append(f"for {name}")
    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    seen = set()
    for record in sorted(store.all(), key=lambda r: (r.recipe.dataset, r.run, r.seed)):
        if not rows_of[record.hash] or record.stale:
            continue
        target = "" if record.run in seen else f' id="{record.run}"'
        seen.add(record.run)
        lines[record.recipe.task].append(
            {
                "row": f"<span{target}>{'; '.join(rows_of[record.hash])}</span>",
                "data": record.recipe.dataset,
                "profile": profile_of(record.recipe),
                "seed": record.seed,
                **SHOWN[record.recipe.task](record),
                "test images": record.images["test"],
                "device": f"{record.device}, {record.threads} thread(s)",
                "minutes": round(_minutes(record), 1) if record.history else None,
                "commit": record.commit[:7] + (" (changed tree)" if record.dirty else ""),
                "record": record_link(record.name, record.run),
            }
        )
    return "".join(
        plain(
            pd.DataFrame(found),
            name=f"runs-{task}",
            links=True,
            caption=f"Every record of {task} that a table of this book is made from.",
        )
        for task, found in lines.items()
    )


def _pixels(record: Record) -> dict[str, Any]:
    return {
        "landslide F1 at 0.5": _rounded(record.test.metrics["pooled"]["f1"]),
        "at validation's threshold": _rounded(record.test_tuned.metrics["pooled"]["f1"]),
        "threshold": record.test_tuned.threshold,
    }


def _tiles(record: Record) -> dict[str, Any]:
    recipe = record.recipe
    assert isinstance(recipe, Classification)
    return {
        "network": recipe.model,
        "ensemble": recipe.ensemble is not None,
        "F1 at 0.5": _rounded(record.test.metrics["tiles"]["f1"]),
        "at validation's threshold": _rounded(record.test_tuned.metrics["tiles"]["f1"]),
        "threshold": record.test_tuned.threshold,
        "Wh": record.energy_wh,
    }


def _boxes(record: Record) -> dict[str, Any]:
    recipe = record.recipe
    assert isinstance(recipe, Detection)
    found = record.test_tuned.metrics["boxes"]
    return {
        "mAP": _rounded(found["map"]),
        "mAP (IoU 0.5)": _rounded(found["map_50"]),
        "F1 at validation's score": _rounded(found["f1"]),
        "score": record.test_tuned.threshold,
        "start": recipe.start.name if recipe.start else "random",
    }


def _learnt(record: Record) -> dict[str, Any]:
    recipe = record.recipe
    assert isinstance(recipe, Pretraining)
    ((kind, found),) = record.test.metrics.items()
    score, value = next(iter(found.items()))
    return {
        "encoder": recipe.encoder,
        "objective": recipe.objective.name,
        "score": f"{score} of {kind}",
        "on test images": _rounded(value),
    }


#: The scores of a record by task, as the page of runs shows them.
SHOWN: dict[str, Callable[[Any], dict[str, Any]]] = {
    "segmentation": _pixels,
    "adaptation": _pixels,
    "detection": _boxes,
    "pretraining": _learnt,
    "classification": _tiles,
}


def _items(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _chapter(name: str | None) -> str | None:
    return f'<a href="../notebooks/{name}.html">{name}</a>' if name else None


def _minutes(record: Record) -> float:
    return record.seconds_per_epoch * len(record.history) / 60


def _rounded(value: float | None) -> Any:
    return None if value is None else round(value, 3)
