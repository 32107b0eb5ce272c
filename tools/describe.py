"""Print the statistics of a dataset as JSON: bands, imbalance, areas, neighbours, files.

    python -m tools.describe NAME --image-size N [--data-root PATH] [--skip-bad]

The book shows those that are saved in data/results/statistics.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.data.bands import BOXES, LABELS
from landslide_lib.data.base import BoxDataset, Dataset, Sample
from landslide_lib.data.formats.pictures import read_rgb
from landslide_lib.data.pack import Packed, load_packed
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.split import Split, split
from landslide_lib.paths import data_root
from tools import neighbours

#: Areas are shares of one image; four bins a decade, from a pixel of a large image to all of it.
EDGES = [round(10 ** (power / 4), 7) for power in range(-20, 1)]


def measure(name: str, image_size: int, *, root: Path | None = None, skip_bad: bool = False) -> dict[str, Any]:
    """Return `describe` of a dataset's packed images and `of_files` of its usable files; see `load_packed`."""
    dataset = get_dataset(name)
    packed = load_packed(dataset, image_size, root=root, skip_bad=skip_bad)
    used = set(packed.ids)
    samples = dataset.samples(root or data_root())
    return describe(packed) | of_files(dataset, [s for s in samples if s.id in used and not s.problem])


def describe(packed: Packed) -> dict[str, Any]:
    """Return the statistics of a packed dataset.

    Over all pixels `bands` have mean, std, min, max and `around`, the mean distance of a pixel from the median of its
    image. Over the images with masks or labels there are `labelled` (their number), `positive` (the share with a
    landslide), `landslide` (the share of the pixels), `smallest` and `largest` (landslide share of an image that has
    any): None without such images, the last three with labels too. `parts` are the publisher's (`split` is `shipped`)
    or, where there is but one, those of our default split. `areas` are histograms over `edges` of images and of
    connected landslides.
    """
    bands = {}
    for column, name in enumerate(packed.bands):
        # Band by band in float64: float16 sums overflow, and all bands at once may not fit.
        values = np.asarray(packed.images[:, column], np.float64)
        around = np.abs(values - np.median(values, (1, 2), keepdims=True)).mean()
        numbers = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
        bands[name] = {key: float(value) for key, value in {**numbers, "around": around}.items()}
    truth = _truth(packed)
    shares = packed.masks[truth].mean(axis=(1, 2)) if truth.any() else np.zeros(0)
    masked = packed.name not in LABELS  # a label says whether, not where
    positive = shares[shares > 0] if masked else np.zeros(0)
    method, parts = _parts(packed)
    regions = np.array(packed.regions)
    return {
        "dataset": packed.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": packed.fingerprint,
        "image_size": int(packed.images.shape[-1]),
        "images": len(packed),
        "bands": bands,
        "labelled": int(truth.sum()),
        "positive": float((shares > 0).mean()) if len(shares) else None,
        "landslide": float(shares.mean()) if len(shares) and masked else None,
        "smallest": float(positive.min()) if len(positive) else None,
        "largest": float(positive.max()) if len(positive) else None,
        "regions": {
            name: _subset(packed, np.flatnonzero(regions == name)) for name in dict.fromkeys(packed.regions) if name
        },
        "split": method,
        "parts": {name: _subset(packed, indices) for name, indices in parts.items()},
        "areas": _areas(packed.masks[truth], shares) if truth.any() and masked else None,
        "neighbours": neighbours.measure(packed),
    }


