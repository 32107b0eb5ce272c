"""Detection as a recipe chooses it: the detector, its boxes, and what its encoder starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from torch import nn

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.registry import get_dataset
from landslide_lib.models.detector import detector
from landslide_lib.models.weights import start
from landslide_lib.study import recipe as recipes
from landslide_lib.study.recipe.detection import Learnt
from landslide_lib.study.tasks.run import Run, Setting, seeded, train, weights_of
from landslide_lib.study.tasks.segmentation import data_of
from landslide_lib.training.detection import DetectionTask


def build(recipe: recipes.Detection, setting: Setting) -> DetectionTask:
    """Build the detector of a recipe with its data, with random weights."""
    packed = setting.packed
    boxes = load_boxes(get_dataset(recipe.dataset), packed, setting.data_root)
    data = data_of(recipe, packed)
    seeded(setting.seed)
    return DetectionTask(
        detector(recipe.encoder, len(data.bands), recipe.image_size, width=recipe.width, tiny=recipe.tiny),
        data,
        boxes,
        batch=recipe.batch,
        seed=setting.seed,
        rotate="rotation" in recipe.augmentation,
        device=setting.device,
    )


def load_weights_of_others(
    encoder: nn.Module, recipe: recipes.Detection | recipes.Pretraining, setting: Setting
) -> dict[str, Any] | None:
    """Load the weights of others that a recipe starts from, see `models.weights.start`; return their summary."""
    if recipe.weights is None:
        return None
    source: Literal["imagenet"] | Path = "imagenet" if recipe.weights == "imagenet" else Path(recipe.weights)
    return start(encoder, source, setting.data_root)


def run(recipe: recipes.Detection, setting: Setting) -> Run:
    """Train a detector. Raises WeightsNotFoundError: what its encoder starts from is not here."""
    task = build(recipe, setting)
    encoder = task.network.get_submodule("backbone.encoder")
    summary = load_weights_of_others(encoder, recipe, setting)
    if isinstance(recipe.start, Learnt):
        ((record, path),) = setting.given
        summary = start(encoder, weights_of(record, path, record.fingerprint))
    history, resumed = train(task, recipe, setting)
    return Run(task, task.data.parts, task.evaluate, history, resumed, summary)
