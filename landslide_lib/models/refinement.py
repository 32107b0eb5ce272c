"""The networks of the label-refinement report, each in three sizes, from timm's encoders.

U-shaped decoders for ResNet, EfficientNetV2 and Swin, the MLP decoder of SegFormer, and HRNet with
the head of object-contextual representations. Weights are random: nothing is fetched. None has
dropout or stochastic depth, which draw from the global generator, whose state a resumed run does
not have. In training, a batch has two images or more, because maps of one cell are normalised by
their batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import segmentation_models_pytorch as smp  # type: ignore[import-untyped, unused-ignore]
import timm
from segmentation_models_pytorch.base import SegmentationHead, SegmentationModel  # type: ignore[import-untyped, unused-ignore]
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder  # type: ignore[import-untyped, unused-ignore]
from segmentation_models_pytorch.encoders import mix_transformer  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.models.ocr import OCR

Size = Literal["tiny", "small", "base"]


class Kind(NamedTuple):
    """What a network is in one size.

    Attributes:
        words: Of its encoder, for a table.
        width: Channels of the decoder: of its third of five stages where it is U-shaped, of which
            the first has four times as many and the last a quarter; of all it makes elsewhere.
        encoder: What the encoder's builder takes.
    """

    words: str
    width: int
    encoder: dict[str, Any]


def _tiny_stage(branches: int) -> dict[str, Any]:
    """Return a stage of the tiny HRNet, as timm writes those of the others."""
    return {
        "num_modules": 1,
        "num_branches": branches,
        "num_blocks": (1,) * branches,
        "num_channels": (4, 8, 16, 32)[:branches],
        "block_type": "BASIC",
        "fuse_method": "SUM",
    }


#: `tiny` is for tests, `small` for two CPU cores, `base` for a GPU: what the report's authors are
#: likely to have used, for they name families and no sizes.
KINDS: dict[str, dict[Size, Kind]] = {
    "resnet": {
        "tiny": Kind(
            "ResNet of four blocks, 8 to 32 channels",
            16,
            {"encoder_name": "tu-resnet18", "layers": (1, 1, 1, 1), "channels": (8, 16, 24, 32)},
        ),
        "small": Kind("ResNet-18", 32, {"encoder_name": "tu-resnet18"}),
        "base": Kind("ResNet-50", 64, {"encoder_name": "tu-resnet50"}),
    },
    "efficientnetv2": {
        "tiny": Kind(
            "timm's test_efficientnet, with blocks of both kinds of EfficientNetV2",
            16,
            {"encoder_name": "tu-test_efficientnet"},
        ),
        "small": Kind("EfficientNetV2-B0", 32, {"encoder_name": "tu-tf_efficientnetv2_b0"}),
        "base": Kind("EfficientNetV2-S", 64, {"encoder_name": "tu-tf_efficientnetv2_s"}),
    },
    "swin": {
        "tiny": Kind(
            "Swin of four blocks, 16 to 128 channels",
            16,
            {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8)},
        ),
        "small": Kind(
            "Swin of eight blocks, 64 to 512 channels",
            32,
            {"embed_dim": 64, "depths": (2, 2, 2, 2), "num_heads": (2, 4, 8, 16)},
        ),
        "base": Kind("Swin-Tiny", 64, {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)}),
    },
    "segformer": {
        "tiny": Kind(
            "MiT of four blocks, 8 to 32 channels",
            16,
            {"embed_dims": (8, 16, 24, 32), "depths": (1, 1, 1, 1), "num_heads": (1, 2, 3, 4)},
        ),
        "small": Kind(
            "MiT-B0", 256, {"embed_dims": (32, 64, 160, 256), "depths": (2, 2, 2, 2), "num_heads": (1, 2, 5, 8)}
        ),
        "base": Kind(
            "MiT-B2", 768, {"embed_dims": (64, 128, 320, 512), "depths": (3, 4, 6, 3), "num_heads": (1, 2, 5, 8)}
        ),
    },
    "hrnet_ocr": {
        "tiny": Kind(
            "HRNet of one module a stage, 4 to 32 channels",
            16,
            {
                "model_name": "hrnet_w18_small",
                "stem_width": 8,
                "stage1": {**_tiny_stage(1), "block_type": "BOTTLENECK"},
                **{f"stage{branches}": _tiny_stage(branches) for branches in (2, 3, 4)},
            },
        ),
        "small": Kind("HRNet-W18-Small", 128, {"model_name": "hrnet_w18_small"}),
        "base": Kind("HRNet-W32", 512, {"model_name": "hrnet_w32"}),
    },
}


class Reflected(nn.Module):
    """A network that asks for sides that are multiples of 32, for multiples of 16.

    Eight pixels on each side are the image reflected, and their logits are cut off again. Zeros
    would be a rim of the mean colour, up to a third of the map, which moves the statistics of
    batch norms; a reflection has those of the image, and replicated borders would be streaks.

    Shape:
        (B, bands, S, S) to (B, 1, S, S), S a multiple of 16 from 32 up.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        side = x.shape[-1]
        rim = -side % 32 // 2
        logits: Tensor = self.network(F.pad(x, [rim] * 4, mode="reflect"))
        return logits[..., rim : rim + side, rim : rim + side]


