"""What every network family keeps to, and the size of the reported U-Net."""

import pytest
import torch
from torch import nn

from landslide_lib.models import MODELS
from landslide_lib.reports import table

BANDS = 5


def build(name: str, **settings: int) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name](**{"bands": BANDS, "width": 4, **settings})


def parameters(name: str, **settings: int) -> int:
    """Count on the meta device: a network of any width takes no memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(name, **settings).parameters())


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=sorted(MODELS))
def family(request) -> str:
    return request.param


@pytest.mark.parametrize("height_and_width", [(16, 16), (32, 48)])
def test_a_network_gives_a_logit_for_every_pixel(family, height_and_width):
    logits = build(family)(images(2, BANDS, *height_and_width))
    assert logits.shape == (2, 1, *height_and_width)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert logits.min() < 0 < logits.max()  # no sigmoid inside


def test_gradients_reach_every_parameter(family):
    network = build(family)
    network(images(2, BANDS, 32, 32)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_every_band_is_used(family):
    x = images(2, BANDS, 32, 32).requires_grad_()
    build(family)(x).square().mean().backward()
    assert (x.grad.abs().sum((0, 2, 3)) > 0).all()


def test_width_scales_a_network_quadratically(family):
    small, big = (parameters(family, width=width) for width in (32, 64))
    assert big / small == pytest.approx(4, rel=0.02)


def test_the_same_seed_builds_the_same_network(family):
    one, other = build(family), build(family)
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_prediction_does_not_depend_on_the_other_images_of_its_batch(family):
    network, x = build(family).eval(), images(4, BANDS, 32, 32)
    with torch.no_grad():
        alone, together = network(x[:1]), network(x)[:1]
    torch.testing.assert_close(alone, together)


def test_channels_last_changes_the_speed_and_not_the_prediction(family):
    network, x = build(family).eval(), images(2, BANDS, 32, 32)
    with torch.no_grad():
        plain = network(x)
        network.to(memory_format=torch.channels_last)
        last = network(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)


def test_bf16_autocast_gives_nearly_the_same_and_can_be_trained(family):
    network, x = build(family), images(2, BANDS, 32, 32)
    full = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(x)
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().mean() < 0.05 * full.abs().mean() + 0.02
    half.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_the_unet_has_the_reported_number_of_parameters():
    """To within 2 %, at full width, with the 14 bands of Landslide4Sense."""
    number, unit = table("raunet/baseline").row("unet").reported["parameters"].split()
    assert unit == "M"
    ours = parameters("unet", bands=14, width=64)
    assert ours / 1e6 == pytest.approx(float(number), rel=0.02)


def test_bands_change_the_first_convolution_of_the_unet_alone():
    difference = parameters("unet", bands=14) - parameters("unet", bands=13)
    first = next(m for m in build("unet").modules() if isinstance(m, nn.Conv2d))
    assert difference == first.weight[:, 0].numel()
