"""Train, validation and test images of a packed dataset."""

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from landslide_lib.data.bands import BOXES, OWN
from landslide_lib.data.formats.duplicates import together, warn
from landslide_lib.fields import Part, field

if TYPE_CHECKING:
    from landslide_lib.data.pack import Packed

Indices = NDArray[np.int64]

PARTS = ("train", "valid", "test")
Method = Literal["blocked", "region", "random", "contiguous", "published"]


class Split(Part):
    """Which images are trained on, validated on and tested on.

    `blocked` keeps all images of one scene on one side (an image whose scene is not known is a scene of its own),
    `region` whole regions; `random` ignores scenes; `contiguous` cuts the images in the order of their numbers, as the
    code of `raunet-ablation` does (github.com/CamDucLe/Landslide-Project-Sentinel2), the last first; `published`
    takes the parts of the publisher and ignores the folds. Nothing else is done with the test fold (`held_out`); or it
    is validated on, too (`validated`), so that the folds together train on all images, as for a submission: scores
    after a choice of threshold or epoch are then too good.
    """

    method: Method = field("blocked")
    folds: int = field(5, ge=2, le=50)
    fold: int = field(0, ge=0, description="which fold is the test set, from 0")
    validation: float = field(0.1, gt=0, le=0.5, description="share of the rest")
    valid_fold: int = field(0, ge=0, description="which fold of the rest that is, from 0")
    seed: int = field(0, ge=0, description="seed of the split, not of the training")
    test: Literal["held_out", "validated"] = field("held_out", description="what is done with the test set")

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: folds count from 0")
        rest = round(1 / self.validation)
        if self.valid_fold >= rest:
            many = f"a share of {self.validation:g} for validation makes so many folds of the rest"
            raise ValueError(f"valid_fold {self.valid_fold} of {rest}: {many}, and they count from 0")
        if self.test == "validated" and self.method == "published":
            raise ValueError("test: the publisher's parts are held out; take another method, or held_out")
        return self


def split(packed: "Packed", options: Split, subset: int | None = None) -> dict[str, Indices]:
    """Split a packed dataset into `train`, `valid` and `test`: sorted indices, disjoint unless test is `validated`.

    Only the publisher's `train` part is split, as the others belong to another domain (Landslide4Sense) or have no
    masks; of a dataset with boxes and of one's own all parts are. `blocked` and `random` balance images with and
    without a landslide over the folds. `published` on a folder of one's own without all three parts is `blocked`. A
    subset is drawn before the split; under `published` from each part, in proportion to its size and at least one.
    Images that are the same, byte for byte, are on one side; where they cannot be, a line on stderr says so. Raises
    ValueError: fewer images or scenes than the split needs, or no published part.
    """
    if options.method == "published" and not (packed.name in OWN and set(PARTS) - set(packed.parts)):
        parts = _published(packed, options, subset)
    else:
        names = {"blocked": packed.groups, "region": packed.regions}.get(options.method, packed.ids)
        names = together(names, packed.ids, packed.copies)
        parts = _split(packed.name, packed.parts, names, packed.positive.tobytes(), options, subset)
    warn(packed.name, packed.ids, packed.copies, parts)
    return {part: indices.copy() for part, indices in parts.items()}


def images_of(packed: "Packed", part: str) -> Indices:
    """Return the images of a publisher's part such as `test`, also without masks. Raises ValueError: there is none."""
    names = [name.split(",")[0] for name in packed.parts]
    indices = np.flatnonzero(np.array(names) == part)
    if not len(indices):
        raise ValueError(f"part {part!r}: {packed.name} has none here, only: {', '.join(sorted(set(names)))}")
    return indices


def _published(packed: "Packed", options: Split, subset: int | None) -> dict[str, Indices]:
    if missing := [part for part in PARTS if part not in packed.parts]:
        raise ValueError(
            f"split.method = 'published': {packed.name} has no {' and no '.join(missing)} part with truth, only: "
            f"{', '.join(sorted(set(packed.parts)))}; choose another method"
        )
    parts = {part: np.flatnonzero(np.array(packed.parts) == part) for part in PARTS}
    if subset is None or subset >= sum(map(len, parts.values())):
        return parts
    if subset < len(PARTS):
        raise ValueError(f"subset = {subset}: split.method = 'published' needs an image of each of {', '.join(PARTS)}")
    # One of each part, and of the rest in proportion: the bounds of the parts are rounded, not their sizes, so that
    # there are `subset` images in all.
    bounds = np.cumsum([0, *(len(indices) - 1 for indices in parts.values())])
    counts = 1 + np.diff(np.rint(bounds * ((subset - len(PARTS)) / bounds[-1])).astype(int))
    draw = np.random.default_rng(options.seed)
    return {
        part: np.sort(draw.choice(indices, count, replace=False))
        for (part, indices), count in zip(parts.items(), counts, strict=True)
    }


@lru_cache(maxsize=64)  # balancing thousands of scenes takes seconds, and rows share their split
def _split(
    name: str, parts: tuple[str, ...], names: tuple[str, ...], positive: bytes, options: Split, subset: int | None
) -> dict[str, Indices]:
    pool = np.flatnonzero(np.isin(parts, PARTS if name in (*BOXES, *OWN) else PARTS[:1]))
    if not len(pool):
        raise ValueError(
            f"{name} has no image with a mask to train on, only: {', '.join(sorted(set(parts)))}. Get them with "
            f"`landslide data download {name}`, or name other data with --dataset"
        )
    if subset is not None and subset < len(pool):
        pool = np.sort(np.random.default_rng(options.seed).choice(pool, subset, replace=False))
    groups = np.unique(np.array(names)[pool], return_inverse=True)[1]
    labels = np.frombuffer(positive, np.bool_)[pool]
    count = len(np.unique(groups))
    inner = max(2, min(round(1 / options.validation), count - count // options.folds - 1))
    try:
        rest, test = _fold(labels, groups, options, options.folds, options.fold)
        train, valid = rest, test
        if options.test == "held_out":
            inside = _fold(labels[rest], groups[rest], options, inner, options.valid_fold)
            train, valid = (rest[part] for part in inside)
        if count <= options.folds or not (len(train) and len(valid) and len(test)):
            raise ValueError("a part has no images")
    except (ValueError, IndexError) as error:
        # Balancing asks for as many images of a kind as folds; or there are fewer groups.
        raise ValueError(
            f"split.method = {options.method!r}: {name} has {count} groups of {len(pool)} images in all "
            f"({int(labels.sum())} with a landslide) for it, too few for {options.folds} folds and {inner} of the "
            "rest. Take more images, a larger subset, another method or fewer folds"
        ) from error
    return {"train": pool[train], "valid": pool[valid], "test": pool[test]}


def _fold(labels: NDArray[np.bool_], groups: Indices, options: Split, folds: int, fold: int) -> tuple[Indices, Indices]:
    from sklearn.model_selection import KFold, StratifiedGroupKFold  # it takes a second to import

    if options.method == "contiguous":
        rest, test = (len(labels) - 1 - part for part in list(KFold(folds).split(labels))[fold])
    else:
        cuts = StratifiedGroupKFold(folds, shuffle=True, random_state=options.seed).split(labels, labels, groups)
        rest, test = list(cuts)[fold]
    return np.sort(rest), np.sort(test)
