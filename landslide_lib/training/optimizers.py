"""Optimizers by name, and the learning rate over the steps of a training."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, fused=True),
    "adagrad": partial(torch.optim.Adagrad, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "nadam": torch.optim.NAdam,
}


def learning_rate(step: int, steps: int, schedule: str, warmup: float) -> float:
    """Return the factor on the peak learning rate at a step: warm-up, then cosine decay.

    Args:
        step: From 0.
        steps: Of the whole training.
        schedule: `warmup_cosine`, or `constant`, which is 1 throughout.
        warmup: Share of the steps spent warming up, in [0, 1).

    >>> [round(learning_rate(s, 10, "warmup_cosine", 0.2), 2) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    if schedule == "constant":
        return 1.0
    warm = round(warmup * steps)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
