"""A table with *reported* beside *ours*, as Markdown, HTML, CSV or JSON. No torch."""

import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import yaml

from landslide_lib.paths import CONFIG, PUBLISHED
from landslide_lib.study import cells
from landslide_lib.study.cells import DASH, Column, Rows
from landslide_lib.study.reports import Table

if TYPE_CHECKING:  # the command line starts without pandas
    import pandas as pd


def markdown(table: Table, rows: Rows) -> str:
    """Return a Markdown table with its caption."""
    shown = cells.columns(table, rows)
    names = ["row", *(f"{column.whose} {column.heading}" for column in shown)]
    body = [[cells.label(row), *(column.text(row) for column in shown)] for row in rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in [names, ["---"] * len(names), *body])
    return f"**{table.title}** ({table.name}, {table.where})\n\n{text}\n\n{_caption(table, rows)}\n"


@cache
def repository() -> str:
    """Return the public address of the repository, from `_config.yml`; "" outside a checkout."""
    return str(yaml.safe_load(CONFIG.read_text("utf-8"))["repository"]["url"]) if CONFIG.is_file() else ""


def html(table: Table, rows: Rows) -> str:
    """Return an HTML table for the book: the report's cells with ours below each, what differs, and details folded.

    Rows that the report does not have stand in a table of their own, folded too. Where the book is built, a cell of
    ours links to the runs it comes from, a seed to its record. A click on a heading sorts.
    """
    run = [row for row in rows if row["ours"]]
    first = run[0]["ours"] if run else None
    # Dataset and profile name the table's anchor: a heading has its bare name.
    which = [first["dataset"], first["budget"]["profile"] or "own"] if first else ["reported"]
    name = "-".join([table.name.replace("/", "-"), *which])
    printed = [row for row in rows if not row["added"]] or list(rows)
    added = [row for row in rows if row not in printed]
    ours = f"ours on <strong>{escape(first['dataset'])}</strong>" if first else cells.caption(rows).lower().rstrip(".")
    both = run and any(row["reported"] for row in rows)
    legend = " In a cell the first line is reported, the second ours." if both else ""
    parts = [
        f'<p class="study-title">{escape(table.title)} ({escape(table.where)}), {ours}</p>',
        _table(name, *_printed(table, printed, rows), _caption(table, rows) + legend, as_csv(table, rows)),
    ]
    if any(row["ours"] for row in added):
        count = f"{len(added)} row{'s' * (len(added) != 1)} of ours that the report does not have"
        body = _table(f"{name}-added", *_printed(table, added, rows), _caption(table, added), as_csv(table, added))
        folded = any(row["ours"] for row in printed)
        parts.append(f"<details{'' if folded else ' open'}><summary>{count}</summary>{body}</details>")
    if run:
        text = f"All scores of ours. {_caption(table, rows)}"
        body = _table(f"{name}-scores", *_scores(table, run, rows), text, as_csv(table, run))
        parts.append(f"<details><summary>All scores of ours, parameters, records</summary>{body}</details>")
    return f'<div class="study-table">{"".join(parts)}</div>'


def _caption(table: Table, rows: Rows) -> str:
    return cells.caption(rows, timed="epoch_time" in table.extra)


def _printed(table: Table, rows: Rows, all_rows: Rows) -> tuple[str, list[str]]:
    """Return heading and lines of the table as printed, with ours in a cell's second line."""
    found = [
        column
        for column in cells.columns(table, all_rows)
        if column.kind == "extra"
        or (column.kind in ("compared", "stand-in") and any(column.text(row) != DASH for row in rows))
    ]
    lines = []
    for row in rows:
        line = []
        for score in cells.scores(table)[: len(table.metrics)]:
            line.append(_both(cells.reported_text(table, row, score.name), score.text(row), row))
        for column in found:
            timed = column.kind == "extra" and column.heading == table.extra.get("epoch_time")
            line.append(_both(column.text(row), cells.epoch_text(row), row) if timed else _cell(column, row))
        lines.append(_line(row, line))
    labels = [table.columns[name].label for name in table.metrics]
    return _heading(["row", *labels, *(column.heading for column in found)]), lines


def _both(reported: str, ours: str, row: dict[str, Any]) -> str:
    """Return a cell with ours below what is printed."""
    both = [f'<span class="reported">{escape(reported)}</span>'] if reported != DASH or ours == DASH else []
    both += [f'<span class="ours">{_linked(ours, row)}</span>'] if ours != DASH else []
    return _td(ours if reported == DASH else reported, " <br>".join(both), "")


def _cell(column: Column, row: dict[str, Any]) -> str:
    text = column.text(row)
    wrap = ["wrap"] * (column.kind in ("extra", "stand-in"))  # words, which may break
    if column.whose == "reported":
        return _td(text, _broken(text), " ".join(wrap))
    return _td(text, _linked(text, row), " ".join(["ours", *wrap]))


def _scores(table: Table, rows: Rows, all_rows: Rows) -> tuple[str, list[str]]:
    """Return heading and lines of all scores of ours; a seed links to its record."""
    *shown, seeds = [column for column in cells.columns(table, all_rows) if column.whose == "ours"]
    lines = []
    for row in rows:
        line = [_cell(column, row) for column in shown]
        records, numbers = row["ours"]["records"], list(map(str, row["ours"]["seeds"]))
        # A mean over several rows' records has more of them than seeds.
        links = list(map(record_link, records, numbers)) if len(records) == len(numbers) else numbers
        lines.append(_line(row, [*line, _td(seeds.text(row), " ".join(links), "ours")]))
    return _heading(["row", *(column.heading for column in shown), "runs, by seed"]), lines


