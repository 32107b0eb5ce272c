"""Small networks on the encoders of mobile phones, from segmentation_models_pytorch."""

from __future__ import annotations

import segmentation_models_pytorch as smp  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor, nn
from torch.nn import functional as F


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


def small_mobilenet_v3(*, bands: int, width: int = 64, classes: int = 1) -> nn.Module:
    """U-Net whose encoder is MobileNetV3-Small, without pre-trained weights.

    Readings: the report says "MobileNetV3 based" and the number of parameters.

    Args:
        bands: Input channels.
        width: Of the decoder, whose first stage has three times as many channels. The encoder
            has one size, so the number of parameters does not go down with the square of it.
        classes: Output channels; 1 is the logit of landslide.

    Shape:
        (B, bands, H, W) to (B, classes, H, W); padded inside to multiples of 32.

    Reference:
        Howard and others 2019, arXiv:1905.02244; `raunet-ablation.md`, slide IV-C.
    """
    decoder = [3 * width, width, width, width // 2, width // 4]
    return Padded(
        smp.Unet(
            "tu-mobilenetv3_small_100",
            encoder_weights=None,
            in_channels=bands,
            classes=classes,
            decoder_channels=[max(2, channels) for channels in decoder],
        )
    )


def small_deeplab_v3(*, bands: int, width: int = 64, classes: int = 1) -> nn.Module:
    """DeepLabV3+ on MobileNetV2, without pre-trained weights.

    Readings: the report says "DeepLabv3 based" and the number of parameters. The version with
    separable convolutions and a decoder, on the encoder that its authors use where a network
    has to be small, comes to that number. It has no dropout. Training takes two images a batch
    or more, because the mean of an image is normalised by its batch.

    Args:
        bands: Input channels.
        width: Four thirds of the decoder's channels, which are at least 2. The encoder has one
            size, so the number of parameters does not go down with the square of it.
        classes: Output channels; 1 is the logit of landslide.

    Shape:
        (B, bands, H, W) to (B, classes, H, W); padded inside to multiples of 32.

    Reference:
        Chen and others 2017, arXiv:1706.05587, and 2018, arXiv:1802.02611; Sandler and others
        2018, arXiv:1801.04381; `raunet-ablation.md`, slide IV-C.
    """
    return Padded(
        smp.DeepLabV3Plus(
            "mobilenet_v2",
            encoder_weights=None,
            in_channels=bands,
            classes=classes,
            decoder_channels=max(2, 3 * width // 4),
            # Dropout draws from the global generator, whose state a resumed run does not have.
            decoder_aspp_dropout=0.0,
        )
    )
