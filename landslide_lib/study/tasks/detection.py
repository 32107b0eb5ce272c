"""Detection as a recipe chooses it: the detector, its boxes, and what its encoder starts from."""

from __future__ import annotations

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.registry import get_dataset
from landslide_lib.models.detector import detector
from landslide_lib.study import recipe as recipes
from landslide_lib.study.tasks.run import Run, Setting, seeded, train
from landslide_lib.study.tasks.segmentation import data_of, load_start
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


def run(recipe: recipes.Detection, setting: Setting) -> Run:
    """Train a detector. Raises WeightsNotFoundError: what its encoder starts from is not here."""
    task = build(recipe, setting)
    summary = load_start(task.network.get_submodule("backbone.encoder"), recipe, setting)
    history, resumed = train(task, recipe, setting)
    return Run(task, task.data.parts, task.evaluate, history, resumed, summary)
