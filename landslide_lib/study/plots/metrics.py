"""Figures on what the reports' scores mean. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from landslide_lib.study import audit
from landslide_lib.study.plots.picture import COLOURS, Picture
from landslide_lib.study.records import Record


def inflation(shares: Mapping[str, float]) -> Picture:
    """Draw the F1 averaged over both classes over that of landslide, a band a landslide share.

    Args:
        shares: Of landslide pixels, in (0, 1), by what they are the share of.
    """
    landslide = np.linspace(0.01, 1, 100)
    figure, axes = plt.subplots(figsize=(8.6, 4), layout="constrained")
    lines = []
    for colour, (name, share) in zip(COLOURS, shares.items(), strict=False):
        low, high = ((landslide + b) / 2 for b in audit.background_f1(landslide, share))
        axes.fill_between(landslide, low, high, color=colour, alpha=0.4, lw=0.8, label=f"{name}: {share:.2%}")
        lines.append(
            pd.DataFrame(
                {"of": name, "share": share, "landslide_f1": landslide, "two_class_low": low, "two_class_high": high}
            )
        )
    axes.plot([0, 1], [0, 1], "--", color="gray", lw=1, label="equal")
    axes.set(xlabel="landslide F1", ylabel="F1 averaged over both classes", xlim=(0, 1), ylim=(0, 1))
    axes.legend(title="share of landslide", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return Picture(
        figure,
        name="two-class-inflation",
        data=pd.concat(lines, ignore_index=True),
        alt="The F1 averaged over both classes against the landslide F1, a band for each share of "
        "landslide pixels. The rarer landslide is, the higher and the thinner the band: it starts "
        "near one half and rises half as fast as the landslide F1.",
    )


def plane(rows: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw printed pairs in the plane of F1 and mean IoU, with the region of each reading.

    Args:
        rows: Of pixels, from `audit.audit_table`. Those that admit no reading carry their
            label, and a hollow mark where they would lie with their cells exchanged.
    """
    f1 = np.linspace(0, 1, 201)
    pooled = f1 / (2 - f1)
    # The furthest that two classes lie apart: a = 0 below one half, b = 1 above.
    furthest = np.where(f1 < 0.5, f1 / (2 - 2 * f1).clip(1), (1 + (2 * f1 - 1) / (3 - 2 * f1)) / 2)
    figure, axes = plt.subplots(figsize=(7, 5.4), layout="constrained")
    axes.fill_between(f1, pooled, f1, color=COLOURS[5], alpha=0.3, lw=0, label="means over images")
    axes.fill_between(f1, pooled, furthest, color=COLOURS[4], alpha=0.5, lw=0, label="averages over both classes")
    axes.plot(f1, pooled, color="black", lw=1.5, label="pooled over landslide pixels")
    lines = []
    for row in rows:
        at = row["f1"], row["miou"]
        lines.append({**{k: row[k] for k in ("table", "label", "f1", "miou")}, "admitted": " ".join(row["admitted"])})
        axes.plot(
            *at,
            "o" if row["admitted"] else "X",
            ms=4 if row["admitted"] else 9,
            color=COLOURS[0] if row["admitted"] else COLOURS[1],
        )
        if not row["admitted"]:
            axes.annotate(
                row["label"],
                (row["f1"], row["miou"]),
                xytext=(-8, 6),
                ha="right",
                textcoords="offset points",
                fontsize="small",
            )
            axes.plot(*at[::-1], "X", ms=9, mfc="none", mec=COLOURS[1])
    axes.set(xlabel="F1", ylabel="mean IoU", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, loc="upper left")
    return Picture(
        figure,
        name="metrics-plane",
        data=pd.DataFrame(lines),
        alt="Printed pairs of F1 and mean IoU as points. The curve of pooled scores runs below all "
        "of them; they lie in the narrow region that averages over both classes can reach, which "
        "is part of that of means over images. A pair that admits no reading is marked by a cross.",
    )


def shares(needed: Mapping[str, audit.Interval], stated: float) -> Picture:
    """Draw which share of landslide pixels each row needs, and the share that is stated.

    Args:
        needed: Lowest and highest share by row, in 0..1.
        stated: The share of all images, in 0..1.
    """
    figure, axes = plt.subplots(figsize=(8, 1 + 0.19 * len(needed)), layout="constrained")
    places = np.arange(len(needed))[::-1]
    for place, (low, high) in zip(places, needed.values(), strict=True):
        axes.plot([100 * low, 100 * high], [place] * 2, color=COLOURS[0], lw=2.5, solid_capstyle="butt")
    axes.axvline(100 * stated, color=COLOURS[1], ls="--", lw=1.2, label="stated of all patches")
    axes.axvspan(
        100 * max(low for low, _ in needed.values()),
        100 * min(high for _, high in needed.values()),
        color=COLOURS[4],
        alpha=0.35,
        lw=0,
        label="between the highest lower and the lowest upper end",
    )
    axes.set_yticks(places, list(needed), fontsize=7)
    axes.set(xlabel="share of landslide pixels, %", xlim=(0, None), ylim=(-0.8, len(needed) - 0.2))
    figure.legend(loc="outside upper left", ncols=2, frameon=False, fontsize="small")
    lines = [{"row": name, "low": low, "high": high} for name, (low, high) in needed.items()]
    return Picture(
        figure,
        name="metrics-shares",
        data=pd.DataFrame(lines),
        alt="A bar a row: the shares of landslide pixels that the row allows if its scores are "
        "averages over both classes. A band marks the gap or the overlap of all bars, a dashed "
        "line the share that is stated of all patches.",
    )


def conventions(records: Sequence[Record]) -> Picture:
    """Draw the F1 of runs under the two other conventions over the pooled one, at threshold 0.5."""
    figure, axes = plt.subplots(figsize=(8.6, 4.6), layout="constrained")
    data = pd.DataFrame(
        [{"record": one.name, **{c: scores["f1"] for c, scores in one.test.metrics.items()}} for one in records]
    )
    for colour, mark, name, words in (
        (COLOURS[1], "s", "two_class", "averaged over both classes"),
        (COLOURS[0], "o", "per_image", "mean over images"),
    ):
        axes.plot(
            data["pooled"].astype(float), data[name].astype(float), mark, ms=5, color=colour, alpha=0.7, label=words
        )
    axes.plot([0, 1], [0, 1], "--", color="gray", lw=1, label="equal")
    axes.set(xlabel="landslide F1, pooled", ylabel="the same run, another convention", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return Picture(
        figure,
        name="conventions",
        data=data,
        alt="The F1 of each run averaged over both classes, and its mean over images, against its pooled landslide F1.",
    )
