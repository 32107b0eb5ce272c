"""A recipe's training: what all tasks share when a recipe chooses what is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor

from landslide_lib.data.pack import Packed
from landslide_lib.data.split import Indices
from landslide_lib.models.checkpoints import load_weights, save_weights
from landslide_lib.study.recipe import Recipe, non_default_fields
from landslide_lib.study.records import Record
from landslide_lib.training import loop
from landslide_lib.training.task import Task


class Setting(NamedTuple):
    """What a run is made of besides its recipe.

    Attributes:
        packed: The dataset at the recipe's image size.
        seed: Of the initialisation, of the order and of the augmentation.
        device: To train on.
        folder: Of this run's checkpoints; None where nothing is trained.
        given: The records of the runs that this one depends on, each with the file of its weights.
        data_root: In place of `LANDSLIDE_DATA`.
    """

    packed: Packed
    seed: int
    device: torch.device
    folder: Path | None = None
    given: Sequence[tuple[Record, Path]] = ()
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
        about = _identity(self.recipe, self.setting.seed, self.setting.packed.fingerprint)
        save_weights(path, self.task.network, **about)


def _identity(recipe: Recipe, seed: int, fingerprint: str) -> dict[str, Any]:
    """Return what a file of weights says that they are of."""
    return {"recipe": non_default_fields(recipe), "seed": seed, "fingerprint": fingerprint}


def weights_of(record: Record, path: Path, fingerprint: str) -> dict[str, Tensor]:
    """Return the weights of a run that another one depends on.

    Args:
        record: Of the run.
        path: The file of its weights.
        fingerprint: Of the data that they have to be of.

    Raises:
        ValueError: They are those of another run, or damaged; the message names the file.
    """
    return load_weights(path, **_identity(record.recipe, record.seed, fingerprint))


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
