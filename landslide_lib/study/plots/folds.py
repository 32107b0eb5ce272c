"""Figures of cross validation. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from landslide_lib.study.folds import Place
from landslide_lib.study.plots.picture import COLOURS, Picture

#: Tiles of the one scene that is drawn large, a side at most.
LARGE = 8


def tiles(ways: Mapping[str, Mapping[str, int]], where: Mapping[str, Place]) -> Picture:
    """Draw by which fold each tile is tested, under several ways to cut the folds.

    Above, all scenes, a scene a square; below, one scene, the one that the ways cut most, with the
    number of the fold in each tile.

    Args:
        ways: The fold of each image, from 1, by the name of the way.
        where: Scene, row and column of each image; those without are not drawn.
    """
    named = sorted({name for of in ways.values() for name in of if name in where}, key=_natural)
    scenes = list(dict.fromkeys(where[name][0] for name in named))
    large = max(
        scenes,
        key=lambda scene: min(
            len({fold for name, fold in of.items() if name in where and where[name][0] == scene})
            for of in list(ways.values())[:-1] or ways.values()
        ),
    )
    top = _change(_grid(next(iter(ways.values())), where, large))
    count = max(fold for of in ways.values() for fold in of.values())
    colours = ListedColormap(COLOURS[: count + 1])
    figure, axes = plt.subplots(
        2,
        len(ways),
        figsize=(9.4, 5.4),
        squeeze=False,
        layout=ConstrainedLayoutEngine(wspace=0.06),
        height_ratios=(1.25, 1),
    )
    how = {"cmap": colours, "vmin": 0.5, "vmax": count + 1.5, "interpolation": "nearest"}
    for column, (way, of) in enumerate(ways.items()):
        grid = _grid(of, where, large)[top : top + LARGE, :LARGE]
        axes[0, column].imshow(_mosaic(of, where, scenes), **how)
        axes[0, column].set_title(way)
        axes[1, column].imshow(grid, **how)
        for (row, place), fold in np.ndenumerate(grid):
            if np.isfinite(fold):
                axes[1, column].text(
                    place, row, f"{fold:.0f}", ha="center", va="center", color="white", fontweight="bold"
                )
        axes[1, column].set_title(f"scene {large}", fontsize="small", fontweight="normal")
    for place in axes.flat:
        _bare(place)
    data = pd.DataFrame(
        [
            {"way": way, "scene": where[name][0], "row": where[name][1], "column": where[name][2], "fold": of[name]}
            for way, of in ways.items()
            for name in named
            if name in of
        ]
    )
    return Picture(
        figure,
        name="folds-tiles",
        data=data,
        alt="Maps of all scenes, tile by tile in the colour of the fold that tests it, for the "
        f"ways {', '.join(ways)}; below, one scene with the number of the fold in each tile. At "
        "random, neighbours lie in different folds all over; cut in order, along a few lines; by "
        "scenes, nowhere inside a scene.",
    )


def dots(ways: Mapping[str, Sequence[float]], *, title: str) -> Picture:
    """Draw the score of each fold as a dot with its number, and the mean as a bar.

    Args:
        ways: The scores of the folds, a line each, by the name of the line.
        title: What the scores are.
    """
    figure, axes = plt.subplots(figsize=(8, 1 + 0.6 * len(ways)), layout="constrained")
    for place, values in zip(range(len(ways))[::-1], ways.values(), strict=True):
        axes.plot(values, [place] * len(values), "o", color=COLOURS[0], alpha=0.8)
        axes.plot([np.mean(values)] * 2, [place - 0.25, place + 0.25], color=COLOURS[1], lw=2.5)
        for rank, number in enumerate(np.argsort(values)):
            # Numbers stand above and below in turn: folds that score alike are told apart.
            axes.annotate(
                str(number + 1),
                (values[number], place),
                ha="center",
                xytext=(0, 6 if rank % 2 else -13),
                textcoords="offset points",
                fontsize="x-small",
            )
    axes.set(yticks=range(len(ways))[::-1], yticklabels=list(ways), ylim=(-0.6, len(ways) - 0.4), xlabel=title)
    axes.grid(visible=False, axis="y")
    lines = [
        {"way": way, "fold": number, "landslide_f1": value}
        for way, values in ways.items()
        for number, value in enumerate(values, 1)
    ]
    return Picture(
        figure,
        name="folds-scores",
        data=pd.DataFrame(lines).round(4),
        alt=f"A dot a fold with its number, a bar at their mean, a line each of {', '.join(ways)}: {title}.",
    )


def pairs(sides: Mapping[str, Mapping[str, Sequence[float | None]]], *, names: tuple[str, str], title: str) -> Picture:
    """Draw two values a fold, joined by a line.

    Args:
        sides: By panel (such as reported, ours), the values of the folds by `names`.
        names: The first and the second value.
        title: What the values are.
    """
    figure, axes = plt.subplots(1, len(sides), figsize=(4.5 * len(sides), 3.6), squeeze=False, layout="constrained")
    lines: list[dict[str, Any]] = []
    for place, (panel, values) in zip(axes[0], sides.items(), strict=True):
        folds = np.arange(1, 1 + len(values[names[0]]))
        both = np.array([values[name] for name in names], np.float64)
        place.plot([folds, folds], both, color="gray", lw=1.2)
        for number, (name, mark) in enumerate(zip(names, "os", strict=True)):
            place.plot(folds, both[number], mark, color=COLOURS[number], label=name)
            lines += [
                {"of": panel, "fold": int(fold), "value": name, "f1": f1}
                for fold, f1 in zip(folds, both[number], strict=True)
            ]
        place.set(title=panel, xlabel="fold", xticks=folds)
        place.legend(frameon=False, fontsize="small")
    axes[0, 0].set_ylabel(title)
    return Picture(
        figure,
        name="folds-pairs",
        data=pd.DataFrame(lines).round(4),
        alt=f"Fold by fold {names[0]} and {names[1]}, joined by a line: {', '.join(sides)}.",
    )


def _change(grid: NDArray[np.floating[Any]]) -> int:
    """Return the row to draw a large scene from, so that the first change of fold is in it."""
    known = np.nan_to_num(grid[:, 0])
    change = int(np.argmax(known != known[0]))
    return int(np.clip(change - LARGE // 2, 0, max(0, len(grid) - LARGE)))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort `b/2` before `b/10`."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in name.split("/")]


def _grid(of: Mapping[str, int], where: Mapping[str, Place], scene: str) -> NDArray[np.floating[Any]]:
    """Return the fold of each tile of a scene, NaN where there is no tile."""
    mine = {where[name][1:]: fold for name, fold in of.items() if name in where and where[name][0] == scene}
    every = [place[1:] for place in where.values() if place[0] == scene]
    grid = np.full((1 + max(r for r, _ in every), 1 + max(c for _, c in every)), np.nan)
    for place, fold in mine.items():
        grid[place] = fold
    return grid


def _mosaic(of: Mapping[str, int], where: Mapping[str, Place], scenes: Sequence[str]) -> NDArray[np.floating[Any]]:
    """Lay the scenes out, those of a region (all before the last `/`) in a line, a gap between."""
    lines: dict[str, list[NDArray[np.floating[Any]]]] = {}
    for scene in scenes:
        lines.setdefault(scene.rpartition("/")[0], []).append(_grid(of, where, scene))
    grids = [grid for line in lines.values() for grid in line]
    height, width = (max(grid.shape[k] for grid in grids) + 1 for k in (0, 1))
    shape = (height * len(lines) - 1, width * max(map(len, lines.values())) - 1)
    whole = np.full(shape, np.nan)
    for down, line in enumerate(lines.values()):
        for right, grid in enumerate(line):
            top, left = down * height, right * width
            whole[top : top + grid.shape[0], left : left + grid.shape[1]] = grid
    return whole


def _bare(place: Axes) -> None:
    place.set(xticks=[], yticks=[])
    place.grid(visible=False)
    for spine in place.spines.values():
        spine.set_visible(False)
