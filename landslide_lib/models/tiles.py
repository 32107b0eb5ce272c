"""The networks that call a tile landslide or not, by the name that a recipe has for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from landslide_lib.models.fusion import Fusion
from landslide_lib.models.pyramid_tiles import PyramidTiles
from landslide_lib.recipe import Classification


def _fusion(recipe: Classification, *, gated: bool) -> nn.Module:
    return Fusion(recipe.seen, recipe.encoder, recipe.optical_size, gated=gated, tiny=recipe.tiny)


def _pyramid(recipe: Classification, *, pyramid: bool) -> nn.Module:
    shared = recipe.passes == "shared"
    return PyramidTiles(recipe.seen, pyramid=pyramid, shared=shared, tiny=recipe.tiny)


TILES: dict[str, Callable[[Classification], Any]] = {
    "gated": partial(_fusion, gated=True),
    "concatenated": partial(_fusion, gated=False),
    "pyramid": partial(_pyramid, pyramid=True),
    "conventional": partial(_pyramid, pyramid=False),
}
