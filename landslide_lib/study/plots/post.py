"""Figures of what is done to a trained network's answers. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.metrics import scores
from landslide_lib.study.plots.picture import COLOURS, Picture
from landslide_lib.study.records import Record
from landslide_lib.study.reports import Table

Mask = NDArray[np.uint8]

STEPS = {"opening": cv2.MORPH_OPEN, "closing": cv2.MORPH_CLOSE}

#: Upper ends of the classes of area, in pixels of the mask; the last class has none.
AREAS = (4, 9, 16, 32, 64)


def morphology(image: NDArray[Any], name: str, kernel: int) -> NDArray[Any]:
    """Open or close one (H, W) mask or map of probabilities with a square of `kernel` pixels.

    The same as `postprocessing.morphology`, without torch.

    >>> int(morphology(np.eye(5, dtype=np.uint8), "opening", 3).sum())
    0
    """
    return np.asarray(cv2.morphologyEx(image, STEPS[name], np.ones((kernel, kernel), np.uint8)))


def speckled(mask: Mask, share: float, seed: int = 0) -> Mask:
    """Turn a share of the pixels of a mask over: salt on background, pepper on landslide."""
    turned = np.random.default_rng(seed).random(mask.shape) < share
    return np.asarray(mask ^ turned, np.uint8)


def shrunk(mask: Mask, size: int) -> Mask:
    """Shrink an (H, H) mask as a dataset is packed: landslide where half of the area is.

    >>> shrunk(np.uint8([[1, 1, 0, 0], [0, 0, 0, 1]] * 2), 2).tolist()
    [[1, 0], [1, 0]]
    """
    share = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(share >= 0.5, np.uint8)


def deleted(masks: Sequence[Mask], kernel: int) -> pd.DataFrame:
    """Count the landslides of which an opening leaves no pixel, by their area.

    A landslide is a set of landslide pixels that touch at a side or a corner.

    Args:
        masks: (H, W) in {0, 1}.
        kernel: Side of the square in pixels.

    Returns:
        A line a landslide: `area` (pixels) and `gone`.
    """
    lines = []
    for mask in masks:
        count, labels, facts, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        left = np.unique(labels[morphology(mask, "opening", kernel) == 1])
        lines += [(int(facts[k, cv2.CC_STAT_AREA]), k not in left) for k in range(1, count)]
    return pd.DataFrame(lines, columns=["area", "gone"])


def by_area(found: pd.DataFrame) -> pd.DataFrame:
    """Sum `deleted` up over the classes of area: `pixels`, `landslides`, `gone`, `share`."""
    ends = [0, *AREAS, np.inf]
    names = [f"{a + 1} to {b}" for a, b in zip(ends[:-2], AREAS, strict=True)]
    classes = pd.cut(found["area"], ends, labels=[*names, f"over {AREAS[-1]}"])
    summed = found.groupby(classes, observed=False)["gone"].agg(["size", "sum"]).reset_index()
    summed.columns = pd.Index(["pixels", "landslides", "gone"])
    return summed.assign(share=summed["gone"] / summed["landslides"].where(summed["landslides"] > 0))


def deletions(found: Mapping[str, pd.DataFrame], kernel: int) -> Picture:
    """Draw the share of landslides that an opening deletes, by their area.

    Args:
        found: From `deleted`, by the name of the image size.
        kernel: Side of the square in pixels.
    """
    tables = {name: by_area(one) for name, one in found.items()}
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for number, (name, table) in enumerate(tables.items()):
        places = np.arange(len(table)) + 0.38 * (number - (len(tables) - 1) / 2)
        axes.bar(places, table["share"].fillna(0), 0.36, color=COLOURS[number], label=name)
        for place, count, share in zip(places, table["landslides"], table["share"], strict=True):
            height = 0.0 if np.isnan(share) else share
            axes.text(
                place,
                height + 0.01,
                f"{share:.0%}\nof {count}" if count else "none",
                ha="center",
                va="bottom",
                fontsize="x-small",
            )
        axes.set_xticks(range(len(table)), table["pixels"])
    axes.set(
        xlabel="area of a landslide, pixels of the mask", ylim=(0, 1.2), ylabel=f"deleted by an opening of {kernel} px"
    )
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False, loc="upper right")
    data = pd.concat(table.assign(size=name) for name, table in tables.items())
    return Picture(
        figure,
        name="opening-deletes",
        data=data.round(4),
        alt="Bars: the share of simulated landslides of which an opening leaves no pixel, by their "
        "area in pixels, for each image size. Nearly all of the smallest go, none of the largest.",
    )


def perfect(masks: Mapping[str, Sequence[Mask]], kernels: Sequence[int]) -> pd.DataFrame:
    """Score opened and closed true masks against themselves: what a perfect network would get.

    Returns:
        A line a size, step and kernel: pooled landslide `f1`.
    """
    lines = []
    for size, some in masks.items():
        truth = np.stack(some).astype(bool)
        for step in STEPS:
            for kernel in kernels:
                made = np.stack([morphology(mask, step, kernel) for mask in some]).astype(bool)
                tp, fp, fn = (made & truth).sum(), (made & ~truth).sum(), (truth & ~made).sum()
                f1 = float(np.nan_to_num(scores.class_scores(tp, fp, fn)["f1"]))
                lines.append({"size": size, "step": step, "kernel": kernel, "f1": f1})
    return pd.DataFrame(lines)


def kernels(found: pd.DataFrame) -> Picture:
    """Draw the F1 that `perfect` found over the side of the kernel."""
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for colour, (size, some) in zip(COLOURS, found.groupby("size", sort=False), strict=False):
        for style, step in zip(("o-", "s--"), STEPS, strict=True):
            line = some[some["step"] == step]
            axes.plot(line["kernel"], line["f1"], style, color=colour, label=f"{step}, {size}")
    axes.set(
        xlabel="side of the kernel, px",
        ylabel="landslide F1 of the true masks",
        ylim=(0, 1.02),
        xticks=found["kernel"].unique(),
    )
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return Picture(
        figure,
        name="morphology-of-the-truth",
        data=found.round(4),
        alt="The landslide F1 of simulated true masks after an opening or a closing, over the side "
        "of the kernel, for each image size. It falls as the kernel grows.",
    )


def choices(table: Table, records: Sequence[Record], column: str = "f1") -> Picture:
    """Draw the reported scores over the threshold beside our curves, with what was chosen.

    Args:
        table: Whose rows with a number as `at` are the report's thresholds.
        records: Of the row that they are taken from, a line a seed.
        column: Of the table.
    """
    printed = {
        row.at: float(row.reported[column] or 0)
        for row in table.rows
        if isinstance(row.at, float) and column in row.reported
    }
    best = max(printed, key=lambda at: printed[at])
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.8), width_ratios=(1, 1.5), layout="constrained")
    left.plot(list(printed), list(printed.values()), "s-", color="black", ms=5)
    left.set(title=f"reported {table.columns[column].label}", xlabel="threshold", xlim=(0, 1))
    lines = [{"of": "reported", "threshold": at, "f1": value} for at, value in printed.items()]
    for number, record in enumerate(records):
        curve = scores.sweep(*record.histogram)
        scored, colour = scores.best_threshold(*record.histogram), COLOURS[number % len(COLOURS)]
        right.plot(curve["threshold"], curve["f1"], color=colour, lw=1.2, label=f"seed {record.seed}")
        marks = {
            "validation's choice": ("o", record.test_tuned.threshold, record.test_tuned.metrics["pooled"]["f1"] or 0.0),
            "best on the scored images": ("*", scored, float(np.nanmax(curve["f1"]))),
        }
        lines += [
            {"of": f"seed {record.seed}", "threshold": at, "f1": f1}
            for at, f1 in zip(curve["threshold"], curve["f1"], strict=True)
        ]
        for name, (mark, at, f1) in marks.items():
            right.plot(
                at,
                f1,
                mark,
                color=colour,
                ms=9 if mark == "o" else 12,
                markerfacecolor="white" if mark == "o" else colour,
                label=name if number == len(records) - 1 else None,
            )
            lines.append({"of": f"seed {record.seed}, {name}", "threshold": at, "f1": f1})
    for axes in (left, right):
        axes.axvline(best, color=COLOURS[1], ls="--", lw=1, label="the report's choice" if axes is right else None)
    right.axvline(0.5, color="gray", lw=0.8)
    right.set(title="ours, landslide F1, test images", xlabel="threshold", xlim=(0, 1), ylim=(0, 1))
    right.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return Picture(
        figure,
        name="threshold-choices",
        data=pd.DataFrame(lines).round(4),
        alt="Left the reported score over the threshold, right our landslide F1, a curve a seed, "
        "with the threshold that validation chose, the best one on the scored images, and a line "
        "at the report's choice.",
    )


def gains(records: Sequence[Record]) -> pd.DataFrame:
    """Say what choosing the threshold on the scored images gains over validation's choice.

    Returns:
        A line a run, all numbers floats: `seed`, `validation` and `scored` (thresholds),
        `f1_half` (at 0.5), `f1_validation`, `f1_scored` (pooled landslide F1 of the test images;
        0 where nothing is found) and `gain`, the last less the one before. Thresholds of `scored`
        are hundredths, so that a gain can be a little below zero.
    """
    lines = []
    for record in records:
        at = scores.best_threshold(*record.histogram)
        best = scores.at_threshold(*record.histogram, threshold=at)
        lines.append(
            {
                "seed": record.seed,
                "validation": record.test_tuned.threshold,
                "scored": at,
                "f1_half": record.test.metrics["pooled"]["f1"] or 0.0,
                "f1_validation": record.test_tuned.metrics["pooled"]["f1"] or 0.0,
                "f1_scored": best["pooled"]["f1"] or 0.0,
            }
        )
    found = pd.DataFrame(
        lines, columns=["seed", "validation", "scored", "f1_half", "f1_validation", "f1_scored"], dtype=float
    )
    return found.assign(gain=found["f1_scored"] - found["f1_validation"])
