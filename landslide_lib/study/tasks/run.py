"""A recipe's training: what all tasks share when a recipe chooses what is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch

from landslide_lib.data.pack import Packed
from landslide_lib.data.split import Indices
from landslide_lib.models.checkpoints import save_weights
from landslide_lib.study.recipe import Recipe, non_default_fields
from landslide_lib.study.recipe.parts import Optimizer
from landslide_lib.study.records import Record
from landslide_lib.training import loop
from landslide_lib.training.task import Task

#: The records of runs that a run depends on, each with the file of its weights.
Given = Sequence[tuple[Record, Path]]


class Setting(NamedTuple):
    """What a run is made of besides its recipe.

    Attributes:
        packed: The dataset at the recipe's image size.
        seed: Of the initialisation, of the order and of the augmentation.
        device: To train on.
        folder: Of this run's checkpoints; None where nothing is trained.
        given: The runs that this one depends on.
        data_root: In place of `LANDSLIDE_DATA`.
    """

    packed: Packed
    seed: int
    device: torch.device
    folder: Path | None = None
    given: Given = ()
    data_root: Path | None = None


@dataclass
class Run:
    """A trained network with what is needed to evaluate it.

    Attributes:
        recipe: That chose it.
        setting: What else it is made of.
        task: With the network.
        parts: The images of training, validation and test.
        evaluate: Returns what a record says of the scores.
        history: A dict an epoch; empty where nothing was trained.
        resumed: Whether it was taken up from a checkpoint.
        start: What was taken of weights that it started from.
        save_more: Writes what belongs beside the weights.
    """

    recipe: Recipe
    setting: Setting
    task: Task
    parts: dict[str, Indices]
    evaluate: Callable[[], dict[str, Any]]
    history: list[dict[str, Any]] = field(default_factory=list)
    resumed: bool = False
    start: dict[str, Any] | None = None
    save_more: Callable[[Path], None] | None = None

    def save(self, path: Path) -> None:
        """Write the weights, with the recipe and the seed that made them."""
        if self.save_more is not None:
            self.save_more(path)
        save_weights(path, self.task.network, **identity(self.recipe, self.setting))


def identity(recipe: Recipe, setting: Setting) -> dict[str, Any]:
    """Return what a file of weights says that they are of."""
    fingerprint = setting.packed.fingerprint
    return {"recipe": non_default_fields(recipe), "seed": setting.seed, "fingerprint": fingerprint}


def seeded(seed: int) -> None:
    """Seed the initial weights of a network that is built next."""
    lightning.seed_everything(seed, workers=False, verbose=False)


def plan(epochs: int, how: Optimizer, precision: str) -> loop.Plan:
    """Return the plan of a training from the parts of a recipe."""
    return loop.Plan(
        epochs=epochs,
        optimizer=how.name,
        lr=how.lr,
        weight_decay=how.weight_decay,
        schedule=how.schedule,
        warmup=how.warmup,
        precision=precision,
    )


def train(task: Task, recipe: Recipe, setting: Setting) -> tuple[list[dict[str, Any]], bool]:
    """Train a task as its recipe says; see `loop.train`."""
    assert setting.folder is not None
    return loop.train(
        task,
        plan(recipe.epochs, recipe.optimizer, recipe.precision),
        seed=setting.seed,
        folder=setting.folder,
        device=setting.device,
        name=f"recipe {recipe.hash}, seed {setting.seed}",
        about={"recipe": non_default_fields(recipe)},
    )
