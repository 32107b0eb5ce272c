"""Feature pyramids: maps of one width at strides 4, 8, 16 and 32, from any encoder."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from timm.layers import LayerNorm2d  # type: ignore[attr-defined, unused-ignore]
from timm.models.efficientnet import EfficientNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork  # type: ignore[import-untyped, unused-ignore]
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool  # type: ignore[import-untyped, unused-ignore]

#: The maps, from stride 4 to stride 32.
LEVELS = ("p2", "p3", "p4", "p5")


class Pyramid(nn.Module):
    """An encoder and the pyramid on it.

    Args:
        encoder: Of timm; it stays the `encoder` of the pyramid. Layers that only its classifier would use are taken
            off.
        channels: Of each map, kept as `out_channels`.

    Shape: (B, C, S, S) to a dict, float32: `p2` to `p5`, (B, channels, S / 4, S / 4) to (B, channels, S / 32, S / 32),
        and `pool` at stride 64.
    """

    def __init__(self, encoder: nn.Module, channels: int) -> None:
        super().__init__()
        self.encoder, self.out_channels = encoder, channels
        self.top = LastLevelMaxPool()
        self.levels: nn.Module
        if isinstance(encoder, VisionTransformer):
            self.levels = Simple(encoder.embed_dim, channels)
            return
        if isinstance(encoder, EfficientNet):
            encoder.prune_intermediate_layers(len(LEVELS), prune_norm=True)
        info: Any = encoder.feature_info
        widths = [level["num_chs"] for level in list(info)[-len(LEVELS) :]]
        self.levels = TopDown(widths, channels, norms=isinstance(encoder, SwinTransformer))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps."""
        maps = self.encoder.forward_intermediates(  # type: ignore[operator]
            images, indices=self.levels.taken, norm=True, intermediates_only=True
        )
        # Anchors have the type of the maps, and half precision would round them to whole pixels.
        levels = [level.float() for level in self.levels(maps)]
        with_top, names = self.top(levels, levels, list(LEVELS))
        return OrderedDict(zip(names, with_top, strict=True))


class TopDown(nn.Module):
    """The feature pyramid of an encoder that has maps at all four strides.

    Args:
        widths: Channels of the encoder's maps.
        channels: Of each map of the pyramid.
        norms: Whether the maps are normalised first. Those inside a Swin are sums over all blocks before them, and only
            the last one has a norm of its own.

    Shape: A list of four maps to a list of four maps.
    Reference: Lin and others 2016, arXiv:1612.03144.
    """

    taken = len(LEVELS)

    def __init__(self, widths: list[int], channels: int, norms: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(
            LayerNorm2d(width) if norms and width != widths[-1] else nn.Identity() for width in widths
        )
        self.sums = FeaturePyramidNetwork(widths, channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the maps of the pyramid."""
        normed = [norm(level) for norm, level in zip(self.norms, maps, strict=True)]
        return list(self.sums(OrderedDict(zip(LEVELS, normed, strict=True))).values())


class Simple(nn.Module):
    """The simple feature pyramid of a ViT: its last map, enlarged and reduced.

    Args:
        width: Channels of the ViT.
        channels: Of each map.

    Shape: A list of one map at stride 16 to a list of four maps.
    Reference: Li and others 2022, arXiv:2203.16527.
    """

    taken = 1

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        enlarged = [
            nn.ConvTranspose2d(width, half, 2, 2),
            LayerNorm2d(half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, 2),
        ]
        scaled: list[tuple[list[nn.Module], int]] = [
            (enlarged, quarter),
            ([nn.ConvTranspose2d(width, half, 2, 2)], half),
            ([], width),
            ([nn.MaxPool2d(2, ceil_mode=True)], width),
        ]
        self.scales = nn.ModuleList(
            nn.Sequential(
                *layers,
                nn.Conv2d(inside, channels, 1, bias=False),
                LayerNorm2d(channels),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                LayerNorm2d(channels),
            )
            for layers, inside in scaled
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Return the maps of the pyramid."""
        (last,) = maps
        return [scale(last) for scale in self.scales]
