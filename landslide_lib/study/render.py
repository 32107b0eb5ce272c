"""A table with *reported* beside *ours*, as Markdown, HTML, CSV or JSON. No torch."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

import yaml

from landslide_lib.paths import CONFIG, PUBLISHED
from landslide_lib.study.cells import (
    COMPARED,
    DASH,
    FOLLOWING,
    Rows,
    caption,
    cells,
    dataset_of,
    difference,
    header,
    label,
    reported_text,
    text_of,
)
from landslide_lib.study.reports import Table

if TYPE_CHECKING:  # a table is printed without pandas, which takes seconds to import
    import pandas as pd


def markdown(table: Table, rows: Rows) -> str:
    """Return a Markdown table with its caption."""
    names = ["row", *(f"{whose} {name}" for whose, name in header(table, rows))]
    body = [[label(row), *cells(table, row, rows)] for row in rows]
    lines = [names, ["---"] * len(names), *body]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"**{table.title}** ({table.name}, {table.where})\n\n{text}\n\n{caption(rows)}\n"


@cache
def repository() -> str:
    """Return the repository's public address, which stands in `_config.yml` alone.

    It is "" where the code lies outside a checkout.
    """
    if not CONFIG.is_file():
        return ""
    address: str = yaml.safe_load(CONFIG.read_text("utf-8"))["repository"]["url"]
    return address


def html(table: Table, rows: Rows) -> str:
    """Return an HTML table for the book: the report's cells with ours below each, what differs, and details folded.

    Rows that the report does not have stand in a table of their own, folded too. Where the book is built, a cell of
    ours links to the runs it comes from, a seed to its record. A click on a heading sorts.
    """
    name = "-".join([table.name.replace("/", "-"), *_which(rows)])
    printed = [row for row in rows if not row["added"]] or list(rows)
    added = [row for row in rows if row["added"]] if any(not row["added"] for row in rows) else []
    run = [row for row in rows if row["ours"]]
    dataset = f"<strong>{escape(dataset_of(rows) or 'not run yet')}</strong>"
    legend = LEGEND if run and any(row["reported"] for row in rows) else ""
    parts = [
        f'<p class="study-title">{escape(table.title)} ({escape(table.where)}), ours on {dataset}</p>',
        _table(name, _printed(table, printed, rows), f"{caption(rows)} {legend}", as_csv(table, rows)),
    ]
    if any(row["ours"] for row in added):
        count = f"{len(added)} row{'s' * (len(added) != 1)} of ours that the report does not have"
        body = _table(f"{name}-added", _printed(table, added, rows), caption(added), as_csv(table, added))
        alone = not any(row["ours"] for row in printed)
        parts.append(f"<details{' open' if alone else ''}><summary>{count}</summary>{body}</details>")
    if run:
        text = f"All scores of ours. {caption(rows)}"
        body = _table(f"{name}-scores", _scores(table, run, rows), text, as_csv(table, run))
        parts.append(f"<details><summary>All scores of ours, parameters, records</summary>{body}</details>")
    return f'<div class="study-table">{"".join(parts)}</div>'


#: What the two lines of a cell are.
LEGEND = "In a cell the first line is reported, the second ours."


def _printed(table: Table, rows: Rows, all_rows: Rows) -> list[list[str]]:
    """Return heading and lines of the table as printed, with ours in a cell's second line."""
    columns = [table.columns[name] for name in table.metrics]
    reference = table.reference_on(dataset_of(all_rows))
    compares = reference and any(row["ours"] and row["ours"]["versus"] for row in rows)
    heading = ["row", *(column.label for column in columns), *table.extra.values()]
    heading += [f"{COMPARED[table.task]} against {reference.label}"] if compares and reference else []
    lines = [_heading(heading)]
    for row in rows:
        ours, unsure = row["ours"], row["uncertain"]
        cells = [
            _two(
                reported_text(row["reported"].get(name), name in unsure, column.digits),
                text_of(ours and ours["metrics"][column.convention][column.score], column.scale),
                ours,
            )
            for name, column in zip(table.metrics, columns, strict=True)
        ]
        cells += [_cell(reported_text(row["reported"].get(name), name in unsure), "") for name in table.extra]
        if compares:
            cells.append(_cell(difference(ours and ours["versus"]), "ours", ours))
        lines.append([f'<tr class="{row["kind"]}">', f"<th>{escape(label(row))}</th>", *cells, "</tr>"])
    return lines


def _scores(table: Table, rows: Rows, all_rows: Rows) -> list[list[str]]:
    """Return heading and lines of all scores of ours."""
    names = [name for whose, name in header(table, all_rows) if whose == "ours"]
    lines = [_heading(["row", *names])]
    for row in rows:
        texts = cells(table, row, all_rows)[-len(names) :]
        shown = [_cell(text, "ours", row["ours"]) for text in texts[:-1]]
        shown.append(_td(texts[-1], _seeds(row["ours"]) or DASH, "ours"))
        lines.append([f'<tr class="{row["kind"]}">', f"<th>{escape(label(row))}</th>", *shown, "</tr>"])
    return lines


def _heading(names: list[str]) -> list[str]:
    return ["<tr>", *(f"<th>{escape(name)}</th>" for name in names), "</tr>"]


def _table(name: str, lines: list[list[str]], text: str, csv_text: str) -> str:
    heading, *body = ("".join(line) for line in lines)
    return (
        f'<table class="sortable n-last" id="{name}"><caption><span>{escape(text.strip())} {csv_link(name, csv_text)}'
        f"</span></caption><thead>{heading}</thead><tbody>{''.join(body)}</tbody></table>"
    )


