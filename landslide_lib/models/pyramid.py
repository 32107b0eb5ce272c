"""Feature pyramids: maps of one width at strides 4, 8, 16 and 32, from any encoder."""

from typing import Any

from timm.layers import LayerNorm2d  # type: ignore[attr-defined, unused-ignore]
from timm.models.efficientnet import EfficientNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

#: The maps, from stride 4 to stride 32.
LEVELS = ("p2", "p3", "p4", "p5")


class Pyramid(nn.Module):
    """An encoder of timm, without the layers that only a classifier would use, and the pyramid on it.

    Shape: (B, C, S, S) to a dict, float32: `p2` to `p5`, (B, channels, S / 4, S / 4) to (B, channels, S / 32, S / 32),
    and `pool` at stride 64.
    """

    def __init__(self, encoder: Any, channels: int) -> None:
        super().__init__()
        self.encoder, self.out_channels = encoder, channels
        self.top = LastLevelMaxPool()
        self.levels: TopDown | Simple
        if isinstance(encoder, VisionTransformer):
            self.levels = Simple(encoder.embed_dim, channels)
            return
        if isinstance(encoder, EfficientNet):
            encoder.prune_intermediate_layers(len(LEVELS), prune_norm=True)
        widths = [level["num_chs"] for level in list(encoder.feature_info)[-len(LEVELS) :]]
        self.levels = TopDown(widths, channels, norms=isinstance(encoder, SwinTransformer))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.encoder.forward_intermediates(images, indices=self.levels.taken, norm=True, intermediates_only=True)
        # Anchors have the type of the maps, and half precision would round them to whole pixels.
        levels = [level.float() for level in self.levels(maps)]
        with_top, names = self.top(levels, levels, list(LEVELS))
        return dict(zip(names, with_top, strict=True))


class TopDown(nn.Module):
    """The feature pyramid of an encoder with maps at all four strides: Lin and others 2016, arXiv:1612.03144.

    With `norms` the maps are normalised first: those inside a Swin are sums over all blocks before them, and only the
    last one has a norm of its own.
    """

    taken = len(LEVELS)

    def __init__(self, widths: list[int], channels: int, norms: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(
            LayerNorm2d(width) if norms and width != widths[-1] else nn.Identity() for width in widths
        )
        self.sums = FeaturePyramidNetwork(widths, channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        normed = {name: norm(level) for name, norm, level in zip(LEVELS, self.norms, maps, strict=True)}
        return list(self.sums(normed).values())


class Simple(nn.Module):
    """The pyramid of a ViT: its last map, at stride 16, enlarged and reduced. Li and others 2022, arXiv:2203.16527."""

    taken = 1

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        twice, again = nn.ConvTranspose2d(width, half, 2, 2), nn.ConvTranspose2d(half, quarter, 2, 2)
        scaled: list[tuple[list[nn.Module], int]] = [
            ([twice, LayerNorm2d(half), nn.GELU(), again], quarter),
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
        return [scale(maps[0]) for scale in self.scales]
