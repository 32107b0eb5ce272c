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


class PooledAttention(nn.Module):
    r"""Multi-head self-attention over a pooled feature map, as a gate with a residual.

        x ---- average pool ---- attention between cells ---- sigmoid ---- upsample --- * --- + ---
         \___________________________________________________________________________/     /
          \_______________________________________________________________________________/

    The slides draw an attention block of an earlier paper, which the paper of the slides calls multi-head, and say no
    more. We assume pooling to a grid of about `grid` cells a side, so that it costs next to nothing at full resolution,
    without a code of position. Queries, keys and values have `inner` channels each, all heads together, a multiple of
    `heads`.

    Reference: Vaswani and others 2017, arXiv:1706.03762; Le and others 2023, arXiv:2312.16717; `raunet-ablation.md`,
    slide IV-B.
    """

    def __init__(self, channels: int, *, inner: int, heads: int = 4, grid: int = 8) -> None:
        super().__init__()
        self.heads, self.grid = heads, grid
        self.queries_keys_values = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        self.out = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        # Adaptive pooling has no deterministic gradient on CUDA.
        kernel = [max(1, side // self.grid) for side in x.shape[2:]]
        cells = F.avg_pool2d(x, kernel, ceil_mode=True)
        heads = self.queries_keys_values(cells).flatten(2).unflatten(1, (3, self.heads, -1))
        queries, keys, values = heads.transpose(-1, -2).unbind(1)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        attended = attended.transpose(-1, -2).reshape(len(x), -1, *cells.shape[2:])
        gate = self.out(attended).sigmoid()
        return x + x * F.interpolate(gate, size=x.shape[2:], mode="bilinear", align_corners=False)


def pooled_attention(channels: int, width: int) -> PooledAttention:
    """Attention with half of a network's width inside, a multiple of four: so the number of parameters fits."""
    return PooledAttention(channels, inner=4 * max(1, width // 8))
