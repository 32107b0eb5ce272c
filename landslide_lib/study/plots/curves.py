"""Curves of records: scores over the threshold, losses over the epochs. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from landslide_lib.metrics import scores
from landslide_lib.study.plots.picture import COLOURS, Picture
from landslide_lib.study.records import Record


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
