"""Which copy of a dataset lies at the data root now. Packs nothing, needs no torch."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from landslide_lib.data.base import BadFileError, DatasetNotFoundError
from landslide_lib.data.formats.files import listing
from landslide_lib.data.pack import revision
from landslide_lib.data.registry import get_dataset
from landslide_lib.paths import atomic_write, cache_root, data_root
from landslide_lib.study.domains import fingerprint_of
from landslide_lib.study.recipe import Adaptation, Recipe


def configured_data(root: Path | None = None) -> Callable[[Recipe], Sequence[str]]:
    """Return a function that gives the fingerprints of the data of a recipe.

    Args:
        root: The data root; by default `LANDSLIDE_DATA`.

    Returns:
        Of a recipe: the fingerprint of all its files and, where the dataset was packed without its unusable files, the
        fingerprint of the rest; () if the data is not at the root. Files are listed once and hashed once; the hash is
        kept in the cache until a file changes.
    """

    @cache
    def of_dataset(name: str) -> tuple[str, ...]:
        return _fingerprints(name, root or data_root())

    def of_recipe(recipe: Recipe) -> Sequence[str]:
        source = of_dataset(recipe.dataset)
        if not isinstance(recipe, Adaptation):
            return [fingerprint_of(recipe, each, root=root) for each in source]
        target = of_dataset(recipe.target.dataset or recipe.dataset)
        # Without unusable files means without those of both.
        pairs = zip(source, target, strict=False)
        return [fingerprint_of(recipe, *pair, root=root) for pair in pairs]

    return of_recipe


def _fingerprints(name: str, root: Path) -> tuple[str, ...]:
    dataset = get_dataset(name)
    try:
        samples = dataset.samples(root)
    except (DatasetNotFoundError, BadFileError):
        return ()
    files = listing(samples)
    path = cache_root() / f"{name}-{files}-{revision(dataset)}.fingerprint"
    if path.is_file():
        every = path.read_text(encoding="utf-8")
    else:
        every = dataset.fingerprint(samples)
        with contextlib.suppress(OSError), atomic_write(path) as scratch:  # a read-only cache
            scratch.write_text(every, encoding="utf-8")
    for folder in cache_root().glob(f"{name}-*px-{files}-{revision(dataset)}s"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            return every, str(about["fingerprint"])
    return (every,)
