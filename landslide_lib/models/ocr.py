"""Object-contextual representations: a pixel learns what the region it belongs to looks like."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.models.squeeze_unet import normalised

#: Soft object regions of an image: landslide and what is not.
REGIONS = 2


class OCR(nn.Module):
    r"""The head of HRNet-OCR: pixels with the context of the regions that they resemble.

        maps --- pixels --------------------------- queries ----- attention --- + --- logits \--- soft regions --- mean
            of each --- keys, values --/    pixels --/

    A soft region is a weight for every pixel, of which the sum over the image is 1; its representation is the mean of
    the pixels by these weights. Each pixel attends to the regions and is given what they are, beside what it is itself.

    With one class there would be one region and nothing to tell apart, so we assume two. The paper teaches the regions
    by an auxiliary loss of weight 0.4; here they have none, because every network of the report gives one mask, and
    learn from the mask that they help to make. Its dropout is left out: a resumed run has not the state of the
    generator that it draws from.

    Args:
        channels: Of all maps together.
        width: Channels of the pixels' representation; the attention has half of them.

    Shape: Maps of falling sides, the finest (B, C, H, W), to (B, 1, H, W), logits.
    Reference: Yuan, Chen, Wang 2020, arXiv:1909.11065.

    >>> head = OCR(channels=12, width=8)
    >>> tuple(head([torch.zeros(2, 4, 8, 8), torch.zeros(2, 8, 4, 4)]).shape)
    (2, 1, 8, 8)
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inside = width // 2
        # Without a bias, which a softmax over the pixels would cancel.
        regions = nn.Conv2d(channels, REGIONS, 1, bias=False)
        self.regions = nn.Sequential(_layer(channels, channels), regions)
        self.pixels = _layer(channels, width, kernel=3)
        self.queries = nn.Sequential(_layer(width, inside), _layer(inside, inside))
        self.keys = nn.Sequential(_layer(width, inside), _layer(inside, inside))
        self.values = _layer(width, inside)
        self.context = _layer(inside, width)
        self.fused = _layer(2 * width, width)
        self.logits = nn.Conv2d(width, 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return logits at the side of the finest map."""
        sides = maps[0].shape[2:]
        x = torch.cat([F.interpolate(each, size=sides, mode="bilinear") for each in maps], 1)
        pixels = self.pixels(x)
        weights = self.regions(x).flatten(2).softmax(2)  # (B, regions, H W)
        regions = (weights @ _listed(pixels)).transpose(1, 2).unsqueeze(3)  # (B, width, regions, 1)
        context = F.scaled_dot_product_attention(
            _listed(self.queries(pixels)), _listed(self.keys(regions)), _listed(self.values(regions))
        )
        context = self.context(context.transpose(1, 2).reshape(len(x), -1, *sides))
        logits: Tensor = self.logits(self.fused(torch.cat([context, pixels], 1)))
        return logits


def _layer(before: int, after: int, kernel: int = 1) -> nn.Module:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return normalised(convolution, after)


def _listed(x: Tensor) -> Tensor:
    """Return a map's cells as a list, (B, C, H, W) to (B, H W, C)."""
    return x.flatten(2).transpose(1, 2)
