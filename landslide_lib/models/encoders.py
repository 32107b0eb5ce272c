"""Encoders: the networks of timm that a detector sees through, without their classifier."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

#: What each name of a recipe is in timm, and which of its ImageNet weights: those that have seen
#: ImageNet-1K alone, as the report says. Of a small and of a large ViT timm has only such that have
#: seen ImageNet-21K before.
ENCODERS: dict[str, str] = {
    "resnet18": "resnet18.a1_in1k",
    "efficientnet_b0": "efficientnet_b0.ra_in1k",
    "vit_tiny": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "vit_base": "vit_base_patch16_224.augreg_in1k",
    "vit_large": "vit_large_patch16_224.augreg_in21k_ft_in1k",
    "swin_tiny": "swin_tiny_patch4_window7_224.ms_in1k",
    "swin_base": "swin_base_patch4_window7_224.ms_in1k",
}

#: Of each family what makes it small enough for tests. timm's EfficientNet-B0 has one size.
TINY: dict[str, dict[str, Any]] = {
    "resnet18": {"layers": (1, 1, 1, 1), "channels": (8, 16, 24, 32)},
    "efficientnet": {"model_name": "test_efficientnet"},
    "vit": {"depth": 2, "embed_dim": 32, "num_heads": 2},
    "swin": {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 2, 4, 8)},
}


def encoder(name: str, bands: int, image_size: int, tiny: bool = False) -> nn.Module:
    """Build an encoder with random weights.

    A Swin's windows are its own 7 x 7 where they divide the image, and 8 x 8 elsewhere, because
    maps of 64 or 128 pixels are else filled up with nothing to whole windows. A map that is
    smaller than a window is one window. It has no stochastic depth, which draws from the global
    generator, whose state a resumed run does not have.

    Args:
        name: Of `ENCODERS`.
        bands: C, input channels.
        image_size: S, a multiple of 16 pixels; of 32 for a Swin.
        tiny: An encoder of its kind with few layers and channels, for tests.

    Returns:
        A network of timm with `num_features` and `forward_intermediates`.

    Shape:
        (B, C, S, S) to (B, num_features).

    References:
        He and others 2015, arXiv:1512.03385; Tan and Le 2019, arXiv:1905.11946; Dosovitskiy and
        others 2020, arXiv:2010.11929; Liu and others 2021, arXiv:2103.14030.

    >>> encoder("vit_tiny", bands=4, image_size=64).num_features
    192
    """
    family = name.split("_")[0]
    sized: dict[str, dict[str, Any]] = {
        "vit": {"img_size": image_size},
        "swin": {"img_size": image_size, "window_size": 7 if image_size % 224 == 0 else 8, "drop_path_rate": 0.0},
    }
    settings = {
        "model_name": ENCODERS[name],
        "in_chans": bands,
        "num_classes": 0,
        **sized.get(family, {}),
        **(TINY[family] if tiny else {}),
    }
    made: nn.Module = timm.create_model(pretrained=False, **settings)
    return made
