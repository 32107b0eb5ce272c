"""Networks: one family a file, one explicit dict as the registry."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from landslide_lib.models.attention_unet import unet_attention, unet_cbam, unet_se
from landslide_lib.models.backbones import deeplab_v3, efficientnet_v2, small_deeplab_v3, small_mobilenet_v3
from landslide_lib.models.rau_net import rau_net_1, rau_net_2, small_rau_net, small_residual_unet, unet_residual
from landslide_lib.models.squeeze_unet import SqueezeUNet
from landslide_lib.models.unet import UNet
from landslide_lib.models.v_net import SmallVNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    "unet": UNet,
    "unet_cbam": unet_cbam,
    "unet_se": unet_se,
    "unet_attention": unet_attention,
    "unet_residual": unet_residual,
    "rau_net_1": rau_net_1,
    "rau_net_2": rau_net_2,
    "deeplab_v3": deeplab_v3,
    "efficientnet_v2": efficientnet_v2,
    "small_v_net": SmallVNet,
    "small_squeeze_unet": SqueezeUNet,
    "small_mobilenet_v3": small_mobilenet_v3,
    "small_deeplab_v3": small_deeplab_v3,
    "small_residual_unet": small_residual_unet,
    "small_rau_net": small_rau_net,
}
