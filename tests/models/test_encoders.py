"""Encoders and the pyramids on them: shapes, sizes, and what a detector trains of them."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from landslide_lib.models.detector import LEVELS, Pyramid
from landslide_lib.models.encoders import encoder
from landslide_lib.study.recipe.detection import Encoder

BANDS = 4
FAMILIES = ["resnet18", "efficientnet_b0", "vit_tiny", "swin_tiny"]
SIZES = [64, 96, 128, 224]


def images(size: int, count: int = 2) -> Tensor:
    return torch.randn(count, BANDS, size, size, generator=torch.Generator().manual_seed(0))


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def tiny(name: str, size: int = 64) -> nn.Module:
    torch.manual_seed(0)
    return encoder(name, BANDS, size, tiny=True)


def shapes(maps: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(level.shape) for name, level in maps.items()}


def wanted(size: int, channels: int, count: int = 2) -> dict[str, tuple[int, ...]]:
    levels = zip([*LEVELS, "pool"], (4, 8, 16, 32, 64), strict=True)
    return {name: (count, channels, *[-(-size // stride)] * 2) for name, stride in levels}


def test_every_encoder_of_a_recipe_can_be_built():
    for name in get_args(Encoder):
        with torch.device("meta"):
            made = encoder(name, BANDS, 128)
        first = made.get_submodule(made.pretrained_cfg["first_conv"])
        assert first.in_channels == BANDS


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FAMILIES)
def test_an_encoder_and_its_pyramid_take_images_of_every_size_in_use(name, size):
    made = tiny(name, size).eval()
    assert made(images(size)).shape == (2, made.num_features)
    pyramid = Pyramid(made, 64).eval()
    assert shapes(pyramid(images(size))) == wanted(size, 64)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny", "swin_tiny"])
def test_a_whole_encoder_has_the_same_shapes(name):
    pyramid = Pyramid(encoder(name, BANDS, 64), 256).eval()
    with torch.no_grad():
        assert shapes(pyramid(images(64))) == wanted(64, 256)


@pytest.mark.parametrize("name", get_args(Encoder))
def test_a_tiny_encoder_is_small(name):
    assert parameters(tiny(name)) < 0.5e6


@pytest.mark.parametrize("name", FAMILIES)
def test_a_detector_trains_every_parameter_of_encoder_and_pyramid(name):
    pyramid = Pyramid(tiny(name), 16)
    sum(level.square().mean() for level in pyramid(images(64)).values()).backward()
    for key, value in pyramid.named_parameters():
        assert value.grad is not None, key
        assert value.grad.isfinite().all(), key


@pytest.mark.parametrize("name", FAMILIES)
def test_every_map_hears_of_the_whole_image(name):
    """What is far from a pixel of the finest map changes it, so it can tell scar from field."""
    pyramid = Pyramid(tiny(name), 16).eval()
    with torch.no_grad():
        for value in pyramid.parameters():  # a ResNet's residual branches begin at zero
            value += 0.1 * torch.randn(value.shape)
    x = images(64, 1).requires_grad_()
    pyramid(x)["p2"][..., 0, 0].square().sum().backward()
    assert x.grad[..., 56:, 56:].abs().sum() > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_maps_are_float32_in_half_precision_too(name):
    with torch.autocast("cpu", torch.bfloat16):
        maps = Pyramid(tiny(name), 16)(images(64))
    assert {level.dtype for level in maps.values()} == {torch.float32}


@pytest.mark.parametrize("name", FAMILIES)
def test_nothing_is_drawn_at_random_in_training(name):
    """A resumed run does not have the generator's state of the run that was stopped."""
    made = tiny(name).train()
    before = torch.get_rng_state()
    made(images(64))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_learnt_alone_fits_the_encoder_of_a_detector(name):
    alone, pyramid = tiny(name), Pyramid(tiny(name), 16)
    kept = pyramid.encoder.load_state_dict(alone.state_dict(), strict=False)
    assert not kept.missing_keys
    assert all(key.startswith(("conv_head", "bn2")) for key in kept.unexpected_keys)
