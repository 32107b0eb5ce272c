"""The traditional U-Net."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

Block = Callable[[int, int], nn.Module]  # makes a module, of its channels before and after

#: By name what doubles the sides on the way up and halves the channels; None repeats each pixel and keeps the channels,
#: as in the first author's code (https://github.com/CamDucLe/Landslide-Project-Sentinel2) and as slide IV-B of
#: `raunet-ablation.md` says of a traditional U-Net: that it does not use transposed convolutions.
UPSAMPLING: dict[str, Block | None] = {
    "transposed": partial(nn.ConvTranspose2d, kernel_size=2, stride=2),
    "nearest": None,
}


def double_convolution(before: int, after: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and ReLU."""
    return nn.Sequential(*Conv2dNormActivation(before, after), *Conv2dNormActivation(after, after))


class UNet(nn.Module):
    """U-Net with batch normalisation.

    The first of five stages has `width` channels, each next one twice as many; `block` makes a stage, on the way up
    `merge` where it is another; `enlarge` doubles the sides, see `UPSAMPLING`. `stem` comes before all else. At width
    64 and 14 bands it has 31.4 M parameters if it repeats pixels, as the report prints, and 31.0 M else.

    Shape: (B, in_channels, H, W) to logits (B, num_classes, H, W), or without classes to the last features,
    (B, features, H, W); H and W multiples of 16. Reference: Ronneberger, Fischer, Brox 2015, arXiv:1505.04597;
    `raunet-ablation.md`, slide I-D.

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
        enlarge: Block | None = UPSAMPLING["nearest"],
        stem: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem or nn.Identity()
        stages = [width * 2**i for i in range(5)]
        self.down = nn.ModuleList(map(block, [in_channels, *stages], stages))
        self.pool = nn.MaxPool2d(2)
        deep_first = stages[:0:-1]
        self.up = nn.ModuleList(enlarge(c, c // 2) if enlarge else nn.Upsample(scale_factor=2) for c in deep_first)
        joined = (deep if enlarge else deep + deep // 2 for deep in deep_first)
        self.merge = nn.ModuleList(map(merge or block, joined, (deep // 2 for deep in deep_first)))
        self.features = width
        self.head = nn.Conv2d(width, num_classes, 1) if num_classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = self.stem(x)
        for stage in self.down:
            x = stage(self.pool(x) if skips else x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1], strict=True):
            x = merge(torch.cat([skip, up(x)], dim=1))
        return self.head(x)
