"""Networks: one family a file, one explicit dict as the registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from landslide_lib.models import rau_net
from landslide_lib.models.backbones import deeplab_v3, efficientnet_v2, small_deeplab_v3, small_mobilenet_v3
from landslide_lib.models.fusion import Fusion
from landslide_lib.models.pyramid_tiles import PyramidTiles
from landslide_lib.models.refinement import refinement
from landslide_lib.models.squeeze_unet import SqueezeUNet
from landslide_lib.models.unet import UNet
from landslide_lib.models.v_net import SmallVNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    # Segmentation: of in_channels, width and num_classes; images (B, in_channels, H, W) to (B, num_classes, H, W).
    "unet": UNet,
    "unet_cbam": partial(rau_net.unet_of, rau_net.cbam_block),
    "unet_se": partial(rau_net.unet_of, rau_net.se_block),
    "unet_attention": partial(rau_net.unet_of, rau_net.attention_block),
    "unet_residual": partial(rau_net.unet_of, rau_net.residual_block),
    "rau_net_1": partial(rau_net.unet_of, rau_net.rau_block_1),
    "rau_net_2": partial(rau_net.unet_of, rau_net.rau_block_2),
    "deeplab_v3": deeplab_v3,
    "efficientnet_v2": efficientnet_v2,
    "small_v_net": SmallVNet,
    "small_squeeze_unet": SqueezeUNet,
    "small_mobilenet_v3": small_mobilenet_v3,
    "small_deeplab_v3": small_deeplab_v3,
    "small_residual_unet": partial(rau_net.small_unet_of, rau_net.residual_block),
    "small_rau_net": partial(rau_net.small_unet_of, rau_net.rau_block_1),
    # Adaptation, segmentation too: of in_channels, size and image_size.
    "resnet": partial(refinement, "resnet"),
    "efficientnetv2": partial(refinement, "efficientnetv2"),
    "swin": partial(refinement, "swin"),
    "segformer": partial(refinement, "segformer"),
    "hrnet_ocr": partial(refinement, "hrnet_ocr"),
    # Tiles: of the names of the bands and, a fusion of an encoder, a pyramid of whether passes share a branch.
    "gated": partial(Fusion, gated=True),
    "concatenated": partial(Fusion, gated=False),
    "pyramid": partial(PyramidTiles, pyramid=True),
    "conventional": partial(PyramidTiles, pyramid=False),
}