def of_files(dataset: Dataset, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return what packing does not keep of usable samples. Raises BadFileError: one cannot be read.

    `sizes` are smallest, median and largest `short` and `long` side of the pictures in pixels, and `aspect`, the long
    side over the short; None without pictures. `boxes`: see `_boxes`; None where the dataset has none.
    """
    arrays = (".h5", ".npy")
    paths = [s.image for s in samples if s.image is not None and s.image.suffix.lower() not in arrays]
    shapes = [sorted(read_rgb(path).shape[:2]) for path in paths]
    sizes = None
    if shapes:
        short, long = np.array(shapes).T
        named = {"short": short, "long": long, "aspect": long / short}
        sizes = {name: _quantiles(values, (0, 0.5, 1)) for name, values in named.items()}
    boxes = _boxes(dataset, samples, shapes) if isinstance(dataset, BoxDataset) else None
    return {"sizes": sizes, "boxes": boxes}


def _truth(packed: Packed) -> NDArray[np.bool_]:
    return np.array([packed.name not in BOXES and not part.endswith("no masks") for part in packed.parts])


def _parts(packed: Packed) -> tuple[str | None, dict[str, NDArray[np.int64]]]:
    names = np.array(packed.parts)
    if len(set(packed.parts)) > 1:
        return "shipped", {n: np.flatnonzero(names == n) for n in dict.fromkeys(packed.parts)}
    try:
        return Split().method, split(replace(packed, parts=("train",) * len(packed)), Split())
    except ValueError:  # too few images for it
        return None, {}


def _subset(packed: Packed, indices: NDArray[np.int64]) -> dict[str, Any]:
    bands = {}
    for column, name in enumerate(packed.bands):
        values = np.asarray(packed.images[indices, column], np.float64)
        bands[name] = {"mean": _rounded(values.mean()), "std": _rounded(values.std())}
    masks = packed.masks[indices[_truth(packed)[indices]]]
    return {
        "images": len(indices),
        "bands": bands,
        "positive": _rounded(masks.any(axis=(1, 2)).mean()) if len(masks) else None,
        "landslide": _rounded(masks.mean()) if len(masks) and packed.name not in LABELS else None,
    }


def _areas(masks: NDArray[np.uint8], shares: NDArray[np.float64]) -> dict[str, Any]:
    areas = [np.zeros(0)]
    for mask in masks:
        # The first component is the background.
        components = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:] if mask.any() else np.zeros((0, 5))
        areas.append(components[:, cv2.CC_STAT_AREA] / mask.size)
    of_landslides = np.concatenate(areas)
    return {
        "edges": EDGES,
        "images": _histogram(shares[shares > 0]),
        "landslides": _histogram(of_landslides),
        "connected": len(of_landslides),
    }


def _boxes(dataset: BoxDataset, samples: Sequence[Sample], shapes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Describe the boxes of usable samples over `edges`; `shapes` are the two sides of the picture of each."""
    of_tile = [dataset.boxes(sample) for sample in samples]
    numbers = np.array([len(boxes) for boxes in of_tile])
    boxes = np.concatenate(of_tile)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    pixels = np.repeat([height * width for height, width in shapes], numbers)
    parts = pd.Series(numbers).groupby([sample.part for sample in samples], sort=False).sum()
    return {
        "parts": {str(part): int(number) for part, number in parts.items()},
        "per_tile": [int(numbers.min()), float(np.median(numbers)), _rounded(numbers.mean()), int(numbers.max())],
        "empty": int((numbers == 0).sum()),
        "size": int(np.median(shapes)),
        "side": _quantiles(np.sqrt(area * pixels), (0, 0.25, 0.5, 0.75, 1)) if len(area) else None,
        "edges": EDGES,
        "counts": _histogram(area),
    }


def _histogram(values: NDArray[np.floating[Any]]) -> list[int]:
    # An image that is landslide all over belongs to the last bin, in spite of rounding.
    return [int(n) for n in np.histogram(np.clip(values, EDGES[0], 1), EDGES)[0]]


def _quantiles(values: NDArray[Any], shares: Sequence[float]) -> list[float]:
    return [_rounded(value) for value in np.quantile(values, shares)]


def _rounded(value: Any) -> float:
    return float(f"{float(value):.5g}")


def main() -> None:
    """Print what `measure` returns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of a dataset, see `landslide list`")
    parser.add_argument("--image-size", type=int, required=True, help="of the packed images, in pixels")
    parser.add_argument("--data-root", type=Path, help="in place of LANDSLIDE_DATA")
    parser.add_argument("--skip-bad", action="store_true", help="leave unusable files out")
    wanted = parser.parse_args()
    facts = measure(wanted.name, wanted.image_size, root=wanted.data_root, skip_bad=wanted.skip_bad)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
