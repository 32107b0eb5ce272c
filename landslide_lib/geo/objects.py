"""Scores of landslides as objects, not pixels: how many are found, by size. numpy, OpenCV and pandas alone.

A called landslide and a true one are a match where their intersection is more than half of their union. Parts of a mask
do not overlap, so each has one match at most (Kirillov et al. 2019, "Panoptic Segmentation", theorem 1; F1 is its
recognition quality).

A match counts in the size class of the true landslide, what is missed or false in that of its own (as COCO does).
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landslide_lib.metrics.scores import class_scores

PIXELS = (10, 100, 1000)  # where a size class ends and the next begins
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
    i, j = pairs[:, common / (areas[0][pairs[0]] + areas[1][pairs[1]] - common) > 0.5]
    kinds = (areas[1][j], np.delete(areas[0], i), np.delete(areas[1], j))  # found, false, missed
    return np.stack([np.bincount(np.searchsorted(sizes, each, "right"), minlength=len(sizes) + 1) for each in kinds], 1)


def table(counts: ArrayLike, sizes: Sequence[float] = PIXELS) -> pd.DataFrame:
    """Return precision, recall, F1 (0..1, NaN where one is 0/0) and counts: a row for all, then one a size class."""
    counts = np.asarray(counts, np.int64)
    ends = [f"{size:g}" for size in sizes]
    between = [f"{low} to {high}" for low, high in pairwise(ends)]
    rows = np.vstack([counts.sum(0), counts])
    found = class_scores(*rows.T)
    names = ["all", f"under {ends[0]}", *between, f"from {ends[-1]}"] if ends else ["all", "any size"]
    columns = {name: found[name] for name in ("precision", "recall", "f1")}
    return pd.DataFrame(columns | dict(zip(("tp", "fp", "fn"), rows.T, strict=True)), names)
