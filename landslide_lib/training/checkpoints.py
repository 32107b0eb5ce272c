"""Files of tensors: written whole or not at all, read without running code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landslide_lib.models import torch_files
from landslide_lib.paths import atomic_write

REMEDY = "Move the file away; the network is trained again"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file of tensors and plain values by name; code in it is never run.

    Raises:
        OSError: It is not there, or may not be read.
        pickle.UnpicklingError: It is damaged, or holds more than tensors and plain values by name.
    """
    content = torch_files.load(path)
    if not isinstance(content, dict):
        raise pickle.UnpicklingError(f"{path}: holds a {type(content).__name__}")
    return content


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values that `read_checkpoint` reads: whole or not at all."""
    with atomic_write(path) as scratch:
        torch.save(content, scratch)


def save_weights(path: Path, network: nn.Module, **about: Any) -> None:
    """Write the weights of a network, with plain values that say what they are of."""
    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_checkpoint(path, {**about, "weights": weights})


def load_weights(path: Path, **about: Any) -> dict[str, Tensor]:
    """Read the weights that `save_weights` has written.

    Args:
        path: The file.
        **about: What it has to say that they are of; None for anything.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: They are of something else, or damaged; the message names the file.
    """
    damaged = f"{path}: damaged ({{}}). {REMEDY}"
    try:
        content = read_checkpoint(path)
    except pickle.UnpicklingError as error:
        raise ValueError(damaged.format(type(error.__cause__ or error).__name__)) from None
    weights = content.get("weights")
    if not isinstance(weights, dict):
        raise ValueError(damaged.format("it holds no weights"))
    wrong = [k for k, value in about.items() if value is not None and content.get(k) != value]
    if wrong:
        raise ValueError(f"{path}: the weights are of another {', '.join(wrong)}. {REMEDY}")
    if not all(value.isfinite().all() for value in weights.values()):
        raise ValueError(damaged.format("not all weights are finite"))
    return weights


def fill(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load weights that `load_weights` has read into a network.

    Raises:
        ValueError: They are not those of such a network; the message names the file.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        problem = "its tensors are not those of the recipe's network"
        raise ValueError(f"{path}: damaged ({problem}). {REMEDY}") from None
