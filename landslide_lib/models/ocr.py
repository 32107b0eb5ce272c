"""Object-contextual representations: a pixel learns what the region it belongs to looks like."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation

#: Soft object regions of an image: landslide and what is not.
REGIONS = 2


class OCR(nn.Module):
    r"""The head of HRNet-OCR: pixels with the context of the regions that they resemble.

        maps --- pixels --------------------------- queries ----- attention --- + --- logits
            \--- soft regions --- mean of each --- keys, values --/    pixels --/

    xA soft region is a weight for every pixel, of which the sum over the image is 1. Each pixel attends to the regions'
    means and is given what they are, beside what it is itself. We assume two regions: one would leave nothing to tell
    apart. The paper teaches them by an auxiliary loss of weight 0.4; here they learn from the mask alone, as every
    network of the report gives one mask. There is no dropout.

    xShape: Maps of falling sides, `channels` in all, the finest (B, C, H, W), to logits (B, 1, H, W). Reference: Yuan,
    Chen, Wang 2020, arXiv:1909.11065.

    >>> head = OCR(channels=12, width=8)
    >>> tuple(head([torch.zeros(2, 4, 8, 8), torch.zeros(2, 8, 4, 4)]).shape)
    (2, 1, 8, 8)
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inside = width // 2
        # Without a bias, which a softmax over the pixels would cancel.
        regions = nn.Conv2d(channels, REGIONS, 1, bias=False)
        self.regions = nn.Sequential(Conv2dNormActivation(channels, channels, 1), regions)
        self.pixels = Conv2dNormActivation(channels, width)
        self.queries = nn.Sequential(Conv2dNormActivation(width, inside, 1), Conv2dNormActivation(inside, inside, 1))
        self.keys = nn.Sequential(Conv2dNormActivation(width, inside, 1), Conv2dNormActivation(inside, inside, 1))
        self.values = Conv2dNormActivation(width, inside, 1)
        self.context = Conv2dNormActivation(inside, width, 1)
        self.fused = Conv2dNormActivation(2 * width, width, 1)
        self.logits = nn.Conv2d(width, 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        sides = maps[0].shape[2:]
        x = torch.cat([F.interpolate(each, size=sides, mode="bilinear") for each in maps], 1)
        pixels = self.pixels(x)
        weights = self.regions(x).flatten(2).softmax(2)  # (B, regions, H W)
        regions = (weights @ _cells(pixels)).transpose(1, 2).unsqueeze(3)  # (B, width, regions, 1)
        context = F.scaled_dot_product_attention(
            _cells(self.queries(pixels)), _cells(self.keys(regions)), _cells(self.values(regions))
        )
        context = self.context(context.transpose(1, 2).reshape(len(x), -1, *sides))
        return self.logits(self.fused(torch.cat([context, pixels], 1)))


def _cells(x: Tensor) -> Tensor:
    """Return a map's cells as a list, (B, C, H, W) to (B, H W, C)."""
    return x.flatten(2).transpose(1, 2)
