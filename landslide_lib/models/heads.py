"""Heads of `raunet/heads`: what a network gives besides one mask; `raunet-ablation.md`, slide IV-A.

Each takes a body, a network whose output are the last features (B, features, H, W), and the width of the network, and
gives logits by name.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Outputs = Tensor | dict[str, Tensor]  # what a network gives: one mask's logits, or several things by name


def mask_of(outputs: Outputs) -> Tensor:
    """Return the logits of the mask at the image's own resolution, (B, 1, S, S)."""
    return outputs if isinstance(outputs, Tensor) else outputs["mask"]


class DualHead(nn.Module):
    """A mask and the logit of whether the image holds any landslide, to `{"mask": (B, 1, H, W), "image": (B, 1)}`.

    The slides draw no network; we assume that the image's logit is of the mean and the maximum of the last features.
    """

    def __init__(self, body: nn.Module, features: int, width: int) -> None:
        super().__init__()
        self.body = body
        self.mask = nn.Conv2d(features, 1, 1)
        self.image = nn.Linear(2 * features, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.body(x)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return {"mask": self.mask(features), "image": self.image(pooled)}


class MultiResolutionHead(nn.Module):
    """Masks at half, once and twice the resolution, to `{"mask": (B, 1, H, W), "half": …, "double": …}`.

    The small one comes of a convolution with a stride, the large one of a transposed one, as in the first author's code
    (https://github.com/CamDucLe/Landslide-Project-Sentinel2). Both have `width` channels there; at most half of the
    features is ours, so that it fits the small models.
    """

    def __init__(self, body: nn.Module, features: int, width: int) -> None:
        super().__init__()
        self.body = body
        self.mask = nn.Conv2d(features, 1, 1)
        width = max(1, min(width, features // 2))
        # The kernel stands on a pixel and its neighbours to the right and below.
        shrink = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(features, width, 3, stride=2))
        grow = nn.ConvTranspose2d(features, width, 3, stride=2, padding=1, output_padding=1)
        self.halved = nn.Sequential(shrink, nn.ReLU(), nn.Conv2d(width, 1, 1))
        self.doubled = nn.Sequential(grow, nn.ReLU(), nn.Conv2d(width, 1, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.body(x)
        return {"mask": self.mask(features), "half": self.halved(features), "double": self.doubled(features)}


HEADS: dict[str, Callable[[nn.Module, int, int], nn.Module]] = {
    "dual": DualHead,
    "multi_resolution": MultiResolutionHead,
}
