"""A table's rows, reported beside ours. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from landslide_lib.study.plots.picture import COLOURS, Picture
from landslide_lib.study.reports import Table

Rows = Sequence[Mapping[str, Any]]


def rows_beside(table: Table, rows: Rows, column: str = "f1") -> Picture:
    """Draw the reported column beside our landslide F1, row by row.

    Left, what the report printed, in its own convention. Right, ours: open circles at
    threshold 0.5, filled ones at the threshold that was best on the validation images, each
    with its 95 % interval over seeds; the dashed line is the F1 of calling all landslide.
    """
    run = [row for row in rows if row["ours"]]
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, figsize=(9, 1.5 + 0.42 * len(run)), width_ratios=(1, 1.7), layout="constrained"
    )
    places = np.arange(len(run))[::-1]
    printed = [row["reported"].get(column, np.nan) for row in run]
    left.plot(printed, places, "s", color="black")
    left.set(title=f"reported {table.columns[column].label}", yticks=places, yticklabels=[row["label"] for row in run])
    lines = []
    own = " or the row's own" if any(row["kind"] == "derived" for row in run) else ""
    for where, name in (("metrics", f"threshold 0.5{own}"), ("tuned", "threshold of validation")):
        filled = where == "tuned"
        for place, row in zip(places, run, strict=True):
            value = row["ours"][where]["pooled"]["f1"]
            lines.append(
                {
                    "row": row["label"],
                    "reported": row["reported"].get(column),
                    "at": name,
                    "landslide_f1": value["mean"],
                    "low": value["low"],
                    "high": value["high"],
                    "floor": row["ours"]["floor"],
                }
            )
            height = place + (0.14 if filled else -0.14)
            if value["mean"] is None:
                continue
            if value["low"] is not None:
                right.plot([value["low"], value["high"]], [height] * 2, color=COLOURS[filled])
            right.plot(
                value["mean"],
                height,
                "o",
                color=COLOURS[filled],
                markerfacecolor=COLOURS[filled] if filled else "white",
                label=name if place == places[0] else None,
            )
    if run:
        floors = [row["ours"]["floor"] for row in run]
        right.plot(floors, places, "|--", color="gray", label="all called landslide")
        right.set(title=f"ours, landslide F1 ({run[0]['ours']['dataset']})", xlim=(0, 1))
        figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize="small")
    return Picture(
        figure,
        name=f"{table.name.replace('/', '-')}-figure",
        data=pd.DataFrame(lines),
        alt=f"{table.title}, row by row: left the reported {table.columns[column].label}, right "
        "our landslide F1 at two thresholds with intervals over seeds and the floor.",
    )