def resnet(bands: int, size: Size, image_size: int) -> nn.Module:
    """Build a U-Net on a ResNet.

    Args:
        bands: Input channels.
        size: See `KINDS`.
        image_size: S, the side in pixels of what the network sees, after any enlargement: a
            multiple of 16 from 32 up.

    Shape:
        (B, bands, S, S) to (B, 1, S, S), logits.

    Raises:
        ValueError: `image_size` is not such a multiple.

    References:
        He and others 2015, arXiv:1512.03385; Ronneberger and others 2015, arXiv:1505.04597.
    """
    _check(image_size)
    return _u_net("resnet", bands, size)


def efficientnetv2(bands: int, size: Size, image_size: int) -> nn.Module:
    """Build a U-Net on an EfficientNetV2; see `resnet` for what it takes, gives and raises.

    Reference:
        Tan and Le 2021, arXiv:2104.00298.
    """
    _check(image_size)
    return _u_net("efficientnetv2", bands, size)


def swin(bands: int, size: Size, image_size: int) -> nn.Module:
    """Build a U-Net on a Swin; see `resnet` for what it takes, gives and raises.

    Its first map has a quarter of the image's side, so the decoder's last two stages have nothing
    of the encoder beside them. Images of other sizes have other windows, see `window`: weights
    learnt at one size do not fit a network for another.

    Reference:
        Liu and others 2021, arXiv:2103.14030.
    """
    _check(image_size)
    padded = image_size + -image_size % 32
    return Reflected(
        _u_net(
            "swin",
            bands,
            size,
            encoder_name="tu-swin_tiny_patch4_window7_224",
            img_size=padded,
            window_size=window(padded),
            drop_path_rate=0.0,
        )
    )


def segformer(bands: int, size: Size, image_size: int) -> nn.Module:
    """Build a SegFormer; see `resnet` for what it takes, gives and raises.

    The logits of a quarter of the image's side are enlarged bilinearly, as its authors do.

    Reference:
        Xie and others 2021, arXiv:2105.15203.
    """
    _check(image_size)
    return Reflected(_SegFormer(bands, KINDS["segformer"][size]))


def hrnet_ocr(bands: int, size: Size, image_size: int) -> nn.Module:
    """Build an HRNet with a head of object-contextual representations, `models.ocr`.

    See `resnet` for what it takes, gives and raises. The logits of a quarter of the image's side
    are enlarged bilinearly, as its authors do.

    References:
        Wang and others 2019, arXiv:1908.07919; Yuan and others 2020, arXiv:1909.11065.
    """
    _check(image_size)
    return Reflected(_HRNetOCR(bands, KINDS["hrnet_ocr"][size]))


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "resnet": resnet,
    "efficientnetv2": efficientnetv2,
    "swin": swin,
    "segformer": segformer,
    "hrnet_ocr": hrnet_ocr,
}


def window(image_size: int) -> int:
    """Return the side of a Swin's windows, in cells of its maps.

    The largest up to 10 that divides each of the four maps, or holds all of it; 8 where there is
    none, and maps are filled up to whole windows. The published Swins have 7 of 224 pixels.

    Args:
        image_size: A multiple of 32 pixels.

    >>> [window(size) for size in (64, 96, 128, 160, 224, 320, 512)]
    [8, 6, 8, 10, 7, 10, 8]
    """
    maps = [image_size // stride for stride in (4, 8, 16, 32)]
    fitting = (w for w in range(10, 4, -1) if all(side <= w or side % w == 0 for side in maps))
    return next(fitting, 8)


class _SegFormer(SegmentationModel):  # type: ignore[misc]
    """A SegFormer of any widths: smp's has those of its names, and stochastic depth."""

    def __init__(self, bands: int, kind: Kind) -> None:
        super().__init__()
        self.encoder = mix_transformer.MixVisionTransformerEncoder(
            out_channels=[bands, 0, *kind.encoder["embed_dims"]],
            in_chans=bands,
            qkv_bias=True,
            norm_layer=partial(mix_transformer.LayerNorm, eps=1e-6),
            **kind.encoder,
        )
        self.decoder = SegformerDecoder(self.encoder.out_channels, segmentation_channels=kind.width)
        self.segmentation_head = SegmentationHead(kind.width, 1, kernel_size=1, upsampling=4)
        self.classification_head = None
        self.initialize()


class _HRNetOCR(nn.Module):
    """The four maps of an HRNet and the head that makes logits of them."""

    def __init__(self, bands: int, kind: Kind) -> None:
        super().__init__()
        self.encoder = timm.create_model(
            **kind.encoder,
            pretrained=False,
            in_chans=bands,
            features_only=True,
            feature_location="",
            out_indices=(1, 2, 3, 4),
        )
        maps: Any = self.encoder.feature_info
        self.head = OCR(sum(maps.channels()), kind.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return F.interpolate(self.head(self.encoder(x)), scale_factor=4, mode="bilinear")


def _u_net(name: str, bands: int, size: Size, **settings: Any) -> nn.Module:
    kind = KINDS[name][size]
    made: nn.Module = smp.Unet(
        encoder_weights=None,
        in_channels=bands,
        classes=1,
        decoder_channels=[int(kind.width * share) for share in (4, 2, 1, 0.5, 0.25)],
        **settings,
        **kind.encoder,
    )
    return made


def _check(image_size: int) -> None:
    if image_size < 32 or image_size % 16:
        raise ValueError(
            f"image_size {image_size} is refused: these networks see images of 32 pixels or more, "
            "in multiples of 16; where they are enlarged, image_size times scale is such a number"
        )
