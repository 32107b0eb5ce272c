"""Figures of engineered channels. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from landslide_lib.study.plots.picture import COLOURS, Picture

#: Pixels that are drawn as points; the curve needs no more.
POINTS = 2000


def channels(planes: Mapping[str, NDArray[Any]], mask: NDArray[Any], *, name: str, alt: str) -> Picture:
    """Draw the channels of one tile with the outline of its landslides, five a line.

    Args:
        planes: (H, W) by name, or (H, W, 3) in 0..1 for a picture. A channel with both signs is
            drawn in purple below 0 and green above, white at 0; any other one in gray, from its
            minimum to its maximum.
        mask: (H, W), 1 on a landslide.
        name: Of the figure.
        alt: What the channels show.
    """
    lines = -(-len(planes) // 5)
    figure, places = plt.subplots(lines, 5, squeeze=False, figsize=(9, 2.05 * lines), layout="constrained")
    for place in places.flat:
        place.set_axis_off()
    for place, (label, plane) in zip(places.flat, planes.items(), strict=False):
        place.set_title(label, fontsize="small", fontweight="normal")
        limit = float(np.abs(plane).max())
        if plane.ndim == 2 and plane.min() < 0:
            place.imshow(plane, cmap="PRGn", vmin=-limit, vmax=limit, interpolation="nearest")
        else:
            place.imshow(plane, cmap="gray", interpolation="nearest")
        _outline(place, mask)
    return Picture(figure, alt=alt, name=name)


def of_units(index: NDArray[Any], ratio: float) -> NDArray[np.float64]:
    """Return the normalised difference of two bands, each in a unit of its own, from the true one.

    Where `one` is counted in a unit u and `other` in a unit v, (one/u - other/v) / (one/u +
    other/v) follows from (one - other) / (one + other) alone: it rises with it, and its zero lies
    elsewhere.

    Args:
        index: Of bands in one unit, in -1..1.
        ratio: v / u; its inverse leads back.

    Raises:
        ValueError: The ratio is not positive.

    >>> of_units(np.array([-1.0, 0.0, 0.5, 1.0]), ratio=1 / 3).round(3).tolist()
    [-1.0, -0.5, 0.0, 1.0]
    """
    if ratio <= 0:
        raise ValueError(f"ratio {ratio}: two units of one sign have a positive ratio")
    over, under = (1 + index) * ratio, 1 - index
    return np.asarray((over - under) / (over + under), np.float64)


def index_and_units(
    true: NDArray[Any], rescaled: NDArray[Any], mask: NDArray[Any], *, ratio: float, name: str
) -> Picture:
    """Draw an index of reflectances beside that of rescaled bands, and one over the other.

    Args:
        true: (H, W) of bands in one unit, in -1..1.
        rescaled: (H, W) of the same bands, each in its own unit.
        mask: (H, W), 1 on a landslide.
        ratio: See `of_units`.
        name: Of the figure.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9, 3), width_ratios=(1, 1, 1.15), layout="constrained")
    for place, plane, title in ((left, true, "of reflectances"), (middle, rescaled, "of rescaled bands")):
        shown = place.imshow(plane, cmap="PRGn", vmin=-1, vmax=1, interpolation="nearest")
        place.set_title(title, fontsize="small")
        place.set_axis_off()
        _outline(place, mask)
    figure.colorbar(shown, ax=[left, middle], location="bottom", shrink=0.6, aspect=30)
    some = np.linspace(0, true.size - 1, min(POINTS, true.size)).astype(int)
    data = pd.DataFrame(
        {"reflectances": true.ravel()[some], "rescaled": rescaled.ravel()[some], "landslide": mask.ravel()[some]}
    )
    for value, label in ((0, "elsewhere"), (1, "landslide")):
        part = data[data["landslide"] == value]
        right.plot(part["reflectances"], part["rescaled"], ".", ms=3, color=COLOURS[value], alpha=0.5, label=label)
    line = np.linspace(-1, 1, 201)
    right.plot(line, of_units(line, ratio), color="black", lw=0.8, label="from the two units")
    right.plot(line, line, "--", color="gray", lw=0.8, label="equal")
    right.axhline(0, color="gray", lw=0.5)
    right.axvline(0, color="gray", lw=0.5)
    right.set(xlabel="of reflectances", ylabel="of rescaled bands", xlim=(-1, 1), ylim=(-1, 1))
    right.legend(frameon=False, fontsize="x-small", loc="upper left", markerscale=3)
    return Picture(
        figure,
        name=name,
        data=data.round(4),
        alt="The index of one simulated tile on reflectances and on rescaled bands, with the "
        "outline of its landslides, and one over the other pixel by pixel: the points lie on one "
        "rising curve below the diagonal.",
    )


def _outline(place: Axes, mask: NDArray[Any]) -> None:
    if mask.any():
        place.contour(mask, levels=[0.5], colors=COLOURS[1], linewidths=1.1)
