"""Hand-made features of a whole dataset, and what trees make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from landslide_lib.data import features
from landslide_lib.data.registry import get_dataset, load_packed
from landslide_lib.study import recipe
from landslide_lib.training import negative_filter
from landslide_lib.training.tabular import tiles


def measure(name: str, profile: str = "cpu", root: Path | None = None) -> dict[str, Any]:
    """Measure the tiles of a dataset that have a truth: `tiles.describe`, ready to be published.

    Args:
        name: Of the dataset; a tile is positive where its mask holds a landslide pixel.
        profile: Whose image size is taken.
        root: The data root; by default `LANDSLIDE_DATA`.

    Returns:
        Its facts with `name`, `fingerprint` of the data and `image_size`, and `losses`, the lines
        of `negative_filter.losses` over five folds.

    Raises:
        ValueError: No dataset of this name, or no tiles of both kinds in it.
        DatasetNotFoundError: It is not there.
        BadFileError: A file cannot be used.
    """
    size = recipe.profile(profile)["image_size"]
    packed = load_packed(get_dataset(name), size, root=root)
    known = np.array([not part.endswith("no masks") for part in packed.parts])
    found = features.measure({band: packed.plane(band) for band in packed.bands}, packed.ids)
    groups = np.array(packed.groups)[known]
    facts = tiles.describe(found[known], packed.positive[known], groups=groups)
    lost = negative_filter.losses(found[known], packed.positive[known], folds=5, groups=groups)
    return {
        "name": f"tiles-{name}",
        "fingerprint": packed.fingerprint,
        "image_size": size,
        **facts,
        "losses": lost.to_dict("records"),
    }
