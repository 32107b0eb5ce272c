"""Scores of landslides as objects, not pixels: how many are found, by size. numpy, OpenCV and pandas alone.

A called landslide and a true one are a match where their intersection is more than half of their union. Parts of a mask
do not overlap, so each has one match at most (Kirillov et al. 2019, "Panoptic Segmentation", theorem 1; F1 is its
recognition quality). Polygons of an inventory may overlap: there the best match comes first, and each has one.

A match counts in the size class of the true landslide, what is missed or false in that of its own (as COCO does).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landslide_lib.metrics.scores import class_scores

PIXELS = (10, 100, 1000)  # where a size class ends and the next begins
SQUARE_METRES = (1e3, 1e4, 1e5)  # the same for pixels of 10 m
CONNECTIVITY = 4  # as that of `geo.polygons`

Counts = NDArray[np.int64]


def mask_counts(called: ArrayLike, real: ArrayLike, sizes: Sequence[float] = PIXELS) -> Counts:
    """Return tp, fp, fn of the landslides of two masks (H, W), a row a size class, (len(sizes) + 1, 3).

    A landslide is what is connected by edges of pixels, and ends with its image; `sizes` are in pixels.
    """
    labels, areas = [], []
    for mask in (called, real):
        number, found = cv2.connectedComponents(np.asarray(mask, np.uint8), connectivity=CONNECTIVITY)
        labels.append(found)
        areas.append(np.bincount(found.ravel(), minlength=number)[1:])
    both = (labels[0] > 0) & (labels[1] > 0)
    pairs, common = np.unique(np.stack([found[both] for found in labels]) - 1, axis=1, return_counts=True)
    return _counts(areas[0], areas[1], pairs, common, sizes)


def polygon_counts(called: Any, real: Any, sizes: Sequence[float] = SQUARE_METRES) -> Counts:
    """Return tp, fp, fn of two GeoDataFrames of polygons, as `mask_counts` does; `sizes` are in square metres.

    Each may have a CRS of its own; one without is a ValueError. What crosses itself is mended.
    """
    from landslide_lib.geo.polygons import equal_area

    if not len(called) + len(real):
        return np.zeros((len(sizes) + 1, 3), np.int64)
    crs = equal_area(real if len(real) else called)
    ours, theirs = (frame.geometry.to_crs(crs).make_valid() for frame in (called, real))
    j, i = ours.sindex.query(theirs, predicate="intersects")
    common = ours.iloc[i].intersection(theirs.iloc[j], align=False).area.to_numpy()
    return _counts(ours.area.to_numpy(), theirs.area.to_numpy(), np.stack([i, j]), common, sizes)


def table(counts: ArrayLike, sizes: Sequence[float] = PIXELS) -> pd.DataFrame:
    """Return precision, recall, F1 (0..1, NaN where one is 0/0) and counts: a row for all, then one a size class."""
    counts = np.asarray(counts, np.int64)
    ends = [f"{size:g}" for size in sizes]
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    rows = np.vstack([counts.sum(0), counts])
    found = class_scores(*rows.T)
    names = ["all", f"under {ends[0]}", *between, f"from {ends[-1]}"]
    columns = {name: found[name] for name in ("precision", "recall", "f1")}
    return pd.DataFrame(columns | dict(zip(("tp", "fp", "fn"), rows.T, strict=True)), names)


def _counts(ours: NDArray[Any], theirs: NDArray[Any], pairs: Counts, common: NDArray[Any], sizes: Any) -> Counts:
    """Match by IoU, the best first, and count; `common` is the area that each of the `pairs` (2, N) shares."""
    i, j = pairs
    iou = common / (ours[i] + theirs[j] - common)
    found, hit = np.zeros(len(ours), bool), np.zeros(len(theirs), bool)
    for k in np.argsort(-iou, kind="stable")[: int((iou > 0.5).sum())]:
        if not found[i[k]] and not hit[j[k]]:
            found[i[k]] = hit[j[k]] = True
    kinds = (theirs[hit], ours[~found], theirs[~hit])
    number = len(sizes) + 1
    return np.stack([np.bincount(np.searchsorted(sizes, each, "right"), minlength=number) for each in kinds], 1)
