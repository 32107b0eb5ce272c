"""What every run has: data, split, budget, optimizer; and the hash that identifies it."""

import hashlib
import json
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from landslide_lib.data.bands import ENGINEERED, LABELS, OF_DATASET, UNLABELLED, check
from landslide_lib.data.split import Split
from landslide_lib.fields import REVISIONS, Part, field
from landslide_lib.study.recipe.parts import PACKAGED, Optimizer

#: The datasets that have a mask of each image, but for those of one's own.
Masks = Literal["synthetic", "bijie", "landslide4sense", "uav", "bijie-degraded", "uav-0.8m"]

Unlabelled = Literal["fmow"]  # of images alone


class Listing(Part):
    """A part that names no entry of one of its lists twice."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for key, entries in self:
            names = [getattr(entry, "name", entry) for entry in entries] if isinstance(entries, tuple) else []
            twice = sorted({name for name in names if isinstance(name, str) and names.count(name) > 1})
            if twice:
                raise ValueError(f"{key} names {', '.join(twice)} twice; name each once")
        return self


class Recipe(Listing):
    """A frozen description of one run, but for its seed; each task adds fields of its own."""

    #: The datasets that the task cannot learn from.
    unfit: ClassVar[tuple[str, ...]] = ()
    #: The fields that, where they are set, make a run take trained networks as they are.
    evaluation_only: ClassVar[tuple[str, ...]] = ()
    #: What the names of its augmentations stand behind as components.
    augmentations: ClassVar[str] = "augmentation"

    dataset: Literal[
        Masks, Unlabelled, "landslide4sense-boxes", "dynahead-yolo", "voc", "folder", "zindi", "synthetic-zindi"
    ]
    task: str
    bands: tuple[str, ...] = field((), description="by name and in order; () is the dataset's own")
    split: Split = field(Split())
    subset: int | None = field(None, ge=20, description="images drawn before the split")
    image_size: int = field(128, ge=16, le=1024, multiple_of=16)
    optimizer: Optimizer = field(Optimizer())
    epochs: int = field(50, ge=1, le=10_000)
    batch: int = field(32, ge=1, le=4096)
    precision: Literal["32-true", "bf16-mixed"] = field("bf16-mixed", description="mixed: the device decides, see loop")
    augmentation: tuple[str, ...]

    @model_validator(mode="after")
    def _data_fits(self) -> Self:
        check(self.bands, OF_DATASET[self.dataset], self.dataset)
        if self.dataset in UNLABELLED and getattr(getattr(self, "objective", None), "name", "") != "mae":
            raise ValueError(f"dataset: {self.dataset} has images alone, to learn from by start {{name: mae}}")
        if self.dataset in self.unfit:
            has, task = ("labels", "classification") if self.dataset in LABELS else ("boxes", "detection")
            raise ValueError(f"dataset: {self.dataset} has {has}, which suit no {self.task}; take task {task}")
        return self

    @property
    def input_bands(self) -> tuple[str, ...]:
        """The bands that a network is given; empty are all of the dataset."""
        return self.bands

    @property
    def channels(self) -> int:
        """How many channels the network takes."""
        return len(self.input_bands or OF_DATASET[self.dataset])

    @property
    def standardize(self) -> bool:
        """Whether bands are given mean 0 and deviation 1, as weights of others expect, or are divided by their mean."""
        takes_weights = any(one.weights is not None for one in (self, *self.ancestors))
        return takes_weights or getattr(self, "encoder", None) in PACKAGED

    @property
    def depends_on(self) -> tuple["Recipe", ...]:
        """The recipes whose networks this one takes up."""
        return ()

    @property
    def ancestors(self) -> tuple["Recipe", ...]:
        """What it depends on, and what that depends on, each once."""
        every = (one for other in self.depends_on for one in (other, *other.ancestors))
        return tuple({one.hash: one for one in every}.values())

    @property
    def trains(self) -> bool:
        """Whether a run trains, or takes trained networks as they are."""
        return all(getattr(self, name) == type(self).model_fields[name].default for name in self.evaluation_only)

    @property
    def encoder_start(self) -> Any:
        """What its encoder starts from: a part, the name of weights, or None for random ones."""
        return getattr(getattr(self, "objective", self), "start", None)

    @property
    def weights(self) -> str | None:
        """The weights of others that it starts from: `imagenet`, or a file in the folder `weights` of the data root."""
        source: str | None = getattr(self.encoder_start, "weights", self.encoder_start)
        return source

    @property
    def needs_download(self) -> bool:
        """Whether a run, or one that it depends on, needs weights of others that no package holds."""
        whole = not getattr(self, "tiny", False)  # a package holds a whole encoder, and not one for tests
        packaged = self.weights == "imagenet" and getattr(self, "encoder", None) in PACKAGED and whole
        return bool(self.weights and not packaged) or any(other.needs_download for other in self.depends_on)

    @property
    def unused_fields(self) -> tuple[str, ...]:
        """Fields that a run of this recipe makes no use of; its hash does not depend on them."""
        return ()

    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 of what differs from the origins and is used."""
        return _hash(self)

    @property
    def components(self) -> dict[str, int]:
        """The components that a run and those that it depends on use, each with its revision."""
        return {name: REVISIONS.get(name, 1) for name in _component_names(self)}

    def _components(self) -> list[str]:
        """Return the components that are the task's own."""
        raise NotImplementedError


# Both are cached: a page of the book asks for some ten thousand hashes, and recipes share ancestors.
@lru_cache(maxsize=4096)
def _hash(made: Recipe) -> str:
    text = json.dumps(non_default_fields(made), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=4096)
def _component_names(made: Recipe) -> tuple[str, ...]:
    names = {
        f"task/{made.task}",
        "pack",
        *(f"bands/{name}" for name in made.bands if name in ENGINEERED),
        f"dataset/{made.dataset}",
        f"split/{made.split.method}",
        f"optimizer/{made.optimizer.name}",
        f"schedule/{made.optimizer.schedule}",
        *(f"loss/{term.name}" for term in getattr(made, "loss", ())),
        *(f"{made.augmentations}/{name}" for name in made.augmentation),
        *(f"start/{name}" for name in [getattr(made.encoder_start, "name", "")] if name),
        *made._components(),
    }
    return tuple(sorted(names.union(*map(_component_names, made.depends_on))))


def non_default_fields(part: Part) -> dict[str, Any]:
    """Return the fields of a part that are used and have no default or not the one they first had, as plain values.

    >>> from landslide_lib.study.recipe.parts import Optimizer
    >>> non_default_fields(Optimizer(lr=0.5, warmup=0.1))
    {'lr': 0.5}
    """
    unused = part.unused_fields if isinstance(part, Recipe) else ()
    fields = {}
    for name, info in type(part).model_fields.items():
        value, extra = _plain(getattr(part, name)), info.json_schema_extra
        if name not in unused and not (isinstance(extra, dict) and value == extra["origin"]):
            fields[info.alias or name] = value
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return non_default_fields(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
