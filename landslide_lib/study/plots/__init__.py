"""Figures of the book. Opaque, so that a dark theme leaves them readable. No torch."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
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
from landslide_lib.study.reports import Table

Rows = Sequence[Mapping[str, Any]]

#: Okabe and Ito's colours: told apart by colour-blind readers too.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999933",
    "#882255",
    "#44AA99",
    "#661100",
)

#: Of a saved figure, in pixels an inch: sharp on a screen with two pixels to one.
DPI = 160


def style() -> None:
    """Set the look of all figures; a chapter calls it once."""
    sns.set_theme(context="notebook", style="whitegrid", palette=COLOURS)
    plt.rcParams.update(
        {
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.dpi": 110,
            "savefig.dpi": DPI,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
        }
    )


class Picture:
    """A figure with words for who cannot see it and, where it draws numbers, their CSV.

    A notebook shows it where it is the last expression of a cell.

    Args:
        figure: Drawn whole; it is closed, so that nothing else shows it too.
        alt: What it shows, without the numbers.
        name: Of the CSV, without its ending.
        data: The numbers drawn, in long form; None for a picture of imagery.
    """

    def __init__(self, figure: Figure, *, alt: str, name: str, data: pd.DataFrame | None = None) -> None:
        self.figure, self.alt, self.name, self.data = figure, alt, name, data
        plt.close(figure)

    def _repr_html_(self) -> str:
        out = BytesIO()
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


def rows_beside(table: Table, rows: Rows, column: str = "f1") -> Picture:
    """Draw the reported column beside our landslide F1, row by row.

    Left, what the report printed, in its own convention. Right, ours: open circles at
    threshold 0.5, filled ones at the threshold that was best on the validation images, each
    with its 95 % interval over seeds; the dashed line is the F1 of calling all landslide.
    """
    run = [row for row in rows if row["ours"]]
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, figsize=(9, 1.5 + 0.42 * len(run)), width_ratios=(1, 1.7), layout="constrained"
    )
    places = np.arange(len(run))[::-1]
    printed = [row["reported"].get(column, np.nan) for row in run]
    left.plot(printed, places, "s", color="black")
    left.set(title=f"reported {table.columns[column].label}", yticks=places, yticklabels=[row["label"] for row in run])
    lines = []
    own = " or the row's own" if any(row["kind"] == "derived" for row in run) else ""
    for where, name in (("metrics", f"threshold 0.5{own}"), ("tuned", "threshold of validation")):
        filled = where == "tuned"
        for place, row in zip(places, run, strict=True):
            value = row["ours"][where]["pooled"]["f1"]
            lines.append(
                {
                    "row": row["label"],
                    "reported": row["reported"].get(column),
                    "at": name,
                    "landslide_f1": value["mean"],
                    "low": value["low"],
                    "high": value["high"],
                    "floor": row["ours"]["floor"],
                }
            )
            height = place + (0.14 if filled else -0.14)
            if value["mean"] is None:
                continue
            if value["low"] is not None:
                right.plot([value["low"], value["high"]], [height] * 2, color=COLOURS[filled])
            right.plot(
                value["mean"],
                height,
                "o",
                color=COLOURS[filled],
                markerfacecolor=COLOURS[filled] if filled else "white",
                label=name if place == places[0] else None,
            )
    if run:
        floors = [row["ours"]["floor"] for row in run]
        right.plot(floors, places, "|--", color="gray", label="all called landslide")
        right.set(title=f"ours, landslide F1 ({run[0]['ours']['dataset']})", xlim=(0, 1))
        figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize="small")
    return Picture(
        figure,
        name=f"{table.name.replace('/', '-')}-figure",
        data=pd.DataFrame(lines),
        alt=f"{table.title}, row by row: left the reported {table.columns[column].label}, right "
        "our landslide F1 at two thresholds with intervals over seeds and the floor.",
    )


def threshold_curves(named: Mapping[str, Sequence[Record]], *, name: str) -> Picture:
    """Draw landslide F1 over the threshold, the mean over the seeds of each row."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    styles = ("-", "--", ":")
    columns = {}
    for place, (label, records) in enumerate(named.items()):
        curves = [scores.sweep(*record.histogram) for record in records]
        columns["threshold"] = curves[0]["threshold"]
        columns[label] = np.nanmean([curve["f1"] for curve in curves], axis=0)
        axes.plot(
            columns["threshold"], columns[label], styles[place % 3], color=COLOURS[place % len(COLOURS)], label=label
        )
    axes.axvline(0.5, color="gray", lw=0.8)
    axes.set(xlabel="threshold on the probability", ylabel="landslide F1 on the test images", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.tight_layout()
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(columns).round(4),
        alt="Landslide F1 on the test images over the threshold on the probability, a line a row.",
    )


def learning_curves(
    named: Mapping[str, Sequence[Record]], *, name: str, score: str = "valid_f1", label: str = "landslide F1"
) -> Picture:
    """Draw training loss and a validation score over the epochs, a line a seed.

    Args:
        named: Records by label.
        name: Of the figure.
        score: Of an epoch, in 0..1.
        label: Its name.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    lines = []
    for place, (row, records) in enumerate(named.items()):
        for number, record in enumerate(records):
            epochs = np.arange(1, len(record.history) + 1)
            how = {"color": COLOURS[place % len(COLOURS)], "alpha": 0.8, "label": row if number == 0 else None}
            left.plot(epochs, [line.train_loss for line in record.history], **how)
            right.plot(epochs, [getattr(line, score) or 0 for line in record.history], **how)
            lines += [
                {
                    "row": row,
                    "seed": record.seed,
                    "epoch": epoch,
                    "train_loss": line.train_loss,
                    score: getattr(line, score),
                }
                for epoch, line in zip(epochs, record.history, strict=True)
            ]
    left.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    right.set(xlabel="epoch", ylabel=f"{label}, validation", ylim=(0, 1))
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    if len(named) > 1:
        right.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.tight_layout()
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines),
        alt=f"Left the training loss, right the {label} of the validation images, over the epochs, a line a seed.",
    )


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
        row, column = np.indices(next(iter(named.values())).shape).reshape(2, -1)
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


def band_statistics(sets: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Picture:
    """Draw the mean of each band with its standard deviation, a colour a dataset."""
    figure, axes = plt.subplots(figsize=(9, 3.4))
    for number, (name, bands) in enumerate(sets.items()):
        places = np.arange(len(bands)) + 0.18 * (number - (len(sets) - 1) / 2)
        mean = np.array([facts["mean"] for facts in bands.values()])
        std = np.array([facts["std"] for facts in bands.values()])
        axes.errorbar(places, mean, std, fmt="o", ms=4, capsize=2, label=name, color=COLOURS[number])
        axes.set_xticks(range(len(bands)), bands)
    axes.set_ylabel("mean ± std, as the files are scaled")
    axes.legend(frameon=False)
    figure.tight_layout()
    data = [{"data": name, "band": band, **facts} for name, bands in sets.items() for band, facts in bands.items()]
    return Picture(
        figure,
        name="bands",
        data=pd.DataFrame(data),
        alt="Mean and standard deviation of each band, a colour a dataset.",
    )
