"""Semantic segmentation: how it trains and how it is evaluated."""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib import augment, postprocessing
from landslide_lib.datasets.batches import Batches, band_means
from landslide_lib.datasets.pack import Packed
from landslide_lib.datasets.split import split
from landslide_lib.losses import LOSSES, combine
from landslide_lib.metrics import Counter
from landslide_lib.models import MODELS
from landslide_lib.models.heads import HEADS, Outputs, mask_of
from landslide_lib.parts import Optimizer
from landslide_lib.recipe import Recipe, essence
from landslide_lib.scores import class_scores
from landslide_lib.tasks import engine
from landslide_lib.tasks.optimizers import OPTIMIZERS

REMEDY = "Move the file away; the network is trained again"


def loss_of(recipe: Recipe) -> nn.Module:
    """Build the weighted sum of losses that a recipe names."""
    terms = []
    for term in recipe.loss:
        knobs = term.model_dump(exclude={"name", "factor"})
        terms.append((term.factor, LOSSES[term.name](**knobs)))
    return combine(terms)


def model_of(recipe: Recipe, bands: int) -> nn.Module:
    """Build the network that a recipe names, with its head, for a number of bands.

    Raises:
        WeightsNotFoundError: The recipe asks for pretrained weights, and they cannot be had.
    """
    build = MODELS[recipe.model]
    if recipe.pretrained:  # of the few networks that have it, see `recipe.PRETRAINED`
        build = partial(build, pretrained=True)
    if recipe.head == "mono":
        return build(bands=bands, width=recipe.width)
    body = build(bands=bands, width=recipe.width, classes=recipe.width)
    return HEADS[recipe.head](body, recipe.width)


def objective(loss: nn.Module, outputs: Outputs, masks: Tensor) -> Tensor:
    """Return the loss of what a network gives.

    Of masks at several resolutions it is the mean; to the mask of a dual head the cross entropy
    of the image is added (the report's "focal + iou + cross entropy").

    Args:
        loss: Of a mask.
        outputs: Logits of the mask, or by name, see `models.heads`.
        masks: (B, 1, S, S) in {0, 1}.
    """
    if isinstance(outputs, Tensor):
        return torch.as_tensor(loss(outputs, masks))
    scaled = [
        loss(logits, _resized(masks, logits.shape[-1]))
        for name, logits in outputs.items()
        if name != "image"
    ]
    total = torch.stack(scaled).mean()
    if "image" in outputs:
        present = masks.amax((2, 3))
        total = total + F.binary_cross_entropy_with_logits(outputs["image"].float(), present)
    return total


def _resized(masks: Tensor, size: int) -> Tensor:
    """Resize masks: a larger pixel is landslide where half of it is, as packing has it."""
    if size >= masks.shape[-1]:
        return F.interpolate(masks, size=size, mode="nearest")
    return (F.interpolate(masks, size=size, mode="area") >= 0.5).to(masks.dtype)


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


