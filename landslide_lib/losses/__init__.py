"""The losses of the study, one a file; `LOSSES` is the whole registry.

Every loss takes logits (B, 1, H, W) of any precision and a target of 0 and 1 of the same shape,
and gives a scalar in float32 (float64 for float64 logits). None waits for the device.

Example:
    >>> [name for name in LOSSES if name.endswith("ce")]
    ['ce', 'weighted_ce', 'soft_ce']
    >>> LOSSES["tversky"](alpha=0.8, beta=0.2).alpha
    0.8

"""

from collections.abc import Callable

from torch import nn

from landslide_lib.losses.boundary import BoundaryLoss
from landslide_lib.losses.center import CenterLoss
from landslide_lib.losses.combine import WeightedSum, combine
from landslide_lib.losses.cross_entropy import CrossEntropyLoss
from landslide_lib.losses.focal import FocalLoss
from landslide_lib.losses.iou import IoULoss
from landslide_lib.losses.log_cosh import LogCoshLoss
from landslide_lib.losses.lovasz import LovaszLoss
from landslide_lib.losses.ohem import HardExamplesLoss
from landslide_lib.losses.soft_cross_entropy import SoftCrossEntropyLoss
from landslide_lib.losses.tversky import TverskyLoss
from landslide_lib.losses.weighted_cross_entropy import WeightedCrossEntropyLoss

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
    "combine",
]
