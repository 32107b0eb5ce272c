"""Figures of what a network gives. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.patches import Polygon, Rectangle
from numpy.typing import NDArray

from landslide_lib.study.plots.picture import COLOURS, Picture

Shapes = Mapping[str, Sequence[int]]


def heads(outputs: Mapping[str, Shapes], *, side: int, name: str = "heads") -> Picture:
    """Draw what each head gives for one image; a square's side is that of its mask.

    Args:
        outputs: By head, the shape of each thing it gives without the batch: (C, H, W) of a mask,
            (C,) of a number of the whole image.
        side: Of the image, in pixels.
        name: Of the figure.

    Raises:
        ValueError: An output is neither a mask nor a number.
    """
    lines = []
    for head, given in outputs.items():
        for output, shape in given.items():
            if len(shape) not in (1, 3):
                raise ValueError(f"{head}, {output}: shape {tuple(shape)} is no (C,) or (C, H, W)")
            size = tuple(shape[1:]) or (None, None)
            lines.append({"head": head, "output": output, "channels": shape[0], "height": size[0], "width": size[1]})
    data = pd.DataFrame(lines, columns=["head", "output", "channels", "height", "width"])
    largest = max([side, *data["height"].dropna()])
    tallest = max((sum(_height(shape, largest) for shape in given.values()) for given in outputs.values()), default=1.0)
    figure, places = plt.subplots(
        1, len(outputs), figsize=(3 * len(outputs), 0.6 + 1.1 * tallest), squeeze=False, layout="constrained"
    )
    for place, (head, given) in zip(places[0], outputs.items(), strict=True):
        place.set(xlim=(0, 4.6), ylim=(-tallest / 2 - 0.1, tallest / 2 + 0.1), aspect="equal")
        place.set_axis_off()
        place.set_title(head, fontsize="small")
        place.add_patch(
            Polygon(
                [(0.05, -0.8), (0.05, 0.8), (1.3, 0.45), (1.3, -0.45)],
                facecolor=COLOURS[5],
                edgecolor="black",
                alpha=0.5,
            )
        )
        place.text(0.62, 0, "network", ha="center", va="center", fontsize="x-small")
        top = sum(_height(shape, largest) for shape in given.values()) / 2
        for output, shape in given.items():
            height = _height(shape, largest)
            middle, top = top - height / 2, top - height
            drawn = 1.9 * shape[1] / largest if len(shape) == 3 else 0.22
            colour = COLOURS[0] if len(shape) == 3 else COLOURS[1]
            place.add_patch(
                Rectangle((2.4, middle - drawn / 2), drawn, drawn, facecolor=colour, edgecolor="black", alpha=0.6)
            )
            place.annotate("", (2.35, middle), (1.35, middle * 0.3), arrowprops={"arrowstyle": "->", "lw": 0.8})
            place.text(
                2.4,
                middle - drawn / 2 - 0.08,
                f"{output}: {' × '.join(map(str, shape))}",
                ha="left",
                va="top",
                fontsize="x-small",
            )
    return Picture(
        figure,
        name=name,
        data=data,
        alt="A drawing a head: the network, and a square for each mask that it gives, drawn to "
        "scale, or a small one for a number of the whole image.",
    )


def targets(masks: Mapping[str, NDArray[Any]], *, name: str = "heads-targets") -> Picture:
    """Draw one mask at several resolutions, each as large as the ground that it covers.

    Args:
        masks: (H, W) in {0, 1}, by name.
        name: Of the figure.
    """
    figure, places = plt.subplots(1, len(masks), squeeze=False, layout="constrained", figsize=(3 * len(masks), 3.2))
    for place, (label, mask) in zip(places[0], masks.items(), strict=True):
        place.imshow(mask, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        place.set_title(f"{label}: {mask.shape[0]} × {mask.shape[1]}", fontsize="small")
        place.set_axis_off()
    return Picture(
        figure,
        name=name,
        alt="One mask of landslides at several resolutions: the coarsest has lost small landslides "
        "and thin parts, the finest shows the same steps as the middle one.",
    )


def _height(shape: Sequence[int], largest: float) -> float:
    """Return the room that an output takes, its name below it and some air included."""
    return (1.9 * shape[1] / largest if len(shape) == 3 else 0.22) + 0.55
