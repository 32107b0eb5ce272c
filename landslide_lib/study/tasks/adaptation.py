"""Adaptation as a recipe chooses it: two domains, their scales, teachers and ensembles."""

from typing import Any

import numpy as np

from landslide_lib.data import augment
from landslide_lib.data.prepare import Data, moments
from landslide_lib.data.split import Indices, images_of
from landslide_lib.models import MODELS
from landslide_lib.models.backbones import encoder_of
from landslide_lib.models.cross_sensor import cross_sensor
from landslide_lib.models.refinement import UpsampledInput, init_logit_bias
from landslide_lib.study import recipe as recipes
from landslide_lib.study.domains import parts
from landslide_lib.study.tasks.run import Run, Setting, load_task, seeded, train
from landslide_lib.study.tasks.segmentation import load_start, loss_of, patches
from landslide_lib.training.adaptation import AdaptationTask, Labels, labels_of


def target_of(recipe: recipes.Adaptation, setting: Setting, source: Data, images: Indices) -> Data:
    """Return images of the target, scaled by their own statistics where the recipe says so."""
    packed = setting.packed.target
    assert packed is not None
    shift, scale = source.shift, source.scale
    if recipe.normalization == "separated":
        shift, scale = moments(packed, images, recipe.bands)
    return Data(packed, {"test": images}, source.bands, scale, shift)


def build(recipe: recipes.Adaptation, setting: Setting, labels: Labels | None = None) -> AdaptationTask:
    """Build the network of a recipe with its two domains; `labels` are pseudo-labels of the target's images."""
    packed = setting.packed
    where = parts(packed, recipe)
    shift, scale = moments(packed, where["train"], recipe.bands)
    source = Data(packed, where, recipe.bands or packed.bands, scale, shift)
    target = target_of(recipe, setting, source, where["test"])
    seeded(setting.seed)
    enlarged = round(recipe.scale * recipe.image_size)
    network = MODELS[recipe.model](in_channels=recipe.channels, size=recipe.size, image_size=enlarged)
    if recipe.norms == "cross_sensor":
        network = cross_sensor(network)
    network = UpsampledInput(network, recipe.scale)
    # The network begins with the share of landslide in training, kept off 0 and 1.
    masks = packed.masks[where["train"]]
    init_logit_bias(network, float(np.clip(masks.mean(), 1 / masks.size, 1 - 1 / masks.size)))
    return AdaptationTask(
        network,
        loss_of(recipe, packed, where["train"]),
        source,
        target,
        labels=labels,
        cross_sensor=recipe.norms == "cross_sensor",
        augment=augment.compose(recipe.augmentation, source.bands),
        **setting.options(recipe),
    )


def run(recipe: recipes.Adaptation, setting: Setting) -> Run:
    """Train a network; those of the round before label the target. ValueError: they are sure of no landslide."""
    labels = None
    if teachers := _members(setting):
        # Teachers normalise alike: the batches of the first are those of all.
        networks = [teacher.network for teacher in teachers]
        labels = labels_of(networks, teachers[0].loader("test"), recipe.confidence)
        if not (labels == 1).any():
            raise ValueError(
                f"rounds: round {len(recipe.rounds)} would learn from no landslide: no pixel of the target has a mean "
                f"probability of {recipe.confidence:g}. Train longer, or lower the confidence"
            )
    # Published weights are of a network whose norms are not doubled yet.
    task = build(recipe.model_copy(update={"norms": "batch"}), setting, labels)
    start = load_start(encoder_of(task.network), recipe, setting) if recipe.start else None
    if recipe.norms == "cross_sensor":
        task.network, task.cross_sensor = cross_sensor(task.network), True
    passes = 1 if recipe.pseudo_labels else 1 + len(recipe.rounds)
    return _run(task, *train(task, recipe.model_copy(update={"epochs": passes * recipe.epochs}), setting), start)


def _run(task: AdaptationTask, *result: Any) -> Run:
    return Run(task, {**task.data.parts, "test": task.target.parts["test"]}, task.evaluate, *result)


def _members(setting: Setting) -> list[AdaptationTask]:
    """Return the trained networks that a run depends on."""
    return [load_task(build, record, path, setting) for record, path in setting.dependencies]


def restore(recipe: recipes.Adaptation, setting: Setting) -> Run:
    """Return the ensemble that a recipe names."""
    members = _members(setting)
    members[0].members = [member.network for member in members]
    return _run(members[0])


def predict(recipe: recipes.Adaptation, setting: Setting, part: str, threshold: float) -> dict[int, Labels]:
    """Return the masks of a part of the target, by its own statistics where they are separated; see `patches`."""
    task: Any = restore(recipe, setting).task
    where = images_of(task.target.packed, part)
    task.target = task.scored = target_of(recipe, setting, task.data, where)
    return patches(task, threshold)
