"""What bands tell of a landslide pixel by pixel, without a network. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

Scene = tuple[NDArray[np.float32], NDArray[np.uint8]]

#: Trees, their depth, the share of the pixels learnt from: some seconds for thirty scenes.
TREES, DEPTH, SHARE = 60, 5, 0.15


def worth(
    train: Sequence[Scene], test: Sequence[Scene], choices: Mapping[str, Sequence[int]], seed: int = 0
) -> pd.DataFrame:
    """Return how well boosted trees find landslide pixels of other scenes by some bands.

    Trees see one pixel and nothing around it. So what a band adds is what it tells by itself and
    together with the others, whatever a network makes of it.

    Args:
        train: Scenes to learn from, each (H, W, C) and (H, W) in {0, 1}.
        test: Other scenes.
        choices: Places of bands by the name of the choice.
        seed: Of the pixels that are drawn.

    Returns:
        A line a choice: `bands`, `average_precision`, in 0..1: of a random order it is the share
        of landslide pixels.

    Raises:
        ValueError: Training or test scenes have no landslide, so that nothing can be learnt or
            scored.

    Reference:
        Chen and Guestrin 2016, XGBoost, arXiv:1603.02754.
    """
    from xgboost import XGBClassifier

    (pixels, truth), (others, known) = _table(train), _table(test)
    for name, masks in (("training", truth), ("test", known)):
        if not masks.any():
            raise ValueError(f"the {name} scenes have no landslide; take more of them")
    some = np.random.default_rng(seed).random(len(pixels)) < SHARE
    lines = []
    for name, places in choices.items():
        trees = XGBClassifier(
            n_estimators=TREES, max_depth=DEPTH, learning_rate=0.2, max_bin=64, n_jobs=1, random_state=seed
        )
        trees.fit(pixels[some][:, places], truth[some])
        found = trees.predict_proba(others[:, places])[:, 1]
        precision = float(average_precision_score(known, found))
        lines.append({"bands": name, "average_precision": precision})
    return pd.DataFrame(lines)


def _table(scenes: Sequence[Scene]) -> Scene:
    """Return the pixels of scenes, (N, C), and whether each is landslide, (N,)."""
    images = [image.reshape(-1, image.shape[2]) for image, _ in scenes]
    return np.concatenate(images), np.concatenate([mask.ravel() for _, mask in scenes])
