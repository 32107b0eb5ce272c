"""Detection as a recipe chooses it: the detector, its boxes, and what its encoder starts from."""

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.registry import get_dataset
from landslide_lib.models.detector import detector
from landslide_lib.study import recipe as recipes
from landslide_lib.study.tasks.run import Run, Setting, seeded
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
