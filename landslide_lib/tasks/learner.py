"""What every task's training has in common: optimizer, schedule, order of the images, history."""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning
import torch
from torch import Tensor, nn

from landslide_lib.datasets.pack import Packed
from landslide_lib.datasets.scales import band_means, moments
from landslide_lib.datasets.split import Indices, split
from landslide_lib.parts import Optimizer
from landslide_lib.recipe import Recipe, essence
from landslide_lib.tasks import engine
from landslide_lib.tasks.optimizers import OPTIMIZERS

REMEDY = "Move the file away; the network is trained again"


def learning_rate(step: int, steps: int, how: Optimizer) -> float:
    """Return the factor on the peak learning rate at a step: warm-up, then cosine decay.

    >>> [round(learning_rate(s, 10, Optimizer(warmup=0.2)), 2) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    if how.schedule == "constant":
        return 1.0
    warm = round(how.warmup * steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


class Learner(lightning.LightningModule):  # type: ignore[misc]
    """A network with its recipe, its data and its history.

    `parts` are the images of training, validation and test by index, `means` those of the bands
    over the training images. A task builds `network`, for which the seed is set, and has the steps;
    `scored` returns what an epoch's line of the history says beside its losses.

    Args:
        recipe: What to train.
        packed: On what.
        seed: Of the initialisation, of the order and of the augmentation.
        on: The device.
    """

    network: nn.Module

    def __init__(self, recipe: Recipe, packed: Packed, seed: int, on: torch.device) -> None:
        super().__init__()
        self.recipe, self.packed, self.seed, self.on = recipe, packed, seed, on
        self.parts = self.parted()
        self.shift: Tensor | None = None  # what is taken from each band before it is divided
        self.means = self.divisors()
        self.start: dict[str, Any] | None = None  # what was taken of weights that it starts from
        self.history: list[dict[str, Any]] = []
        self._clock = 0.0
        lightning.seed_everything(seed, workers=False, verbose=False)

    def parted(self) -> dict[str, Indices]:
        """Return the images of each part."""
        return split(self.packed, self.recipe.split, self.recipe.subset)

    def divisors(self) -> Tensor:
        """Return what each band is divided by, (C, 1, 1): its mean over the training images.

        Where the recipe is `centred`, it is the deviation, and `shift` the mean.
        """
        given = self.packed, self.parts["train"], self.recipe.seen
        if self.recipe.centred:
            self.shift, spread = moments(*given)
            return spread
        return band_means(*given)

    def batches(self, part: str) -> Any:
        """Return the batches of a part; only `train` is shuffled and augmented."""
        raise NotImplementedError

    def train_dataloader(self) -> Any:
        """Lightning asks for it once."""
        return self.batches("train")

    def val_dataloader(self) -> Any:
        """Lightning asks for it once."""
        return self.batches("valid")

    @property
    def shares(self) -> dict[str, Any]:
        """Return which process this is of those that train together, as `Batches` takes it."""
        trainer = self._trainer
        return {"rank": trainer.global_rank, "world": trainer.world_size} if trainer else {}

    def configure_optimizers(self) -> Any:
        """Build optimizer and schedule."""
        how = self.recipe.optimizer
        learnt = [value for value in self.parameters() if value.requires_grad]
        made = OPTIMIZERS[how.name](learnt, lr=how.lr, weight_decay=how.weight_decay)
        steps = len(self.trainer.train_dataloader or self.train_dataloader()) * self.recipe.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(
            made, lambda step: learning_rate(step, steps, how)
        )
        return {"optimizer": made, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Set the order of the epoch; a resumed run goes on in the whole run's order."""
        loader: Any = self.trainer.train_dataloader
        loader.set_epoch(self.current_epoch)
        self._clock = time.perf_counter()
        self._losses: list[Tensor] = []

    def on_validation_epoch_start(self) -> None:
        """Begin a line of the history."""
        self._valid: list[Tensor] = []

    def scored(self) -> dict[str, float | None]:
        """Return the epoch's score on the validation images, by its name in the history."""
        return {}

    def on_validation_epoch_end(self) -> None:
        """Write a line of the history: the only place where an epoch waits for the device."""
        train_loss = float(torch.stack(self._losses).mean())
        valid_loss = float(torch.stack(self._valid).mean()) if self._valid else None
        for part, loss in (("training", train_loss), ("validation", valid_loss)):
            # Before the checkpoint of this epoch is written: the last one is still sound.
            if loss is not None and not math.isfinite(loss):
                raise FloatingPointError(
                    f"recipe {self.recipe.hash}, seed {self.seed}: the {part} loss is {loss} in "
                    f"epoch {self.current_epoch}; lower optimizer.lr, or use precision 32-true"
                )
        self.history.append({
            "train_loss": train_loss,
            "valid_loss": valid_loss,
            **self.scored(),
            "seconds": time.perf_counter() - self._clock,
        })  # fmt: skip

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history beside the weights, and what the checkpoint is of."""
        checkpoint["history"] = self.history
        checkpoint["recipe"] = essence(self.recipe)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up."""
        self.history = checkpoint["history"]


Module = TypeVar("Module", bound=Learner)


@dataclass
class Run(Generic[Module]):
    """A trained network with what is needed to evaluate it."""

    module: Module
    resumed: bool

    def keep(self, path: Path) -> None:
        """Write the weights, with the recipe and the seed that made them."""
        module = self.module
        engine.write_weights(path, {
            "recipe": essence(module.recipe),
            "seed": module.seed,
            "fingerprint": module.packed.fingerprint,
            "weights": {k: v.detach().cpu().contiguous()
                        for k, v in module.network.state_dict().items()},
        })  # fmt: skip


def kept(path: Path, recipe: Recipe, seed: int, fingerprint: str | None) -> dict[str, Tensor]:
    """Read the weights that `Run.keep` has written of a recipe, a seed and data.

    Args:
        path: The file.
        recipe: Whose run wrote it.
        seed: Of that run.
        fingerprint: Of its data; None for any.

    Raises:
        ValueError: They are those of another run, or damaged; the message names the file.
    """
    damaged = f"{path}: damaged ({{}}). {REMEDY}"
    try:
        found = engine.read_weights(path)
    except pickle.UnpicklingError as error:
        raise ValueError(damaged.format(type(error.__cause__ or error).__name__)) from None
    weights = found.get("weights")
    if not isinstance(weights, dict):
        raise ValueError(damaged.format("it holds no weights"))
    wanted = {"recipe": essence(recipe), "seed": seed}
    if fingerprint is not None:
        wanted["fingerprint"] = fingerprint
    wrong = [key for key, value in wanted.items() if found.get(key) != value]
    if wrong:
        raise ValueError(f"{path}: the weights are of another {', '.join(wrong)}. {REMEDY}")
    if not all(value.isfinite().all() for value in weights.values()):
        raise ValueError(damaged.format("not all weights are finite"))
    return weights
