r"""U-Nets with other blocks at their nine stages: with attention, residual, and both, which are RAU-Net 1 and 2.

    U-Net          x -- 3x3 -- 3x3 ------------------------------

    attention      x -- 3x3 -- 3x3 -- attention -----------------

    residual       x -- 3x3, fewer channels -- 3x3 -- + ---------
                     \___________ 1x1 ______________/

    RAU-Net 1      x -- 3x3, fewer channels -- 3x3 -- + -- attention --
                     \___________ 1x1 ______________/

    RAU-Net 2      x -- 3x3, fewer channels -- 3x3 -- attention -- + --
                     \__________________ 1x1 ____________________/

The report draws these in figures that its text does not have. We assume attention after each block, as in the papers
of SE and CBAM: the additions to the parameters are those printed, within a tenth of a million. Of its convolution block
it says what a U-Net lacks and how many parameters it saves: seven tenths of the channels between the two convolutions
come within 2 %. RAU-Net 2 has attention where SE and CBAM stand in residual networks; both have the same number of
parameters, as the report's two have. Reference: `raunet-ablation.md`, slides IV-B and IV-C.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from landslide_lib.models.attention import CBAM, pooled_attention, squeeze_excitation
from landslide_lib.models.unet import UNet, double_convolution


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with fewer channels between them, beside a 1x1 one; `attention` before the sum.

    About seven tenths of the channels are between, a multiple of eight, which tensor cores need. Reference: He, Zhang,
    Ren, Sun 2016, arXiv:1512.03385.
    """

    def __init__(self, before: int, after: int, attention: nn.Module | None = None) -> None:
        super().__init__()
        between = 8 * max(1, round(0.7 * after / 8))
        self.branch = nn.Sequential(
            *Conv2dNormActivation(before, between),
            *Conv2dNormActivation(between, after, activation_layer=None),
            attention or nn.Identity(),
        )
        self.shortcut = Conv2dNormActivation(before, after, 1, activation_layer=None)

    def forward(self, x: Tensor) -> Tensor:
        return (self.branch(x) + self.shortcut(x)).relu()


#: By name the module of a stage, of its channels before and after and the width of the network.
BLOCKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "cbam": lambda before, after, _: nn.Sequential(double_convolution(before, after), CBAM(after)),
    "se": lambda before, after, _: nn.Sequential(double_convolution(before, after), squeeze_excitation(after)),
    "attention": lambda before, after, width: nn.Sequential(
        double_convolution(before, after), pooled_attention(after, width)
    ),
    "residual": lambda before, after, _: ResidualBlock(before, after),
    "rau_1": lambda before, after, width: nn.Sequential(ResidualBlock(before, after), pooled_attention(after, width)),
    "rau_2": lambda before, after, width: ResidualBlock(before, after, pooled_attention(after, width)),
}


def unet_of(block: str, *, width: int = 64, **options: Any) -> UNet:
    """Build a U-Net of one of `BLOCKS`; see `UNet` for options and shape."""
    made = BLOCKS[block]
    return UNet(width=width, block=lambda before, after: made(before, after, width), **options)


def small_unet_of(block: str, *, width: int = 64, **options: Any) -> UNet:
    """Build a U-Net with a third of the width, at least 2; the report prints the number of parameters alone."""
    return unet_of(block, width=max(2, width // 3), **options)
