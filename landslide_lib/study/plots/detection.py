"""Figures of detectors and of their pre-training. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from landslide_lib.metrics.detection import UNIT, Detections, Example, curve
from landslide_lib.study.plots.picture import COLOURS, Picture
from landslide_lib.study.plots.rows import Rows
from landslide_lib.study.records import Record

Pictures = Sequence[NDArray[Any]]

#: Boxes (xmin, ymin, xmax, ymax), each with its score; true ones have none.
Scored = Sequence[tuple[Sequence[int], float | None]]

#: Of the boxes: the true ones, and those that were found.
TRUE, FOUND = COLOURS[1], COLOURS[0]

#: Width and height of a score beside a box, as shares of the picture's side.
LABEL = (0.15, 0.075)


def boxes_beside(
    images: Pictures | None, examples: Sequence[Example], *, side: int, threshold: float = 0.5, name: str
) -> Picture:
    """Draw the true boxes of each image and, beside them, those found, with their scores.

    A score for which there is no room beside its box is left out; the data have it.

    Args:
        images: (side, side, 3) in 0..1, one an example; None draws the boxes on plain ground.
        examples: From `Detections.examples`, at least one.
        side: Of the images in pixels.
        threshold: Boxes with a lower score are not drawn.
        name: Of the figure.

    Raises:
        ValueError: There is not one image an example.
    """
    if images is not None and len(images) != len(examples):
        raise ValueError(f"boxes beside: {len(images)} images for {len(examples)} examples")
    across = min(2, len(examples))
    figure, axes = plt.subplots(
        -(-len(examples) // across),
        2 * across,
        squeeze=False,
        figsize=(4.7 * across, 2.6 * -(-len(examples) // across)),
        layout="constrained",
    )
    for place in axes.flat:
        place.set_axis_off()
    lines = []
    for number, (example, pair) in enumerate(
        zip(examples, axes.reshape(-1, 2), strict=False)  # an odd one leaves a pair empty
    ):
        found: Scored = [(box, score / UNIT) for *box, score in example.found if score / UNIT >= threshold]
        true: Scored = [(list(box), None) for box in example.truth]
        for place, (kind, of, colour) in zip(pair, (("true", true, TRUE), ("found", found, FOUND)), strict=True):
            _ground(place, None if images is None else images[number], side)
            _boxes(place, of, side, colour)
            place.set_title(f"image {example.image + 1}: {kind}", fontsize=9)
            lines += [(example.image + 1, kind, *box, score) for box, score in of]
    columns = ["image", "boxes", "xmin", "ymin", "xmax", "ymax", "score"]
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines, columns=columns),
        alt="Test images in pairs: left the true boxes around landslides, right those that were "
        f"found with a score of {threshold:.2g} or more, each with its score.",
    )


def _ground(place: Axes, image: NDArray[Any] | None, side: int) -> None:
    plain = np.full((1, 1, 3), 0.94)
    place.imshow(plain if image is None else image, extent=(0, side, side, 0))
    place.set(xlim=(0, side), ylim=(side, 0))


def _boxes(place: Axes, boxes: Scored, side: int, colour: str) -> None:
    halo = [withStroke(linewidth=3.2, foreground="white")]
    taken: list[tuple[float, float]] = []
    for (left, top, right, bottom), score in boxes:
        for line, width, order in (("white", 3.2, 2), (colour, 1.6, 3)):
            place.add_patch(
                Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=line, lw=width, zorder=order)
            )
        room = None if score is None else _room((left, top, right, bottom), taken, side)
        if room:
            taken.append(room)
            place.text(*room, f"{score:.2f}", fontsize=8, color=colour, va="top", path_effects=halo)


def _room(box: Sequence[int], taken: Sequence[tuple[float, float]], side: int) -> tuple[float, float] | None:
    """Return the upper left corner of a score beside a box, inside the picture, on no other."""
    width, height = LABEL[0] * side, LABEL[1] * side
    left, top, right, bottom = box
    corners = [
        (left, top - height),
        (left, bottom),
        (right - width, top - height),
        (right - width, bottom),
        (right, top),
        (left - width, top),
    ]
    for x, y in corners:
        inside = 0 <= x <= side - width and 0 <= y <= side - height
        if inside and all(abs(x - u) >= width or abs(y - v) >= height for u, v in taken):
            return x, y
    return None


def precision_recall(named: Mapping[str, Detections], *, iou: float = 0.5, name: str = "precision-recall") -> Picture:
    """Draw precision over recall, a line a detector; the area below is its average precision.

    Args:
        named: What each found on the same images.
        iou: At which overlap with a true box a detection is right.
        name: Of the figure.

    Raises:
        ValueError: See `detections.curve`.
    """
    figure, axes = plt.subplots(figsize=(8, 4.2))
    lines = []
    for place, (label, found) in enumerate(named.items()):
        line = curve(found, iou)
        area = line["precision"].mean()
        axes.plot(
            line["recall"],
            line["precision"],
            ("-", "--", ":", "-.")[place % 4],
            color=COLOURS[place % len(COLOURS)],
            lw=2,
            label=f"{label} (AP {area:.3f})",
        )
        lines.append(pd.DataFrame({"row": label, **line}))
    axes.set(xlabel="recall", ylabel=f"precision at IoU {iou:.2f}", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.tight_layout()
    return Picture(
        figure,
        name=name,
        data=pd.concat(lines).round(4),
        alt=f"Precision over recall of boxes at IoU {iou:.2f} on the test images, a line a row: {', '.join(named)}.",
    )


def average_precision(rows: Rows, *, name: str = "average-precision") -> Picture:
    """Draw mAP and mAP at IoU 0.5 row by row: the report's and ours with its interval over seeds.

    Args:
        rows: From `comparison.compare`; those with neither a reported nor an own value are left out.
        name: Of the figure.
    """
    kept = [
        row for row in rows if row["ours"] or _printed(row, "map") is not None or _printed(row, "map_50") is not None
    ]
    places = np.arange(len(kept))[::-1]
    figure, panels = plt.subplots(1, 2, sharey=True, figsize=(9, 1.6 + 0.42 * len(kept)), layout="constrained")
    lines = []
    for axes, score, title in zip(panels, ("map", "map_50"), ("mAP (IoU 0.5:0.95)", "mAP (IoU 0.5)"), strict=True):
        none = {"mean": None, "low": None, "high": None}
        ours = [row["ours"]["metrics"]["boxes"][score] if row["ours"] else none for row in kept]
        printed = [_printed(row, score) for row in kept]
        lines += [
            {"row": row["label"], "score": score, "reported": theirs, **{key: own[key] for key in none}}
            for row, theirs, own in zip(kept, printed, ours, strict=True)
        ]
        low, mean, high = (np.array([own[key] for own in ours], np.float64) for key in ("low", "mean", "high"))
        axes.plot(
            np.array(printed, np.float64),
            places + 0.12,
            "s",
            color="black",
            clip_on=False,
            markerfacecolor="white",
            label="reported",
        )
        axes.hlines(places - 0.12, low, high, color=COLOURS[0], lw=2)
        axes.plot(mean, places - 0.12, "o", color=COLOURS[0], clip_on=False, label="ours, interval over seeds")
        axes.set(title=title, yticks=places, yticklabels=[row["label"] for row in kept], ylim=(-0.6, len(kept) - 0.4))
        drawn = np.array([*printed, *high, *mean], np.float64)
        # Some room on the right: the best mark would be cut in half.
        axes.set_xlim(0, 1.08 * np.nanmax(drawn) if np.nanmax(drawn, initial=0) > 0 else 1)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False, fontsize="small"
    )
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines).round(4),
        alt="Mean average precision row by row, over IoU 0.5 to 0.95 on the left and at 0.5 on the "
        "right: squares as reported, dots ours with intervals over seeds.",
    )


def _printed(row: Mapping[str, Any], score: str) -> float | None:
    """Return a reported value; a bound such as `<0.01` is none."""
    value = row["reported"].get(score)
    return float(value) if isinstance(value, int | float) else None


def reconstructions(
    originals: Pictures, masked: Pictures, restored: Pictures, *, name: str = "reconstructions"
) -> Picture:
    """Draw what a masked autoencoder was given and what it made of it, a column an image.

    Args:
        originals: (H, W, 3) in 0..1, at least one.
        masked: The same without the masked patches.
        restored: The same with the patches that the network filled in.
        name: Of the figure.

    Raises:
        ValueError: There are not as many pictures of each kind.
    """
    kinds = {"original": originals, "masked": masked, "restored": restored}
    if len({len(of) for of in kinds.values()}) != 1:
        raise ValueError(
            "reconstructions: "
            + ", ".join(f"{len(of)} {kind}" for kind, of in kinds.items())
            + "; need as many of each"
        )
    count = len(originals)
    figure, axes = plt.subplots(3, count, squeeze=False, layout="constrained", figsize=(max(1.6 * count, 2.2) + 0.4, 5))
    for line, (kind, pictures) in zip(axes, kinds.items(), strict=True):
        line[0].set_ylabel(kind, fontsize=11)
        for place, picture in zip(line, pictures, strict=True):
            place.imshow(np.clip(picture, 0, 1))
            place.set(xticks=[], yticks=[])
            place.grid(visible=False)
    return Picture(
        figure,
        name=name,
        alt="A column an image: above the original, in the middle what the network saw of it, below what it restored.",
    )


def starts(named: Mapping[str, Record], *, name: str = "starts") -> Picture:
    """Draw the validation loss of pre-training runs over the epochs, each on its own scale.

    Args:
        named: Their records by label, at least one.
        name: Of the figure.
    """
    across = min(3, len(named))
    down = -(-len(named) // across)
    figure, axes = plt.subplots(down, across, squeeze=False, figsize=(3.2 * across, 2.5 * down), layout="constrained")
    for place in axes.flat[len(named) :]:
        place.set_axis_off()
    lines = []
    for place, (label, record) in zip(axes.flat, named.items(), strict=False):
        losses = [line.valid_loss for line in record.history]
        epochs = np.arange(1, len(losses) + 1)
        place.plot(epochs, losses, color=COLOURS[0])
        place.set_title(label, fontsize=9)
        place.set(xlabel="epoch", ylabel="validation loss")
        place.xaxis.get_major_locator().set_params(integer=True)
        lines += [(label, epoch, loss) for epoch, loss in zip(epochs, losses, strict=True)]
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines, columns=["start", "epoch", "validation loss"]),
        alt="The loss on validation images over the epochs of each pre-training run.",
    )
