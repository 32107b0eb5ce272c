"""A forest plot: what each row of a table differs by from its reference row. No torch."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from landslide_lib.study.plots.picture import COLOURS, Picture


def forest(effects: pd.DataFrame, *, score: str, name: str) -> Picture:
    """Draw differences with their 95 % intervals, reported beside ours.

    Args:
        effects: Of `StudyTable.effects`.
        score: What differs.
        name: Of the figure.
    """
    figure, axes = plt.subplots(figsize=(7.5, 1.2 + 0.45 * len(effects)), layout="constrained")
    for place, (_, line) in enumerate(effects[::-1].iterrows()):
        if pd.notna(line.reported):
            axes.plot(line.reported, place + 0.15, "s", color=COLOURS[1], mfc="none")
        if pd.notna(line.low):
            axes.plot([line.low, line.high], [place - 0.1] * 2, color=COLOURS[0], lw=1.6)
        if pd.notna(line.difference):
            axes.plot(line.difference, place - 0.1, "o", color=COLOURS[0])
    axes.plot([], [], "s", color=COLOURS[1], mfc="none", label="reported")
    axes.plot([], [], "o-", color=COLOURS[0], label="ours, 95 % interval")
    axes.axvline(0, color="#333333", lw=0.8)
    others = effects.against.unique()
    against = others[0] if len(others) == 1 else "the row named"
    labels = effects.label if len(others) == 1 else effects.label + "\nagainst " + effects.against
    axes.set_yticks(range(len(effects)), labels[::-1])
    axes.set_ylim(-0.7, len(effects) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{score}, difference from {against}")
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    return Picture(
        figure,
        name=name,
        data=effects.reset_index(),
        alt=f"Forest plot: the difference of each row from {against}, as reported and in our runs with its interval.",
    )
