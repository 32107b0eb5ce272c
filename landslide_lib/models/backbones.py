"""Networks on well-known encoders, from segmentation_models_pytorch and timm.

The encoders have ImageNet's weights where a recipe says `pretrained`, and random ones elsewhere.
"""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.models.weights import WeightsNotFoundError as WeightsNotFoundError
from landslide_lib.models.weights import unavailable


class Padded(nn.Module):
    """A network that asks for sides that are multiples of 32, for images of any size.

    Zeros are added on the right and below, and the logits there are cut off again.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % 32, 0, -height % 32))
        logits: Tensor = self.network(x)[..., :height, :width]
        return logits


def small_mobilenet_v3(
    *, in_channels: int, width: int = 64, num_classes: int = 1, pretrained: bool = False
) -> nn.Module:
    """U-Net whose encoder is MobileNetV3-Small.

    Readings: the report says "MobileNetV3 based" and, among the small models, the number of
    parameters. The row among the backbones has the same scores, so it is the same network.

    Args:
        in_channels: Of the images.
        width: Of the decoder, whose first stage has three times as many channels. The encoder
            has one size, so the number of parameters does not go down with the square of it.
        num_classes: Output channels; 1 is the logit of landslide.
        pretrained: Whether the encoder starts from ImageNet's weights, see `_build`.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W); padded inside to multiples of 32.

    Raises:
        WeightsNotFoundError: The weights cannot be had.

    Reference:
        Howard and others 2019, arXiv:1905.02244; `raunet-ablation.md`, slides IV-B and IV-C.
    """
    decoder = [3 * width, width, width, width // 2, width // 4]
    return _build(
        smp.Unet,
        "tu-mobilenetv3_small_100.lamb_in1k",
        pretrained,
        in_channels=in_channels,
        classes=num_classes,
        decoder_channels=[max(2, channels) for channels in decoder],
    )


def small_deeplab_v3(*, in_channels: int, width: int = 64, num_classes: int = 1, pretrained: bool = False) -> nn.Module:
    """DeepLabV3+ on MobileNetV2.

    Readings: the report says "DeepLabv3 based" and the number of parameters. The version with
    separable convolutions and a decoder, on the encoder that its authors use where a network
    has to be small, comes to that number. It has no dropout. Training takes two images a batch
    or more, because the mean of an image is normalised by its batch.

    Args:
        in_channels: Of the images.
        width: Four thirds of the decoder's channels, which are at least 2. The encoder has one
            size, so the number of parameters does not go down with the square of it.
        num_classes: Output channels; 1 is the logit of landslide.
        pretrained: Whether the encoder starts from ImageNet's weights, see `_build`.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W); padded inside to multiples of 32.

    Raises:
        WeightsNotFoundError: The weights cannot be had.

    Reference:
        Chen and others 2017, arXiv:1706.05587, and 2018, arXiv:1802.02611; Sandler and others
        2018, arXiv:1801.04381; `raunet-ablation.md`, slide IV-C.
    """
    return _build(
        smp.DeepLabV3Plus,
        "mobilenet_v2",
        pretrained,
        in_channels=in_channels,
        classes=num_classes,
        decoder_channels=max(2, 3 * width // 4),
        # Dropout draws from the global generator, whose state a resumed run does not have.
        decoder_aspp_dropout=0.0,
    )


def deeplab_v3(*, in_channels: int, width: int = 64, num_classes: int = 1, pretrained: bool = False) -> nn.Module:
    """DeepLabV3 on ResNet-18, at an eighth of the resolution.

    Readings: the report says "DeepLab v3 based". Of the encoder it says nothing; ResNet-18 is
    the largest that a study on a CPU can afford, where the authors take ResNet-50 and
    ResNet-101. The decoder is theirs at width 64. It has no dropout. Training takes two images
    a batch or more, because the mean of an image is normalised by its batch.

    Args:
        in_channels: Of the images.
        width: A quarter of the decoder's channels. The encoder has one size, so the number of
            parameters does not go down with the square of it.
        num_classes: Output channels; 1 is the logit of landslide.
        pretrained: Whether the encoder starts from ImageNet's weights, see `_build`.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W); padded inside to multiples of 32.

    Raises:
        WeightsNotFoundError: The weights cannot be had.

    Reference:
        Chen and others 2017, arXiv:1706.05587; He and others 2015, arXiv:1512.03385;
        `raunet-ablation.md`, slide IV-B.
    """
    return _build(
        smp.DeepLabV3,
        "resnet18",
        pretrained,
        in_channels=in_channels,
        classes=num_classes,
        encoder_output_stride=8,
        decoder_channels=4 * width,
        decoder_aspp_dropout=0.0,  # as in `small_deeplab_v3`
    )


def efficientnet_v2(*, in_channels: int, width: int = 64, num_classes: int = 1, pretrained: bool = False) -> nn.Module:
    """U-Net whose encoder is EfficientNetV2-B0, without stochastic depth.

    Readings: the report says "EfficientNetV2 based"; the decoder of a U-Net and the smallest
    encoder of the family are our reading.

    Args:
        in_channels: Of the images.
        width: Of the decoder's third stage; its first one has four times as many channels. The
            encoder has one size, so the number of parameters does not go down with the square
            of it.
        num_classes: Output channels; 1 is the logit of landslide.
        pretrained: Whether the encoder starts from ImageNet's weights, see `_build`.

    Shape:
        (B, in_channels, H, W) to (B, num_classes, H, W); padded inside to multiples of 32.

    Raises:
        WeightsNotFoundError: The weights cannot be had.

    Reference:
        Tan and Le 2021, arXiv:2104.00298; `raunet-ablation.md`, slide IV-B.
    """
    decoder = [4 * width, 2 * width, width, width // 2, width // 4]
    return _build(
        smp.Unet,
        "tu-tf_efficientnetv2_b0.in1k",
        pretrained,
        in_channels=in_channels,
        classes=num_classes,
        decoder_channels=[max(2, channels) for channels in decoder],
    )


def _build(network: type[nn.Module], encoder: str, pretrained: bool, **settings: Any) -> nn.Module:
    """Build a network on an encoder, with ImageNet's weights or random ones.

    The weights of the first convolution are of three bands. For another number of bands they
    are repeated in turn and scaled by three over that number, whatever the bands are.

    Nothing is fetched for random weights. What was fetched before is taken from the cache.

    Raises:
        WeightsNotFoundError: The weights are not in the cache and cannot be fetched, or what
            was fetched does not fit.
    """
    if not pretrained:
        return Padded(network(encoder, encoder_weights=None, **settings))
    of_timm = encoder.startswith("tu-")
    source = encoder.replace("tu-", "timm/") if of_timm else f"smp-hub/{encoder}.imagenet"
    weights = True if of_timm else "imagenet"
    try:
        return Padded(network(encoder, encoder_weights=weights, **settings))
    except Exception as error:  # of the hub, of its HTTP library, of safetensors or of torch
        remedy = "run with pretrained: false, or set HF_HOME to a folder whose hub/ holds them"
        raise unavailable(source, error, remedy) from error
