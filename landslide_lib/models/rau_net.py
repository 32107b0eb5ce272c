r"""U-Nets with attention, and RAU-Net: a residual network with gates of channels, in the form of a U-Net.

    U-Net with attention     x -- 3x3 -- 3x3 -- attention --

    residual block           x --+-- 3x3 --+-- 3x3 -- gate -- + --
                                 |-- 2x2 --/                 /
                                 \__________________________/

    RAU-Net, a map of        x -- stem -- block ------------------------- join -- block -- head
    c channels at each side                 \-- block -------- join -- block --/
                                              \-- ... -- block --/

The slides draw the blocks in figures that their text does not have. The first author's code has them, and a log in it
prints the parameters and the scores of RAU-Net 1. There the stages have equally many channels, a convolution with a
stride in place of pooling, and the way up keeps all channels that it joins: twice, three, four and five times as many.
RAU-Net 1 has a gate in each block, RAU-Net 2, as we read it, one where maps are joined; the row of convolution blocks
alone has none, and one block more below. The dropout before its head is left out: as we read the code, it never acts.

Where SE and CBAM stand in the U-Net is what we assume: after each block. The attention of the authors' earlier paper
stands on the way up; so all have the number of parameters that the slides print, within 1 %. References:
`raunet-ablation.md`, slides IV-B and IV-C; https://github.com/CamDucLe/Landslide-Project-Sentinel2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation

from landslide_lib.models.attention import AxisAttention
from landslide_lib.models.unet import UNet, double_convolution

#: A convolution, batch normalisation and the leaky ReLU of Keras; with the bias, as its number of parameters has it.
convolution = partial(Conv2dNormActivation, bias=True, activation_layer=partial(nn.LeakyReLU, 0.3))


def channel_gate(channels: int) -> nn.Module:
    """Weigh channels by their means, as squeeze and excitation does, with half of them inside and a SELU."""
    return SqueezeExcitation(channels, channels // 2, activation=nn.SELU)


class ResidualBlock(nn.Module):
    """Add to a map what a 3x3 beside a 2x2 convolution, another 3x3 one and a gate make of it; channels are kept."""

    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        self.three = convolution(channels, channels, 3)
        # Looks at a pixel and its neighbours to the right and below.
        self.two = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), convolution(channels, channels, 2, padding=0))
        self.merge = convolution(channels, channels, 3)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gate(self.merge(self.three(x) + self.two(x)))


class RAUNet(nn.Module):
    """RAU-Net, twice `width` channels in each of four stages; `gates` stand in its blocks, or where maps are joined.

    At width 64, with 23 bands and masks at three resolutions, it has the 24.9 M parameters of the first author's log.

    Shape: (B, in_channels, H, W) to logits (B, num_classes, H, W), or without classes to the last features,
    (B, features, H, W); H and W multiples of 16. Reference: see the head of this file.

    >>> RAUNet(in_channels=3, width=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int = 64,
        num_classes: int = 1,
        gates: Literal["blocks", "joins", "none"] = "blocks",
        bottom: bool = False,
    ) -> None:
        super().__init__()
        inside = channel_gate if gates == "blocks" else lambda _: nn.Identity()
        joining = channel_gate if gates == "joins" else lambda _: nn.Identity()
        channels = 2 * width
        joined = [channels * times for times in (1, 2, 3, 4, 5)]  # on the way up
        self.features = joined[-1]
        self.stem = convolution(in_channels, channels, 3)
        self.down = nn.ModuleList(ResidualBlock(channels, inside(channels)) for _ in range(4))
        self.shrink = nn.ModuleList(nn.Sequential(nn.Conv2d(channels, channels, 2, 2), nn.SELU()) for _ in range(4))
        self.bottom = ResidualBlock(channels, inside(channels)) if bottom else nn.Identity()
        self.grow = nn.ModuleList(nn.Sequential(nn.ConvTranspose2d(c, c, 2, 2), nn.SELU()) for c in joined[:-1])
        self.join = nn.ModuleList(map(joining, joined[1:]))
        self.up = nn.ModuleList(ResidualBlock(c, inside(c)) for c in joined[1:])
        self.head = nn.Conv2d(self.features, num_classes, 1) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = self.stem(x)
        for block, shrink in zip(self.down, self.shrink, strict=True):
            skips.append(block(x))
            x = shrink(skips[-1])
        x = self.bottom(x)
        for grow, join, block in zip(self.grow, self.join, self.up, strict=True):
            x = block(join(torch.cat([grow(x), skips.pop()], dim=1)))
        return self.head(x)


def unet_with(attend: Callable[[int], nn.Module], **options: Any) -> UNet:
    """Build a U-Net with attention, made of channels, after each of its blocks; see `UNet` for options and shape."""
    return UNet(block=lambda before, after: nn.Sequential(double_convolution(before, after), attend(after)), **options)


def unet_with_axis_attention(*, width: int = 64, image_size: int = 128, **options: Any) -> UNet:
    """Build a U-Net for images of one size with `AxisAttention` after each block on the way up; see `UNet`."""

    def merge(before: int, after: int) -> nn.Module:
        side = image_size * width // after
        return nn.Sequential(
            double_convolution(before, after), AxisAttention(after, side, inner=12 * max(1, width // 16))
        )

    return UNet(width=width, merge=merge, **options)


def narrow(build: Callable[..., nn.Module], *, width: int = 64, **options: Any) -> nn.Module:
    """Build a network with 40 channels in place of 128, and as much less at another width: 2.6 M parameters."""
    return build(width=max(1, 20 * width // 64), **options)
