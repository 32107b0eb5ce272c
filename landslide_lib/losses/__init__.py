"""The losses of the study, in files by kind; `LOSSES` is the whole registry.

Every loss takes logits (B, 1, H, W) of any precision and a target of 0 and 1 of the same shape, and gives a scalar in
float32 (float64 for float64 logits). None waits for the device. All raise a ValueError for an argument out of its
range (`landslide_lib.fields.LOSS_RANGES`) and for shapes that differ or are no (B, 1, H, W).

>>> LOSSES["tversky"](alpha=0.8, beta=0.2).alpha
0.8
"""

from collections.abc import Callable

from torch import nn

from landslide_lib.losses.combine import WeightedSum, combine
from landslide_lib.losses.pixelwise import (
    CrossEntropyLoss,
    FocalLoss,
    HardExamplesLoss,
    LogCoshLoss,
    SoftCrossEntropyLoss,
)
from landslide_lib.losses.region import IoULoss, LovaszLoss, TverskyLoss
from landslide_lib.losses.weighted import (
    BoundaryLoss,
    CenterLoss,
    WeightedCrossEntropyLoss,
    boundary_weights,
    center_weights,
)

LOSSES: dict[str, Callable[..., nn.Module]] = {
    "ce": CrossEntropyLoss,
    "weighted_ce": WeightedCrossEntropyLoss,
    "focal": FocalLoss,
    "log_cosh": LogCoshLoss,
    "iou": IoULoss,
    "tversky": TverskyLoss,
    "lovasz": LovaszLoss,
    "boundary": BoundaryLoss,
    "center": CenterLoss,
    "soft_ce": SoftCrossEntropyLoss,
    "ohem": HardExamplesLoss,
}

__all__ = [
    "LOSSES",
    "BoundaryLoss",
    "CenterLoss",
    "CrossEntropyLoss",
    "FocalLoss",
    "HardExamplesLoss",
    "IoULoss",
    "LogCoshLoss",
    "LovaszLoss",
    "SoftCrossEntropyLoss",
    "TverskyLoss",
    "WeightedCrossEntropyLoss",
    "WeightedSum",
    "boundary_weights",
    "center_weights",
    "combine",
]
