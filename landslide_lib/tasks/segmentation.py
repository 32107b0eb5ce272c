"""Semantic segmentation: how it trains and how it is evaluated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib import augment, postprocessing, scores
from landslide_lib import recipe as recipes
from landslide_lib.datasets.batches import Batches
from landslide_lib.datasets.pack import Packed
from landslide_lib.datasets.split import Indices
from landslide_lib.losses import LOSSES, combine
from landslide_lib.metrics import Counter
from landslide_lib.models import MODELS
from landslide_lib.models.heads import HEADS, Outputs, mask_of
from landslide_lib.parts import WeightedCrossEntropy
from landslide_lib.records import Outcome, Record
from landslide_lib.scores import class_scores
from landslide_lib.tasks import engine
from landslide_lib.tasks.learner import REMEDY, Learner, Run, kept


def loss_of(
    recipe: recipes.Segmentation | recipes.Adaptation | recipes.Classification,
    packed: Packed,
    train: Indices,
) -> nn.Module:
    """Build the weighted sum of losses that a recipe names.

    Args:
        recipe: A weighted cross entropy without a weight gets the number of other pixels to one of
            landslide in training.
        packed: The dataset.
        train: The images to train on.

    Raises:
        ValueError: That number is asked for, and no pixel is landslide.
    """
    terms = []
    for term in recipe.loss:
        knobs = term.model_dump(exclude={"name", "factor"})
        if isinstance(term, WeightedCrossEntropy) and term.weight is None:
            knobs["weight"] = _others(packed, train)
        terms.append((term.factor, LOSSES[term.name](**knobs)))
    return combine(terms)


def _others(packed: Packed, train: Indices) -> float:
    share = float((packed.masks[train] == 1).mean())
    if not share:
        raise ValueError(
            f"{packed.name}: none of the {len(train)} images to train on shows a landslide, so "
            "that none can be weighted; take more of them (subset), or state the loss's weight"
        )
    return (1 - share) / share


def model_of(recipe: recipes.Segmentation, bands: int) -> nn.Module:
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


class Segmentation(Learner):
    """A segmentation network, its loss and its batches; see `Learner`."""

    recipe: Any  # a Segmentation; of `tasks.adaptation` an Adaptation

    def __init__(self, recipe: Any, packed: Packed, seed: int, on: torch.device) -> None:
        super().__init__(recipe, packed, seed, on)
        self.network = self.built().to(memory_format=torch.channels_last)
        self.loss = loss_of(recipe, self.packed, self.parts["train"])

    def built(self) -> nn.Module:
        """Build the network."""
        return model_of(self.recipe, len(self.means))

    def forward(self, images: Tensor) -> Outputs:
        """Return logits, (B, 1, S, S), or several by name."""
        outputs: Outputs = self.network(images)
        return outputs

    def batches(self, part: str) -> Batches:
        """Return the batches of a part; only `train` is shuffled and augmented."""
        training = part == "train"
        return Batches(
            self.packed, self.parts[part], self.recipe.batch, self.means,
            bands=self.recipe.bands, device=self.on,
            seed=self.seed if training else None,
            augment=augment.compose(self.recipe.augmentation) if training else None,
            **(self.shares if training else {}),
        )  # fmt: skip

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        images, masks = batch
        loss = objective(self.loss, self(images), masks)
        self._losses.append(loss.detach())
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start counting."""
        super().on_validation_epoch_start()
        self._counter = Counter()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Count a batch."""
        images, masks = batch
        outputs = self(images)
        self._valid.append(objective(self.loss, outputs, masks))
        self._counter.update(mask_of(outputs).float().sigmoid(), masks)

    def scored(self) -> dict[str, float | None]:
        """Return the pooled F1 at 0.5."""
        tp, fp, fn, _ = self._counter.images().sum(0).tolist()
        f1 = float(class_scores(tp, fp, fn)["f1"])
        return {"valid_f1": f1 if math.isfinite(f1) else None}


class Segmented(Run[Segmentation]):
    """A trained segmentation network."""

    def count(self, part: str, *thresholds: float) -> Counter:
        """Count the predictions on a part, at thresholds and by histogram."""
        return count(self.module, self.module.batches(part), *thresholds)

    def evaluated(self) -> dict[str, Any]:
        """Return what a record says of the network's scores."""
        valid = self.count("valid")
        seen = valid.histogram().numpy()
        tuned = scores.best_threshold(*seen)
        test = self.count("test", 0.5, tuned)
        return {
            "test": _outcome(test.images(0), 0.5),
            "test_tuned": _outcome(test.images(1), tuned),
            "valid": _outcome(valid.images(), 0.5),
            "valid_tuned": Outcome(
                threshold=tuned, metrics=scores.at_threshold(*seen, threshold=tuned)
            ),
            "test_counts": test.images(0).tolist(),
            # 100 bins are enough for a curve, and keep a published record small.
            "histogram": test.histogram().view(2, 100, -1).sum(2).tolist(),
        }


def _outcome(counts: Any, threshold: float) -> Outcome:
    return Outcome(threshold=threshold, metrics=scores.scores(counts))


def train(
    recipe: recipes.Segmentation,
    packed: Packed,
    seed: int,
    work: Path,
    on: torch.device,
    *_: Any,
) -> Segmented:
    """Train a recipe from its last checkpoint, or from the start.

    Args:
        recipe: What to train.
        packed: The dataset at the recipe's image size.
        seed: See `Learner`.
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
    return Segmented(module, resumed)


def restore(
    recipe: recipes.Segmentation,
    packed: Packed,
    seed: int,
    grown: Sequence[tuple[Record, Path]],
    on: torch.device,
) -> Segmented:
    """Return a trained network with the post-processing that a recipe names.

    Args:
        recipe: With post-processing, or without.
        packed: The dataset at the recipe's image size.
        seed: Of the training.
        grown: The record of the network and the file of its weights.
        on: The device.

    Raises:
        ValueError: The weights are those of another run, or damaged; the message names the file.
    """
    ((_, weights),) = grown
    found = kept(weights, recipe.trained, seed, packed.fingerprint)
    # All weights come from the file: those of ImageNet need not be fetched.
    module = Segmentation(recipe.model_copy(update={"pretrained": False}), packed, seed, on)
    fill(module, found, weights)
    return Segmented(module, resumed=False)


def fill(module: Segmentation, found: dict[str, Tensor], weights: Path) -> None:
    """Load weights that `kept` has read into a module's network.

    Raises:
        ValueError: They are not those of such a network; the message names the file.
    """
    try:
        module.network.load_state_dict(found)
    except RuntimeError:
        problem = "its tensors are not those of the recipe's network"
        raise ValueError(f"{weights}: damaged ({problem}). {REMEDY}") from None
    module.to(module.on)


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
