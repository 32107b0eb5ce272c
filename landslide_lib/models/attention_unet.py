r"""U-Nets with an attention module after each of their nine convolution blocks.

    image -> [block, attention] -------------------------> [block, attention] -> mask
                   \-> [block, attention] ---> [block, attention] -/
                               \-> ... [block, attention] ... -/

Reading: the report adds "an attention module to the traditional U-Net" and draws where, in a
figure that its text does not have. After each block is where the papers of SE and CBAM put theirs.
With it, the additions to the parameters are those that the report prints, within a tenth of a
million.
"""

from __future__ import annotations

from torch import nn

from landslide_lib.models.attention import CBAM, pooled_attention, squeeze_excitation
from landslide_lib.models.unet import UNet, double_convolution


def unet_se(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """U-Net with squeeze-and-excitation.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W), H and W multiples of 16.

    Reference:
        Hu, Shen, Sun 2018, arXiv:1709.01507; `raunet-ablation.md`, slide IV-B.
    """

    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(double_convolution(before, after), squeeze_excitation(after))

    return UNet(in_channels=in_channels, width=width, num_classes=num_classes, block=block)


def unet_cbam(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """U-Net with the convolutional block attention module.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W), H and W multiples of 16.

    Reference:
        Woo, Park, Lee, Kweon 2018, arXiv:1807.06521; `raunet-ablation.md`, slide IV-B.
    """

    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(double_convolution(before, after), CBAM(after))

    return UNet(in_channels=in_channels, width=width, num_classes=num_classes, block=block)


def unet_attention(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """U-Net with the report's own attention, as `PooledAttention` reads it.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W), H and W multiples of 16.

    Reference:
        `raunet-ablation.md`, slide IV-B.
    """

    def block(before: int, after: int) -> nn.Module:
        return nn.Sequential(double_convolution(before, after), pooled_attention(after, width))

    return UNet(in_channels=in_channels, width=width, num_classes=num_classes, block=block)
