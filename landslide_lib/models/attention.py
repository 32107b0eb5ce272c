"""Attention: modules that weigh a feature map (B, channels, H, W) by what they see in it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation


def squeeze_excitation(channels: int) -> nn.Module:
    """Weigh channels by their means; reduction 16, at least 4 channels. Hu, Shen, Sun 2018, arXiv:1709.01507."""
    return SqueezeExcitation(channels, max(4, channels // 16))


class CBAM(nn.Module):
    """Convolutional block attention module: weigh channels, then pixels.

    Inside are an eighth of the channels, at least 4: that fits the reported number of parameters; the paper has a
    sixteenth. Reference: Woo, Park, Lee, Kweon 2018, arXiv:1807.06521.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inside = max(4, channels // 8)
        self.channels = nn.Sequential(
            nn.Conv2d(channels, inside, 1), nn.ReLU(inplace=True), nn.Conv2d(inside, channels, 1)
        )
        self.pixels = nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1))

    def forward(self, x: Tensor) -> Tensor:
        mean, largest = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = x * (self.channels(mean) + self.channels(largest)).sigmoid()
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * self.pixels(pooled).sigmoid()


class AxisAttention(nn.Module):
    """Weigh a map by multi-head self-attention between the lines of each of its three faces; the mean of the three.

    The faces are the means over channels, over columns and over rows. Their lines are rows, rows and columns; each
    attends to the others, of `inner` numbers in all four `heads`. The sigmoid of what comes of it weighs the map. The
    face of rows and columns is enlarged or reduced to `side`, that of the images trained on.

    The slides draw an attention block "in a previous paper", whose text has these three faces; its code has maxima
    beside the means and more heads, the first author's code for landslides means alone. Reference: Vaswani and others
    2017, arXiv:1706.03762; Le and others 2022, arXiv:2211.02820; `raunet-ablation.md`, slide IV-B.
    """

    def __init__(self, channels: int, side: int, *, inner: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.side, self.heads = side, heads
        self.lines = nn.ModuleList(nn.Linear(numbers, 3 * inner) for numbers in (side, channels, channels))
        self.out = nn.ModuleList(nn.Linear(inner, numbers) for numbers in (side, channels, channels))

    def attend(self, face: int, lines: Tensor) -> Tensor:
        """Return what weighs the lines of a face, (B, lines, numbers)."""
        queries, keys, values = self.lines[face](lines).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(queries, keys, values)  # (B, heads, lines, numbers of a head)
        return self.out[face](attended.transpose(1, 2).flatten(2)).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        flat = F.interpolate(x.mean(1, keepdim=True), size=(self.side, self.side), mode="bilinear")
        flat = F.interpolate(self.attend(0, flat[:, 0])[:, None], size=x.shape[2:], mode="bilinear")
        rows = self.attend(1, x.mean(3).transpose(1, 2)).transpose(1, 2)[:, :, :, None]
        columns = self.attend(2, x.mean(2).transpose(1, 2)).transpose(1, 2)[:, :, None]
        return x * (flat + rows + columns) / 3
