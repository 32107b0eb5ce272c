"""The scores of folds as dots. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from landslide_lib.study.plots.picture import COLOURS, Picture


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
