"""The networks of the label-refinement report, each in three sizes, with random weights, and how they begin."""

import math
from fractions import Fraction
from functools import partial
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from segmentation_models_pytorch.base import SegmentationHead, SegmentationModel
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from segmentation_models_pytorch.encoders import mix_transformer
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import Conv2dNormActivation

from landslide_lib.fields import REFINEMENT_ENCODERS, Size
from landslide_lib.models.backbones import Padded
from landslide_lib.models.encoders import ENCODERS

REGIONS = 2  # soft object regions of an image: landslide and what is not

#: Channels of the decoder: of the third of five stages where it is U-shaped, of all it makes elsewhere.
U_SHAPED: dict[Size, int] = {"tiny": 16, "small": 32, "base": 64}
WIDTHS: dict[str, dict[Size, int]] = {
    "segformer": {"tiny": 16, "small": 256, "base": 768},
    "hrnet_ocr": {"tiny": 16, "small": 128, "base": 512},
}


def refinement(family: str, *, in_channels: int, size: Size, image_size: int) -> nn.Module:
    """Build one of `REFINEMENT_ENCODERS`, for images of `image_size`, a multiple of 16 from 32 up.

    None has dropout or stochastic depth, which draw from the global generator, whose state a resumed run does not have.
    In training a batch has two images or more, because maps of one cell are normalised by their batch.
    ResNet, EfficientNetV2 and Swin have the decoder of a U-Net. A Swin's first map has a quarter of the image's side,
    so the decoder's last two stages have nothing of the encoder beside them; its weights fit one image size, see
    `window`. SegFormer, and HRNet with `OCR`, enlarge logits of a quarter of the side bilinearly, as their authors.

    Shape: (B, in_channels, S, S) to logits (B, 1, S, S). References: Ronneberger and others 2015, arXiv:1505.04597; He
    and others 2015, arXiv:1512.03385; Tan and Le 2021, arXiv:2104.00298; Liu and others 2021, arXiv:2103.14030; Xie and
    others 2021, arXiv:2105.15203; Wang and others 2019, arXiv:1908.07919; Yuan and others 2020, arXiv:1909.11065.
    """
    name, width = REFINEMENT_ENCODERS[family][size], WIDTHS.get(family, U_SHAPED)[size]
    arguments = ENCODERS[name].arguments(tiny=size == "tiny" and family != "efficientnet_lite")
    if family == "segformer":
        return Padded(_SegFormer(in_channels, width, arguments), reflect=True)
    if family == "hrnet_ocr":
        return Padded(_HRNetOCR(in_channels, width, arguments), reflect=True)
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
    if family == "efficientnet_lite":  # on a CPU depthwise convolutions take two thirds of the time so
        unet = unet.to(memory_format=torch.channels_last)
    return Padded(unet, reflect=True) if family in ("swin", "efficientnet_lite") else unet


def window(image_size: int) -> int:
    """Return the side of a Swin's windows, in cells of its maps, for images of a multiple of 32 pixels.

    The largest up to 10 that divides each of the four maps, or holds all of it; else 8, and maps are filled up.

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
        return F.interpolate(self.head(self.encoder(x)), scale_factor=4, mode="bilinear")


class OCR(nn.Module):
    r"""The head of HRNet-OCR: pixels with the context of the regions that they resemble.

        maps --- pixels --------------------------- queries ----- attention --- + --- logits
            \--- soft regions --- mean of each --- keys, values --/    pixels --/

    A soft region is a weight for every pixel, of which the sum over the image is 1. Each pixel attends to the regions'
    means and is given what they are, beside what it is itself. We assume two regions: one would leave nothing to tell
    apart. In training a second map is given, the logits of the region of landslide against the other, by whose loss the
    paper teaches the regions; see `total_loss`. There is no dropout.

    Shape: Maps of falling sides, `channels` in all, the finest (B, C, H, W), to logits (B, 1, H, W), in training
    (B, 2, H, W). Reference: Yuan, Chen, Wang 2020, arXiv:1909.11065.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inside = width // 2
        self.regions = nn.Sequential(Conv2dNormActivation(channels, channels, 1), nn.Conv2d(channels, REGIONS, 1))
        self.pixels = Conv2dNormActivation(channels, width)
        self.queries = nn.Sequential(Conv2dNormActivation(width, inside, 1), Conv2dNormActivation(inside, inside, 1))
        self.keys = nn.Sequential(Conv2dNormActivation(width, inside, 1), Conv2dNormActivation(inside, inside, 1))
        self.values = Conv2dNormActivation(width, inside, 1)
        self.context = Conv2dNormActivation(inside, width, 1)
        self.fused = Conv2dNormActivation(2 * width, width, 1)
        self.logits = nn.Conv2d(width, 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        sides = maps[0].shape[2:]
        x = torch.cat([F.interpolate(each, size=sides, mode="bilinear") for each in maps], 1)
        pixels = self.pixels(x)
        soft = self.regions(x)
        weights = soft.flatten(2).softmax(2)  # (B, regions, H W)
        regions = (weights @ _cells(pixels)).transpose(1, 2).unsqueeze(3)  # (B, width, regions, 1)
        context = F.scaled_dot_product_attention(
            _cells(self.queries(pixels)), _cells(self.keys(regions)), _cells(self.values(regions))
        )
        context = self.context(context.transpose(1, 2).reshape(len(x), -1, *sides))
        logits = self.logits(self.fused(torch.cat([context, pixels], 1)))
        return torch.cat([logits, soft[:, :1] - soft[:, 1:]], 1) if self.training else logits


def _cells(x: Tensor) -> Tensor:
    """Return a map's cells as a list, (B, C, H, W) to (B, H W, C)."""
    return x.flatten(2).transpose(1, 2)


class UpsampledInput(nn.Module):
    """A network (B, C, T, T) to (B, 1, T, T) that sees its images (B, C, S, S) enlarged bilinearly, T = scale S.

    The logit of a pixel is the mean of the logits on its own area, so that all of them count alike (bilinear reduction
    by 4 would look at 4 of 16); where a pixel covers parts of others, as by 2.5, by the parts. The report resizes
    images of 128 pixels to 512 and does not say where its loss is; we assume the images' own size. Its scales are 1,
    2.5 and 4. Reference: `label-refinement.md`, 2.1.
    """

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__()
        self.network = network
        self.scale = Fraction(str(scale))

    def forward(self, images: Tensor) -> Tensor:
        if self.scale == 1:
            return self.network(images)
        enlarged = F.interpolate(images, size=[int(side * self.scale) for side in images.shape[2:]], mode="bilinear")
        # The mean over 5/2 pixels is that over 5 halves. Adaptive pooling, torch's "area", counts parts as wholes, and
        # has no deterministic gradient on CUDA.
        parts = F.interpolate(self.network(enlarged), scale_factor=float(self.scale.denominator), mode="nearest")
        return F.avg_pool2d(parts, self.scale.numerator)


def init_logit_bias(network: nn.Module, share: float) -> None:
    """Set the bias of a network's one convolution of one channel to the log odds of the share of landslide pixels.

    With a bias of zero, all that a network learns at first is that nearly no pixel is landslide, in every one of its
    last channels. Those end in a ReLU, so on landslides they are silent and the highest logit is the bias: no
    probability above one half, until long training undoes it. Reference: Lin and others 2017, arXiv:1708.02002, section
    3.3.
    """
    (layer,) = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each.out_channels == 1]
    nn.init.constant_(layer.bias, math.log(share / (1 - share)))  # type: ignore[arg-type]
