"""Figures of a system that is put together step by step. No torch."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from landslide_lib.study.plots.picture import COLOURS, Picture


def stairs(steps: pd.DataFrame, *, name: str, data: str) -> Picture:
    """Draw the F1 after each step, left the report's, right ours, a gain's size beside it.

    Args:
        steps: From `steps.assembled`.
        name: Of the figure.
        data: The dataset of ours.
    """
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, layout="constrained", figsize=(9.5, 1.4 + 0.45 * len(steps))
    )
    places = np.arange(len(steps))[::-1]
    sides = (
        (left, "reported", "reported_gain", "F1 as reported", "black"),
        (right, "landslide_f1", "landslide_gain", f"landslide F1, ours ({data})", COLOURS[0]),
    )
    for axes, column, gain, title, colour in sides:
        values = steps[column].to_numpy(float)
        axes.plot(values, places, "o-", color=colour)
        for place, value, step in zip(places, values, steps[gain], strict=True):
            if np.isfinite(value) and np.isfinite(step):
                axes.annotate(f"{step:+.3f}", (value, place), (8, 4), fontsize="small", textcoords="offset points")
        axes.set(title=title)
        axes.margins(x=0.2)
    left.set(yticks=places, yticklabels=steps["step"])
    return Picture(
        figure,
        name=name,
        data=steps,
        alt="F1 after each step of the report's system, from top to bottom: left as reported, "
        "right ours, with the gain of each step.",
    )
