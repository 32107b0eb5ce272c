"""Pre-training as a recipe chooses it: what an encoder learns by, and after which teacher."""

from __future__ import annotations

from torch import nn

from landslide_lib.data import augment
from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.crops import examples
from landslide_lib.data.registry import get_dataset
from landslide_lib.models.autoencoder import autoencoder
from landslide_lib.models.checkpoints import load_weights
from landslide_lib.models.encoders import encoder
from landslide_lib.study import recipe as recipes
from landslide_lib.study.tasks import starts
from landslide_lib.study.tasks.run import Run, Setting, identity, seeded, train
from landslide_lib.study.tasks.segmentation import data_of
from landslide_lib.training.pretraining import Classifier, MaskedAutoencodingTask, PresenceTask, Teacher


def encoder_of(recipe: recipes.Pretraining, name: str, bands: int) -> nn.Module:
    """Build an encoder at the image size of a recipe."""
    return encoder(name, bands, recipe.image_size, tiny=recipe.tiny)


def masked_autoencoding(recipe: recipes.Pretraining, setting: Setting) -> MaskedAutoencodingTask:
    """Build the autoencoder of a recipe with its data."""
    objective = recipe.objective
    assert isinstance(objective, recipes.encoders.Masked)
    data = data_of(recipe, setting.packed)
    bands = len(data.bands)
    seeded(setting.seed)
    network = autoencoder(
        encoder_of(recipe, recipe.encoder, bands), recipe.encoder, recipe.image_size, bands, objective.masked
    )
    return MaskedAutoencodingTask(
        network,
        data,
        batch=recipe.batch,
        seed=setting.seed,
        augment=augment.compose(recipe.augmentation),
        device=setting.device,
    )


def presence(recipe: recipes.Pretraining, setting: Setting) -> PresenceTask:
    """Build the classifier of a recipe with its crops, and its teacher if there is one."""
    data = data_of(recipe, setting.packed)
    seeded(setting.seed)
    network = Classifier(encoder_of(recipe, recipe.encoder, len(data.bands)))
    dataset = get_dataset(recipe.dataset)
    boxes = load_boxes(dataset, setting.packed, setting.data_root)
    crops = {part: examples(setting.packed, images, boxes) for part, images in data.parts.items()}
    return PresenceTask(
        network,
        data,
        crops,
        batch=recipe.batch,
        seed=setting.seed,
        augment=augment.compose(recipe.augmentation),
        teacher=_teacher(recipe, setting, len(data.bands)),
        device=setting.device,
    )


def _teacher(recipe: recipes.Pretraining, setting: Setting, bands: int) -> Teacher | None:
    """Return the frozen teacher with the weights of its own run."""
    for record, path in setting.given:
        assert isinstance(record.recipe, recipes.Pretraining)
        assert isinstance(recipe.objective, recipes.encoders.Distillation)
        expected = identity(record.recipe, setting) | {"fingerprint": record.fingerprint}
        network = Classifier(encoder_of(recipe, record.recipe.encoder, bands))
        network.load_state_dict(load_weights(path, **expected))
        return Teacher(network, recipe.objective.temperature, recipe.objective.alpha)
    return None


def run(recipe: recipes.Pretraining, setting: Setting) -> Run:
    """Train an encoder from its last checkpoint, or from its start.

    Raises:
        ValueError: The images are all of one kind, so that there is nothing to tell apart.
        WeightsNotFoundError: The weights that the recipe starts from are not here.
        FloatingPointError: The network diverged.
    """
    build = masked_autoencoding if recipe.objective.name == "mae" else presence
    task: MaskedAutoencodingTask | PresenceTask = build(recipe, setting)
    start = None
    if recipe.objective.start:
        learner = task.network.get_submodule("encoder")
        start = starts.begin(learner, recipe.objective.start, data_root=setting.data_root)
    history, resumed = train(task, recipe, setting)
    parts = task.data.parts
    return Run(recipe, setting, task, parts, task.evaluate, history, resumed, start)
