"""Detection as a recipe chooses it: the detector, its boxes, and what its encoder starts from."""

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.split import images_of
from landslide_lib.models.detector import detector
from landslide_lib.study import recipe as recipes
from landslide_lib.study.tasks.run import Run, Setting, restored, seeded
from landslide_lib.study.tasks.segmentation import data_of, train_from
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
    """Train a detector."""
    task = build(recipe, setting)
    return train_from(task.network.get_submodule("backbone.encoder"), task, recipe, setting)


def restore(recipe: recipes.Detection, setting: Setting) -> Run:
    """Return a trained detector."""
    ((record, path),) = setting.given
    task = restored(build, record, path, setting)
    return Run(task, task.data.parts, task.evaluate)


def predict(recipe: recipes.Detection, setting: Setting, part: str, threshold: float) -> dict[str, NDArray[np.float64]]:
    """Return by id the boxes of a part, (n, 5): corners in shares of the image's sides, and the score.

    Boxes of any score are among them, whatever the threshold is: an average precision is of all.
    """
    task = restore(recipe, setting).task
    assert isinstance(task, DetectionTask)
    where = task.data.parts["test"] = images_of(setting.packed, part)
    found = [np.column_stack([boxes / recipe.image_size, score]) for boxes, score in task.predictions("test")]
    return {setting.packed.ids[i]: boxes for i, boxes in zip(where, found, strict=True)}
