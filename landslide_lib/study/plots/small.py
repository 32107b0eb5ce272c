"""Figures on small networks: what they hold, what they cost, what they score. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from landslide_lib.study.plots.picture import COLOURS, Picture

MARKS = "osD^vPX*"
TITLES = {"parameters": "parameters, millions", "multiply_adds": "multiply-adds an image, millions"}


def sizes(counts: Mapping[str, Mapping[str, Mapping[str, float]]], *, limit: float) -> Picture:
    """Draw parameters and multiply-adds of each network, a mark a budget.

    Args:
        counts: Of `complexity.count`, by network, then by budget.
        limit: The number of parameters that the report prints, drawn as a line.
    """
    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(9, 1.5 + 0.42 * len(counts)), layout="constrained")
    places = np.arange(len(counts))[::-1]
    lines = []
    for axis, (key, title) in zip(axes, TITLES.items(), strict=True):
        for place, (label, budgets) in zip(places, counts.items(), strict=True):
            values = [1e-6 * facts[key] for facts in budgets.values()]
            axis.plot(values, [place] * len(values), color="lightgray", zorder=1)
            for number, (budget, value) in enumerate(zip(budgets, values, strict=True)):
                axis.plot(
                    value,
                    place,
                    MARKS[number],
                    color=COLOURS[number],
                    label=budget if key == "parameters" and place == 0 else None,
                )
                lines.append({"model": label, "budget": budget, "what": key, "millions": value})
        axis.set(xscale="log", title=title, yticks=places, yticklabels=list(counts))
        _plain(axis.xaxis)
    axes[0].axvline(limit / 1e6, color="gray", ls="--", lw=0.9, label="reported", zorder=0)
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize="small")
    return Picture(
        figure,
        name="small-models-sizes",
        data=pd.DataFrame(lines),
        alt="Parameters and multiply-adds of each small network, a mark a budget, on logarithmic "
        "axes; a dashed line is the number of parameters that the report prints.",
    )


def score_over_size(rows: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw landslide F1 at threshold 0.5 over the parameters of the very networks that have it.

    Args:
        rows: From `comparison.compare`; those that were not run are left out.
    """
    figure, axes = plt.subplots(figsize=(8.6, 3.8), layout="constrained")
    lines = []
    for number, row in enumerate(row for row in rows if row["ours"]):
        f1, size = row["ours"]["metrics"]["pooled"]["f1"], row["ours"]["parameters"] / 1e6
        lines.append(
            {
                "row": row["label"],
                "parameters": row["ours"]["parameters"],
                "landslide_f1": f1["mean"],
                "low": f1["low"],
                "high": f1["high"],
            }
        )
        if f1["mean"] is None:
            continue
        colour = COLOURS[number % len(COLOURS)]
        if f1["low"] is not None:
            axes.plot([size] * 2, [f1["low"], f1["high"]], color=colour)
        axes.plot(size, f1["mean"], MARKS[number % 8], ms=9, color=colour, label=row["label"])
    axes.set(
        xscale="log", xlabel="parameters of the network that was run, millions", ylabel="landslide F1 at threshold 0.5"
    )
    _plain(axes.xaxis)
    if lines:
        figure.legend(loc="outside right center", frameon=False)
    return Picture(
        figure,
        name="small-models-score",
        data=pd.DataFrame(lines),
        alt="Landslide F1 at threshold 0.5 over the number of parameters of the network that was "
        "run, a point a row, with its interval over seeds where there are several.",
    )


def _plain(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers at 1, 2 and 5 of each power of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
