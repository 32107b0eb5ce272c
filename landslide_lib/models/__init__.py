"""Networks: one family a file, one explicit dict as the registry."""

from collections.abc import Callable
from functools import partial

from torch import nn

from landslide_lib.models import backbones
from landslide_lib.models.fusion import Fusion, PyramidTiles
from landslide_lib.models.rau_net import small_unet_of, unet_of
from landslide_lib.models.refinement import SIZES, refinement
from landslide_lib.models.small import SmallVNet, squeeze_unet
from landslide_lib.models.unet import UNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    # Segmentation: of in_channels, width and num_classes; images (B, in_channels, H, W) to (B, num_classes, H, W).
    "unet": UNet,
    "unet_cbam": partial(unet_of, "cbam"),
    "unet_se": partial(unet_of, "se"),
    "unet_attention": partial(unet_of, "attention"),
    "unet_residual": partial(unet_of, "residual"),
    "rau_net_1": partial(unet_of, "rau_1"),
    "rau_net_2": partial(unet_of, "rau_2"),
    "deeplab_v3": backbones.deeplab_v3,
    "efficientnet_v2": partial(backbones.efficientnet, "efficientnetv2_b0"),
    **{f"efficientnet_lite{i}": partial(backbones.efficientnet, f"efficientnet_lite{i}") for i in range(3)},
    "small_v_net": SmallVNet,
    "small_squeeze_unet": squeeze_unet,
    "small_mobilenet_v3": backbones.small_mobilenet_v3,
    "small_deeplab_v3": backbones.small_deeplab_v3,
    "small_residual_unet": partial(small_unet_of, "residual"),
    "small_rau_net": partial(small_unet_of, "rau_1"),
    # Adaptation, segmentation too: of in_channels, size and image_size.
    **{family: partial(refinement, family) for family in SIZES},
    # Tiles: of the names of the bands and, a fusion of an encoder, a pyramid of whether passes share a branch.
    "gated": partial(Fusion, gated=True),
    "concatenated": partial(Fusion, gated=False),
    "pyramid": partial(PyramidTiles, pyramid=True),
    "conventional": partial(PyramidTiles, pyramid=False),
}
