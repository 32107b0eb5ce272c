"""What masked autoencoders make of images that they have never learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landslide_lib.data.bands import RGB, source
from landslide_lib.study import detected
from landslide_lib.study.plots import Picture
from landslide_lib.study.plots.detection import reconstructions
from landslide_lib.study.recipe import Pretraining
from landslide_lib.study.records import Record, Store

if TYPE_CHECKING:
    from landslide_lib.data.pack import Packed

#: Pictures of a figure.
COUNT = 6


def pictures(starts: Mapping[str, Record], store: Store, *, data_root: str | Path = "") -> dict[str, Picture]:
    """Draw the first test images as each autoencoder was given them and as it restored them.

    Args:
        starts: Records of pre-training by label; those of other objectives are passed over.
        store: Where their weights are.
        data_root: In place of `LANDSLIDE_DATA`.

    Returns:
        A figure by label. There is none where the weights or the images are not at hand:
        published records have neither.

    Raises:
        ValueError: A file of weights is damaged, or of another run.
    """
    drawn = {}
    for label, record in starts.items():
        recipe, weights = record.recipe, store.weights(record)
        if not isinstance(recipe, Pretraining) or recipe.objective.name != "mae":
            continue
        packed = detected.imagery_of(record, data_root=data_root) if weights.is_file() else None
        if packed is not None:
            drawn[label] = _picture(recipe, packed, record.seed, weights)
    return drawn


def _picture(recipe: Pretraining, packed: Packed, seed: int, weights: Path) -> Picture:
    from landslide_lib.study.tasks import pretraining
    from landslide_lib.training import devices

    images, made = pretraining.restored(recipe, packed, seed, weights, devices.device("cpu"))
    bands = recipe.bands or packed.bands
    columns = [bands.index(source(name, bands)) for name in RGB]
    colours, restored = (of[:COUNT, columns].numpy() for of in (images, made.restored))
    white = detected.bright(colours)
    masked = np.where(made.mask[:COUNT].numpy(), white / 2, colours)
    shown = (list(detected.natural(of, white)) for of in (colours, masked, restored))
    return reconstructions(*shown, name=f"reconstructions-{recipe.encoder}")
