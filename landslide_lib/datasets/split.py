"""Train, validation and test images of a packed dataset."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedGroupKFold

from landslide_lib.bands import BOXES
from landslide_lib.datasets.pack import Packed
from landslide_lib.parts import Split

Indices = NDArray[np.int64]

PARTS = ("train", "valid", "test")


def split(packed: Packed, how: Split, subset: int | None = None) -> dict[str, Indices]:
    """Split a packed dataset.

    Args:
        packed: The dataset. Of one with masks only the publisher's `train` part is split, because
            the others belong to another domain (Landslide4Sense) or have no masks; of one with
            boxes (`bands.BOXES`) all parts are, of which each image has its truth.
        how: Method, fold and seed. `blocked` and `random` balance images with and without
            a landslide over the folds, where there are masks that tell. `published` takes the
            publisher's parts and knows no folds; of a folder of one's own (`voc`) that has not all
            three it splits all images as `blocked` does, each a scene of its own.
        subset: Images drawn before the split; None for all. Under `published` they are drawn from
            each part, in proportion to its size and at least one.

    Returns:
        Sorted indices under `train`, `valid` and `test`, disjoint; under `blocked` no scene
        and under `region` no region is in two of them, and their shares are rounded
        accordingly.

    Raises:
        ValueError: Fewer images, or scenes, than the split needs, or no published part where
            one is asked for.
    """
    if how.method == "published" and not (packed.name == "voc" and _missing(packed)):
        return _published(packed, how, subset)
    names = {"blocked": packed.groups, "region": packed.regions}.get(how.method, packed.ids)
    found = _split(packed.name, packed.parts, names, packed.positive.tobytes(), how, subset)
    return {part: indices.copy() for part, indices in found.items()}


def images_of(packed: Packed, part: str) -> Indices:
    """Return the images of a publisher's part, with truth or without.

    Args:
        packed: The dataset. A part without truth is told by a word after a comma.
        part: Such as `test`.

    Raises:
        ValueError: There is no such part; the message says which there are.
    """
    names = [name.split(",")[0] for name in packed.parts]
    found = np.flatnonzero(np.array(names) == part)
    if not len(found):
        known = ", ".join(sorted(set(names)))
        raise ValueError(f"part {part!r}: {packed.name} has none here, only: {known}")
    return found


def _missing(packed: Packed) -> list[str]:
    """Return the parts that the publisher did not make."""
    return [part for part in PARTS if part not in packed.parts]


def _published(packed: Packed, how: Split, subset: int | None) -> dict[str, Indices]:
    names = np.array(packed.parts)
    found = {part: np.flatnonzero(names == part) for part in PARTS}
    if missing := _missing(packed):
        raise ValueError(
            f"split.method = 'published': {packed.name} has no {' and no '.join(missing)} part "
            f"with truth, only: {', '.join(sorted(set(packed.parts)))}; choose another method"
        )
    total = sum(map(len, found.values()))
    if subset is None or subset >= total:
        return found
    if subset < len(PARTS):
        raise ValueError(
            f"subset = {subset}: split.method = 'published' needs an image of each of "
            f"{', '.join(PARTS)}; take at least {len(PARTS)}"
        )
    # One of each part, and of the rest what is due: the bounds of the parts are rounded, not
    # their sizes, so that there are `subset` images in all.
    bounds = np.cumsum([0, *(len(indices) - 1 for indices in found.values())])
    counts = 1 + np.diff(np.rint(bounds * ((subset - len(PARTS)) / bounds[-1])).astype(int))
    draw = np.random.default_rng(how.seed)
    return {
        part: np.sort(draw.choice(indices, count, replace=False))
        for (part, indices), count in zip(found.items(), counts, strict=True)
    }


@lru_cache(maxsize=64)  # balancing thousands of scenes takes seconds, and rows share their split
def _split(
    name: str,
    parts: tuple[str, ...],
    names: tuple[str, ...],
    positive: bytes,
    how: Split,
    subset: int | None,
) -> dict[str, Indices]:
    pool = np.flatnonzero(np.isin(parts, PARTS if name in BOXES else PARTS[:1]))
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
        train, valid = _fold(labels[rest], groups[rest], how, inner_folds, how.valid_fold)
    except (ValueError, IndexError) as error:
        # There are fewer groups than folds; or balancing gives one fold most groups, and images
        # of both kinds are needed.
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
