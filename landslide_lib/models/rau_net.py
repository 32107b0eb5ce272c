r"""U-Nets with other blocks at their nine stages: with attention, residual, and both, which are RAU-Net 1 and 2.

    U-Net          x -- 3x3 -- 3x3 ------------------------------

    attention      x -- 3x3 -- 3x3 -- attention -----------------

    residual       x -- 3x3, fewer channels -- 3x3 -- + ---------
                     \___________ 1x1 ______________/

    RAU-Net 1      x -- 3x3, fewer channels -- 3x3 -- + -- attention --
                     \___________ 1x1 ______________/

    RAU-Net 2      x -- 3x3, fewer channels -- 3x3 -- attention -- + --
                     \__________________ 1x1 ____________________/

The report draws where the attention is, its convolution block and the two combinations in figures that its text does
not have. We assume attention after each block, where the papers of SE and CBAM put theirs: the additions to the
parameters are those that the report prints, within a tenth of a million. Of its convolution block the report says that
a U-Net lacks skip connections between its convolutions, and how many parameters it saves; seven tenths of the channels
between the two convolutions come within 2 % of what is left. Attention after the sum is the plain combination of the
report's two rows; inside the residual branch is where SE and CBAM stand in residual networks. Both have the same number
of parameters, as the report's two have.

Reference: `raunet-ablation.md`, slides IV-B and IV-C.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from landslide_lib.models.attention import CBAM, pooled_attention, squeeze_excitation
from landslide_lib.models.unet import UNet, double_convolution

#: Makes the module of a stage from its channels before and after, and the width of the network.
Block = Callable[[int, int, int], nn.Module]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with fewer channels between them, beside a 1x1 one.

    Args:
        before: Input channels.
        after: Output channels; about seven tenths of them are between, a multiple of eight, which tensor cores need.
        attention: What the branch of the 3x3 convolutions passes through before the sum.

    Shape: (B, before, H, W) to (B, after, H, W).
    Reference: He, Zhang, Ren, Sun 2016, arXiv:1512.03385; `raunet-ablation.md`, slide IV-B.
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
        total: Tensor = self.branch(x) + self.shortcut(x)
        return total.relu()


def se_block(before: int, after: int, width: int) -> nn.Module:
    """Return a block of U-Net and squeeze-and-excitation."""
    return nn.Sequential(double_convolution(before, after), squeeze_excitation(after))


def cbam_block(before: int, after: int, width: int) -> nn.Module:
    """Return a block of U-Net and the convolutional block attention module."""
    return nn.Sequential(double_convolution(before, after), CBAM(after))


def attention_block(before: int, after: int, width: int) -> nn.Module:
    """Return a block of U-Net and the report's own attention, as `PooledAttention` reads it."""
    return nn.Sequential(double_convolution(before, after), pooled_attention(after, width))


def residual_block(before: int, after: int, width: int) -> nn.Module:
    """Return the report's "our convolution block"."""
    return ResidualBlock(before, after)


def rau_block_1(before: int, after: int, width: int) -> nn.Module:
    """Return a residual block with attention after it."""
    return nn.Sequential(ResidualBlock(before, after), pooled_attention(after, width))


def rau_block_2(before: int, after: int, width: int) -> nn.Module:
    """Return a residual block with attention inside."""
    return ResidualBlock(before, after, pooled_attention(after, width))


def unet_of(block: Block, *, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """Build a U-Net of one of the blocks above; see `UNet` for arguments and shape."""

    def make(before: int, after: int) -> nn.Module:
        return block(before, after, width)

    return UNet(in_channels=in_channels, width=width, num_classes=num_classes, block=make)


def small_unet_of(block: Block, *, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """Build a U-Net with a third of the width, at least 2; the report prints the number of parameters alone."""
    return unet_of(block, in_channels=in_channels, width=max(2, width // 3), num_classes=num_classes)
