"""The networks that call a tile landslide or not, by the name that a recipe has for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from landslide_lib.models.fusion import Fusion
from landslide_lib.models.pyramid_tiles import PyramidTiles


def _fusion(
    bands: Sequence[str], encoder: str, optical_size: int | None, shared: bool, tiny: bool, *, gated: bool
) -> nn.Module:
    return Fusion(bands, encoder, optical_size, gated=gated, tiny=tiny)


def _pyramid(
    bands: Sequence[str], encoder: str, optical_size: int | None, shared: bool, tiny: bool, *, pyramid: bool
) -> nn.Module:
    return PyramidTiles(bands, pyramid=pyramid, shared=shared, tiny=tiny)


#: Each takes the names of the bands, the encoder of the optical ones, the side that these are enlarged to
#: (None: the encoder's own), whether both radar passes share a branch, and whether it is tiny, for tests.
TILES: dict[str, Callable[..., nn.Module]] = {
    "gated": partial(_fusion, gated=True),
    "concatenated": partial(_fusion, gated=False),
    "pyramid": partial(_pyramid, pyramid=True),
    "conventional": partial(_pyramid, pyramid=False),
}
