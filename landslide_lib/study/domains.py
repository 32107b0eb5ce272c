"""The data of a recipe: which copy of it is here, and what is learnt from and what is scored on. Needs no torch."""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np

from landslide_lib.data.base import BadFileError, DatasetNotFoundError
from landslide_lib.data.formats.duplicates import together, warn
from landslide_lib.data.formats.files import listing
from landslide_lib.data.pack import Packed, load_packed, revision
from landslide_lib.data.registry import DATASETS, get_dataset
from landslide_lib.data.split import PARTS, Indices, split
from landslide_lib.paths import WEIGHTS, cache_root, data_root
from landslide_lib.study.recipe import Adaptation, Recipe


def load(recipe: Recipe, *, root: Path | None = None, skip_bad: bool = False) -> Packed:
    """Return the packed dataset of a recipe, with the packed target if it has one; see `load_packed`."""
    names = _datasets(recipe)
    packed = {name: load_packed(get_dataset(name), recipe.image_size, root=root, skip_bad=skip_bad) for name in names}
    source, *target = (packed[name] for name in names)
    fingerprint = fingerprint_of(recipe, [one.fingerprint for one in (source, *target)], root)
    return replace(source, target=target[0] if target else None, fingerprint=fingerprint)


def _datasets(recipe: Recipe) -> list[str]:
    """Return the dataset of a recipe, and that of its target."""
    target = [recipe.target.dataset or recipe.dataset] if isinstance(recipe, Adaptation) else []
    return [recipe.dataset, *target]


def fingerprint_of(recipe: Recipe, datasets: Sequence[str], root: Path | None = None) -> str:
    """Return the fingerprint of all that a run is made of: dataset, target, and files of weights of others."""
    source, *target = datasets
    whole, weights = source, {one.weights for one in (recipe, *recipe.ancestors)}
    for name in sorted(name for name in weights if name and name != "imagenet"):
        path = (root or data_root()) / WEIGHTS / name
        if path.is_file():
            with path.open("rb") as file:
                whole = _joined(whole, file_digest(file, "sha256").hexdigest())
    return whole if target in ([], [source]) else _joined(whole, *target)


def _joined(*fingerprints: str) -> str:
    return sha256(" ".join(fingerprints).encode()).hexdigest()[:16]


def configured_data(root: Path | None = None) -> Callable[[Recipe], Sequence[str]]:
    """Return a function that gives the fingerprints that the data of a recipe has now; nothing is packed.

    They are those of its packed copies, whole ones before those without unusable files; where it is not packed its
    files are hashed. There is none if it is not at the root.
    """
    of_dataset = cache(lambda name: _fingerprints(name, root or data_root()))

    def of_recipe(recipe: Recipe) -> Sequence[str]:
        # Without unusable files means without those of source and target.
        prints = zip(*map(of_dataset, _datasets(recipe)), strict=False)
        return [fingerprint_of(recipe, datasets, root) for datasets in prints]

    return of_recipe


def _fingerprints(name: str, root: Path) -> tuple[str, ...]:
    dataset = get_dataset(name)
    try:
        samples = dataset.samples(root)
    except (DatasetNotFoundError, BadFileError):
        return ()
    key, found = f"{name}-*px-{listing(samples)}-{revision(dataset)}", []
    for folder in (*cache_root().glob(key), *cache_root().glob(f"{key}s")):  # whole copies first
        with contextlib.suppress(OSError, ValueError, KeyError):  # a damaged one is refused where it is loaded
            found.append(str(json.loads((folder / "about.json").read_text("utf-8"))["fingerprint"]))
    return tuple(dict.fromkeys(found)) or (dataset.fingerprint(samples),)


def parts(packed: Packed, recipe: Adaptation) -> dict[str, Indices]:
    """Return which images of the source are trained and validated on, and which of the target are scored (`test`).

    With a `subset` as many of the target are drawn at most. ValueError: none of the part or region has a mask, or both
    show the same places, and which image shows which is not known.
    """
    target, how = packed.target, recipe.target
    assert target is not None
    named = np.array(target.regions) == how.region if how.region else np.ones(len(target), bool)
    there = named & (np.array(target.parts) == how.part)
    if not there.any():
        asked = f"region {how.region!r}" if how.region else f"part {how.part!r}"
        known = ", ".join(sorted({*(target.regions if how.region else target.parts)} - {""})) or "none"
        raise ValueError(f"target: {target.name} has no image with a mask in its {asked}, only: {known}")
    test = np.flatnonzero(there)
    if recipe.subset is not None and recipe.subset < len(test):
        draw = np.random.default_rng(recipe.split.seed)
        test = np.sort(draw.choice(test, recipe.subset, replace=False))
    own, left = target.name == packed.name, packed
    shown = [getattr(DATASETS.get(name), "places_of", "") or name for name in (target.name, packed.name)]
    if shown[0] == shown[1]:
        # What is the target is no part of the source, nor are its copies.
        scenes = np.array(together(packed.ids, packed.ids, packed.copies))
        seen = np.isin(scenes, scenes[np.isin(packed.ids, np.array(target.ids)[there])])
        if not seen.any():
            raise ValueError(f"target: {target.name} shows the very places of {packed.name}; name other data")
        left = replace(packed, parts=tuple(np.where(seen, "target", packed.parts).tolist()))
    source = split(left, recipe.split, recipe.subset)
    learnt = ["train", "test"] if recipe.hold_out else PARTS
    train = np.sort(np.concatenate([source[part] for part in learnt]))
    chosen = {"train": train, "valid": source["valid"], "test": test}
    if own:
        warn(packed.name, packed.ids, packed.copies, chosen)
    return chosen
