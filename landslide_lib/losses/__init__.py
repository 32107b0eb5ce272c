"""The losses of the study, in files by kind; `LOSSES` is the whole registry.

Every loss takes logits (B, 1, H, W) of any precision and a target of 0 and 1 of the same shape, and gives a scalar in
float32 (float64 for float64 logits). None waits for the device. All raise a ValueError for an argument out of its
range (`landslide_lib.fields.LOSS_RANGES`) and for shapes that differ or are no (B, 1, H, W).

>>> LOSSES["tversky"](alpha=0.8, beta=0.2).alpha
0.8
"""

from collections.abc import Callable

from torch import nn

from landslide_lib.losses.pixelwise import CrossEntropyLoss as CrossEntropyLoss
from landslide_lib.losses.pixelwise import FocalLoss as FocalLoss
from landslide_lib.losses.pixelwise import HardExamplesLoss as HardExamplesLoss
from landslide_lib.losses.pixelwise import LogCoshLoss as LogCoshLoss
from landslide_lib.losses.pixelwise import SoftCrossEntropyLoss as SoftCrossEntropyLoss
from landslide_lib.losses.region import IoULoss as IoULoss
from landslide_lib.losses.region import LovaszLoss as LovaszLoss
from landslide_lib.losses.region import TverskyLoss as TverskyLoss
from landslide_lib.losses.weighted import BoundaryLoss as BoundaryLoss
from landslide_lib.losses.weighted import CenterLoss as CenterLoss
from landslide_lib.losses.weighted import WeightedCrossEntropyLoss as WeightedCrossEntropyLoss
from landslide_lib.losses.weighted import WeightedSum as WeightedSum

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
