"""What attention modules do to a feature map."""

import pytest
import torch

from landslide_lib.models.attention import CBAM, AxisAttention, squeeze_excitation
from landslide_lib.models.rau_net import ResidualBlock, channel_gate

CHANNELS = 8
MODULES = {
    "squeeze_excitation": lambda: squeeze_excitation(CHANNELS),
    "cbam": lambda: CBAM(CHANNELS),
    "axes": lambda: AxisAttention(CHANNELS, 8, inner=8),
    "channel_gate": lambda: channel_gate(CHANNELS),
}


def features(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=MODULES)
def module(request) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODULES[request.param]().eval()


@pytest.mark.parametrize("sides", [(1, 1), (2, 3), (8, 8), (17, 20), (64, 32)])
def test_a_module_keeps_the_shape_and_the_signs(module, sides):
    x = features(2, CHANNELS, *sides)
    weighed = module(x)
    assert weighed.shape == x.shape
    assert (weighed.sign() == x.sign()).all()


def test_what_is_zero_stays_zero(module):
    x = features(1, CHANNELS, 16, 16)
    x[:, 3] = 0
    assert (module(x)[:, 3] == 0).all()


def test_squeeze_and_excitation_weighs_all_pixels_of_a_channel_alike():
    x = features(2, CHANNELS, 8, 8)
    weights = squeeze_excitation(CHANNELS)(x) / x
    torch.testing.assert_close(weights, weights[..., :1, :1].expand_as(weights))
    assert (weights > 0).all()
    assert (weights < 1).all()


def test_cbam_is_a_weight_of_channels_times_one_of_pixels():
    x = features(1, CHANNELS, 8, 8)
    weights = (CBAM(CHANNELS).eval()(x) / x)[0].flatten(1)
    singular = torch.linalg.svdvals(weights.double())
    assert singular[1] < 1e-5 * singular[0]  # of rank one


def test_attention_of_axes_takes_away_between_nothing_and_all():
    x = features(2, CHANNELS, 16, 16)
    weights = AxisAttention(CHANNELS, 16, inner=8)(x) / x
    assert (weights > 0).all()
    assert (weights < 1).all()


def test_attention_of_axes_reaches_across_the_whole_map():
    module, x = AxisAttention(CHANNELS, 32, inner=8), features(1, CHANNELS, 32, 32).requires_grad_()
    module(x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0, :, -1, -1] != 0).any()


def test_attention_of_axes_is_the_mean_of_three_written_out():
    """Of each face: softmax of scaled products of its lines, head by head; then the sigmoid."""
    torch.manual_seed(0)
    module, x = AxisAttention(CHANNELS, 4, inner=8, heads=2), features(1, CHANNELS, 4, 6)[..., :4]
    faces = [x[0].mean(0), x[0].mean(2).T, x[0].mean(1).T]  # rows x columns, rows x channels, columns x channels
    weights = []
    for number, lines in enumerate(faces):
        queries, keys, values = module.lines[number](lines).chunk(3, 1)
        told = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = queries[:, head] @ keys[:, head].T / 2  # the root of four
            told.append(scores.softmax(1) @ values[:, head])
        weights.append(module.out[number](torch.cat(told, 1)).sigmoid())
    pixels, rows, columns = weights
    expected = x * (pixels + rows.T[:, :, None] + columns.T[:, None, :]) / 3
    torch.testing.assert_close(module(x), expected)


def test_a_residual_block_adds_what_its_convolutions_make_of_a_map():
    torch.manual_seed(0)
    block, x = ResidualBlock(CHANNELS, channel_gate(CHANNELS)).eval(), features(1, CHANNELS, 8, 8)
    conv, norm, slope = block.two[1][0], block.two[1][1], 0.3
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1))  # the even kernel looks to the right and below
    two = torch.nn.functional.leaky_relu(norm(torch.nn.functional.conv2d(padded, conv.weight, conv.bias)), slope)
    merged = block.merge(block.three(x) + two)
    inside, outside = block.gate.fc1, block.gate.fc2
    gate = outside(torch.nn.functional.selu(inside(merged.mean((2, 3), keepdim=True)))).sigmoid()
    torch.testing.assert_close(block(x), x + gate * merged)
    assert inside.out_channels == CHANNELS // 2
