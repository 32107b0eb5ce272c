"""Images: maps side by side, image tiles with the outline of their landslides. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.study.plots.picture import Picture


def maps(named: Mapping[str, NDArray[Any]], *, name: str, alt: str, colour_bar: bool = False) -> Picture:
    """Draw (H, W) maps or (H, W, 3) pictures side by side."""
    figure, axes = plt.subplots(1, len(named), figsize=(2.6 * len(named), 2.9), squeeze=False)
    for place, (label, array) in zip(axes[0], named.items(), strict=True):
        shown = place.imshow(array, cmap="viridis", interpolation="nearest")
        place.set_title(label, fontsize="small")
        place.set_axis_off()
        if colour_bar and array.ndim == 2:
            figure.colorbar(shown, ax=place, fraction=0.046)
    figure.tight_layout()
    flat = {label: array.ravel() for label, array in named.items() if array.ndim == 2}
    data = None
    if flat:
        row, column = np.indices(next(array for array in named.values() if array.ndim == 2).shape).reshape(2, -1)
        data = pd.DataFrame({"row": row, "column": column, **flat}).round(4)
    return Picture(figure, alt=alt, name=name, data=data)


def true_colour(image: NDArray[Any], bands: Sequence[str]) -> NDArray[np.float32]:
    """Return a picture (H, W, 3) in 0..1 of (C, H, W), stretched to its 2 % and 98 % quantiles."""
    names = ("B4", "B3", "B2") if "B4" in bands else ("R", "G", "B")
    picture = np.stack([np.asarray(image[list(bands).index(n)], np.float32) for n in names], -1)
    low, high = np.quantile(picture, [0.02, 0.98])
    stretched = (picture - low) / max(float(high - low), 1e-6)
    return np.asarray(stretched.clip(0, 1), np.float32)


def patches(lines: Sequence[Mapping[str, tuple[NDArray[Any], NDArray[Any] | None]]], *, name: str, alt: str) -> Picture:
    """Draw lines of pictures, each under its name, with the outline of the landslides.

    Args:
        lines: Of pictures by name, (H, W, 3) in 0..1 with a mask (H, W), None where there is
            no truth.
        name: Of the figure.
        alt: What the pictures show.
    """
    columns = max(len(pictures) for pictures in lines)
    figure, axes = plt.subplots(
        len(lines), columns, squeeze=False, layout="constrained", figsize=(1.45 * columns, 1.75 * len(lines))
    )
    for place in axes.flat:
        place.set_axis_off()
    for line, pictures in zip(axes, lines, strict=True):
        for place, (label, (picture, mask)) in zip(line, pictures.items(), strict=False):
            place.set_title(label, fontsize=7, fontweight="normal")
            place.imshow(picture)
            if mask is not None and mask.any():
                place.contour(mask, levels=[0.5], colors="#D55E00", linewidths=1.2)
    return Picture(figure, alt=alt, name=name)
