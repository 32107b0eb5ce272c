"""Adaptation as a recipe chooses it: two domains, their scales, teachers and ensembles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from landslide_lib.data import augment
from landslide_lib.data.prepare import Data
from landslide_lib.data.scales import moments
from landslide_lib.data.split import Indices, images_of
from landslide_lib.models import MODELS
from landslide_lib.models.checkpoints import fill, load_weights
from landslide_lib.models.cross_sensor import cross_sensor
from landslide_lib.models.prior import init_logit_bias
from landslide_lib.models.upsampled_input import UpsampledInput
from landslide_lib.study import recipe as recipes
from landslide_lib.study import submission
from landslide_lib.study.domains import parts
from landslide_lib.study.records import Record
from landslide_lib.study.tasks.run import Run, Setting, identity, seeded, train
from landslide_lib.study.tasks.segmentation import loss_of
from landslide_lib.training.adaptation import AdaptationTask, Labels, labels_of, mean_probability


def network_of(recipe: recipes.Adaptation) -> nn.Module:
    """Build the network that a recipe names, with random weights; see `init_logit_bias`, too.

    Shape:
        (B, bands, S, S) to logits (B, 1, S, S), S the recipe's image size.
    """
    enlarged = round(recipe.scale * recipe.image_size)
    network = MODELS[recipe.model](in_channels=recipe.channels, size=recipe.size, image_size=enlarged)
    if recipe.norms == "cross_sensor":
        network = cross_sensor(network)
    return UpsampledInput(network, recipe.scale)


def target_of(recipe: recipes.Adaptation, setting: Setting, source: Data, images: Indices) -> Data:
    """Return images of the target, scaled by their own statistics where the recipe says so."""
    packed = setting.packed.target
    assert packed is not None
    shift, scale = source.shift, source.scale
    if recipe.normalization == "separated":
        shift, scale = moments(packed, images, recipe.bands)
    return Data(packed, {"test": images}, source.bands, scale, shift)


def build(recipe: recipes.Adaptation, setting: Setting, labels: Labels | None = None) -> AdaptationTask:
    """Build the network of a recipe with its two domains.

    Args:
        recipe: Of adaptation.
        setting: Whose packed source has its target.
        labels: Pseudo-labels of the target's images; None where it is not trained on.
    """
    packed = setting.packed
    where = parts(packed, recipe)
    shift, scale = moments(packed, where["train"], recipe.bands)
    source = Data(packed, where, recipe.bands or packed.bands, scale, shift)
    target = target_of(recipe, setting, source, where["test"])
    seeded(setting.seed)
    network = network_of(recipe)
    # The network begins with the share of landslide in training. Masks that are all of one kind
    # teach nothing, from any beginning.
    masks = packed.masks[where["train"]]
    init_logit_bias(network, float(np.clip(masks.mean(), 1 / masks.size, 1 - 1 / masks.size)))
    return AdaptationTask(
        network,
        loss_of(recipe, packed, where["train"]),
        source,
        target,
        labels=labels,
        cross_sensor=recipe.norms == "cross_sensor",
        batch=recipe.batch,
        seed=setting.seed,
        augment=augment.compose(recipe.augmentation, source.bands),
        device=setting.device,
    )


def run(recipe: recipes.Adaptation, setting: Setting) -> Run:
    """Train a network from its last checkpoint, or from the start.

    The runs that it depends on are those of the round before, which label the target.

    Raises:
        ValueError: The round before is sure of no landslide, so that there is nothing to learn.
        FloatingPointError: The network diverged.
    """
    labels = _pseudo_labels(recipe, setting) if setting.given else None
    task = build(recipe, setting, labels)
    history, resumed = train(task, recipe, setting)
    return _run(recipe, setting, task, history, resumed)


def _pseudo_labels(recipe: recipes.Adaptation, setting: Setting) -> Labels:
    teachers = restored(setting)
    # Teachers normalise alike: the batches of the first are those of all.
    networks = [teacher.network for teacher in teachers]
    labels = labels_of(networks, teachers[0].loader("test"), recipe.confidence)
    if not (labels == 1).any():
        names = ", ".join(record.name for record, _ in setting.given)
        raise ValueError(
            f"rounds: a round {len(recipe.rounds)} would learn from no landslide: no pixel of the "
            f"target has a probability of {recipe.confidence:g} in the mean of {names}. Train "
            "these longer, or take a lower confidence"
        )
    return labels


def _run(recipe: recipes.Adaptation, setting: Setting, task: AdaptationTask, *result: object) -> Run:
    where = {**task.data.parts, "test": task.target.parts["test"]}
    return Run(recipe, setting, task, where, task.evaluate, *result)  # type: ignore[arg-type]


def restored(setting: Setting) -> list[AdaptationTask]:
    """Return the trained networks that a run depends on.

    Raises:
        ValueError: The weights are those of another run, or damaged; the message names the file.
    """
    return [_restored(record, path, setting) for record, path in setting.given]


def _restored(record: Record, path: Path, setting: Setting) -> AdaptationTask:
    assert isinstance(record.recipe, recipes.Adaptation)
    weights = load_weights(path, **identity(record.recipe, setting))
    task = build(record.recipe, setting)
    fill(task.network, weights, path)
    task.to(setting.device)
    return task


@torch.no_grad()
def masks(setting: Setting, part: str, threshold: float) -> dict[int, Labels]:
    """Return what trained networks call landslide on a part of Landslide4Sense.

    Args:
        setting: Whose target is Landslide4Sense; `given` are the networks.
        part: `train`, `valid` or `test`, with masks or without; where normalization is separated its statistics are
            those of this part.
        threshold: Above which a pixel is landslide.

    Returns:
        By the number of a patch, (128, 128) uint8 in {0, 1}. Probabilities of smaller images are enlarged bilinearly.

    Raises:
        ValueError: There is no such part; or see `restored`.
    """
    members = restored(setting)
    task, recipe = members[0], setting.given[0][0].recipe
    assert isinstance(recipe, recipes.Adaptation)
    where = images_of(task.target.packed, part)
    task.target = target_of(recipe, setting, task.data, where)
    networks = [member.network for member in members]
    batches = []
    for images, _ in task.loader("test"):
        probability = mean_probability(networks, images)
        probability = functional.interpolate(probability, size=submission.SHAPE, mode="bilinear")
        batches.append((probability[:, 0] > threshold).to(torch.uint8).cpu().numpy())
    numbers = [int(task.target.packed.ids[i].rsplit("/", 1)[-1]) for i in where]
    return dict(zip(numbers, np.concatenate(batches), strict=True))


def restore(recipe: recipes.Adaptation, setting: Setting) -> Run:
    """Return the ensemble that a recipe names.

    Raises:
        ValueError: See `restored`.
    """
    members = restored(setting)
    members[0].members = [member.network for member in members]
    return _run(recipe, setting, members[0])
