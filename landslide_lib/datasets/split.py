"""Train, validation and test images of a packed dataset."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedGroupKFold

from landslide_lib.datasets.pack import Packed
from landslide_lib.parts import Split

Indices = NDArray[np.int64]


def split(packed: Packed, how: Split, subset: int | None = None) -> dict[str, Indices]:
    """Split a packed dataset.

    Args:
        packed: The dataset; only the publisher's `train` part is split, because the others
            belong to another domain (Landslide4Sense) or have no masks.
        how: Method, fold and seed. `blocked` and `random` balance images with and without
            a landslide over the folds.
        subset: Images drawn before the split; None for all.

    Returns:
        Sorted indices under `train`, `valid` and `test`, disjoint; under `blocked` no scene
        and under `region` no region is in two of them, and their shares are rounded
        accordingly.

    Raises:
        ValueError: Fewer images, or scenes, than the split needs.
    """
    names = {"blocked": packed.groups, "region": packed.regions}.get(how.method, packed.ids)
    found = _split(packed.name, packed.parts, names, packed.positive.tobytes(), how, subset)
    return {part: indices.copy() for part, indices in found.items()}


@lru_cache(maxsize=64)  # balancing thousands of scenes takes seconds, and rows share their split
def _split(
    name: str,
    parts: tuple[str, ...],
    names: tuple[str, ...],
    positive: bytes,
    how: Split,
    subset: int | None,
) -> dict[str, Indices]:
    pool = np.flatnonzero(np.array(parts) == "train")
    if not len(pool):
        there = ", ".join(sorted(set(parts)))
        raise ValueError(
            f"{name} has no image with a mask to train on, only: {there}. Get them with "
            f"`landslide data download {name}`, or name other data with --dataset"
        )
    if subset is not None and subset < len(pool):
        chosen = np.random.default_rng(how.seed).choice(pool, subset, replace=False)
        pool = np.sort(chosen)
    groups = np.unique(np.array(names)[pool], return_inverse=True)[1]
    count = int(groups.max()) + 1
    few = ValueError(
        f"split.method = {how.method!r}: {name} has {count} groups of images for it, "
        f"{how.folds} folds need more; choose another method or fewer folds"
    )
    if count <= how.folds:
        raise few
    inner_folds = max(2, min(round(1 / how.validation), count - count // how.folds - 1))
    labels = np.frombuffer(positive, np.bool_)[pool]
    try:
        rest, test = _fold(labels, groups, how, how.folds, how.fold)
        train, valid = _fold(labels[rest], groups[rest], how, inner_folds, 0)
    except ValueError as error:
        # Balancing can give one fold most groups, and needs images of both kinds.
        raise few from error
    if not (len(train) and len(valid) and len(test)):
        raise few
    return {"train": pool[rest[train]], "valid": pool[rest[valid]], "test": pool[test]}


def _fold(
    labels: NDArray[np.bool_], groups: Indices, how: Split, folds: int, fold: int
) -> tuple[Indices, Indices]:
    if how.method == "contiguous":
        rest, test = list(KFold(folds).split(labels))[fold]
    else:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=how.seed)
        rest, test = list(splitter.split(labels, labels, groups))[fold]
    return np.sort(rest), np.sort(test)