def _heading(names: Sequence[str]) -> str:
    return "".join(f"<th>{escape(name)}</th>" for name in names)


def _line(row: dict[str, Any], shown: list[str]) -> str:
    return f'<tr class="{row["kind"]}"><th>{escape(cells.label(row))}</th>{"".join(shown)}</tr>'


def _table(name: str, heading: str, lines: list[str], text: str, csv_text: str) -> str:
    return (
        f'<table class="sortable n-last" id="{name}"><caption><span>{escape(text.strip())} {csv_link(name, csv_text)}'
        f"</span></caption><thead><tr>{heading}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _broken(text: str) -> str:
    """Return the text of a cell with its interval below: a table has to fit beside the contents."""
    return escape(text).replace(" [", "<br>[").replace(" (too few", "<br>(too few")


def _linked(text: str, row: dict[str, Any]) -> str:
    """Return the text of a cell of ours, in the book with a link to the runs that it comes from."""
    if text != DASH and os.environ.get("LANDSLIDE_TRAIN") == "no":
        return f'<a href="../book/runs.html#{row["ours"]["run"]}">{_broken(text)}</a>'
    return _broken(text)


def _td(text: str, shown: str, kind: str) -> str:
    """Return a cell, sorted by the number it begins with, or its text; a dash comes last."""
    number = _number(text)
    key = "" if text == DASH else escape(text) if number is None else number
    return f'<td class="{kind}" data-sort="{key}">{shown}</td>'


def _number(text: str) -> str | None:
    """Return the number that a cell begins with, after a sign such as ≈ or <."""
    whole = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    found = re.match(r"[^\w+-]{0,2}([+-]?\d*\.?\d+)", whole)
    return found[1] if found else None


def record_link(name: str, text: str) -> str:
    """Return a link to a published record; of a local one only its name, on hovering."""
    if repository() and (PUBLISHED / f"{name}.json").is_file():
        address = f"{repository()}/blob/main/data/results/{name}.json"
        return f'<a href="{escape(address)}" title="record {escape(name)}">{escape(text)}</a>'
    return f'<span title="record {escape(name)} (local)">{escape(text)}</span>'


def csv_link(name: str, text: str) -> str:
    """Return a link that saves a CSV as `name`; the data is in the link, so a saved page keeps it."""
    data = b64encode(text.encode()).decode()
    return f'<a class="csv" download="{name}.csv" href="data:text/csv;base64,{data}">CSV</a>'


def plain(frame: "pd.DataFrame", *, name: str, caption: str = "", links: bool = False) -> str:
    """Return any data frame as a sortable HTML table with its CSV; `name` is its anchor.

    The first column names the rows. Numbers are shown as they are: round before. With `links` cells hold HTML and are
    not escaped; the CSV has their text alone.
    """
    whole = frame.astype(object).where(frame.notna(), "").map(str)
    bare = whole.replace(r"<[^>]*>", "", regex=True) if links else whole
    shown = (whole if links else whole.map(escape)).where(frame.notna(), DASH)
    texts = bare.replace("", DASH)
    # A column that holds words stands left, all of it.
    words = texts.map(lambda text: text != DASH and _number(text) is None).any()
    kinds = ["text" if word else "" for word in words]
    heading = "".join(
        f'<th class="{kind}">{escape(str(column))}</th>' for column, kind in zip(frame.columns, kinds, strict=True)
    )
    lines = [
        f"<tr><th>{first}</th>{''.join(map(_td, keys, rest, kinds[1:]))}</tr>"
        for (first, *rest), (_, *keys) in zip(shown.to_numpy(), texts.to_numpy(), strict=True)
    ]
    return f'<div class="study-table">{_table(name, heading, lines, caption, bare.to_csv(index=False))}</div>'


def as_csv(table: Table, rows: Rows) -> str:
    """Return CSV: a line a row and a score, see `tidy`."""
    import pandas as pd

    return pd.DataFrame(tidy(table, rows), dtype=object).to_csv(index=False)


def tidy(table: Table, rows: Rows) -> list[dict[str, Any]]:
    """Return a table as tidy data: a dict a row and a score, see `StudyTable.frame`."""
    found: dict[str, cells.Score] = {}
    for score in cells.scores(table):
        found.setdefault(score.name, score)
    lines = []
    for row in rows:
        ours = row["ours"]
        for name, score in found.items():
            value = ours[score.where][score.convention][score.score] if ours else {}
            lines.append(
                {
                    "row": row["id"],
                    "label": row["label"],
                    "column": name,
                    "reported": row["reported"].get(name),
                    "ours": value.get("mean"),
                    "low": value.get("low"),
                    "high": value.get("high"),
                    "seeds": len(ours["seeds"]) if ours else 0,
                    "all_positive_f1": ours["floor"] if ours else None,
                    "parameters": ours["parameters"] if ours else None,
                    "dataset": ours["dataset"] if ours else None,
                    "profile": ours["budget"]["profile"] if ours else None,
                }
            )
    return lines


def as_json(table: Table, rows: Rows) -> str:
    """Return a JSON list, an object a row; see `comparison.compare`."""
    return json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Table, Rows], str]] = {"md": markdown, "csv": as_csv, "json": as_json, "html": html}
