"""What a dataset looks like in numbers, and where such numbers are published."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from landslide_lib.datasets.pack import Packed
from landslide_lib.paths import PUBLISHED
from landslide_lib.records import write_once

FOLDER = PUBLISHED / "statistics"


def describe(packed: Packed) -> dict[str, Any]:
    """Return the statistics of a packed dataset.

    Args:
        packed: The dataset.

    Returns:
        `dataset`, `made` (when), `fingerprint`, `image_size`, `images`, `bands` (`{name:
        {mean, std, min, max}}` over all pixels) and, over the images with truth, `labelled`
        (their number),
        `positive` (the share with a landslide), `landslide` (the share of the pixels),
        `smallest` and `largest` (landslide share of one image that has any); None where
        no image has truth.
    """
    bands = {}
    for column, name in enumerate(packed.bands):
        # Band by band in float64: float16 sums overflow, and all bands at once may not fit.
        values = np.asarray(packed.images[:, column], np.float64)
        bands[name] = {"mean": float(values.mean()), "std": float(values.std()),
                       "min": float(values.min()), "max": float(values.max())}  # fmt: skip
    truth = np.array([not part.endswith("no masks") for part in packed.parts])
    shares = packed.masks[truth].mean(axis=(1, 2)) if truth.any() else np.zeros(0)
    some = shares[shares > 0]
    return {
        "dataset": packed.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": packed.fingerprint,
        "image_size": int(packed.images.shape[-1]),
        "images": len(packed),
        "bands": bands,
        "labelled": int(truth.sum()),
        "positive": float((shares > 0).mean()) if len(shares) else None,
        "landslide": float(shares.mean()) if len(shares) else None,
        "smallest": float(some.min()) if len(some) else None,
        "largest": float(some.max()) if len(some) else None,
    }


def publish(facts: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write statistics to the published ones; those that are there stay as they are."""
    path = folder / f"{facts['dataset']}-{facts['image_size']}px-{facts['fingerprint'][:8]}.json"
    return path if path.exists() else write_once(path, json.dumps(facts, indent=1) + "\n")


def published(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Return the published statistics by dataset, of each those that were made last."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return {facts["dataset"]: facts for facts in sorted(found, key=lambda facts: facts["made"])}