class Segmentation(lightning.LightningModule):  # type: ignore[misc]
    """A network, its loss, its optimizer and its batches.

    Args:
        recipe: What to train.
        packed: On what.
        seed: Of the initialisation, of the order and of the augmentation.
        on: The device.
    """

    def __init__(self, recipe: Recipe, packed: Packed, seed: int, on: torch.device) -> None:
        super().__init__()
        self.recipe, self.packed, self.seed, self.on = recipe, packed, seed, on
        self.parts = split(packed, recipe.split, recipe.subset)
        self.means = band_means(packed, self.parts["train"], recipe.bands)
        lightning.seed_everything(seed, workers=False, verbose=False)
        network = model_of(recipe, len(self.means))
        self.network = network.to(memory_format=torch.channels_last)
        self.loss = loss_of(recipe)
        self.history: list[dict[str, Any]] = []
        self._clock = 0.0

    def forward(self, images: Tensor) -> Outputs:
        """Return logits, (B, 1, S, S), or several by name."""
        outputs: Outputs = self.network(images)
        return outputs

    def batches(self, part: str) -> Batches:
        """Return the batches of a part; only `train` is shuffled and augmented."""
        training = part == "train"
        trainer = self._trainer
        return Batches(
            self.packed, self.parts[part], self.recipe.batch, self.means,
            bands=self.recipe.bands, device=self.on,
            seed=self.seed if training else None,
            augment=augment.compose(self.recipe.augmentation) if training else None,
            rank=trainer.global_rank if trainer and training else 0,
            world=trainer.world_size if trainer and training else 1,
        )  # fmt: skip

    def train_dataloader(self) -> Batches:
        """Lightning asks for it once."""
        return self.batches("train")

    def val_dataloader(self) -> Batches:
        """Lightning asks for it once."""
        return self.batches("valid")

    def configure_optimizers(self) -> Any:
        """Build optimizer and schedule."""
        how = self.recipe.optimizer
        made = OPTIMIZERS[how.name](self.parameters(), lr=how.lr, weight_decay=how.weight_decay)
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

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        images, masks = batch
        loss = objective(self.loss, self(images), masks)
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        self._counter = Counter()
        self._valid: list[Tensor] = []

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Count a batch."""
        images, masks = batch
        outputs = self(images)
        self._valid.append(objective(self.loss, outputs, masks))
        self._counter.update(mask_of(outputs).float().sigmoid(), masks)

    def on_validation_epoch_end(self) -> None:
        """Write a line of the history: the only place where an epoch waits for the device."""
        tp, fp, fn, _ = self._counter.images().sum(0).tolist()
        f1 = float(class_scores(tp, fp, fn)["f1"])
        train_loss = float(torch.stack(self._losses).mean())
        if not math.isfinite(train_loss):
            # Before the checkpoint of this epoch is written: the last one is still sound.
            raise FloatingPointError(
                f"recipe {self.recipe.hash}, seed {self.seed}: the training loss is {train_loss} "
                f"in epoch {self.current_epoch}; lower optimizer.lr, or use precision 32-true"
            )
        self.history.append({
            "train_loss": train_loss,
            "valid_loss": float(torch.stack(self._valid).mean()),
            "valid_f1": f1 if math.isfinite(f1) else None,
            "seconds": time.perf_counter() - self._clock,
        })  # fmt: skip

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history beside the weights, and what the checkpoint is of."""
        checkpoint["history"] = self.history
        checkpoint["recipe"] = essence(self.recipe)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up."""
        self.history = checkpoint["history"]


@dataclass
class Run:
    """A trained network with what is needed to evaluate it."""

    module: Segmentation
    resumed: bool

    def count(self, part: str, *thresholds: float) -> Counter:
        """Count the predictions on a part, at thresholds and by histogram."""
        return count(self.module, self.module.batches(part), *thresholds)

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


def train(recipe: Recipe, packed: Packed, seed: int, work: Path, on: torch.device) -> Run:
    """Train a recipe from its last checkpoint, or from the start.

    Args:
        recipe: What to train.
        packed: The dataset at the recipe's image size.
        seed: See `Segmentation`.
        work: The folder of this run's checkpoints.
        on: The device.

    Returns:
        The run. The weights are those of the last epoch: none is picked by its score.

    Raises:
        FloatingPointError: The loss has become NaN or infinite.
    """
    module = Segmentation(recipe, packed, seed, on)
    resumed = engine.fit(module, recipe, seed, work, on)
    module.to(on)
    return Run(module, resumed)


def kept(path: Path, recipe: Recipe, seed: int, fingerprint: str) -> dict[str, Tensor]:
    """Read the weights that `Run.keep` has written of a recipe, a seed and data.

    Raises:
        ValueError: They are those of another run, or damaged; the message names the file.
    """
    damaged = f"{path}: damaged ({{}}). {REMEDY}"
    try:
        found = engine.read_weights(path)
    except FileNotFoundError:
        raise
    # torch's reader fails on damage in many ways, with an OSError or a KeyError too.
    except (RuntimeError, OSError, EOFError, LookupError, pickle.UnpicklingError) as error:
        raise ValueError(damaged.format(type(error).__name__)) from None
    weights = found.get("weights") if isinstance(found, dict) else None
    if not isinstance(weights, dict):
        raise ValueError(damaged.format("it holds no weights"))
    wanted = {"recipe": essence(recipe.trained), "seed": seed, "fingerprint": fingerprint}
    wrong = [key for key, value in wanted.items() if found.get(key) != value]
    if wrong:
        raise ValueError(f"{path}: the weights are of another {', '.join(wrong)}. {REMEDY}")
    if not all(value.isfinite().all() for value in weights.values()):
        raise ValueError(damaged.format("not all weights are finite"))
    return weights


def restore(recipe: Recipe, packed: Packed, seed: int, weights: Path, on: torch.device) -> Run:
    """Return a trained network with the post-processing that a recipe names.

    Args:
        recipe: With post-processing, or without.
        packed: The dataset at the recipe's image size.
        seed: Of the training.
        weights: As `Run.keep` has written them.
        on: The device.

    Raises:
        ValueError: They are those of another run, or damaged; the message names the file.
    """
    found = kept(weights, recipe, seed, packed.fingerprint)
    # All weights come from the file: those of ImageNet need not be fetched.
    module = Segmentation(recipe.model_copy(update={"pretrained": False}), packed, seed, on)
    try:
        module.network.load_state_dict(found)
    except RuntimeError:
        problem = "its tensors are not those of the recipe's network"
        raise ValueError(f"{weights}: damaged ({problem}). {REMEDY}") from None
    module.to(on)
    return Run(module, resumed=False)


@torch.no_grad()
def count(module: Segmentation, batches: Batches, *thresholds: float) -> Counter:
    """Count the predictions of a module over batches, in float32.

    In bfloat16 a probability has three digits, and a threshold sweep shows steps.
    """
    module.eval()
    counter, steps = Counter(*thresholds), module.recipe.post_processing
    for images, masks in batches:
        counter.update(postprocessing.probability(module.network, images, steps), masks)
    return counter
