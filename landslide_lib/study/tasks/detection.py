"""Detection as a recipe chooses it: the detector, its boxes, and what its encoder starts from."""

from typing import Any

import numpy as np

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.split import images_of
from landslide_lib.models.detector import detector
from landslide_lib.study import recipe as recipes
from landslide_lib.study.tasks.run import Run, Setting, seeded, single_network
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
        rotate="rotation" in recipe.augmentation,
        **setting.options(recipe),
    )


def run(recipe: recipes.Detection, setting: Setting) -> Run:
    """Train a detector."""
    task = build(recipe, setting)
    return train_from(task.network.get_submodule("backbone.encoder"), task, recipe, setting)


def restore(recipe: recipes.Detection, setting: Setting) -> Run:
    """Return a trained detector."""
    return single_network(build, setting)


def predict(recipe: recipes.Detection, setting: Setting, part: str, threshold: float) -> dict[str, str]:
    """Return the boxes of a part, of any score, as files of YOLO: by name, a line a box with its score."""
    task: Any = restore(recipe, setting).task
    where = task.data.parts["test"] = images_of(setting.packed, part)
    texts = []
    for boxes, score in task.predictions("test"):
        low, high = np.hsplit(boxes / recipe.image_size, 2)
        lines = np.column_stack([(low + high) / 2, high - low, score])
        texts.append("".join(f"0 {' '.join(f'{number:.6f}' for number in line)}\n" for line in lines))
    return {f"{setting.packed.ids[i]}.txt": text for i, text in zip(where, texts, strict=True)}
