"""Drawings of attention modules and of the blocks of `models.rau_net`. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from landslide_lib.study.plots.picture import COLOURS, Picture

#: What x goes through in a block: the branch of 3x3 convolutions, whether a 1x1 convolution of x
#: is added to it, and what the sum goes through.
BLOCKS: dict[str, dict[str, Any]] = {
    "U-Net": {"branch": ("3x3", "3x3"), "shortcut": False, "after": ()},
    "U-Net with attention": {"branch": ("3x3", "3x3"), "shortcut": False, "after": ("attention",)},
    "convolution block": {"branch": ("3x3, fewer", "3x3"), "shortcut": True, "after": ()},
    "RAU-Net 1": {"branch": ("3x3, fewer", "3x3"), "shortcut": True, "after": ("attention",)},
    "RAU-Net 2": {"branch": ("3x3, fewer", "3x3", "attention"), "shortcut": True, "after": ()},
}

#: What an attention module makes of a map of C channels, H x W: steps, and the weights' size.
MODULES: dict[str, Sequence[tuple[str, str]]] = {
    "SE": (("mean of each\nchannel", "C"), ("two 1x1,\nsigmoid", "C"), ("x times weight\nof its channel", "C, H x W")),
    "CBAM": (
        ("mean, maximum of\neach channel", "2, C"),
        ("two 1x1,\nsum, sigmoid", "C"),
        ("mean, maximum of\neach pixel", "2, H x W"),
        ("one 7x7,\nsigmoid", "1, H x W"),
        ("x times\nboth weights", "C, H x W"),
    ),
    "pooled attention (our reading)": (
        ("mean of each\ncell of a grid", "C, 8 x 8"),
        ("each cell asks\nall cells", "C, 8 x 8"),
        ("sigmoid,\ninterpolated", "C, H x W"),
        ("x plus x\ntimes weight", "C, H x W"),
    ),
}
FILLS = {"3x3": "#cfe3f1", "attention": "#f7d9c4", "1x1": "#e6e6e6"}


def blocks(named: Mapping[str, Mapping[str, Any]] = BLOCKS) -> Picture:
    """Draw blocks below one another, x at the left, what they give at the right.

    Args:
        named: As `BLOCKS`.
    """
    figure, axes = plt.subplots(figsize=(9, 1.05 * len(named)), layout="constrained")
    for line, (name, block) in enumerate(named.items()):
        height = -1.5 * line
        axes.text(0, height, name, va="center", fontweight="bold", fontsize="small")
        axes.text(2.6, height, "x", va="center", ha="center")
        place = 2.8
        for step in block["branch"]:
            place = _box(axes, place, height, step)
        if block["shortcut"]:
            axes.plot([2.6, 2.6], [height - 0.22, height - 0.62], color="black", lw=1)
            middle = (2.6 + place) / 2 - 0.5
            end = _box(axes, middle - 0.35, height - 0.62, "1x1", start=2.6)
            axes.plot([end, place + 0.35], [height - 0.62] * 2, color="black", lw=1)
            _arrow(axes, (place + 0.35, height - 0.62), (place + 0.35, height - 0.12))
            _arrow(axes, (place, height), (place + 0.22, height))
            axes.text(place + 0.35, height, "+", va="center", ha="center", fontsize="large")
            place += 0.48
        for step in block["after"]:
            place = _box(axes, place, height, step)
        _arrow(axes, (place, height), (9.6, height))
    axes.set(xlim=(0, 9.7), ylim=(-1.5 * len(named) + 0.6, 0.5))
    axes.set_axis_off()
    return Picture(
        figure,
        name="blocks",
        alt="Blocks as rows of boxes. U-Net: two 3x3 convolutions. U-Net with attention: "
        "attention after them. Convolution block: fewer channels between the two, and a 1x1 "
        "convolution of x is added. RAU-Net 1: attention after that sum. RAU-Net 2: attention "
        "after the second 3x3 convolution, before the sum.",
    )


def modules(named: Mapping[str, Sequence[tuple[str, str]]] = MODULES) -> Picture:
    """Draw attention modules below one another, the size of what each step gives below it.

    Args:
        named: As `MODULES`.
    """
    longest = max(map(len, named.values()))
    figure, axes = plt.subplots(figsize=(9, 1.35 * len(named)), layout="constrained")
    for line, (name, steps) in enumerate(named.items()):
        height = -1.9 * line
        axes.text(0, height + 0.62, name, va="center", fontweight="bold", fontsize="small")
        axes.text(0.15, height, "x", va="center", ha="center")
        place = 0.3
        for number, (step, size) in enumerate(steps):
            fill = FILLS["attention" if number == len(steps) - 1 else "3x3"]
            end = _box(axes, place, height, step, fill=fill, width=1.9)
            axes.text(end - 0.95, height - 0.58, size, ha="center", va="center", fontsize="x-small", color=COLOURS[0])
            place = end
        _arrow(axes, (place, height), (place + 0.3, height))
    axes.set(xlim=(0, 0.7 + 2.2 * longest), ylim=(-1.9 * len(named) + 1, 0.9))
    axes.set_axis_off()
    return Picture(
        figure,
        name="attention-modules",
        alt="Steps of three attention modules with the size of what each gives. SE: means of "
        "channels become a weight a channel. CBAM: a weight a channel, then a weight a pixel. "
        "Pooled attention: means of cells of a grid attend to each other and become a weight a "
        "channel and pixel, which is added.",
    )


def _box(
    axes: Axes,
    place: float,
    height: float,
    text: str,
    *,
    fill: str | None = None,
    width: float = 1.3,
    start: float | None = None,
) -> float:
    """Draw an arrow and a box behind it; return where the box ends."""
    left = place + 0.3
    _arrow(axes, (place if start is None else start, height), (left, height))
    colour = fill or FILLS[text.partition(",")[0]]
    tall = 0.42 if "\n" not in text else 0.78
    axes.add_patch(Rectangle((left, height - tall / 2), width, tall, facecolor=colour, edgecolor="black", lw=0.8))
    axes.text(left + width / 2, height, text, ha="center", va="center", fontsize="x-small")
    return left + width


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    how = {"arrowstyle": "->", "color": "black", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=how)
