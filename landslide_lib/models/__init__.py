"""Networks: one family a file, one explicit dict as the registry."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from landslide_lib.models.unet import UNet

MODELS: dict[str, Callable[..., nn.Module]] = {"unet": UNet}
