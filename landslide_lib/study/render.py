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
from landslide_lib.study.cells import DASH, FOLLOWING, Rows, caption, cells, header, label
from landslide_lib.study.recipe import PROFILES
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
    """Return an HTML table for the book.

    Where the book is built, a cell of ours links to the runs it comes from; the seeds of a
    row link to their records. A click on a heading sorts.
    """
    names = header(table, rows)
    spans = [(kind, sum(k == kind for k, _ in names)) for kind in ("reported", "ours")]
    top = "".join(f'<th colspan="{n}" class="no-sort {k}">{k}</th>' for k, n in spans if n)
    second = "".join(f'<th class="{kind}">{escape(name)}</th>' for kind, name in names)
    body = []
    for row in rows:
        texts = cells(table, row, rows)
        shown = [_cell(text, kind, row["ours"]) for text, (kind, _) in zip(texts[:-1], names, strict=False)]
        shown.append(_td(texts[-1], _seeds(row["ours"]) or DASH, "ours"))
        kind = f"{row['kind']} added" if row["added"] else row["kind"]
        body.append(f'<tr class="{kind}"><th>{escape(label(row))}</th>{"".join(shown)}</tr>')
    name = "-".join([table.name.replace("/", "-"), *_which(rows)])
    said = f"{escape(table.title)} ({escape(table.where)}). {escape(caption(rows))}"
    return (
        f'<div class="study-table"><table class="sortable n-last" id="{name}">'
        f"<caption><span>{said} {csv_link(name, as_csv(table, rows))}</span></caption>"
        f'<thead><tr><th class="no-sort"></th>{top}</tr><tr><th>row</th>{second}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _which(rows: Rows) -> list[str]:
    """Return dataset and profile of ours, which a table's anchor and its CSV are named after."""
    ours = next((row["ours"] for row in rows if row["ours"]), None)
    return [ours["dataset"], ours["budget"]["profile"] or "own"] if ours else []


def _cell(text: str, kind: str, ours: dict[str, Any] | None) -> str:
    # An interval, or why there is none, stands below: a table has to fit beside the contents.
    shown = escape(text).replace(" [", "<br>[").replace(" (too few", "<br>(too few")
    if kind == "ours" and ours and text != DASH and os.environ.get("LANDSLIDE_TRAIN") == "no":
        shown = f'<a href="{runs_page(ours["run"])}">{shown}</a>'
    return _td(text, shown, kind)


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
    """Return CSV: a line a row, a column a number."""
    out = io.StringIO()
    columns = [(name, table.columns[name]) for name in table.metrics]
    wanted: list[tuple[str, str, str, str]] = [
        (name, "metrics", column.convention, column.score) for name, column in columns
    ]
    wanted += [(column.name, column.where, column.convention, column.score) for column in FOLLOWING[table.task]]
    fields = ["table", "id", "label", "kind", *(f"reported_{n}" for n in (*table.metrics, *table.extra))]
    task = table.base.get("task", table.task)
    budget = PROFILES.get(task, PROFILES["segmentation"])["full"]
    fields += [f"ours_{name}{end}" for name, *_ in wanted for end in ("", "_low", "_high")]
    fields += ["dataset", *{"epochs": 0, **budget}, "profile", "seeds", "parameters", "floor"]
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        line = {"table": table.name, **{key: row[key] for key in ("id", "label", "kind")}}
        line |= {f"reported_{name}": value for name, value in row["reported"].items()}
        ours = row["ours"]
        if ours:
            for name, where, kind, score in wanted:
                value = ours[where][kind][score]
                line |= {
                    f"ours_{name}": value["mean"],
                    f"ours_{name}_low": value["low"],
                    f"ours_{name}_high": value["high"],
                }
            line |= {
                "dataset": ours["dataset"],
                "parameters": ours["parameters"],
                "floor": ours["floor"],
                "seeds": " ".join(map(str, ours["seeds"])),
                **ours["budget"],
            }
        writer.writerow(line)
    return out.getvalue()


def as_json(table: Table, rows: Rows) -> str:
    """Return a JSON list, an object a row; see `comparison.compare`."""
    return json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Table, Rows], str]] = {"md": markdown, "csv": as_csv, "json": as_json, "html": html}
