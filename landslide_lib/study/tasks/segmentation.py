"""Segmentation as a recipe chooses it: network, loss and data, and what is trained of them."""

from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from landslide_lib.data import augment
from landslide_lib.data.pack import Packed
from landslide_lib.data.prepare import Data, prepare
from landslide_lib.data.split import Indices, images_of
from landslide_lib.losses import LOSSES, WeightedSum
from landslide_lib.models import MODELS
from landslide_lib.models.backbones import encoder_of
from landslide_lib.models.heads import HEADS
from landslide_lib.models.unet import UPSAMPLING
from landslide_lib.models.weights import start
from landslide_lib.study import recipe as recipes
from landslide_lib.study import submission
from landslide_lib.study.recipe.segmentation import ENDING_IN_FEATURES
from landslide_lib.study.tasks.run import Run, Setting, seeded, single_network, train, weights_of
from landslide_lib.training.segmentation import SegmentationTask


def loss_of(
    recipe: recipes.Segmentation | recipes.Adaptation | recipes.Classification, packed: Packed, train: Indices
) -> nn.Module:
    """Build the weighted sum of losses that a recipe names.

    A weighted cross entropy without a weight gets the number of other pixels to one of landslide in the images to
    train on. Raises ValueError: there is none.
    """
    terms = []
    for term in recipe.loss:
        arguments = term.model_dump(exclude={"name", "factor"})
        if arguments.get("weight", 1.0) is None:
            share = float((packed.masks[train] == 1).mean())
            if not share:
                raise ValueError(f"{packed.name}: no landslide to train on; take more images, or state loss.weight")
            arguments["weight"] = (1 - share) / share
        terms.append((term.factor, LOSSES[term.name](**arguments)))
    return WeightedSum(terms)


def model_of(recipe: recipes.Segmentation, bands: int) -> nn.Module:
    """Build the network that a recipe names, with its head and random weights."""
    build = partial(MODELS[recipe.model], in_channels=bands, width=recipe.width)
    if "upsampling" not in recipe.unused_fields:
        build = partial(build, enlarge=UPSAMPLING[recipe.upsampling])
    if recipe.model == "unet_attention":
        build = partial(build, image_size=recipe.image_size)
    if recipe.head == "mono":
        return build()
    if recipe.model in ENDING_IN_FEATURES:
        body = build(num_classes=0)
        return HEADS[recipe.head](body, int(body.features), recipe.width)  # type: ignore[arg-type]
    body = nn.Sequential(build(num_classes=recipe.width), nn.ReLU())
    return HEADS[recipe.head](body, recipe.width, recipe.width)


def data_of(recipe: recipes.Recipe, packed: Packed, **given: Any) -> Data:
    """Return the data of a recipe: split, with the bands that a network is given, scaled."""
    return prepare(
        packed, recipe.split, subset=recipe.subset, bands=recipe.input_bands, standardize=recipe.standardize, **given
    )


def build(recipe: recipes.Segmentation, setting: Setting) -> SegmentationTask:
    """Build the network of a recipe with its loss and its data."""
    data = data_of(recipe, setting.packed)
    seeded(setting.seed)
    return SegmentationTask(
        model_of(recipe, len(data.bands)),
        loss_of(recipe, setting.packed, data.parts["train"]),
        data,
        augment=augment.compose(recipe.augmentation, data.bands),
        post_processing=recipe.post_processing,
        **setting.options(recipe),
    )


def load_start(encoder: nn.Module, recipe: recipes.Recipe, setting: Setting) -> dict[str, Any] | None:
    """Load what an encoder starts from, and return what a record says of it; see `models.weights.start`."""
    if getattr(recipe, "pretraining", ()):
        ((record, path),) = setting.dependencies
        return start(encoder, weights_of(record, path, record.fingerprint))
    if (source := recipe.weights) is None:
        return None
    extend = getattr(recipe.encoder_start, "first_conv", "extended") == "extended"
    return start(encoder, "imagenet" if source == "imagenet" else Path(source), setting.data_root, extend)


def train_from(encoder: nn.Module | None, task: Any, recipe: recipes.Recipe, setting: Setting) -> Run:
    """Train a task from what its encoder starts from. Raises FileNotFoundError: that is not here."""
    summary = load_start(encoder, recipe, setting) if encoder else None
    history, resumed = train(task, recipe, setting)
    return Run(task, task.data.parts, task.evaluate, history, resumed, summary)


def run(recipe: recipes.Segmentation, setting: Setting) -> Run:
    """Train the network of a recipe."""
    task = build(recipe, setting)
    return train_from(encoder_of(task.network) if recipe.start else None, task, recipe, setting)


def restore(recipe: recipes.Segmentation, setting: Setting) -> Run:
    """Return a trained network with the post-processing that a recipe names."""
    return single_network(lambda _, setting: build(recipe, setting), setting)


def predict(recipe: recipes.Segmentation, setting: Setting, part: str, threshold: float) -> dict[int, NDArray[Any]]:
    """Return the masks of a part (`train`, `valid` or `test`), also of one without masks; see `patches`."""
    task: Any = restore(recipe, setting).task
    task.data.parts["test"] = images_of(setting.packed, part)
    return patches(task, threshold)


def patches(task: SegmentationTask, threshold: float) -> dict[int, NDArray[Any]]:
    """Return what a task calls landslide on the patches of Landslide4Sense that it scores.

    By the number of a patch, (128, 128) uint8, 1 above the threshold; smaller images are enlarged bilinearly.
    """
    ids, masks = [task.scored.packed.ids[i] for i in task.scored.parts["test"]], []
    for probability, _ in task.predictions("test"):
        enlarged = functional.interpolate(probability, size=submission.SHAPE, mode="bilinear")
        masks += [*(enlarged[:, 0] > threshold).byte().cpu().numpy()]
    return {int(name.rsplit("/", 1)[-1]): mask for name, mask in zip(ids, masks, strict=True)}
