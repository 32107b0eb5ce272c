"""A table with *reported* beside *ours*, as Markdown, HTML, CSV or JSON. No torch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from typing import Any

import yaml

from landslide_lib.paths import CONFIG, PUBLISHED
from landslide_lib.recipe import PROFILES
from landslide_lib.reports import Table

DASH = "—"
Rows = Sequence[dict[str, Any]]

#: The columns of ours that follow the report's own: heading, where in `ours`, which score.
LANDSLIDE = (
    ("landslide F1 at 0.5", "metrics", "pooled", "f1"),
    ("landslide F1 at validation's threshold", "tuned", "pooled", "f1"),
)


def text_of(value: dict[str, Any] | None) -> str:
    """Return mean ± half the 95 % interval over seeds, or an em dash.

    >>> text_of({"mean": 0.5, "low": 0.48, "high": 0.52, "values": [0.49, 0.51]})
    '0.500 ± 0.020'
    >>> text_of({"mean": 0.5, "low": None, "high": None, "values": [0.5]})
    '0.500'
    """
    if value is None or value["mean"] is None:
        return DASH
    if value["low"] is None:
        return f"{value['mean']:.3f}"
    return f"{value['mean']:.3f} ± {value['mean'] - value['low']:.3f}"


def reported_text(value: float | int | str | None, uncertain: bool, digits: int = 4) -> str:
    """Return a reported cell as printed; a reading carries a question mark."""
    if value is None:
        return DASH
    shown = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    return f"{shown} (?)" if uncertain else shown


def caption(table: Table, rows: Rows) -> str:
    """Say in one line what `ours` is: data, budget, seeds, floor."""
    run = [row["ours"] for row in rows if row["ours"]]
    if not run:
        return "Ours: not run yet."
    first, seeds = run[0], sorted({len(ours["seeds"]) for ours in run})
    budget = first["budget"]
    if seeds == [1]:
        spread = "one seed, so no interval"
    else:
        count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        spread = f"{count} seeds, mean ± 95 % interval over seeds"
    floors = sorted({f"{ours['floor']:.3f}" for ours in run})
    floor = floors[0] if len(floors) == 1 else f"{floors[0]} to {floors[-1]}, by row,"
    size = f"{budget['subset']} images" if budget["subset"] else "all images"
    return (
        f"Ours: {first['dataset']}, {budget['profile'] or 'own'} profile ({size}, "
        f"{budget['image_size']} px, width {budget['width']}, {budget['epochs']} epochs, "
        f"batch {budget['batch']}), {spread}. "
        f"Calling every pixel landslide scores {floor} landslide F1."
    )


def header(table: Table) -> list[str]:
    """Return the headings of a rendered table."""
    names = [table.columns[name] for name in table.metrics]
    return [
        "row",
        *(f"reported {column.label}" for column in names),
        *(f"reported {label}" for label in table.extra.values()),
        *(f"ours {column.label} ({column.convention.replace('_', '-')})" for column in names),
        *(f"ours {name}" for name, *_ in LANDSLIDE),
        *(
            [f"F1 at 0.5 less that of {table.row(table.reference).label}"]
            if table.reference
            else []
        ),
        "parameters",
        "seeds",
    ]


def cells(table: Table, row: dict[str, Any]) -> list[str]:
    """Return the cells of one row as text."""
    ours, unsure = row["ours"], row["uncertain"]
    columns = [table.columns[name] for name in table.metrics]
    printed = [reported_text(row["reported"].get(name), name in unsure, column.digits)
               for name, column in zip(table.metrics, columns, strict=True)]  # fmt: skip
    printed += [reported_text(row["reported"].get(name), name in unsure) for name in table.extra]
    mine = [text_of(ours and ours["metrics"][c.convention][c.score]) for c in columns]
    mine += [text_of(ours and ours[where][kind][score]) for _, where, kind, score in LANDSLIDE]
    if table.reference:
        mine.append(_difference(ours and ours["versus"]))
    mine.append(f"{ours['parameters'] / 1e6:.2f} M" if ours else DASH)
    mine.append(str(len(ours["seeds"])) if ours else DASH)
    label = row["label"] + {"derived": " (derived)", "quoted": " (quoted)"}.get(row["kind"], "")
    return [label, *printed, *mine]


def _difference(versus: dict[str, float] | None) -> str:
    if versus is None:
        return DASH
    return f"{versus['difference']:+.3f} [{versus['low']:+.3f}, {versus['high']:+.3f}]"


def markdown(table: Table, rows: Rows) -> str:
    """Return a Markdown table with its caption."""
    lines = [header(table), ["---"] * len(header(table)), *(cells(table, row) for row in rows)]
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"**{table.title}** ({table.name}, {table.where})\n\n{body}\n\n{caption(table, rows)}\n"


@cache
def repository() -> str:
    """Return the repository's public address, which stands in `_config.yml` alone.

    It is "" where the code lies outside a checkout.
    """
    if not CONFIG.is_file():
        return ""
    address: str = yaml.safe_load(CONFIG.read_text())["repository"]["url"]
    return address


def html(table: Table, rows: Rows) -> str:
    """Return an HTML table for the book; the seeds of a row link to their records."""
    names = header(table)
    group = ["reported" if n.startswith("reported") else "ours" for n in names[1:]]
    spans = [("reported", group.count("reported")), ("ours", group.count("ours"))]
    top = "".join(f'<th colspan="{n}" class="{k}">{k}</th>' for k, n in spans if n)
    short = [n.removeprefix("reported ").removeprefix("ours ") for n in names[1:]]
    second = "".join(f'<th class="{k}">{escape(n)}</th>' for k, n in zip(group, short, strict=True))
    body = []
    for row in rows:
        label, *values = cells(table, row)
        values = [escape(value) for value in values]
        if row["ours"]:
            links = [_link(name, seed) for name, seed in
                     zip(row["ours"]["records"], row["ours"]["seeds"], strict=True)]  # fmt: skip
            values[-1] = " ".join(links)
        data = "".join(f'<td class="{k}">{v}</td>' for k, v in zip(group, values, strict=True))
        kind = f"{row['kind']} added" if row.get("added") else row["kind"]
        body.append(f'<tr class="{kind}"><th>{escape(label)}</th>{data}</tr>')
    return (
        f'<div class="study-table"><table><caption>{escape(caption(table, rows))}</caption>'
        f'<thead><tr><th rowspan="2">row</th>{top}</tr><tr>{second}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _link(name: str, seed: int) -> str:
    title = f"record {name}"
    if repository() and (PUBLISHED / f"{name}.json").is_file():
        address = f"{repository()}/blob/main/data/results/{name}.json"
        return f'<a href="{escape(address)}" title="{escape(title)}">{seed}</a>'
    return f'<span title="{escape(title)} (local)">{seed}</span>'


def as_csv(table: Table, rows: Rows) -> str:
    """Return CSV: a line a row, a column a number."""
    out = io.StringIO()
    wanted = [(name, "metrics", c.convention, c.score)
              for name, c in ((n, table.columns[n]) for n in table.metrics)]  # fmt: skip
    wanted += [("landslide_f1", "metrics", "pooled", "f1"),
               ("landslide_f1_tuned", "tuned", "pooled", "f1")]  # fmt: skip
    fields = [
        "table",
        "id",
        "label",
        "kind",
        *(f"reported_{n}" for n in (*table.metrics, *table.extra)),
    ]
    fields += [f"ours_{name}{end}" for name, *_ in wanted for end in ("", "_low", "_high")]
    fields += ["dataset", *next(iter(PROFILES.values())), "profile", "seeds", "parameters", "floor"]
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        line = {"table": table.name, **{key: row[key] for key in ("id", "label", "kind")}}
        line |= {f"reported_{name}": value for name, value in row["reported"].items()}
        ours = row["ours"]
        if ours:
            for name, where, kind, score in wanted:
                value = ours[where][kind][score]
                line |= {f"ours_{name}": value["mean"], f"ours_{name}_low": value["low"],
                         f"ours_{name}_high": value["high"]}  # fmt: skip
            line |= {"dataset": ours["dataset"], "parameters": ours["parameters"],
                     "floor": ours["floor"], "seeds": " ".join(map(str, ours["seeds"])),
                     **ours["budget"]}  # fmt: skip
        writer.writerow(line)
    return out.getvalue()


def as_json(table: Table, rows: Rows) -> str:
    """Return a JSON list, an object a row; see `beside.beside`."""
    return json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Table, Rows], str]] = {
    "md": markdown, "csv": as_csv, "json": as_json, "html": html,
}  # fmt: skip
