r"""Residual U-Net, and RAU-Net 1 and 2: residual U-Nets with attention.

All are U-Nets with another block at each of the nine stages:

    U-Net          x -- 3x3 -- 3x3 ------------------------------

    residual       x -- 3x3, fewer channels -- 3x3 -- + ---------
                     \___________ 1x1 ______________/

    RAU-Net 1      x -- 3x3, fewer channels -- 3x3 -- + -- attention --
                     \___________ 1x1 ______________/

    RAU-Net 2      x -- 3x3, fewer channels -- 3x3 -- attention -- + --
                     \__________________ 1x1 ____________________/

Readings: the report draws its convolution block and the two combinations in figures that its text
does not have. It says of the U-Net that it lacks skip connections between its convolutions, and
prints how many parameters its own block saves; seven tenths of the channels between the two
convolutions come within 2 % of what is left.

Attention after the sum is the plain combination of the report's two rows; inside the residual
branch is where SE and CBAM stand in residual networks. Both have the same number of parameters,
as the report's two have.
"""

from __future__ import annotations

from torch import Tensor, nn

from landslide_lib.models.attention import pooled_attention
from landslide_lib.models.unet import UNet


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with fewer channels between them, beside a 1x1 one.

    Args:
        before: Input channels.
        after: Output channels; about seven tenths of them are between, a multiple of eight,
            which tensor cores need.
        attention: What the branch of the 3x3 convolutions passes through before the sum.

    Shape:
        (B, before, H, W) to (B, after, H, W).

    Reference:
        He, Zhang, Ren, Sun 2016, arXiv:1512.03385; `raunet-ablation.md`, slide IV-B.
    """

    def __init__(self, before: int, after: int, attention: nn.Module | None = None) -> None:
        super().__init__()
        between = 8 * max(1, round(0.7 * after / 8))
        self.branch = nn.Sequential(
            nn.Conv2d(before, between, 3, padding=1, bias=False),
            nn.BatchNorm2d(between),
            nn.ReLU(inplace=True),
            nn.Conv2d(between, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            attention or nn.Identity(),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of branch and shortcut, rectified."""
        both: Tensor = self.branch(x) + self.shortcut(x)
        return both.relu()


def unet_residual(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """U-Net of residual blocks, the report's "our convolution blocks".

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W), H and W multiples of 16.

    Reference:
        `raunet-ablation.md`, slide IV-B.
    """
    return UNet(in_channels=in_channels, width=width, num_classes=num_classes, block=ResidualBlock)


def rau_net_1(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """Residual U-Net with attention after each block.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W), H and W multiples of 16.

    Reference:
        `raunet-ablation.md`, slide IV-B.
    """

    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(ResidualBlock(before, after), pooled_attention(after, width))

    return UNet(in_channels=in_channels, width=width, num_classes=num_classes, block=block)


def rau_net_2(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """Residual U-Net with attention inside each block.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W), H and W multiples of 16.

    Reference:
        `raunet-ablation.md`, slide IV-B.
    """

    def block(before: int, after: int) -> nn.Module:
        return ResidualBlock(before, after, pooled_attention(after, width))

    return UNet(in_channels=in_channels, width=width, num_classes=num_classes, block=block)


def small_residual_unet(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """Residual U-Net with a third of the width, at least 2 channels.

    Reference:
        `raunet-ablation.md`, slide IV-C, which prints the number of parameters alone.
    """
    return unet_residual(in_channels=in_channels, width=max(2, width // 3), num_classes=num_classes)


def small_rau_net(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """RAU-Net 1 with a third of the width, at least 2 channels.

    Reference:
        `raunet-ablation.md`, slide IV-C, which prints the number of parameters alone.
    """
    return rau_net_1(in_channels=in_channels, width=max(2, width // 3), num_classes=num_classes)
