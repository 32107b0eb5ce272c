"""Folds put together: each image is tested once. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_lib.study.records import Record

#: The records of each fold, one a seed.
Folds = Sequence[Sequence[Record]]


class Whole(NamedTuple):
    """All images of all folds, each as its own fold's networks saw it, sorted by id.

    Attributes:
        ids: (N,) of the images.
        groups: (N,) the scene of each.
        counts: (N, 4) of each seed that all folds have.
    """

    ids: list[str]
    groups: list[str]
    counts: dict[int, NDArray[np.int64]]


def whole(folds: Folds) -> Whole | None:
    """Put the test images of all folds together; None where a fold is missing.

    Raises:
        ValueError: Two folds test the same image, so that they are not folds of one split.
    """
    seeds = set.intersection(*({one.seed for one in fold} for fold in folds)) if folds else set()
    if not seeds:
        return None
    of_seed: dict[int, NDArray[np.int64]] = {}
    ids: list[str] = []
    groups: list[str] = []
    for seed in sorted(seeds):
        mine = [next(one for one in fold if one.seed == seed) for fold in folds]
        ids = [name for one in mine for name in one.test_ids]
        if len(set(ids)) < len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise ValueError(f"folds: image {twice} is tested in two of them; give one split's folds")
        order = np.argsort(ids)
        groups = [name for one in mine for name in one.test_groups]
        of_seed[seed] = np.concatenate([one.test_counts for one in mine])[order]
    return Whole([ids[k] for k in order], [groups[k] for k in order], of_seed)


def side(runs: Mapping[str, Sequence[Record]], names: Sequence[str]) -> list[list[Record]]:
    """Return the records of some rows in order, all made on seeds that every one of them has.

    Args:
        runs: From `beside.records_of`.
        names: Ids of the folds' rows.

    Returns:
        A list a fold; [] where a fold is missing or no seed has all.
    """
    found = [runs.get(name, ()) for name in names]
    seeds: set[Any] = set.intersection(*({one.seed for one in fold} for fold in found))
    return [[one for one in fold if one.seed in seeds] for fold in found] if seeds else []
