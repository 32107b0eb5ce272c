"""Figures on optimizers: walks into a valley, and what a learning rate does. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.study.plots.picture import COLOURS, Picture

MARKS = "osD^vP"
STYLES = ("-", "--", ":", "-.")


def walks(
    panels: Mapping[str, Mapping[str, NDArray[np.float64]]],
    height: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    name: str,
) -> Picture:
    """Draw walks over the contours of the ground, a panel a choice of learning rates.

    Args:
        panels: By title, walks (steps + 1, 2) by optimizer.
        height: Of points (..., 2).
        name: Of the figure.
    """
    figure, axes = plt.subplots(
        len(panels),
        1,
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
        figsize=(9, 0.4 + 2.6 * len(panels)),
    )
    start = np.abs([walk[0] for named in panels.values() for walk in named.values()]).max(0)
    half = 1.25 * np.maximum(start, 0.3 * start.max())
    mesh = np.stack(np.meshgrid(*(np.linspace(-h, h, 161) for h in half)), -1)
    ground = height(mesh)
    lines = []
    for place, (title, named) in zip(axes[:, 0], panels.items(), strict=True):
        place.contour(
            *np.moveaxis(mesh, -1, 0),
            ground,
            colors="lightgray",
            linewidths=0.8,
            levels=np.geomspace(1e-3, 1, 9) * ground.max(),
        )
        place.plot(0, 0, "+", color="black", ms=12)
        for number, (label, walk) in enumerate(named.items()):
            place.plot(
                *walk.T,
                STYLES[number % 4],
                marker=MARKS[number % 6],
                ms=4,
                markevery=5,
                lw=1.2,
                color=COLOURS[number % len(COLOURS)],
                label=label if place is axes[0, 0] else None,
            )
            lines += [
                {"panel": title, "optimizer": label, "step": step, "x": x, "y": y} for step, (x, y) in enumerate(walk)
            ]
        place.set(title=title, xlim=(-half[0], half[0]), ylim=(-half[1], half[1]))
        place.grid(visible=False)
    figure.legend(loc="outside right center", frameon=False)
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines).round(5),
        alt="Walks of optimizers over the contours of a long valley from the same start; a cross "
        f"is its bottom. Panels: {', '.join(panels)}.",
    )


def rates(
    tried: NDArray[np.float64], heights: Mapping[str, NDArray[np.float64]], *, shared: float, start: float, name: str
) -> Picture:
    """Draw the mean height of a walk over the learning rate, a line an optimizer.

    Args:
        tried: Learning rates, (N,).
        heights: By optimizer, (N,), infinite where a walk overflowed.
        shared: The learning rate that all have in the chapter's other figure.
        start: The height where all begin.
        name: Of the figure.
    """
    figure, axes = plt.subplots(figsize=(8.6, 4), layout="constrained")
    for number, (label, values) in enumerate(heights.items()):
        axes.plot(
            tried,
            values,
            STYLES[number % 4],
            marker=MARKS[number % 6],
            ms=4,
            label=label,
            color=COLOURS[number % len(COLOURS)],
        )
    axes.axvline(shared, color="gray", lw=0.8)
    axes.axhline(start, color="gray", lw=0.8, ls="--", label="where all begin")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate",
        ylabel="mean height of the walk",
        ylim=(0.01 * start, 10 * start),
    )
    figure.legend(loc="outside right center", frameon=False)
    data = pd.DataFrame({"learning_rate": tried, **heights})
    return Picture(
        figure,
        name=name,
        data=data.replace(np.inf, np.nan),
        alt="Mean height of a walk over the learning rate, a line an optimizer; their lowest "
        "points are not at one learning rate. A vertical line is the learning rate that all share.",
    )
