"""Optical and radar images of a tile: the attention fusion, joined by a gate, and a small feature pyramid."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork

from landslide_lib.data.bands import is_radar
from landslide_lib.models.encoders import ENCODERS, encoder

HIDDEN, RADAR = 256, 64  # hidden features of the gate, and the features of the radar branch
#: Channels of the four levels of a branch, and of the pyramid: under a million parameters in all.
WIDTHS, WIDTH = (16, 32, 64, 96), 64
TINY, TINY_WIDTH = (4, 4, 8, 8), 8


def radar_branch(in_channels: int) -> nn.Sequential:
    """Build the branch of radar images, (B, in_channels, S, S), S at least 4, to (B, 64), as the report lists it."""
    return nn.Sequential(
        *Conv2dNormActivation(in_channels, 32, bias=True),
        nn.MaxPool2d(2),
        *Conv2dNormActivation(32, 64, bias=True),
        nn.MaxPool2d(2),
        *Conv2dNormActivation(64, RADAR, bias=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Fusion(nn.Module):
    """An encoder of optical images and a branch of radar images, whose features are joined.

    A gate looks at all features and at how bright the tile is, a sign of clouds, and weighs each feature by a number in
    0..1; without it the features stand side by side. Where the `bands` are of one kind there is one branch. Optical
    images are enlarged to `optical_size`, by default the encoder's own.

    Shape: (B, C, S, S), normalised, to logits (B, 1, 1, 1): a tile is an image of one pixel. Reference:
    `attention-fusion`, sections Architecture and Model Details. How bright a tile is, is the mean of red, green and
    blue as normalised.
    """

    def __init__(
        self,
        bands: Sequence[str],
        encoder_name: str,
        optical_size: int | None = None,
        *,
        gated: bool = True,
        tiny: bool = False,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.radar = [place for place, band in enumerate(bands) if is_radar(band)]
        self.optical = [place for place, band in enumerate(bands) if not is_radar(band)]
        self.visible = [place for place, band in enumerate(bands) if band in ("R", "G", "B")]
        self.size = optical_size or ENCODERS[encoder_name].image_size
        self.encoder = encoder(encoder_name, len(self.optical), self.size, tiny) if self.optical else None
        self.branch = radar_branch(len(self.radar)) if self.radar else None
        optical: int = self.encoder.num_features if self.encoder is not None else 0  # type: ignore[assignment]
        self.widths = {"optical": optical, "radar": RADAR if self.radar else 0}
        width = sum(self.widths.values())
        self.gate = None
        if gated:
            inputs = width + bool(self.visible)
            self.gate = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, width), nn.Sigmoid())
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, 1))

    def features(self, images: Tensor) -> Tensor:
        parts = []
        if self.encoder is not None:
            optical = images[:, self.optical]
            if optical.shape[-1] != self.size:
                optical = F.interpolate(optical, size=self.size, mode="bilinear")
            parts.append(self.encoder(optical))
        if self.branch is not None:
            parts.append(self.branch(images[:, self.radar]))
        return torch.cat(parts, 1)

    def weigh(self, features: Tensor, images: Tensor) -> Tensor:
        """Return the weight of each feature in 0..1, (B, features); 1 without a gate."""
        if self.gate is None:
            return torch.ones_like(features)
        inputs = [features]
        if self.visible:
            inputs.append(images[:, self.visible].mean((1, 2, 3))[:, None].to(features.dtype))
        return self.gate(torch.cat(inputs, 1))

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        return self.classifier(features * self.weigh(features, images))[..., None, None]


def branch(in_channels: int, widths: Sequence[int]) -> nn.ModuleList:
    """Build the levels of a branch: two convolutions each, the first halves the resolution."""
    return nn.ModuleList(
        nn.Sequential(*Conv2dNormActivation(before, width, stride=2), *Conv2dNormActivation(width, width))
        for before, width in zip((in_channels, *widths[:-1]), widths, strict=True)
    )


class PyramidTiles(nn.Module):
    """Branches of four levels for optical images and for each pass of a radar; with `shared` passes have one branch.

    With a pyramid, each level of all branches together is joined with the coarser ones above it, and a linear layer
    decides on the means of all levels; without it, a conventional network, on the mean of the coarsest. Raises
    ValueError: one branch is to serve passes that differ in their number of bands.

    Shape: (B, C, S, S), S at least 16, normalised, to logits (B, 1, 1, 1). Reference: `negative-filter-fpn`, section
    Technical Details, which states no widths; Lin and others 2017, arXiv:1612.03144.
    """

    def __init__(
        self,
        bands: Sequence[str],
        *,
        pyramid: bool = True,
        shared: bool = False,
        tiny: bool = False,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        widths, width = (TINY, TINY_WIDTH) if tiny else (WIDTHS, WIDTH)
        by_branch: dict[str, list[int]] = {"optical": [], "desc": [], "asc": []}
        for place, band in enumerate(bands):
            name = next(name for name in by_branch if band.endswith(name)) if is_radar(band) else "optical"
            by_branch[name].append(place)
        self.places = {name: places for name, places in by_branch.items() if places}
        passes = [name for name in self.places if name != "optical"]
        if shared and len({len(self.places[name]) for name in passes}) > 1:
            counts = " and ".join(f"{len(self.places[name])} of {name}" for name in passes)
            raise ValueError(f"passes: one branch takes as many bands of both, not {counts}")
        self.branches = nn.ModuleDict()
        for name, places in self.places.items():
            first = passes[0] if shared and name in passes else name
            self.branches[name] = self.branches[first] if first in self.branches else branch(len(places), widths)
        together = [len(self.places) * channels for channels in widths]
        self.pyramid = FeaturePyramidNetwork(together, width) if pyramid else None
        features = len(widths) * width if pyramid else together[-1]
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, 1))

    def forward(self, images: Tensor) -> Tensor:
        branches: list[list[Tensor]] = []
        for name, places in self.places.items():
            x, levels = images[:, places], []
            for level in self.branches[name]:  # type: ignore[attr-defined]
                x = level(x)
                levels.append(x)
            branches.append(levels)
        together = {str(i): torch.cat(maps, 1) for i, maps in enumerate(zip(*branches, strict=True))}
        maps = list(together.values())[-1:] if self.pyramid is None else list(self.pyramid(together).values())
        return self.classifier(torch.cat([level.mean((2, 3)) for level in maps], 1))[..., None, None]
