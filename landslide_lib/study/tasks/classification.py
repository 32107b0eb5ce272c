"""Classification of tiles as a recipe chooses it: filter, network, ensembles over folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from landslide_lib.data import augment_tiles
from landslide_lib.data.split import Indices, images_of, split
from landslide_lib.models import MODELS
from landslide_lib.models.checkpoints import fill, load_weights
from landslide_lib.models.fusion import Fusion
from landslide_lib.study import recipe as recipes
from landslide_lib.study.recipe.classification import FUSIONS
from landslide_lib.study.recipe.encoders import ImageNet
from landslide_lib.study.records import Record
from landslide_lib.study.tasks import starts
from landslide_lib.study.tasks.run import Run, Setting, identity, seeded, train
from landslide_lib.study.tasks.segmentation import data_of, loss_of
from landslide_lib.training import negative_filter
from landslide_lib.training.classification import ClassificationTask, Filtered, Members, labelled, table


def filter_path(weights: Path) -> Path:
    """Return the file of the filter that goes with the weights of a network."""
    return weights.with_suffix(".filter.json")


def filtered(
    recipe: recipes.Classification, setting: Setting, fitted: negative_filter.Filter | None = None
) -> Filtered:
    """Return the tiles of each part; where the recipe has a filter, without obvious negatives.

    Args:
        recipe: Of tiles.
        setting: Its packed dataset has masks or labels.
        fitted: The filter of a trained network; None fits one, with the seed of the split.
    """
    packed = labelled(setting.packed)
    parts = split(packed, recipe.split, recipe.subset)
    unfiltered = Filtered(packed, parts, None)
    if recipe.filter is None:
        return unfiltered
    tiles = parts["train"]
    fitted = fitted or negative_filter.fit(
        table(packed, tiles),
        packed.masks[tiles, 0, 0],
        folds=recipe.filter.folds,
        seed=recipe.split.seed,
        groups=[packed.groups[i] for i in tiles],
    )
    return Filtered(packed, parts, fitted)


def network_of(recipe: recipes.Classification) -> nn.Module:
    """Build the network that a recipe names, with random weights."""
    settings: dict[str, Any] = {"shared": recipe.passes == "shared"}
    if recipe.model in FUSIONS:
        settings = {"encoder_name": recipe.encoder, "optical_size": recipe.optical_size}
    return MODELS[recipe.model](recipe.input_bands, tiny=recipe.tiny, **settings)


def build(
    recipe: recipes.Classification, setting: Setting, fitted: negative_filter.Filter | None = None
) -> ClassificationTask:
    """Build the network of a recipe with its tiles, with random weights."""
    tiles = filtered(recipe, setting, fitted)
    data = data_of(recipe, tiles.packed, parts=tiles.parts)
    seeded(setting.seed)
    return ClassificationTask(
        network_of(recipe),
        loss_of(recipe, tiles.packed, tiles.parts["train"]),
        data,
        tiles,
        batch=recipe.batch,
        seed=setting.seed,
        augment=augment_tiles.compose(recipe.augmentation),
        balanced=recipe.sampling == "balanced",
        patience=recipe.patience,
        tta_views=recipe.turns,
        device=setting.device,
    )


def run(recipe: recipes.Classification, setting: Setting) -> Run:
    """Train a network from its last checkpoint, or from its start.

    Raises:
        ValueError: The training tiles are all of one kind, or the filter cannot learn on them.
        WeightsNotFoundError: The weights that the recipe starts from are not here.
        FloatingPointError: The network diverged.
    """
    task, start = build(recipe, setting), None
    if recipe.start is not None and isinstance(task.network, Fusion) and task.network.encoder:
        how = ImageNet(name="imagenet")
        start = starts.begin(task.network.encoder, how, data_root=setting.data_root)
    history, resumed = train(task, recipe, setting)
    made = _run(recipe, setting, [task], [1.0])
    made.history, made.resumed, made.start = history, resumed, start
    return made


def _run(recipe: recipes.Classification, setting: Setting, tasks: list[ClassificationTask], shares: list[float]) -> Run:
    members, fitted = Members(tasks, shares), tasks[0].filtered.fitted
    return Run(
        recipe,
        setting,
        tasks[0],
        tasks[0].filtered.parts,
        members.evaluate,
        save_more=None if fitted is None else lambda path: fitted.save(filter_path(path)),
    )


def restored(record: Record, path: Path, setting: Setting, views: int) -> ClassificationTask:
    """Return the trained network of a record.

    Raises:
        ValueError: The weights are those of another run, or damaged; the message names the file.
    """
    recipe = record.recipe
    assert isinstance(recipe, recipes.Classification)
    learnt = load_weights(path, **identity(recipe, setting))
    fitted = None
    if recipe.filter is not None:
        try:
            fitted = negative_filter.load(filter_path(path))
        except ValueError as error:
            remedy = f"or move {path} away: the network is trained again, with its filter"
            raise ValueError(f"{error}, {remedy}") from error
    task = build(recipe, setting, fitted)
    fill(task.network, learnt, path)
    task.to(setting.device)
    task.tta_views = views
    return task


def members_of(recipe: recipes.Classification, setting: Setting) -> tuple[list[ClassificationTask], list[float]]:
    """Return the trained networks that a recipe depends on, and the weight of each.

    Raises:
        ValueError: See `restored`.
    """
    tasks = [restored(record, path, setting, recipe.turns) for record, path in setting.given]
    shares = [one.weight for one in recipe.weighted for _ in range(recipe.members)] or [1.0]
    return tasks, shares


def restore(recipe: recipes.Classification, setting: Setting) -> Run:
    """Return the ensemble, or the network with turned predictions, that a recipe names.

    Raises:
        ValueError: See `restored`.
    """
    return _run(recipe, setting, *members_of(recipe, setting))


def labels(recipe: recipes.Classification, setting: Setting, part: str, threshold: float) -> dict[str, int]:
    """Return what trained networks call each tile of a part, with labels or without.

    Args:
        recipe: Whose networks they are.
        setting: `given` are the networks.
        part: Of the dataset, such as `test`.
        threshold: Above which a tile is a landslide.

    Returns:
        By the id of a tile 1 or 0.

    Raises:
        ValueError: There is no such part; or see `restored`.
    """
    tasks, shares = members_of(recipe, setting)
    where: Indices = images_of(setting.packed, part)
    for task in tasks:
        task.filtered.set_tiles("test", where)
    members = Members(tasks, shares)
    probability, _ = members.predict("test")
    ids = [setting.packed.ids[i] for i in members.tiles("test")]
    return {name: int(p > threshold) for name, p in zip(ids, probability, strict=True)}
