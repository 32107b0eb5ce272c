"""Detection as a recipe chooses it: the detector, its boxes, and what its encoder starts from."""

from __future__ import annotations

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.registry import get_dataset
from landslide_lib.models.checkpoints import load_weights
from landslide_lib.models.detector import detector
from landslide_lib.study import recipe as recipes
from landslide_lib.study.tasks import starts
from landslide_lib.study.tasks.run import Run, Setting, identity, seeded, train
from landslide_lib.study.tasks.segmentation import data_of
from landslide_lib.training.detection import DetectionTask


def build(recipe: recipes.Detection, setting: Setting) -> DetectionTask:
    """Build the detector of a recipe with its data, with random weights."""
    packed, root = setting.packed, setting.data_root
    boxes = load_boxes(get_dataset(recipe.dataset), packed, root)
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
    """Train a detector from its last checkpoint, or from its start.

    Raises:
        WeightsNotFoundError: The weights that the recipe starts from are not here.
        FloatingPointError: The network diverged.
    """
    task, pretrained = build(recipe, setting), None
    for record, path in setting.given:
        expected = identity(record.recipe, setting) | {"fingerprint": record.fingerprint}
        pretrained = load_weights(path, **expected)
    start = starts.begin(task.network.get_submodule("backbone.encoder"), recipe.start, pretrained, setting.data_root)
    history, resumed = train(task, recipe, setting)
    parts = task.data.parts
    return Run(recipe, setting, task, parts, task.evaluate, history, resumed, start)
