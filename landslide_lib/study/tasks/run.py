"""A recipe's training: what all tasks share when a recipe chooses what is trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import lightning
import torch
from torch import Tensor

from landslide_lib.data.pack import Packed
from landslide_lib.data.split import Indices
from landslide_lib.models.checkpoints import fill, load_weights, save_weights
from landslide_lib.study import domains
from landslide_lib.study.recipe import Recipe, non_default_fields
from landslide_lib.study.records import Record
from landslide_lib.training import loop
from landslide_lib.training.task import Task

T = TypeVar("T", bound=Task)


class Setting(NamedTuple):
    """What a run is made of besides its recipe.

    `folder` is that of its checkpoints, if it trains; `dependencies` are the records of the runs that it depends on,
    each with the file of its weights.
    """

    packed: Packed
    seed: int
    device: torch.device
    folder: Path | None = None
    dependencies: Sequence[tuple[Record, Path]] = ()
    data_root: Path | None = None

    def options(self, recipe: Recipe) -> dict[str, Any]:
        """Return what every `Task` takes of a recipe and its setting."""
        return {"batch": recipe.batch, "seed": self.seed, "device": self.device}


@dataclass
class Run:
    """A trained network with what is needed to evaluate it.

    `evaluate` returns what a record says of the scores, `history` has a dict an epoch, `start` is what was taken of
    weights that it started from, and `save_more` writes what belongs beside the weights.
    """

    task: Task
    parts: dict[str, Indices]
    evaluate: Callable[[], dict[str, Any]]
    history: list[dict[str, Any]] = field(default_factory=list)
    resumed: bool = False
    start: dict[str, Any] | None = None
    save_more: Callable[[Path], None] | None = None

    def save(self, path: Path, record: Record) -> None:
        """Write the weights, which say what they are of."""
        if self.save_more is not None:
            self.save_more(path)
        save_weights(path, self.task.network, **_identity(record, record.fingerprint))


def _identity(record: Record, fingerprint: str) -> dict[str, Any]:
    return {"recipe": non_default_fields(record.recipe), "seed": record.seed, "fingerprint": fingerprint}


def weights_of(record: Record, path: Path, fingerprint: str) -> dict[str, Tensor]:
    """Return the weights of a run that another one depends on, if they are of this data; see `load_weights`."""
    return load_weights(path, **_identity(record, fingerprint))


def load_task(build: Callable[..., T], record: Record, path: Path, setting: Setting) -> T:
    """Return what `build` makes of the recipe of a run that another one depends on, with the trained weights."""
    weights = weights_of(record, path, setting.packed.fingerprint)
    task = build(record.recipe, setting)
    fill(task.network, weights, path)
    return task.to(setting.device)


def reopen(record: Record, given: Sequence[tuple[Record, Path]], data_root: Path | None) -> tuple[Any, Setting]:
    """Return the module of a record's task and the setting in which trained networks are looked at again."""
    packed = domains.load(record.recipe, root=data_root)
    setting = Setting(packed, record.seed, loop.device_of(), None, given, data_root)
    return import_module(f"landslide_lib.study.tasks.{record.recipe.task}"), setting


def single_network(build: Callable[..., T], setting: Setting) -> Run:
    """Return the one trained network that is given, as `build` builds it."""
    ((record, path),) = setting.dependencies
    task = load_task(build, record, path, setting)
    return Run(task, task.data.parts, task.evaluate)


def seeded(seed: int) -> None:
    """Seed the initial weights of a network that is built next."""
    lightning.seed_everything(seed, workers=False, verbose=False)


def train(task: Task, recipe: Recipe, setting: Setting) -> tuple[list[dict[str, Any]], bool]:
    """Train a task as its recipe says; see `loop.train`."""
    assert setting.folder is not None
    how = recipe.optimizer
    plan = loop.Plan(
        epochs=recipe.epochs, optimizer=how.name, **how.model_dump(exclude={"name"}), precision=recipe.precision
    )
    return loop.train(
        task,
        plan,
        seed=setting.seed,
        folder=setting.folder,
        device=setting.device,
        name=f"recipe {recipe.hash}, seed {setting.seed}",
        about={"recipe": non_default_fields(recipe)},
    )
