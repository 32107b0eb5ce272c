"""Heads of `raunet/heads`: what a network gives besides one mask; `raunet-ablation.md`, slide IV-A.

Each takes a body, a network whose output are the last features (B, features, H, W), and gives logits by name.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Outputs = Tensor | dict[str, Tensor]  # what a network gives: one mask's logits, or several things by name


def mask_of(outputs: Outputs) -> Tensor:
    """Return the logits of the mask at the image's own resolution, (B, 1, S, S)."""
    return outputs if isinstance(outputs, Tensor) else outputs["mask"]


class DualHead(nn.Module):
    """A mask and the logit of whether the image holds any landslide, to `{"mask": (B, 1, H, W), "image": (B, 1)}`.

    The slides draw no network; we assume that the image's logit is of the mean and the maximum of the last features.
    """

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body = body
        self.mask = nn.Conv2d(features, 1, 1)
        self.image = nn.Linear(2 * features, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = F.relu(self.body(x))
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return {"mask": self.mask(features), "image": self.image(pooled)}


class MultiResolutionHead(nn.Module):
    """Masks at half, once and twice the resolution, to `{"mask": (B, 1, H, W), "half": …, "double": …}`.

    The slides do not say how; we assume pooling for the half and a transposed convolution for the double.
    """

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body = body
        self.mask = nn.Conv2d(features, 1, 1)
        self.halved = nn.Conv2d(features, 1, 3, padding=1)
        self.up = nn.ConvTranspose2d(features, features, 2, stride=2)
        self.doubled = nn.Conv2d(features, 1, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = F.relu(self.body(x))
        return {
            "mask": self.mask(features),
            "half": self.halved(F.avg_pool2d(features, 2)),
            "double": self.doubled(F.relu(self.up(features))),
        }


HEADS: dict[str, Callable[[nn.Module, int], nn.Module]] = {"dual": DualHead, "multi_resolution": MultiResolutionHead}
