"""Optical and radar images of a tile, joined by a gate or side by side: the attention fusion."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation

from landslide_lib.data.bands import radar
from landslide_lib.models.encoders import ENCODERS, encoder

#: Hidden features of the gate, and the features of the radar branch.
HIDDEN, RADAR = 256, 64
#: Of the classifier, which the report gives a dropout and no rate.
DROPOUT = 0.3


def radar_branch(in_channels: int) -> nn.Sequential:
    """Build the branch of radar images, (B, in_channels, S, S), S at least 4, to (B, 64), as the report lists it.

    >>> radar_branch(8)(torch.zeros(2, 8, 64, 64)).shape
    torch.Size([2, 64])
    """
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
    ) -> None:
        super().__init__()
        self.radar = [place for place, band in enumerate(bands) if radar(band)]
        self.optical = [place for place, band in enumerate(bands) if not radar(band)]
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
        self.classifier = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(width, 1))

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
