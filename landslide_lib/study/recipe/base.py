"""What every run has: data, split, budget, optimizer; and the hash that identifies it."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Any, Literal

from pydantic import model_validator

from landslide_lib.data.bands import ENGINEERED, OF_DATASET, check
from landslide_lib.data.split import Split
from landslide_lib.fields import REVISIONS, Part, field
from landslide_lib.study.recipe.parts import Optimizer


class Recipe(Part):
    """A frozen description of one run. The seed stands beside it, not in it.

    The recipe of each task has its fields and those below.
    """

    dataset: Literal[
        "synthetic",
        "bijie",
        "landslide4sense",
        "landslide4sense-boxes",
        "uav",
        "voc",
        "folder",
        "zindi",
        "synthetic-zindi",
    ]
    task: str
    bands: tuple[str, ...] = field((), description="by name and in order; () is the dataset's own")
    split: Split = field(Split())
    subset: int | None = field(None, ge=20, description="images drawn before the split")
    image_size: int = field(128, ge=16, le=1024, multiple_of=16)
    optimizer: Optimizer = field(Optimizer())
    epochs: int = field(50, ge=1, le=10_000)
    batch: int = field(32, ge=1, le=4096)
    precision: Literal["32-true", "bf16-mixed"] = field("bf16-mixed")

    @model_validator(mode="after")
    def _names_are_there_once(self) -> Recipe:
        for key, names in self._named().items():
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{key} names {', '.join(twice)} twice; name each once")
        check(self.bands, OF_DATASET[self.dataset], self.dataset)
        return self

    def _named(self) -> dict[str, tuple[str, ...]]:
        """Return the lists of which each entry may be named once."""
        return {"bands": self.bands}

    @property
    def channels(self) -> int:
        """How many channels the network takes.

        >>> from landslide_lib.study.recipe import recipe
        >>> recipe({"dataset": "bijie"}).channels
        3
        """
        return len(self.bands or OF_DATASET[self.dataset])

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The recipes whose networks this one takes up, where other runs make them."""
        return ()

    @property
    def ancestors(self) -> tuple[Recipe, ...]:
        """What it grows from, and what that grows from, each once."""
        found: dict[str, Recipe] = {}
        left = list(self.depends_on)
        while left:
            one = left.pop()
            if one.hash not in found:
                found[one.hash] = one
                left += one.depends_on
        return tuple(found.values())

    @property
    def trains(self) -> bool:
        """Whether a run trains: post-processing takes a trained network as it is."""
        return True

    @property
    def needs_download(self) -> bool:
        """Whether a run needs weights of others, from a model hub or a file that one places."""
        return any(other.needs_download for other in self.depends_on)

    @property
    def input_bands(self) -> tuple[str, ...]:
        """The bands that a network is given; empty are all of the dataset."""
        return self.bands

    @property
    def standardize(self) -> bool:
        """Whether bands are given mean 0 and deviation 1, not only divided by their mean."""
        return False

    @property
    def files(self) -> tuple[str, ...]:
        """The files of weights of others, in the folder `weights` of the data root."""
        return ()

    @property
    def unused_fields(self) -> tuple[str, ...]:
        """Fields that a run of this recipe makes no use of; its hash does not depend on them."""
        return ()

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 of what differs from the origins and is used.

        >>> from landslide_lib.study.recipe import recipe
        >>> short = recipe({"dataset": "bijie"})
        >>> long = recipe({"dataset": "bijie", "epochs": 50, "split": {"folds": 5}})
        >>> short.hash == long.hash
        True
        """
        return _hash(self)

    @property
    def components(self) -> dict[str, int]:
        """The components that a run of this recipe uses, each with its revision."""
        return {name: REVISIONS.get(name, 1) for name in _named_components(self)}

    def _of_run(self) -> list[str]:
        """Return the components that the run itself uses, not those that it grows from."""
        return [
            f"task/{self.task}",
            "pack",
            *(f"bands/{name}" for name in self.bands if name in ENGINEERED),
            f"dataset/{self.dataset}",
            f"split/{self.split.method}",
            f"optimizer/{self.optimizer.name}",
            f"schedule/{self.optimizer.schedule}",
            *self._components(),
        ]

    def _components(self) -> list[str]:
        """Return those of the task among them."""
        return []


@lru_cache(maxsize=4096)
def _hash(made: Recipe) -> str:
    # Kept: a page of the book asks for some ten thousand of them.
    text = json.dumps(non_default_fields(made), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=4096)
def _named_components(made: Recipe) -> tuple[str, ...]:
    # Kept: networks of a round of refinement have the same ancestors.
    grown = [name for other in made.depends_on for name in _named_components(other)]
    return tuple(sorted({*grown, *made._of_run()}))


def non_default_fields(part: Part) -> dict[str, Any]:
    """Return the fields of a part that differ from the default they first had and are used.

    Args:
        part: A recipe or one of its parts.

    Returns:
        A dict of plain values. Fields without a default are always in it.

    >>> from landslide_lib.study.recipe import parts
    >>> non_default_fields(parts.Focal(name="focal", gamma=3.0))
    {'name': 'focal', 'gamma': 3.0}
    """
    kept: dict[str, Any] = {}
    idle = part.unused_fields if isinstance(part, Recipe) else ()
    for name, info in type(part).model_fields.items():
        if name in idle:
            continue
        value = _plain(getattr(part, name))
        extra = info.json_schema_extra
        if isinstance(extra, dict) and value == extra["origin"]:
            continue
        kept[name] = value
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return non_default_fields(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
