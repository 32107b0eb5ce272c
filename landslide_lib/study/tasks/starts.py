"""What the encoder of a recipe starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from landslide_lib.models.weights import State, start
from landslide_lib.study.recipe.encoders import File, ImageNet, Start


def begin(
    encoder: nn.Module, source: Start, given: State | None = None, data_root: Path | None = None
) -> dict[str, Any] | None:
    """Let an encoder start from what its recipe says.

    Args:
        encoder: With random weights.
        source: The recipe's `start`.
        given: The weights of the pre-training, where the start is a run of ours.
        data_root: In place of `LANDSLIDE_DATA`.

    Returns:
        `Loaded.summary` for the record; None if the recipe has no start.

    Raises:
        WeightsNotFoundError, UnfitWeightsError: See `models.weights.start`.
        ValueError: The start is a run of ours, and its weights are not given.
    """
    if source is None:
        return None
    if isinstance(source, ImageNet):
        return start(encoder, "imagenet", data_root).summary()
    if isinstance(source, File):
        return start(encoder, Path(source.weights), data_root).summary()
    if given is None:
        raise ValueError(f"start: {source.name} is a run of its own, whose weights are not given")
    return start(encoder, given, data_root).summary()
