"""Figures of what a network costs, and of what one with a coarse output can draw. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from landslide_lib.metrics import scores
from landslide_lib.study.plots.picture import COLOURS, Picture

BINS = 1000
MARKERS = "osD^vPX*<>p"


def costs(rows: Sequence[Mapping[str, Any]], work: Mapping[str, float], *, name: str) -> Picture:
    """Draw landslide F1 at threshold 0.5 over parameters and over the work of an image.

    The line of a mark is the 95 % interval over seeds.

    Args:
        rows: From `comparison.compare`; those without a score are passed over.
        work: Multiply-adds of an image of each row, by id, as `complexity.count` has them.
        name: Of the figure.
    """
    lines = [
        {
            "row": row["label"],
            "parameters": row["ours"]["parameters"],
            "multiply_adds": work[row["id"]],
            "landslide_f1": f1["mean"],
            "low": f1["low"],
            "high": f1["high"],
        }
        for row in rows
        if row["ours"] and (f1 := row["ours"]["metrics"]["pooled"]["f1"])["mean"] is not None
    ]
    figure, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(9, 3.8), layout="constrained")
    for number, one in enumerate(lines):
        f1 = one["landslide_f1"]
        how = {"color": COLOURS[number % len(COLOURS)], "ms": 7, "ls": "", "marker": MARKERS[number % len(MARKERS)]}
        up = None if one["low"] is None else [[f1 - one["low"]], [one["high"] - f1]]
        left.errorbar(one["parameters"] / 1e6, f1, up, label=one["row"], **how)
        right.errorbar(one["multiply_adds"] / 1e6, f1, up, **how)
    left.set(xlabel="parameters, million", ylabel="landslide F1 at 0.5")
    right.set(xlabel="multiplications an image, million")
    _logarithmic(left, [one["parameters"] / 1e6 for one in lines])
    _logarithmic(right, [one["multiply_adds"] / 1e6 for one in lines])
    columns = ["row", "parameters", "multiply_adds", "landslide_f1", "low", "high"]
    data = pd.DataFrame(lines, columns=columns)
    if lines:
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return Picture(
        figure,
        name=name,
        data=data.round(4),
        alt="Landslide F1 of each row, left over its parameters, right over the multiplications "
        "of an image, with intervals over seeds.",
    )


def _logarithmic(axes: Axes, values: Sequence[float]) -> None:
    """Set a logarithmic axis with ticks that are plain numbers."""
    if not values:
        return
    first, last = min(values) / 1.3, max(values) * 1.3
    axes.set(xscale="log", xlim=(first, last))
    ticks: list[float] = []
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), np.arange(1, 10, 0.5), np.arange(1, 10, 0.25)):
        if len(ticks) < 3:
            every = [step * 10.0**power for power in range(-4, 6) for step in steps]
            ticks = [float(step) for step in every if first <= step <= last]
    axes.set_xticks(ticks, [f"{step:g}" for step in ticks])
    axes.set_xticks([], minor=True)


def cells(masks: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Return the landslide share of each cell of a grid.

    Args:
        masks: (N, H, W) in {0, 1}.
        side: Of a cell in pixels.

    Returns:
        (N, H / side, W / side) in 0..1.

    Raises:
        ValueError: A side of the masks is no multiple of that of a cell.

    >>> cells(np.eye(4, dtype=np.uint8)[None], 2)[0].tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    count, height, width = masks.shape
    if side < 1 or height % side or width % side:
        raise ValueError(f"masks of {height} x {width} px: no whole cells of {side} px; take a divisor")
    apart = masks.reshape(count, height // side, side, width // side, side)
    return np.asarray(apart.mean(axis=(2, 4), dtype=np.float64))


def whole_cells(masks: NDArray[np.uint8], side: int) -> tuple[float, NDArray[np.bool_]]:
    """Return the best pooled F1 of answers that call whole cells, and the cells to call.

    It is exact: for every number of called cells those with the largest landslide shares find
    the most, so the best answer is among the prefixes of that order.

    Args:
        masks: (N, H, W) in {0, 1}, scored together, with at least one landslide pixel.
        side: Of a cell in pixels.

    Returns:
        F1 in 0..1, and (N, H / side, W / side).

    Raises:
        ValueError: No landslide in the masks, or see `cells`.

    >>> whole_cells(np.eye(4, dtype=np.uint8)[None], 2)[0]
    0.6666666666666666
    """
    share = cells(masks, side)
    if not share.any():
        raise ValueError("no landslide in the masks, so F1 is undefined; take others")
    order = np.argsort(-share, axis=None, kind="stable")
    found = share.ravel()[order].cumsum()
    f1 = 2 * found / (np.arange(1, share.size + 1) + share.sum())
    best = int(f1.argmax())
    called = np.zeros(share.size, bool)
    called[order[: best + 1]] = True
    return float(f1[best]), called.reshape(share.shape)


def interpolated(masks: NDArray[np.uint8], side: int) -> tuple[float, NDArray[np.bool_]]:
    """Return the pooled F1 of cell shares that are interpolated bilinearly and thresholded.

    The threshold is the best for these masks. Other values on the same grid can do better.

    Args:
        masks: (N, H, W) in {0, 1}, with at least one landslide pixel.
        side: Of a cell in pixels.

    Returns:
        F1 in 0..1, and what is called, (N, H, W).

    Raises:
        ValueError: See `whole_cells`.
    """
    share = cells(masks, side)
    if not share.any():
        raise ValueError("no landslide in the masks, so F1 is undefined; take others")
    size = masks.shape[:0:-1]
    smooth = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in share])
    counts = [np.histogram(smooth[masks == kind], BINS, (0, 1))[0] for kind in (1, 0)]
    curve = scores.sweep(*counts)
    f1 = np.nan_to_num(curve["f1"])
    best = int(f1.argmax())
    # A bin of the histogram holds its lower end.
    return float(f1[best]), np.asarray(smooth >= curve["threshold"][best])


def grids(sets: Mapping[str, NDArray[np.uint8]], *, side: int, sides: Sequence[int], name: str) -> Picture:
    """Draw a mask as a grid lets a network draw it, and the best F1 over the side of a cell.

    Args:
        sets: Masks (N, H, W) by name; of the first the mask with the most landslide is drawn.
        side: Of the cells in the drawing, in pixels.
        sides: Of the cells of the curves.
        name: Of the figure.
    """
    first = next(iter(sets.values()))
    place = int(first.sum(axis=(1, 2)).argmax())
    block = np.ones((side, side))
    drawn = {
        "mask": first[place],
        "share of a cell": np.kron(cells(first, side)[place], block),
        "whole cells": np.kron(whole_cells(first, side)[1][place], block),
        "interpolated": interpolated(first, side)[1][place],
    }
    ways = {"whole cells": whole_cells, "interpolated": interpolated}
    data = pd.DataFrame(
        [
            {"masks": label, "cell_px": cell, "answer": way, "best_f1": best(masks, cell)[0]}
            for label, masks in sets.items()
            for way, best in ways.items()
            for cell in sides
        ]
    )
    figure, places = plt.subplot_mosaic(
        [[*drawn], ["curves"] * len(drawn)], figsize=(8, 5.4), height_ratios=(1, 1.3), layout="constrained"
    )
    for label, picture in drawn.items():
        places[label].imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        places[label].contour(first[place], levels=[0.5], colors="#D55E00", linewidths=0.8)
        places[label].set_title(label, fontsize="small")
        places[label].set_axis_off()
    curves = places["curves"]
    for number, label in enumerate(sets):
        for way, line in zip(ways, ("-", "--"), strict=True):
            some = data[(data["masks"] == label) & (data["answer"] == way)]
            curves.plot(
                some["cell_px"],
                some["best_f1"],
                f"{MARKERS[number]}{line}",
                color=COLOURS[number],
                label=f"{label}, {way}",
            )
    curves.axvline(side, color="gray", lw=0.8)
    curves.set(xscale="log", xlabel="side of a cell, px", ylabel="best landslide F1", ylim=(0, 1.03))
    curves.set_xticks(sides, [str(cell) for cell in sides])
    curves.set_xticks([], minor=True)
    curves.legend(loc="lower left", fontsize="small")
    return Picture(
        figure,
        name=name,
        data=data.round(4),
        alt="Above, a landslide mask, the share of each cell of a grid, the whole cells that are "
        "best called, and what interpolated shares draw, each with the true outline; below, the "
        "best F1 over the side of a cell, falling.",
    )
