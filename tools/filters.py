"""Measure what a filter of tiles removes with the features, trees and thresholds of the report's author. No torch.

`python -m tools.filters DATASET …` publishes it for chapter 41, which shows the same code on simulated tiles. The facts
are those of `feature_preprocessing.py` and `neg_filter_model.py` in
https://github.com/PhilipJanz/Landslide-Image-Classification.
"""

import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landslide_lib.data import features
from landslide_lib.data.registry import get_dataset, load_packed
from landslide_lib.study import recipe
from landslide_lib.training import boosting
from landslide_lib.training.boosting import Floats
from tools.tabular import FOLDS, losses, publish

#: XGBoost's own defaults but for depth and weight of a leaf.
TREES = {"depth": 5, "trees": 100, "eta": 0.3, "min_child_weight": 10, "subsample": 1, "colsample_bytree": 1}


def author_features(bands: dict[str, Floats]) -> pd.DataFrame:
    """Return the author's features of N tiles, (N, features), of the `bands` (N, S, S) that there are.

    Standardised bands, the radar before the event, ratios of its polarisations, and indices, each divided by the mean
    of a tile; of each mean, deviation, largest, smallest, and the outer tenths. The author standardises with the
    statistics of BigEarthNet, we with those of the tiles. His cloud mask, a threshold on red, is left out.
    """
    planes = dict(bands)
    planes |= {f"before_{name[1:]}": bands[name[1:]] - bands[name] for name in bands if name[0] == "d"}
    planes = {name: (plane - plane.mean()) / plane.std() for name, plane in planes.items()}

    def over_mean(value: Floats, total: Floats) -> Floats:
        return value / total.mean((1, 2), keepdims=True)

    for name in ("desc", "asc"):
        if f"VV_{name}" in planes:
            planes[f"ratio_{name}"] = planes[f"VV_{name}"] - planes[f"VH_{name}"]
    red, green, blue = (planes[name] for name in "RGB")
    planes["NGRDI"] = over_mean(green - red, green + red)
    if "NIR" in planes:
        near = planes["NIR"]
        planes["NDVI"] = over_mean(near - red, near + red)
        planes["SAVI"] = over_mean(1.5 * (near - red), near + red + 0.5)
        planes["GNDVI"] = over_mean(near - green, near + green)
        planes["NDWI"] = -planes["GNDVI"]
        planes["EVI"] = over_mean(2.5 * (near - red), near + 6 * red - 7.5 * blue + 1)
    columns = {}
    for name, plane in planes.items():
        pixels = plane.reshape(len(plane), -1)
        low, high = np.quantile(pixels, (0.1, 0.9), axis=1)
        numbers = (pixels.mean(1), pixels.std(1), pixels.max(1), pixels.min(1), low, high)
        columns |= {f"{name}_{number}": value for number, value in enumerate(numbers)}
    return pd.DataFrame(columns)


def of_filters(name: str, profile: str = "cpu", root: Path | None = None) -> dict[str, Any]:
    """Measure the filters of a dataset; see `tools.tabular.of_tiles` for arguments and errors.

    Returns:
        `name`, `fingerprint`, `image_size`, and `filters`: a line each choice of features, trees and thresholds, with
        `removed_of_training`, the share of all tiles out of fold, and of nested folds the counts of `losses`.
    """
    size = recipe.profile(profile)["image_size"]
    packed = load_packed(get_dataset(name), size, root=root)
    known = np.array([not part.endswith("no masks") for part in packed.parts])
    bands = {band: np.asarray(packed.plane(band)[known], np.float64) for band in packed.bands}
    truth, groups = packed.positive[known], np.array(packed.groups)[known]
    tables = {"ours": features.measure(bands), "the author's": author_features(bands)}
    lines = []
    for each_fold, columns, trees in product((False, True), tables, tables):
        how: dict[str, Any] = {"each_fold": each_fold, **({} if trees == "ours" else TREES)}
        fitted = boosting.fit_filter(tables[columns], truth, FOLDS, groups=groups, **how)
        nested = losses(tables[columns], truth, FOLDS, groups=groups, **how)
        lines.append(
            {
                "thresholds": "one a fold" if each_fold else "one",
                "features": columns,
                "trees": trees,
                "removed_of_training": round(fitted.cost["removed"], 4),
                **{name: int(nested[name].sum()) for name in ("tiles", "positives", "removed", "lost")},
            }
        )
    return {"name": f"filters-{name}", "fingerprint": packed.fingerprint, "image_size": size, "filters": lines}


if __name__ == "__main__":
    for dataset in sys.argv[1:]:
        print(publish(of_filters(dataset)))
