"""What attention modules do to a feature map."""

import pytest
import torch

from landslide_lib.models.attention import CBAM, PooledAttention, squeeze_excitation

CHANNELS = 8
MODULES = {
    "squeeze_excitation": lambda: squeeze_excitation(CHANNELS),
    "cbam": lambda: CBAM(CHANNELS),
    "pooled": lambda: PooledAttention(CHANNELS, inner=8),
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


def test_pooled_attention_adds_between_nothing_and_as_much_as_there_was():
    x = features(2, CHANNELS, 32, 32)
    weights = PooledAttention(CHANNELS, inner=8)(x) / x
    assert (weights > 1).all()
    assert (weights < 2).all()


def test_pooled_attention_reaches_across_the_whole_map():
    module, x = PooledAttention(CHANNELS, inner=8), features(1, CHANNELS, 32, 32).requires_grad_()
    module(x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0, :, -1, -1] != 0).any()


def test_pooled_attention_agrees_with_attention_written_out():
    """On a map that needs no pooling: softmax of scaled products, head by head."""
    torch.manual_seed(0)
    module, x = PooledAttention(CHANNELS, inner=8, heads=2), features(1, CHANNELS, 4, 4)
    tokens = x[0].flatten(1).T
    queries, keys, values = (tokens @ part[:, :, 0, 0].T for part in module.queries_keys_values.weight.chunk(3))
    told = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = queries[:, head] @ keys[:, head].T / 2  # the root of four
        told.append(scores.softmax(1) @ values[:, head])
    told = torch.cat(told, 1) @ module.out.weight[:, :, 0, 0].T + module.out.bias
    expected = (tokens * (1 + told.sigmoid())).T.reshape(x.shape)
    torch.testing.assert_close(module(x), expected)
