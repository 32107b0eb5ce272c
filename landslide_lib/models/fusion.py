"""Optical and radar images of a tile, joined by a gate or side by side: the attention fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.data.bands import radar


class Encoder(NamedTuple):
    """What a name of a recipe is in timm, and the side of the images that it is given."""

    timm: str
    size: int


#: The sizes of the first two are the report's.
ENCODERS: dict[str, Encoder] = {
    "efficientnetv2_l": Encoder("tf_efficientnetv2_l", 224),
    "efficientnet_b5": Encoder("tf_efficientnet_b5", 384),
    "efficientnet_b0": Encoder("efficientnet_b0", 224),
    "resnet18": Encoder("resnet18", 224),
}
#: What makes one of its kind small enough for tests.
TINY: dict[str, dict[str, Any]] = {
    "efficientnetv2_l": {"model_name": "test_efficientnet"},
    "efficientnet_b5": {"model_name": "test_efficientnet"},
    "efficientnet_b0": {"model_name": "test_efficientnet"},
    "resnet18": {"layers": (1, 1, 1, 1), "channels": (8, 16, 24, 32)},
}
#: Hidden features of the gate, and the channels of the radar branch.
HIDDEN, WIDTHS = 256, (32, 64, 64)
#: Of the classifier, which the report gives a dropout and no rate.
DROPPED = 0.3


def optical_branch(name: str, bands: int, tiny: bool = False) -> nn.Module:
    """Build an encoder of optical images with random weights, without its classifier.

    Args:
        name: Of `ENCODERS`.
        bands: C, input channels.
        tiny: One of its kind with few layers and channels, for tests.

    Returns:
        A network of timm with `num_features`.

    Shape:
        (B, C, S, S) to (B, num_features).

    References:
        Tan and Le 2021, arXiv:2104.00298; Tan and Le 2019, arXiv:1905.11946; He and others 2015,
        arXiv:1512.03385.
    """
    settings = {"model_name": ENCODERS[name].timm, "in_chans": bands, "num_classes": 0, **(TINY[name] if tiny else {})}
    made: nn.Module = timm.create_model(pretrained=False, **settings)
    return made


def radar_branch(bands: int) -> nn.Sequential:
    """Build the branch of the radar images, as the report lists it.

    Shape:
        (B, bands, S, S), S at least 4, to (B, 64).

    Reference:
        `attention-fusion`, section Model Details.

    >>> radar_branch(8)(torch.zeros(2, 8, 64, 64)).shape
    torch.Size([2, 64])
    """
    layers: list[nn.Module] = []
    before = bands
    for width in WIDTHS:
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        before = width
    return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Fusion(nn.Module):
    """An encoder of optical images and a branch of radar images, whose features are joined.

    A gate looks at all features and at how bright the tile is, a sign of clouds, and weighs each
    feature by a number in 0..1; without it the features stand side by side. Of a tile without
    radar, or without light, the features of the one branch are weighed.

    Args:
        bands: By name, in the order of the images.
        encoder: Of the optical images.
        optical_size: Side that they are enlarged to, bilinearly; None is the encoder's own.
        gated: With the gate.
        tiny: For tests.

    Attributes:
        optical, radar: The places of the bands of each branch.
        encoder: None where there is no optical band.

    Shape:
        (B, C, S, S), normalised, to logits (B, 1, 1, 1): a tile is an image of one pixel.

    Reference:
        `attention-fusion`, sections Architecture and Model Details. How bright a tile is, is here
        the mean of red, green and blue as they are normalised.
    """

    def __init__(
        self,
        bands: Sequence[str],
        encoder: str,
        optical_size: int | None = None,
        *,
        gated: bool = True,
        tiny: bool = False,
    ) -> None:
        super().__init__()
        self.radar = [place for place, band in enumerate(bands) if radar(band)]
        self.optical = [place for place, band in enumerate(bands) if not radar(band)]
        self.visible = [place for place, band in enumerate(bands) if band in ("R", "G", "B")]
        self.size = optical_size or ENCODERS[encoder].size
        self.encoder = optical_branch(encoder, len(self.optical), tiny) if self.optical else None
        self.branch = radar_branch(len(self.radar)) if self.radar else None
        self.widths = {
            "optical": self.encoder.num_features if self.encoder is not None else 0,
            "radar": WIDTHS[-1] if self.branch is not None else 0,
        }
        width = sum(self.widths.values())  # type: ignore[arg-type]
        self.gate = None
        if gated:
            told = width + bool(self.visible)
            self.gate = nn.Sequential(nn.Linear(told, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, width), nn.Sigmoid())
        self.classifier = nn.Sequential(nn.Dropout(DROPPED), nn.Linear(width, 1))

    def features(self, images: Tensor) -> Tensor:
        """Return the features of both branches side by side, the optical ones first."""
        seen = []
        if self.encoder is not None:
            optical = images[:, self.optical]
            if optical.shape[-1] != self.size:
                optical = F.interpolate(optical, size=self.size, mode="bilinear")
            seen.append(self.encoder(optical))
        if self.branch is not None:
            seen.append(self.branch(images[:, self.radar]))
        return torch.cat(seen, 1)

    def weigh(self, features: Tensor, images: Tensor) -> Tensor:
        """Return the weight of each feature in 0..1, (B, features); 1 without a gate."""
        if self.gate is None:
            return torch.ones_like(features)
        told = [features]
        if self.visible:
            told.append(images[:, self.visible].mean((1, 2, 3))[:, None].to(features.dtype))
        weights: Tensor = self.gate(torch.cat(told, 1))
        return weights

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        features = self.features(images)
        logits: Tensor = self.classifier(features * self.weigh(features, images))
        return logits[..., None, None]
