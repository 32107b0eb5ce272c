"""The networks of the label-refinement report, each in three sizes, with random weights.

None has dropout or stochastic depth, which draw from the global generator, whose state a resumed run does not have. In
training, a batch has two images or more, because maps of one cell are normalised by their batch.
"""

from functools import partial
from typing import Any, Literal

import segmentation_models_pytorch as smp
import timm
from segmentation_models_pytorch.base import SegmentationHead, SegmentationModel
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from segmentation_models_pytorch.encoders import mix_transformer
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.models.encoders import ENCODERS
from landslide_lib.models.ocr import OCR

Size = Literal["tiny", "small", "base"]

#: Encoder (in `tiny` its tiny form) and channels of the decoder: of its third of five stages where it is U-shaped, of
#: all it makes elsewhere. `tiny` is for tests, `small` for two CPU cores, `base` for a GPU: what the report's authors
#: are likely to have used, for they name families and no sizes.
SIZES: dict[str, dict[Size, tuple[str, int]]] = {
    "resnet": {"tiny": ("resnet18", 16), "small": ("resnet18", 32), "base": ("resnet50", 64)},
    "efficientnetv2": {
        "tiny": ("efficientnetv2_b0", 16),
        "small": ("efficientnetv2_b0", 32),
        "base": ("efficientnetv2_s", 64),
    },
    "swin": {"tiny": ("swin_tiny", 16), "small": ("swin_narrow", 32), "base": ("swin_tiny", 64)},
    "segformer": {"tiny": ("mit_b0", 16), "small": ("mit_b0", 256), "base": ("mit_b2", 768)},
    "hrnet_ocr": {"tiny": ("hrnet_w18_small", 16), "small": ("hrnet_w18_small", 128), "base": ("hrnet_w32", 512)},
}


def refinement(family: str, *, in_channels: int, size: Size, image_size: int) -> nn.Module:
    """Build a network of the report.

    ResNet, EfficientNetV2 and Swin have the decoder of a U-Net. A Swin's first map has a quarter of the image's side,
    so the decoder's last two stages have nothing of the encoder beside them; images of other sizes have other windows,
    see `window`, so weights learnt at one size do not fit a network for another. SegFormer, and HRNet with the head of
    `models.ocr`, enlarge logits of a quarter of the image's side bilinearly, as their authors do.

    Args:
        family: Of `SIZES`.
        in_channels: Of the images.
        size: Of the network.
        image_size: S, the side in pixels of what the network sees, after any enlargement: a multiple of 16 from 32 up.

    Shape: (B, in_channels, S, S) to (B, 1, S, S), logits.
    References: Ronneberger and others 2015, arXiv:1505.04597; He and others 2015, arXiv:1512.03385; Tan and Le 2021,
        arXiv:2104.00298; Liu and others 2021, arXiv:2103.14030; Xie and others 2021, arXiv:2105.15203; Wang and others
        2019, arXiv:1908.07919; Yuan and others 2020, arXiv:1909.11065.
    """
    name, width = SIZES[family][size]
    arguments = ENCODERS[name].arguments(tiny=size == "tiny")
    if family == "segformer":
        return Reflected(_SegFormer(in_channels, width, arguments))
    if family == "hrnet_ocr":
        return Reflected(_HRNetOCR(in_channels, width, arguments))
    if family == "swin":
        padded = image_size + -image_size % 32
        arguments |= {"img_size": padded, "window_size": window(padded), "drop_path_rate": 0.0}
    unet: nn.Module = smp.Unet(
        f"tu-{arguments.pop('model_name')}",
        encoder_weights=None,
        in_channels=in_channels,
        classes=1,
        decoder_channels=[int(width * share) for share in (4, 2, 1, 0.5, 0.25)],
        **arguments,
    )
    return Reflected(unet) if family == "swin" else unet


class Reflected(nn.Module):
    """A network that asks for sides that are multiples of 32, for multiples of 16.

    Eight pixels on each side are the image reflected, and their logits are cut off again. Zeros would be a rim of the
    mean colour, up to a third of the map, which moves the statistics of batch norms.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        side = x.shape[-1]
        rim = -side % 32 // 2
        return self.network(F.pad(x, [rim] * 4, mode="reflect"))[..., rim : rim + side, rim : rim + side]


def window(image_size: int) -> int:
    """Return the side of a Swin's windows, in cells of its maps, for images of a multiple of 32 pixels.

    The largest up to 10 that divides each of the four maps, or holds all of it; 8 where there is none, and maps are
    filled up to whole windows. The published Swins have 7 of 224 pixels.

    >>> [window(size) for size in (64, 96, 128, 160, 224, 320, 512)]
    [8, 6, 8, 10, 7, 10, 8]
    """
    maps = [image_size // stride for stride in (4, 8, 16, 32)]
    fitting = (w for w in range(10, 4, -1) if all(side <= w or side % w == 0 for side in maps))
    return next(fitting, 8)


class _SegFormer(SegmentationModel):  # type: ignore[misc]
    """A SegFormer of any widths: smp's has those of its names, and stochastic depth."""

    def __init__(self, in_channels: int, width: int, encoder: dict[str, Any]) -> None:
        super().__init__()
        self.encoder = mix_transformer.MixVisionTransformerEncoder(
            out_channels=[in_channels, 0, *encoder["embed_dims"]],
            in_chans=in_channels,
            qkv_bias=True,
            norm_layer=partial(mix_transformer.LayerNorm, eps=1e-6),
            **{key: encoder[key] for key in ("embed_dims", "depths", "num_heads")},
        )
        self.decoder = SegformerDecoder(self.encoder.out_channels, segmentation_channels=width)
        self.segmentation_head = SegmentationHead(width, 1, kernel_size=1, upsampling=4)
        self.classification_head = None
        self.initialize()


class _HRNetOCR(nn.Module):
    """The four maps of an HRNet and the head that makes logits of them."""

    encoder: Any

    def __init__(self, in_channels: int, width: int, encoder: dict[str, Any]) -> None:
        super().__init__()
        maps: dict[str, Any] = {"features_only": True, "feature_location": "", "out_indices": (1, 2, 3, 4)}
        self.encoder = timm.create_model(**encoder, **maps, pretrained=False, in_chans=in_channels)
        self.head = OCR(sum(self.encoder.feature_info.channels()), width)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return F.interpolate(self.head(self.encoder(x)), scale_factor=4, mode="bilinear")
