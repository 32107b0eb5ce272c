"""The detector: Faster R-CNN on the feature pyramid of an encoder, maps of one width at strides 4, 8, 16 and 32."""

from typing import Any

from timm.layers import LayerNorm2d  # type: ignore[attr-defined, unused-ignore]
from timm.models.efficientnet import EfficientNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from landslide_lib.models.encoders import encoder

LEVELS = ("p2", "p3", "p4", "p5")  # the maps, from stride 4 to stride 32
POOLED = 7  # regions are pooled to squares of so many cells


def detector(name: str, in_channels: int, image_size: int, *, width: int = 256, tiny: bool = False) -> FasterRCNN:
    """Build a detector of background and landslide with random weights; `width` is that of the feature pyramid.

    In training it takes a list of images (C, S, S) and of targets (`boxes` (n, 4) in pixels, n at least 0, and `labels`
    (n,), all 1) and returns a dict of four losses; else it takes the images and returns dicts of `boxes`, `labels` and
    `scores`, the highest score first. Where it differs from torchvision's, which is made for photographs of 800 pixels:

    - Anchors fit landslides, see `anchors`, and regions smaller than a quarter of the image are pooled at stride 4.
    - Images are taken as they are, normalised and of one size.
    - 300 regions an image are proposed and 64 trained on, not 2,000 and 512: an image has four landslides. 300 are
      looked at in a test, as in the paper.
    - Detections from a score of 0.01 are kept, not from 0.05, 100 an image: average precision is an area under a whole
      curve.
    - What gives coordinates is float32 in half precision, too: bfloat16 rounds a corner beyond 128 to whole pixels.

    Batch norms are trained, as a random encoder needs that and rows must not differ in it; so batches have several
    images. References: Ren and others 2015, arXiv:1506.01497; Lin and others 2016, arXiv:1612.03144.
    """
    hidden = 4 * width
    network = FasterRCNN(
        Pyramid(encoder(name, in_channels, image_size, tiny=tiny), width),
        rpn_anchor_generator=anchors(image_size),
        box_roi_pool=MultiScaleRoIAlign(LEVELS, output_size=POOLED, sampling_ratio=2, canonical_scale=image_size // 2),
        box_head=TwoMLPHead(width * POOLED**2, hidden),
        box_predictor=FastRCNNPredictor(hidden, num_classes=2),
        min_size=image_size,
        max_size=image_size,
        size_divisible=1,
        image_mean=[0.0] * in_channels,
        image_std=[1.0] * in_channels,
        rpn_pre_nms_top_n_train=500,
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_train=300,
        rpn_post_nms_top_n_test=300,
        box_batch_size_per_image=64,
        box_detections_per_img=100,
        box_score_thresh=0.01,
    )
    for gives_coordinates in (network.rpn.head, network.roi_heads.box_predictor):
        gives_coordinates.register_forward_hook(_float32)
    return network


def anchors(image_size: int) -> AnchorGenerator:
    """Return anchors that fit the boxes of Landslide4Sense: of 1/16 of the image's side, sqrt(2) times that, and so on.

    Half of its boxes have a side below 20 of 224 pixels, one in twenty below 11. Of those of the training part, 98 %
    have an anchor with an IoU of 0.5 or more at 224 pixels, 89 % at 128 and 38 % at 64; with torchvision's own, 42 % at
    224.
    """
    first = [image_size / 16 * 2**level for level in range(len(LEVELS) + 1)]
    return AnchorGenerator(tuple((size, size * 2**0.5) for size in first), ((0.5, 1.0, 2.0),) * len(first))


def _float32(head: nn.Module, inputs: Any, outputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(part.float() if isinstance(part, Tensor) else [level.float() for level in part] for part in outputs)


class Pyramid(nn.Module):
    """An encoder of timm, without the layers that only a classifier would use, and the pyramid on it.

    Shape: (B, C, S, S) to a dict, float32: `p2` to `p5`, (B, channels, S / 4, S / 4) to (B, channels, S / 32, S / 32),
    and `pool` at stride 64.
    """

    def __init__(self, encoder: Any, channels: int) -> None:
        super().__init__()
        self.encoder, self.out_channels = encoder, channels
        self.top = LastLevelMaxPool()
        self.levels: TopDown | Simple
        if isinstance(encoder, VisionTransformer):
            self.levels = Simple(encoder.embed_dim, channels)
            return
        if isinstance(encoder, EfficientNet):
            encoder.prune_intermediate_layers(len(LEVELS), prune_norm=True)
        widths = [level["num_chs"] for level in list(encoder.feature_info)[-len(LEVELS) :]]
        self.levels = TopDown(widths, channels, norms=isinstance(encoder, SwinTransformer))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = self.encoder.forward_intermediates(images, indices=self.levels.taken, norm=True, intermediates_only=True)
        # Anchors have the type of the maps, and half precision would round them to whole pixels.
        levels = [level.float() for level in self.levels(maps)]
        with_top, names = self.top(levels, levels, list(LEVELS))
        return dict(zip(names, with_top, strict=True))


class TopDown(nn.Module):
    """The feature pyramid of an encoder with maps at all four strides: Lin and others 2016, arXiv:1612.03144.

    With `norms` the maps are normalised first: those inside a Swin are sums over all blocks before them, and only the
    last one has a norm of its own.
    """

    taken = len(LEVELS)

    def __init__(self, widths: list[int], channels: int, norms: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(LayerNorm2d(w) if norms and w != widths[-1] else nn.Identity() for w in widths)
        self.sums = FeaturePyramidNetwork(widths, channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        normed = {name: norm(level) for name, norm, level in zip(LEVELS, self.norms, maps, strict=True)}
        return list(self.sums(normed).values())


class Simple(nn.Module):
    """The pyramid of a ViT: its last map, at stride 16, enlarged and reduced. Li and others 2022, arXiv:2203.16527."""

    taken = 1

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        twice, again = nn.ConvTranspose2d(width, half, 2, 2), nn.ConvTranspose2d(half, quarter, 2, 2)
        scaled: list[tuple[list[nn.Module], int]] = [
            ([twice, LayerNorm2d(half), nn.GELU(), again], quarter),
            ([nn.ConvTranspose2d(width, half, 2, 2)], half),
            ([], width),
            ([nn.MaxPool2d(2, ceil_mode=True)], width),
        ]
        self.scales = nn.ModuleList(
            nn.Sequential(
                *layers,
                nn.Conv2d(inside, channels, 1, bias=False),
                LayerNorm2d(channels),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                LayerNorm2d(channels),
            )
            for layers, inside in scaled
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [scale(maps[0]) for scale in self.scales]
