"""Figures of the study. What only one chapter draws stands in that chapter. No torch."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from landslide_lib.metrics import scores
from landslide_lib.study.records import Record
from landslide_lib.study.render import csv_link
from landslide_lib.training.pictures import true_colour as true_colour

#: Okabe and Ito's colours, then Tol's: told apart by colour-blind readers too.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    *("#999933", "#882255", "#44AA99", "#661100"),
)
DPI = 160  # sharp on a screen with two pixels to one


def style() -> None:
    """Set the look of all figures; a chapter calls it once."""
    look = {"figure.facecolor": "white", "savefig.facecolor": "white", "figure.dpi": 110, "savefig.dpi": DPI}
    look |= {"axes.titlesize": "medium", "axes.titleweight": "bold"}
    sns.set_theme(context="notebook", style="whitegrid", palette=COLOURS, rc=look)


class Picture:
    """A figure with words for who cannot see it (`alt`) and the CSV of the numbers it draws, if it is not imagery."""

    def __init__(self, figure: Figure, *, alt: str, name: str, data: pd.DataFrame | None = None) -> None:
        self.figure, self.alt, self.name, self.data = figure, alt, name, data
        plt.close(figure)  # so that nothing else shows it too

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        out = BytesIO()
        # White and not transparent, so that a dark theme leaves it readable.
        self.figure.savefig(out, format="png", bbox_inches="tight", dpi=DPI, facecolor="white")
        data = out.getvalue()
        # The drawn width at 96 px an inch, so that a small figure is not blown up to the page.
        width = round(int.from_bytes(data[16:20], "big") * 96 / DPI)
        image = b64encode(data).decode()
        link = "" if self.data is None else csv_link(self.name, self.data.to_csv(index=False))
        return (
            f'<figure class="study-figure" id="figure-{self.name}">'
            f'<img alt="{escape(self.alt)}" width="{width}" src="data:image/png;base64,{image}">'
            f"<figcaption>{link}</figcaption></figure>"
        )


def threshold_curves(named: Mapping[str, Sequence[Record]], *, name: str) -> Picture:
    """Draw landslide F1 over the threshold, the mean over the seeds of each row."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    columns = {}
    for (label, records), colour, line in zip(named.items(), cycle(COLOURS), cycle(["-", "--", ":"])):
        curves = [scores.sweep(*record.histogram) for record in records]
        columns["threshold"] = curves[0]["threshold"]
        columns[label] = np.nanmean([curve["f1"] for curve in curves], axis=0)
        axes.plot(columns["threshold"], columns[label], line, color=colour, label=label)
    axes.axvline(0.5, color="gray", lw=0.8)
    axes.set(xlabel="threshold on the probability", ylabel="landslide F1 on the test images", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.tight_layout()
    alt = "Landslide F1 on the test images over the threshold on the probability, a line a row."
    return Picture(figure, name=name, data=pd.DataFrame(columns).round(4), alt=alt)


def learning_curves(
    named: Mapping[str, Sequence[Record]], *, name: str, score: str = "valid_f1", label: str = "landslide F1"
) -> Picture:
    """Draw training loss and a validation score, a field of `records.Epoch` in 0..1, over the epochs, a line a seed."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    lines = [
        {"row": row, "seed": record.seed, "epoch": number, "train_loss": one.train_loss, score: getattr(one, score)}
        for row, records in named.items()
        for record in records
        for number, one in enumerate(record.history, 1)
    ]
    frame = pd.DataFrame(lines, columns=["row", "seed", "epoch", "train_loss", score])
    how: dict[str, Any] = {"x": "epoch", "hue": "row", "units": "seed", "estimator": None, "alpha": 0.8}
    colours = dict(zip(named, cycle(COLOURS))) if lines else None
    for axes, column in ((left, "train_loss"), (right, score)):
        shown = frame.astype({column: float}).fillna({column: 0})
        sns.lineplot(shown, y=column, palette=colours, legend=axes is right and len(named) > 1, ax=axes, **how)
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    right.set(xlabel="epoch", ylabel=f"{label}, validation", ylim=(0, 1))
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    if len(named) > 1 and lines:
        sns.move_legend(right, "center left", bbox_to_anchor=(1, 0.5), frameon=False, title=None)
    figure.tight_layout()
    alt = f"Left the training loss, right the {label} of the validation images, over the epochs, a line a seed."
    return Picture(figure, name=name, data=frame, alt=alt)


def forest(effects: pd.DataFrame, *, score: str, name: str) -> Picture:
    """Draw the differences of `StudyTable.effects` in a score with their intervals, reported beside ours."""
    figure, axes = plt.subplots(figsize=(7.5, 1.2 + 0.45 * len(effects)), layout="constrained")
    drawn, places = effects[::-1], np.arange(len(effects))
    axes.plot(drawn.reported, places + 0.15, "s", color=COLOURS[1], mfc="none", label="reported, as this score")
    axes.plot([drawn.low, drawn.high], [places - 0.1] * 2, color=COLOURS[0], lw=1.6)
    axes.plot(drawn.difference, places - 0.1, "o", color=COLOURS[0])
    axes.plot([], [], "o-", color=COLOURS[0], label="ours, with its interval")
    axes.axvline(0, color="#333333", lw=0.8)
    others = effects.against.unique()
    against = others[0] if len(others) == 1 else "the row named"
    labels = effects.label if len(others) == 1 else effects.label + "\nagainst " + effects.against
    axes.set_yticks(range(len(effects)), labels[::-1])
    axes.set_ylim(-0.7, len(effects) - 0.3)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{score}, difference from {against}")
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    alt = f"Forest plot: the difference of each row from {against}, as reported and in our runs with its interval."
    return Picture(figure, name=name, data=effects.reset_index(), alt=alt)


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
    flat = {label: array for label, array in named.items() if array.ndim == 2}
    if not flat:
        return Picture(figure, alt=alt, name=name)
    row, column = np.indices(next(iter(flat.values())).shape)
    drawn = {"row": row, "column": column} | flat
    data = pd.DataFrame({label: np.ravel(array) for label, array in drawn.items()}).round(4)
    return Picture(figure, alt=alt, name=name, data=data)


def patches(lines: Sequence[Mapping[str, tuple[NDArray[Any], NDArray[Any] | None]]], *, name: str, alt: str) -> Picture:
    """Draw lines of pictures (H, W, 3) in 0..1, each under its name, with the outline of its mask (H, W) or None."""
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
                place.contour(mask, levels=[0.5], colors=COLOURS[1], linewidths=1.2)
    return Picture(figure, alt=alt, name=name)