def _two(reported: str, ours: str, of: dict[str, Any] | None) -> str:
    """Return a cell with the reported number in its first line and ours in its second."""
    lines = [f'<span class="reported">{escape(reported)}</span>'] if reported != DASH or ours == DASH else []
    lines += [f'<span class="ours">{_linked(ours, of)}</span>'] if ours != DASH else []
    return _td(reported if reported != DASH else ours, " <br>".join(lines), "")


def _which(rows: Rows) -> list[str]:
    """Return dataset and profile of ours, which name a table's anchor: a heading has its bare name."""
    ours = next((row["ours"] for row in rows if row["ours"]), None)
    return [ours["dataset"], ours["budget"]["profile"] or "own"] if ours else ["reported"]


def _linked(text: str, ours: dict[str, Any] | None) -> str:
    """Return the text of a cell, in the book with a link to the runs that it comes from."""
    # An interval, or why there is none, stands below: a table has to fit beside the contents.
    shown = escape(text).replace(" [", "<br>[").replace(" (too few", "<br>(too few")
    if ours and text != DASH and os.environ.get("LANDSLIDE_TRAIN") == "no":
        return f'<a href="{runs_page(ours["run"])}">{shown}</a>'
    return shown


def _cell(text: str, kind: str, ours: dict[str, Any] | None = None) -> str:
    return _td(text, _linked(text, ours if kind == "ours" else None), kind)


def runs_page(run: str) -> str:
    """Return the address of a run's records in the book, from any of its pages."""
    return f"../book/runs.html#{run}"


def _td(text: str, shown: str, kind: str) -> str:
    """Return a cell, sorted by the number it begins with, or its text; a dash comes last."""
    number = _number(text)
    key = "" if text == DASH else escape(text) if number is None else number
    return f'<td class="{kind}" data-sort="{key}">{shown}</td>'


def _number(text: str) -> str | None:
    """Return the number that a cell begins with, after a sign such as ≈ or <.

    >>> _number("≈ 31,037,633 px")
    '31037633'
    """
    whole = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    found = re.match(r"[^\w+-]{0,2}([+-]?\d*\.?\d+)", whole)
    return found[1] if found else None


def _seeds(ours: dict[str, Any] | None) -> str:
    if not ours:
        return ""
    if len(ours["records"]) != len(ours["seeds"]):  # a mean over several rows' records
        return " ".join(map(str, ours["seeds"]))
    pairs = zip(ours["records"], ours["seeds"], strict=True)
    return " ".join(record_link(name, str(seed)) for name, seed in pairs)


def record_link(name: str, text: str) -> str:
    """Return a link to a published record; of a local one only its name, on hovering."""
    title = f"record {name}"
    if repository() and (PUBLISHED / f"{name}.json").is_file():
        address = f"{repository()}/blob/main/data/results/{name}.json"
        return f'<a href="{escape(address)}" title="{escape(title)}">{escape(text)}</a>'
    return f'<span title="{escape(title)} (local)">{escape(text)}</span>'


def csv_link(name: str, text: str) -> str:
    """Return a link that saves a CSV; the data is in the link, so a saved page keeps it.

    Args:
        name: Of the file, without its ending.
        text: CSV.
    """
    data = b64encode(text.encode()).decode()
    return f'<a class="csv" download="{name}.csv" href="data:text/csv;base64,{data}">CSV</a>'


def plain(frame: pd.DataFrame, *, name: str, caption: str = "", links: bool = False) -> str:
    """Return any data frame as a sortable HTML table with its CSV.

    Args:
        frame: The first column names the rows. Numbers are shown as they are: round before.
        name: Of the CSV, and the table's anchor.
        caption: A line below.
        links: Cells hold HTML and are not escaped; the CSV then has their text alone.
    """

    def shown(value: Any) -> str:
        text = DASH if value is None or value != value else str(value)
        return text if links else escape(text)

    def bare(value: Any) -> str:
        text = "" if value is None or value != value else str(value)
        return re.sub(r"<[^>]*>", "", text) if links else text

    texts = frame.map(lambda value: bare(value) or DASH)
    # A column that holds words stands left, all of it.
    kinds = [
        "text" if any(_number(text) is None and text != DASH for text in texts[column]) else ""
        for column in frame.columns
    ]
    head = "".join(
        f'<th class="{kind}">{escape(str(column))}</th>' for column, kind in zip(frame.columns, kinds, strict=True)
    )
    body = []
    for (_, (first, *rest)), (_, (_, *bares)) in zip(frame.iterrows(), texts.iterrows(), strict=True):
        line = [_td(text, shown(value), kind) for text, value, kind in zip(bares, rest, kinds[1:], strict=True)]
        body.append(f"<tr><th>{shown(first)}</th>{''.join(line)}</tr>")
    text = frame.map(bare).to_csv(index=False)
    return (
        f'<div class="study-table"><table class="sortable n-last" id="{name}">'
        f"<caption><span>{escape(caption)} {csv_link(name, text)}</span></caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def as_csv(table: Table, rows: Rows) -> str:
    """Return CSV: a line a row and a score, see `tidy`."""
    out = io.StringIO()
    lines = tidy(table, rows)
    writer = csv.DictWriter(out, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def tidy(table: Table, rows: Rows) -> list[dict[str, Any]]:
    """Return a table as tidy data: a dict a row and a score, see `StudyTable.frame`."""
    own = [(name, "metrics", table.columns[name].convention, table.columns[name].score) for name in table.metrics]
    ours_alone = [column for column in FOLLOWING[table.task] if column.name not in table.metrics]
    own += [(column.name, column.where, column.convention, column.score) for column in ours_alone]  # type: ignore[misc]
    lines = []
    for row in rows:
        ours = row["ours"]
        for name, where, convention, score in own:
            value = ours[where][convention][score] if ours else {}
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
