"""Folds put together: each image is tested once, so two ways to cut can be compared. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from landslide_lib.metrics import intervals
from landslide_lib.study.records import Record

#: The records of each fold, one a seed.
Folds = Sequence[Sequence[Record]]

#: Scene, row and column of an image.
Place = tuple[str, int, int]


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


def f1(folds: Folds) -> list[float]:
    """Return the pooled landslide F1 of each fold at threshold 0.5, the mean over its seeds."""
    return [float(np.mean([one.test.metrics["pooled"]["f1"] or 0.0 for one in fold])) for fold in folds]


def paired(ours: Folds, base: Folds) -> intervals.Comparison | None:
    """Compare two ways to cut or to run the same images, all folds together.

    Every image is tested once on each side, so scenes are drawn for both at once: see
    `intervals.paired_bootstrap`. Only seeds that both sides have count.

    Returns:
        Its answer; None where a fold is missing or the sides do not test the same images.
    """
    sides = whole(ours), whole(base)
    if sides[0] is None or sides[1] is None or sides[0].ids != sides[1].ids:
        return None
    seeds = sorted(set(sides[0].counts) & set(sides[1].counts))
    if not seeds:
        return None
    one, other = ([side.counts[seed] for seed in seeds] for side in (sides[0], sides[1]))
    return intervals.paired_bootstrap(one, other, sides[0].groups)


def places(ids: Sequence[str], row: int | None = None) -> dict[str, Place]:
    """Return where images lie, as far as their ids tell.

    Args:
        ids: Ending in `scene/row/column`, or in a number.
        row: Images a row, which makes a place of a number, counted from 1; None if that is
            not known.

    >>> places(["hills/0/1/2", "odd"])
    {'hills/0/1/2': ('hills/0', 1, 2)}
    >>> places(["train/1", "train/42"], row=41)
    {'train/1': ('train', 0, 0), 'train/42': ('train', 1, 0)}
    """
    found: dict[str, Place] = {}
    for name in ids:
        tile = re.fullmatch(r"(.+)/(\d+)/(\d+)", name)
        number = re.fullmatch(r"(.*?)/?(\d+)", name)
        if tile:
            found[name] = tile[1], int(tile[2]), int(tile[3])
        elif number and row is not None:
            found[name] = number[1], (int(number[2]) - 1) // row, (int(number[2]) - 1) % row
    return found


def fold_of(folds: Folds) -> dict[str, int]:
    """Return by which fold, from 1, each image is tested."""
    return {name: number for number, fold in enumerate(folds, 1) if fold for name in fold[0].test_ids}


def neighbours(of: Mapping[str, int], where: Mapping[str, Place]) -> dict[str, int]:
    """Count the neighbours that folds set apart.

    Args:
        of: The fold of each image.
        where: Its place; images without one are passed over.

    Returns:
        `pairs` of images side by side or one above the other, `cut` (in two folds), `images`
        with a neighbour at all, and `leaking`, those with one in another fold, which is
        trained or validated on while they are tested.
    """
    at = {where[name]: fold for name, fold in of.items() if name in where}
    pairs = [
        ((scene, r, c), other) for scene, r, c in at for other in ((scene, r, c + 1), (scene, r + 1, c)) if other in at
    ]
    cut = [pair for pair in pairs if at[pair[0]] != at[pair[1]]]
    return {
        "pairs": len(pairs),
        "cut": len(cut),
        "images": len({tile for pair in pairs for tile in pair}),
        "leaking": len({tile for pair in cut for tile in pair}),
    }


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
