"""What the losses refuse: numbers out of range, and shapes that broadcasting would turn into a wrong number."""

import operator

import torch
from torch import Tensor

from landslide_lib.fields import LOSS_RANGES


def in_range(name: str, value: float) -> float:
    """Return the value of a loss's argument.

    Args:
        name: Of the loss and the argument, as in `LOSS_RANGES`.
        value: What was given.

    Raises:
        ValueError: It is no number in that range.

    >>> in_range("focal.gamma", -1.0)
    Traceback (most recent call last):
    ...
    ValueError: gamma=-1.0 is refused: allowed are numbers in [0.0, 100.0]
    """
    limits = LOSS_RANGES[name]
    if not isinstance(value, int | float) or not all(getattr(operator, is_)(value, end) for is_, end in limits.items()):
        low, high = limits.values()
        allowed = f"{'[' if 'ge' in limits else '('}{low}, {high}{']' if 'le' in limits else ')'}"
        raise ValueError(f"{name.split('.')[1]}={value!r} is refused: allowed are numbers in {allowed}")
    return float(value)


def prepare(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check the shapes and bring both tensors to the precision that a loss is computed in.

    Half precision is widened to float32 (a sum over a batch of pixels does not fit bfloat16's eight bits); float64 is
    kept, for gradient checks.

    Raises:
        ValueError: The shapes differ or are no (B, 1, H, W).

    >>> x, y = prepare(torch.zeros(2, 1, 4, 4).bfloat16(), torch.ones(2, 1, 4, 4).bool())
    >>> x.dtype, y.dtype
    (torch.float32, torch.float32)
    """
    if logits.shape != target.shape or logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} are refused: "
            "allowed are two equal shapes (B, 1, H, W)"
        )
    dtype = wide(logits)
    return logits.to(dtype), target.to(dtype)


def wide(logits: Tensor) -> torch.dtype:
    """Return the precision that a loss of some logits is computed in."""
    return torch.float64 if logits.dtype == torch.float64 else torch.float32
