"""The drawings show the networks that are run, not others."""

import matplotlib as mpl
import pytest
from torch import nn

from landslide_lib.models import MODELS
from landslide_lib.models.attention import PooledAttention
from landslide_lib.models.rau_net import ResidualBlock
from landslide_lib.study.plots import architecture as plots_architecture

mpl.use("Agg")

NETWORKS = {
    "U-Net": "unet",
    "U-Net with attention": "unet_attention",
    "convolution block": "unet_residual",
    "RAU-Net 1": "rau_net_1",
    "RAU-Net 2": "rau_net_2",
}


def steps(module):
    """Name the convolutions and attention modules that x goes through one after the other."""
    if isinstance(module, PooledAttention):
        return ["attention"]
    if isinstance(module, nn.Conv2d):
        return [f"{module.kernel_size[0]}x{module.kernel_size[1]}"]
    return [step for part in module.children() for step in steps(part)]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_drawn_block_is_that_of_the_network(name):
    drawn = plots_architecture.BLOCKS[name]
    network = MODELS[NETWORKS[name]](in_channels=3, width=16)
    blocks = [*network.down, *network.merge]
    assert len(blocks) == 9
    for block in blocks:
        parts = [block] if isinstance(block, ResidualBlock) else list(block.children())
        residual = [part for part in parts if isinstance(part, ResidualBlock)]
        branch = steps(residual[0].branch) if residual else []
        rest = [step for part in parts if part not in residual for step in steps(part)]
        shown = [step.partition(",")[0] for step in drawn["branch"]]
        assert drawn["shortcut"] == bool(residual)
        if residual:
            assert branch == shown
            assert rest == list(drawn["after"])
            assert steps(residual[0].shortcut) == ["1x1"]
            between, after = (m.out_channels for m in residual[0].branch if hasattr(m, "stride"))
            assert between < after
        else:
            assert rest == [*shown, *drawn["after"]]


def test_every_block_and_module_is_named_in_its_drawing():
    for picture, named in (
        (plots_architecture.blocks(), plots_architecture.BLOCKS),
        (plots_architecture.modules(), plots_architecture.MODULES),
    ):
        texts = {text.get_text() for text in picture.figure.axes[0].texts}
        assert set(named) <= texts
        assert picture.alt
        assert picture.data is None  # a drawing has no numbers


def test_the_grid_of_the_drawing_is_that_of_the_module():
    side = PooledAttention(8, inner=4).grid
    sizes = [size for _, size in plots_architecture.MODULES["pooled attention (our reading)"]]
    assert sizes[0] == f"C, {side} x {side}"


def test_the_filters_of_deeplab_reach_as_far_as_its_chapter_says():
    network = MODELS["deeplab_v3"](in_channels=3, width=1).network
    rates = {
        module.dilation[0]
        for module in network.decoder.modules()
        if isinstance(module, nn.Conv2d) and module.dilation[0] > 1
    }
    assert rates == {12, 24, 36}
