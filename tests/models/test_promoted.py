"""Scale promotion: images enlarged, logits averaged over the pixels' own areas."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.models.refinement import UpsampledInput

SCALES = [1, 1.25, 1.5, 2.5, 4, 1.1]


class Given(nn.Module):
    """A network that keeps what it is given and answers with what it was told."""

    def __init__(self, answer: Tensor | None = None) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return x if self.answer is None else self.answer


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def overlaps(side: int, scale: float) -> Tensor:
    """Return of each pixel how much of it is in each of the enlarged ones, (S, T), by its edges."""
    large = round(side * scale)
    ends = torch.arange(side + 1, dtype=torch.float64) * scale
    cells = torch.arange(large + 1, dtype=torch.float64)
    upper = torch.minimum(ends[1:, None], cells[None, 1:])
    lower = torch.maximum(ends[:-1, None], cells[None, :-1])
    return (upper - lower).clamp(min=0) / scale


def test_scale_one_is_exactly_the_network():
    network, x = nn.Conv2d(3, 1, 3, padding=1).double(), draw(2, 3, 33, 33)
    assert torch.equal(UpsampledInput(network, 1)(x), network(x))
    assert torch.equal(UpsampledInput(network, 1.0)(x), network(x))


@given(st.sampled_from(SCALES), st.integers(1, 3).map(lambda n: 20 * n), st.integers(0, 99))
def test_a_logit_is_the_mean_over_the_area_of_its_pixel(scale, side, seed):
    large = round(side * scale)
    logits = draw(1, 1, large, large, seed=seed)
    made = UpsampledInput(Given(logits), scale)(draw(1, 3, side, side))
    weights = overlaps(side, scale)
    torch.testing.assert_close(made, weights @ logits @ weights.T)


@given(st.sampled_from(SCALES), st.integers(0, 99))
def test_every_logit_is_taught_alike(scale, seed):
    large = round(40 * scale)
    logits = draw(1, 1, large, large, seed=seed).requires_grad_()
    UpsampledInput(Given(logits), scale)(draw(1, 3, 40, 40)).sum().backward()
    torch.testing.assert_close(logits.grad, torch.full_like(logits, 1 / scale**2))


@pytest.mark.parametrize("scale", [2.5, 4])
def test_images_are_enlarged_bilinearly(scale):
    network = Given()
    x = draw(2, 1, 32, 32)
    made = UpsampledInput(network, scale)(x)
    large = round(32 * scale)
    assert network.seen.shape == (2, 1, large, large)
    wanted = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network.seen, wanted)
    assert made.shape == x.shape


@pytest.mark.parametrize("scale", SCALES)
def test_a_slope_stays_where_it_is(scale):
    """Enlarging and bringing back moves nothing: neither by a pixel nor by a half."""
    x = torch.arange(40, dtype=torch.float64).expand(1, 1, 40, 40)
    made = UpsampledInput(nn.Identity(), scale)(x)
    torch.testing.assert_close(made[..., 2:-2], x[..., 2:-2], atol=0.1, rtol=0)


def test_half_precision_and_channels_last_go_through():
    network = UpsampledInput(nn.Conv2d(3, 1, 3, padding=1), 2.5).to(memory_format=torch.channels_last)
    x = draw(2, 3, 32, 32).float()
    with torch.autocast("cpu", torch.bfloat16):
        half = network(x.contiguous(memory_format=torch.channels_last))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), network(x), rtol=0.02, atol=0.02)
