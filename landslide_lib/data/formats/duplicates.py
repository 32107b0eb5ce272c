"""Images that are there more than once, byte for byte: in training and test they leak."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import Sample
from landslide_lib.data.formats.files import say_once

Copies = tuple[tuple[str, ...], ...]  # ids of images that are the same, two or more
SHOWN = 5  # sets of copies that a message names


def copies(samples: Iterable[Sample]) -> Copies:
    """Find the images (not masks or boxes) whose files are the same, byte for byte, in the order of the samples."""
    of_size: dict[int, list[tuple[str, Path]]] = defaultdict(list)
    for sample in samples:
        if sample.image is not None and sample.image.is_file():
            of_size[sample.image.stat().st_size].append((sample.id, sample.image))
    same: dict[bytes, list[str]] = defaultdict(list)
    for files in of_size.values():
        for name, path in files if len(files) > 1 else ():
            with path.open("rb") as file:
                same[file_digest(file, "sha256").digest()].append(name)
    return tuple(tuple(names) for names in same.values() if len(names) > 1)


def across(sets: Copies, parts: Mapping[str, str]) -> Copies:
    """Return the sets of copies that lie in more than one part; `parts` gives the part of an id, where it has one."""
    return tuple(names for names in sets if len({parts[name] for name in names if name in parts}) > 1)


def together(scenes: Sequence[str], ids: Sequence[str], sets: Copies) -> tuple[str, ...]:
    """Give scenes that share an image one name, so that a split keeps them on one side."""
    now = dict(zip(ids, scenes, strict=True))
    for first, *others in sets:
        for other in others:
            old, new = now[first], now[other]
            now = {name: new if scene == old else scene for name, scene in now.items()}
    return tuple(now.values())


def warn(name: str, ids: Sequence[str], sets: Copies, parts: Mapping[str, NDArray[np.int64]]) -> None:
    """Print on stderr that a split of a dataset, indices by part, has copies in more than one part, if it has."""
    part = {ids[i]: key for key, indices in parts.items() for i in indices} if sets else {}
    if leaks := across(sets, part):
        say_once(f"{name}: {described(leaks)}, in more than one part of this split, so that its scores are too good")


def lines(sets: Copies, parts: Mapping[str, str]) -> list[str]:
    """Return what is to be said of copies, and of those in more than one of a publisher's parts, given by id."""
    text = [f"{described(sets)}: our splits keep them on one side"] if sets else []
    leaks = across(sets, parts)
    return text + [f"the publisher's split leaks: {described(leaks)} in more than one part"] * bool(leaks)


def described(sets: Copies) -> str:
    """Return how many sets of copies there are, and name the first."""
    named = "; ".join(" = ".join(names) for names in sets[:SHOWN])
    more = f"; and {len(sets) - SHOWN} more" if len(sets) > SHOWN else ""
    return f"{len(sets)} set{'s' * (len(sets) != 1)} of images that are the same, byte for byte ({named}{more})"
