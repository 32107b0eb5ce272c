"""The traditional U-Net."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

Block = Callable[[int, int], nn.Module]  # makes a module, of its channels before and after


def resized(before: int, after: int) -> nn.Sequential:
    """Double the sides by repeating each pixel, then a 2x2 convolution: the up-convolution of the paper of U-Net."""
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(before, after, 2))


#: By name what doubles the sides on the way up. The report counts it among the drawbacks of a traditional U-Net that
#: it does not use transposed convolutions (`raunet-ablation.md`, slide IV-B). Both have as many parameters.
UPSAMPLING: dict[str, Block] = {"transposed": partial(nn.ConvTranspose2d, kernel_size=2, stride=2), "resized": resized}


def double_convolution(before: int, after: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and ReLU."""
    return nn.Sequential(*Conv2dNormActivation(before, after), *Conv2dNormActivation(after, after))


class UNet(nn.Module):
    """U-Net with batch normalisation.

    The first of five stages has `width` channels, each next one twice as many; `block` makes a stage, on the way up
    `merge` where it is another; `enlarge` doubles the sides, see `UPSAMPLING`. `stem` comes before all else. At width
    64 and 14 bands it has 31.0 M parameters, where the report prints 31.4 M.

    Shape: (B, in_channels, H, W) to logits (B, num_classes, H, W), H and W multiples of 16. Reference: Ronneberger,
    Fischer, Brox 2015, arXiv:1505.04597; `raunet-ablation.md`, slide I-D.

    >>> UNet(in_channels=3, width=4)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 1, 32, 32])
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int = 64,
        num_classes: int = 1,
        block: Block = double_convolution,
        merge: Block | None = None,
        enlarge: Block = UPSAMPLING["transposed"],
        stem: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem or nn.Identity()
        stages = [width * 2**i for i in range(5)]
        self.down = nn.ModuleList(map(block, [in_channels, *stages], stages))
        self.pool = nn.MaxPool2d(2)
        deep_first = stages[:0:-1]
        self.up = nn.ModuleList(enlarge(deep, deep // 2) for deep in deep_first)
        self.merge = nn.ModuleList((merge or block)(deep, deep // 2) for deep in deep_first)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = self.stem(x)
        for stage in self.down:
            x = stage(self.pool(x) if skips else x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1], strict=True):
            x = merge(torch.cat([skip, up(x)], dim=1))
        return self.head(x)
