"""Small relatives of the U-Net: Squeeze U-Net, of fire modules, and V-Net in two dimensions."""

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from landslide_lib.models.unet import UNet


class Fire(nn.Module):
    """Squeeze channels to an eighth of the output by 1x1, then expand by 1x1 beside 3x3, half of the output each.

    Reference: Iandola and others 2016, arXiv:1602.07360.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        between, half = max(2, after // 8), after // 2
        self.squeeze = Conv2dNormActivation(before, between, 1)
        self.one = Conv2dNormActivation(between, half, 1)
        self.three = Conv2dNormActivation(between, after - half, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.one(x), self.three(x)], dim=1)


def transposed_fire(before: int, after: int) -> nn.Sequential:
    """Squeeze channels with 1x1, then expand with a 2x2 convolution that doubles the sides."""
    between = max(2, after // 8)
    squeeze = Conv2dNormActivation(before, between, 1)
    expand = nn.ConvTranspose2d(between, after, 2, stride=2, bias=False)
    return nn.Sequential(squeeze, nn.Sequential(expand, nn.BatchNorm2d(after), nn.ReLU(inplace=True)))


def squeeze_unet(*, in_channels: int, width: int = 64, num_classes: int = 1) -> UNet:
    """Build a U-Net with two fire modules a stage down, and a transposed and a plain one up; see `UNet` for arguments.

    We assume pooling, batch normalisation, a 3x3 convolution before all else, one fire module after each concatenation
    and 2x2 kernels in the transposed ones: so the number of parameters is the printed one. Reference: Beheshti,
    Johnsson 2020, CVPR Workshops, "Squeeze U-Net"; `raunet-ablation.md`, slide IV-C.
    """
    return UNet(
        stem=Conv2dNormActivation(in_channels, width),
        in_channels=width,
        width=width,
        num_classes=num_classes,
        block=lambda before, after: nn.Sequential(Fire(before, after), Fire(after, after)),
        merge=Fire,
        enlarge=transposed_fire,
    )


def activated(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    """Return a convolution with batch normalisation and PReLU after it."""
    channels = convolution.out_channels
    return [convolution, nn.BatchNorm2d(channels), nn.PReLU(channels)]


class Stage(nn.Module):
    """Convolutions that learn what to add to their input: 5x5, batch normalisation, PReLU."""

    def __init__(self, channels: int, convolutions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(convolutions):
            layers += activated(nn.Conv2d(channels, channels, 5, padding=2, bias=False))
        self.convolutions = nn.Sequential(*layers[:-1])
        self.activation = layers[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.convolutions(x))


class SmallVNet(nn.Module):
    """V-Net: residual stages of 5x5 convolutions, convolutions with stride in place of pooling; see `UNet` for shapes.

    Stages and kernels are the paper's, in two dimensions; batch normalisation is ours. The paper starts with 16
    channels; a ninth of the width, at least 2, fits the number of parameters that the report prints. Reference:
    Milletari, Navab, Ahmadi 2016, arXiv:1606.04797; `raunet-ablation.md`, slide IV-C.
    """

    def __init__(self, *, in_channels: int, width: int = 64, num_classes: int = 1) -> None:
        super().__init__()
        first = max(2, width // 9)
        *skips, deepest = stages = [first * 2**i for i in range(5)]
        skips.reverse()
        # A stage on the way up has as many channels as map and skip together.
        joined = [2 * skip for skip in skips]
        self.stem = nn.Sequential(*activated(nn.Conv2d(in_channels, first, 5, padding=2, bias=False)))
        self.down = nn.ModuleList(map(Stage, stages, (1, 2, 3, 3, 3)))
        self.shrink = nn.ModuleList(
            nn.Sequential(*activated(nn.Conv2d(before, 2 * before, 2, stride=2, bias=False))) for before in stages[:-1]
        )
        self.grow = nn.ModuleList(
            nn.Sequential(*activated(nn.ConvTranspose2d(below, skip, 2, stride=2, bias=False)))
            for below, skip in zip([deepest, *joined[:-1]], skips, strict=True)
        )
        self.up = nn.ModuleList(map(Stage, joined, (3, 3, 2, 1)))
        self.head = nn.Conv2d(2 * first, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.down[0](self.stem(x))]
        for shrink, stage in zip(self.shrink, self.down[1:], strict=True):
            skips.append(stage(shrink(skips[-1])))
        x = skips.pop()
        for grow, stage in zip(self.grow, self.up, strict=True):
            x = stage(torch.cat([skips.pop(), grow(x)], dim=1))
        return self.head(x)
