"""Source and target: the images that a network learns from, and those that it is to work on."""

from __future__ import annotations

from dataclasses import replace
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np

from landslide_lib.data.formats.duplicates import warn
from landslide_lib.data.pack import Packed, load_packed
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.split import Indices, split
from landslide_lib.paths import WEIGHTS, data_root
from landslide_lib.study.recipe import Adaptation, Recipe


def load(recipe: Recipe, *, root: Path | None = None, skip_bad: bool = False) -> Packed:
    """Return the dataset of a recipe, with that of its target if it has one.

    Weights of others, in files that the recipe or one that it grows from names, are as much of what a run is made of as
    images: their bytes are part of the fingerprint.

    Args:
        recipe: Of any task.
        root: The data root; by default `LANDSLIDE_DATA`.
        skip_bad: Leave unusable files out.

    Returns:
        The packed source. Its `target` is the packed target, its fingerprint that of both.

    Raises:
        DatasetNotFoundError, BadFileError: Of `pack.load`, of either of the two.
    """
    size, how = recipe.image_size, {"root": root, "skip_bad": skip_bad}
    source = load_packed(get_dataset(recipe.dataset), size, **how)  # type: ignore[arg-type]
    if not isinstance(recipe, Adaptation):
        return replace(source, fingerprint=fingerprint_of(recipe, source.fingerprint, root=root))
    target, other = source, recipe.target.dataset or recipe.dataset
    if other != recipe.dataset:
        target = load_packed(get_dataset(other), size, **how)  # type: ignore[arg-type]
    both = fingerprint_of(recipe, source.fingerprint, target.fingerprint, root=root)
    return replace(source, target=target, fingerprint=both)


def fingerprint_of(recipe: Recipe, source: str, target: str = "", *, root: Path | None = None) -> str:
    """Return the fingerprint of all data of a recipe.

    Args:
        recipe: Of any task.
        source: Fingerprint of its dataset.
        target: Fingerprint of the dataset that is adapted to, if there is one; that of the source itself adds nothing.
        root: The data root, for files of weights; by default `LANDSLIDE_DATA`.
    """
    names = {name for ancestor in (recipe, *recipe.ancestors) for name in ancestor.files}
    everything = source
    for path in ((root or data_root()) / WEIGHTS / name for name in sorted(names)):
        if path.is_file():
            with path.open("rb") as file:
                everything = _joined(everything, file_digest(file, "sha256").hexdigest())
    return everything if target in ("", source) else _joined(everything, target)


def _joined(*fingerprints: str) -> str:
    return sha256(" ".join(fingerprints).encode()).hexdigest()[:16]


def parts(packed: Packed, recipe: Adaptation) -> dict[str, Indices]:
    """Return which images of the source are trained and validated on, and which of the target.

    Args:
        packed: From `load`.
        recipe: With its target.

    Returns:
        Sorted indices: of the source under `train` and `valid`, of the target under `test`. With a `subset` as many
        images of the target are drawn at most.

    Raises:
        ValueError: The target has no such part or region, or no masks to be scored with; or of `split`.
    """
    target, how = packed.target, recipe.target
    assert target is not None
    named = np.array(target.regions) == how.region if how.region else np.ones(len(target), bool)
    there = named & (np.array(target.parts) == how.part)
    if not there.any():
        known = sorted(set(target.regions) - {""}) if how.region else sorted(set(target.parts))
        asked = f"region {how.region!r}" if how.region else f"part {how.part!r}"
        raise ValueError(
            f"target: {target.name} has no image with a mask in its {asked}, only: "
            f"{', '.join(known) or 'none'}; name one of these"
        )
    found = np.flatnonzero(there)
    if recipe.subset is not None and recipe.subset < len(found):
        draw = np.random.default_rng(recipe.split.seed)
        found = np.sort(draw.choice(found, recipe.subset, replace=False))
    rest = packed
    if target.name == packed.name:  # what is the target is no part of the source
        left = np.where(there, "target", packed.parts).tolist()
        rest = replace(packed, parts=tuple(left))
    source = split(rest, recipe.split, recipe.subset)
    train = np.sort(np.concatenate([source["train"], source["test"]]))
    chosen = {"train": train, "valid": source["valid"], "test": found}
    if target.name == packed.name:
        warn(packed.name, packed.ids, packed.copies, chosen)
    return chosen
