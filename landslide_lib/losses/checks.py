"""What losses refuse: numbers out of range, and shapes that broadcasting would turn into a wrong number."""

import operator

import torch
from torch import Tensor

from landslide_lib.fields import LOSS_NUMBERS


def in_range(name: str, value: float) -> float:
    """Return the value of an argument, such as `focal.gamma`, if it lies in its range of `LOSS_NUMBERS`.

    >>> in_range("focal.gamma", -1.0)
    Traceback (most recent call last):
    ...
    ValueError: gamma=-1.0 is refused: allowed are numbers in [0.0, 100.0]
    """
    loss, argument = name.split(".")
    (low_is, low), (high_is, high) = LOSS_NUMBERS[loss][argument][1].items()
    number = isinstance(value, int | float)
    if not (number and getattr(operator, low_is)(value, low) and getattr(operator, high_is)(value, high)):
        allowed = f"{'[' if low_is == 'ge' else '('}{low}, {high}{']' if high_is == 'le' else ')'}"
        raise ValueError(f"{argument}={value!r} is refused: allowed are numbers in {allowed}")
    return float(value)


def prepare(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check the shapes and bring both tensors to the precision that a loss is computed in, see `wide`.

    Raises:
        ValueError: The shapes differ or are no (B, 1, H, W).
    """
    if logits.shape != target.shape or logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} are refused: "
            "allowed are two equal shapes (B, 1, H, W)"
        )
    logits = wide(logits)
    return logits, target.to(logits.dtype)


def wide(logits: Tensor) -> Tensor:
    """Widen half precision to float32: a sum over a batch of pixels does not fit bfloat16's eight bits.

    float64 is kept, for gradient checks.
    """
    return logits if logits.dtype == torch.float64 else logits.float()
