"""Networks: one family a file, one explicit dict as the registry."""

from collections.abc import Callable
from functools import partial

from torch import nn

from landslide_lib.fields import REFINEMENT_ENCODERS
from landslide_lib.models import backbones
from landslide_lib.models.attention import CBAM, squeeze_excitation
from landslide_lib.models.fusion import Fusion, PyramidTiles
from landslide_lib.models.rau_net import RAUNet, narrow, unet_with, unet_with_axis_attention
from landslide_lib.models.refinement import refinement
from landslide_lib.models.small import SmallVNet, squeeze_unet
from landslide_lib.models.unet import UNet

MODELS: dict[str, Callable[..., nn.Module]] = {
    # Segmentation: of in_channels, width and num_classes; images (B, in_channels, H, W) to (B, num_classes, H, W).
    "unet": UNet,
    "unet_cbam": partial(unet_with, CBAM),
    "unet_se": partial(unet_with, squeeze_excitation),
    "unet_attention": unet_with_axis_attention,  # and of image_size
    "unet_residual": partial(RAUNet, gates="none", bottom=True),
    "rau_net_1": RAUNet,
    "rau_net_2": partial(RAUNet, gates="joins"),
    "deeplab_v3": backbones.deeplab_v3,
    "efficientnet_v2": partial(backbones.efficientnet, "efficientnetv2_b0"),
    **{f"efficientnet_lite{i}": partial(backbones.efficientnet, f"efficientnet_lite{i}") for i in range(3)},
    "small_v_net": SmallVNet,
    "small_squeeze_unet": squeeze_unet,
    "small_mobilenet_v3": backbones.small_mobilenet_v3,
    "small_deeplab_v3": backbones.small_deeplab_v3,
    "small_residual_unet": partial(narrow, partial(RAUNet, gates="none", bottom=True)),
    "small_rau_net": partial(narrow, RAUNet),
    # Adaptation, segmentation too: of in_channels, size and image_size.
    **{family: partial(refinement, family) for family in REFINEMENT_ENCODERS},
    # Tiles: of the names of the bands and, a fusion of an encoder, a pyramid of whether passes share a branch.
    "gated": partial(Fusion, gated=True),
    "concatenated": partial(Fusion, gated=False),
    "pyramid": partial(PyramidTiles, pyramid=True),
    "conventional": partial(PyramidTiles, pyramid=False),
}
