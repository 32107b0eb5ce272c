"""Classification of tiles as a recipe chooses it: filter, network, ensembles over folds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from landslide_lib.data import augment
from landslide_lib.data.split import PARTS, images_of, split
from landslide_lib.models import MODELS
from landslide_lib.models.fusion import Fusion
from landslide_lib.study import recipe as recipes
from landslide_lib.study.recipe.classification import FUSIONS
from landslide_lib.study.records import Record
from landslide_lib.study.tasks.run import Run, Setting, load_task, seeded, train
from landslide_lib.study.tasks.segmentation import data_of, load_start, loss_of
from landslide_lib.training import boosting
from landslide_lib.training.classification import ClassificationTask, FilteredTiles, Members, labelled, tile_features


def filter_path(weights: Path) -> Path:
    """Return the file of the filter that goes with a file of weights."""
    return weights.with_suffix(".filter.json")


def filter_tiles(
    recipe: recipes.Classification, setting: Setting, fitted: boosting.FittedFilter | None = None
) -> FilteredTiles:
    """Return the tiles of each part; where the recipe has a filter, without obvious negatives.

    `fitted` is the filter of a trained network; without it one is fitted with the seed of the split.
    """
    packed = labelled(setting.packed)
    parts = split(packed, recipe.split, recipe.subset)
    if recipe.filter is not None and fitted is None:
        tiles = FilteredTiles(packed, parts, None).parts["train"]  # refused if all are of one kind
        fitted = boosting.fit_filter(
            tile_features(packed, tiles),
            packed.masks[tiles, 0, 0],
            seed=recipe.split.seed,
            groups=[packed.groups[i] for i in tiles],
            **recipe.filter.model_dump(),
        )
    return FilteredTiles(packed, parts, fitted)


def network_of(recipe: recipes.Classification) -> nn.Module:
    """Build the network that a recipe names, with random weights."""
    settings: dict[str, Any] = {"shared": recipe.passes == "shared"}
    if recipe.model in FUSIONS:
        settings = {"encoder_name": recipe.encoder, "optical_size": recipe.optical_size}
    return MODELS[recipe.model](recipe.input_bands, tiny=recipe.tiny, dropout=recipe.dropout, **settings)


def build(
    recipe: recipes.Classification, setting: Setting, fitted: boosting.FittedFilter | None = None
) -> ClassificationTask:
    """Build the network of a recipe with its tiles, with random weights."""
    tiles = filter_tiles(recipe, setting, fitted)
    data = data_of(recipe, tiles.packed, parts=tiles.parts)
    seeded(setting.seed)
    return ClassificationTask(
        network_of(recipe),
        loss_of(recipe, tiles.packed, tiles.parts["train"]),
        data,
        tiles,
        augment=augment.compose_tiles(recipe.augmentation),
        balanced=recipe.sampling == "balanced",
        patience=recipe.patience,
        patience_on=recipe.patience_on,
        tta_views=recipe.tta_views,
        **setting.options(recipe),
    )


def run(recipe: recipes.Classification, setting: Setting) -> Run:
    """Train a network. Raises ValueError: the training tiles are all of one kind, or no filter can learn on them."""
    task = build(recipe, setting)
    made = _run(Members([task], [1.0]))
    if isinstance(task.network, Fusion) and task.network.encoder:
        made.start = load_start(task.network.encoder, recipe, setting)
    made.history, made.resumed = train(task, recipe, setting)
    return made


def _run(members: Members) -> Run:
    task = members.tasks[0]
    made = Run(task, {part: members.tiles(part) for part in PARTS}, members.evaluate)
    if (fitted := task.filtered.fitted) is not None:
        made.save_more = lambda path: fitted.save(filter_path(path))
    return made


def member(record: Record, path: Path, setting: Setting, views: int) -> ClassificationTask:
    """Return the trained network of a record, which looks at `views` flips and turns of a tile."""

    def with_filter(recipe: recipes.Classification, setting: Setting) -> ClassificationTask:
        fitted = None if recipe.filter is None else boosting.load_filter(filter_path(path))
        return build(recipe, setting, fitted)

    task = load_task(with_filter, record, path, setting)
    task.tta_views = views
    return task


def _members(recipe: recipes.Classification, setting: Setting) -> Members:
    """Return the trained networks that a recipe depends on, with the weight of each."""
    how, weighted = recipe.ensemble, recipe.weighted
    tasks = [member(record, path, setting, recipe.tta_views) for record, path in setting.dependencies]
    votes = [record.test_tuned.threshold for record, _ in setting.dependencies if how and how.average == "votes"]
    members = Members(tasks, [one.weight for one in weighted for _ in range(recipe.members)] or [1.0], votes)
    if how and how.weighting == "stacked":
        members.stack(len(weighted))
    return members


def restore(recipe: recipes.Classification, setting: Setting) -> Run:
    """Return the ensemble, or the network with turned predictions, that a recipe names."""
    return _run(_members(recipe, setting))


def predict(recipe: recipes.Classification, setting: Setting, part: str, threshold: float) -> pd.DataFrame:
    """Return what the trained networks that are given make of each tile of a part, a line by its `ID`.

    Columns: `label`, 1 above the threshold or 0; `probability`; `apart`, how far the networks lie apart; `left_out`,
    the share of them whose filter leaves the tile out, so that to them it is no landslide.
    """
    members, tiles = _members(recipe, setting), images_of(setting.packed, part)
    for task in members.tasks:
        task.filtered.set_tiles("test", tiles)
    probability, apart = members.predict("test")
    left_out = 1 - np.mean([task.filtered.keep["test"] for task in members.tasks], 0)
    made = {"label": (probability > threshold) * 1, "probability": probability, "apart": apart, "left_out": left_out}
    return pd.DataFrame(made, pd.Index([setting.packed.ids[i] for i in tiles], name="ID")).round(4)
