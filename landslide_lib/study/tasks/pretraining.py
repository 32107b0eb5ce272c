"""Pre-training as a recipe chooses it: what an encoder learns by, and after which teacher."""

from landslide_lib.data import augment
from landslide_lib.data.boxes import examples, load_boxes
from landslide_lib.data.registry import get_dataset
from landslide_lib.models.autoencoder import autoencoder
from landslide_lib.models.checkpoints import fill
from landslide_lib.models.encoders import encoder
from landslide_lib.study import recipe as recipes
from landslide_lib.study.recipe.starts import Distillation, Masked
from landslide_lib.study.tasks.run import Run, Setting, seeded, weights_of
from landslide_lib.study.tasks.segmentation import data_of, train_from
from landslide_lib.training.pretraining import Classifier, MaskedAutoencodingTask, PresenceTask, Teacher


def build(recipe: recipes.Pretraining, setting: Setting) -> MaskedAutoencodingTask | PresenceTask:
    """Build an autoencoder with its data, or a classifier with its crops, and its teacher if there is one."""
    packed, objective = setting.packed, recipe.objective
    data = data_of(recipe, packed)
    bands = len(data.bands)
    how = setting.options(recipe) | {"augment": augment.compose(recipe.augmentation)}
    seeded(setting.seed)
    learner = encoder(recipe.encoder, bands, recipe.image_size, tiny=recipe.tiny)
    if isinstance(objective, Masked):
        restoring = autoencoder(learner, recipe.image_size, bands, objective.masked, objective.swin)
        return MaskedAutoencodingTask(restoring, data, **how)
    network = Classifier(learner)
    boxes = load_boxes(get_dataset(recipe.dataset), packed, setting.data_root)
    crops = {part: examples(packed, images, boxes) for part, images in data.parts.items()}
    teacher = None
    if isinstance(objective, Distillation):
        ((record, path),) = setting.dependencies
        frozen = Classifier(encoder(objective.teacher, bands, recipe.image_size, tiny=recipe.tiny))
        fill(frozen, weights_of(record, path, record.fingerprint), path)
        teacher = Teacher(frozen, objective.temperature, objective.alpha)
    return PresenceTask(network, data, crops, teacher=teacher, **how)


def run(recipe: recipes.Pretraining, setting: Setting) -> Run:
    """Train an encoder. Raises ValueError: the images are all of one kind, with nothing to tell apart."""
    task = build(recipe, setting)
    return train_from(task.network.get_submodule("encoder"), task, recipe, setting)
