"""What every network family keeps to, and the reported numbers of parameters."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from landslide_lib.models import MODELS
from landslide_lib.models.unet import UPSAMPLING
from landslide_lib.study.recipe import Segmentation, recipe
from landslide_lib.study.reports import reports, resolve, table
from landslide_lib.study.tasks.segmentation import model_of

BANDS = 5
NAMES = get_args(Segmentation.model_fields["model"].annotation)
TINY = {"small_residual_unet": 12, "small_rau_net": 12, "small_v_net": 36, "unet_cbam": 8}
"""Test widths other than four: so that networks which start with a part of it start with four
channels, too, and that not all of the few units inside an attention module are dead at once."""
FIXED = (
    "deeplab_v3",
    "efficientnet_v2",
    "small_deeplab_v3",
    "small_mobilenet_v3",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
)
"""Networks whose encoder has one size: only the decoder has a width."""
DEEP = (*FIXED, "small_squeeze_unet")
"""Untrained networks of many normalisations by the batch in a row, which amplify rounding."""
SIZES = {
    "improved-unet/traditional": "unet",
    "improved-unet/cbam": "unet_cbam",
    "improved-unet/se": "unet_se",
    "improved-unet/attention": "unet_attention",
    "improved-unet/convolution-blocks": "unet_residual",
    "rau-net/rau-net-1": "rau_net_1",
    "rau-net/rau-net-2": "rau_net_2",
    "small-models/v-net": "small_v_net",
    "small-models/squeeze-u-net": "small_squeeze_unet",
    "small-models/mobilenetv3": "small_mobilenet_v3",
    "small-models/deeplabv3": "small_deeplab_v3",
    "small-models/residual-u-net": "small_residual_unet",
    "small-models/small-rau-net": "small_rau_net",
}
"""Rows that print a number of parameters, and our network of each."""
UNSIZED = {"deeplab_v3", "efficientnet_v2", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}
"""Networks of rows that print none, and of rows of ours."""


def build(name: str, **settings: int) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name](**{"in_channels": BANDS, "width": TINY.get(name, 4), **settings})


def parameters(name: str, **settings: Any) -> int:
    """Count on the meta device: a network of any width takes no memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(name, **settings).parameters())


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=sorted(NAMES))
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
    network(images(2, BANDS, 64, 64)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_every_band_is_used(family):
    x = images(2, BANDS, 32, 32).requires_grad_()
    build(family)(x).square().mean().backward()
    assert (x.grad.abs().sum((0, 2, 3)) > 0).all()


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FIXED)))
def test_width_scales_a_network_quadratically(name):
    """At widths of which a third and a ninth are whole numbers or are rounded alike."""
    small, big = (parameters(name, width=width) for width in (48, 96))
    assert big / small == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("name", FIXED)
def test_width_scales_the_decoder_where_the_encoder_has_one_size(name):
    sizes = [parameters(name, width=width) for width in (1, 4, 16, 64, 128)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-2] / 1.1
    encoders = {sum(p.numel() for p in build(name, width=width).network.encoder.parameters()) for width in (4, 16)}
    assert len(encoders) == 1


def test_the_same_seed_builds_the_same_network(family):
    one, other = build(family), build(family)
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_training_draws_no_random_numbers(family):
    """A resumed run does not have the state of the global generator, and goes on alike."""
    network, x = build(family).train(), images(2, BANDS, 32, 32)
    state = torch.get_rng_state()
    network(x).square().mean().backward()
    assert torch.equal(torch.get_rng_state(), state)


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
    network.train(family not in DEEP)
    full = network(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(x)
        trained = network.train()(x)
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().mean() < 0.05 * full.abs().mean() + 0.02
    trained.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("row", SIZES)
def test_a_network_has_the_reported_number_of_parameters(row):
    """In the profile `full`, with the 23 channels of the report: to 2 %, small models to 3 %."""
    where, label = row.split("/")
    report = table(f"raunet/{where}")
    number = float(report.row(label).reported["parameters"].removesuffix("M"))
    made = resolve(report, report.row(label))
    assert made.model == SIZES[row]
    assert made.channels == reports()["raunet"].facts["channels"].value
    with torch.device("meta"):
        ours = sum(p.numel() for p in model_of(made, made.channels).parameters())
    assert ours / 1e6 == pytest.approx(number, rel=0.03 if where == "small-models" else 0.02)


def test_the_baseline_has_the_reported_number_of_parameters():
    """To within 2 %, at full width, with the 14 bands of Landslide4Sense."""
    number, unit = table("raunet/baseline").row("unet").reported["parameters"].split()
    assert unit == "M"
    ours = parameters("unet", in_channels=14, width=64)
    assert ours / 1e6 == pytest.approx(float(number), rel=0.02)


def test_the_baseline_repeats_pixels_and_then_has_the_reported_number_of_parameters_to_every_digit():
    number, _ = table("raunet/baseline").row("unet").reported["parameters"].split()
    ours = parameters("unet", in_channels=14, width=64, enlarge=UPSAMPLING["nearest"])
    assert f"{ours / 1e6:.1f}" == number
    network = build("unet", in_channels=2, width=2, enlarge=UPSAMPLING["nearest"])
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert network.up[0](x)[0, 0].tolist() == np.kron(x[0, 0].numpy(), np.ones((2, 2))).tolist()


def test_the_networks_are_those_of_the_rows_that_print_a_size_and_those_of_rows_that_do_not():
    assert set(SIZES.values()) == set(NAMES) - UNSIZED


@pytest.mark.parametrize(
    ("name", "total", "before_logits"),
    [("rau_net_1", 24_890_374, (640, 64, 64)), ("small_rau_net", 2_604_110, (200, 64, 64))],
)
def test_rau_net_has_every_parameter_of_the_first_authors_code(name, total, before_logits):
    """Keras counts running statistics, too, and has two logits of a softmax where we have one of a sigmoid.

    https://github.com/CamDucLe/Landslide-Project-Sentinel2: the log of the first fold, and the code of the small one.
    """
    made = recipe({"dataset": "landslide4sense", "model": name, "head": "multi_resolution"})
    with torch.device("meta"):
        network = model_of(made, 23)
    statistics = sum(values.numel() for key, values in network.named_buffers() if "running" in key)
    ours = sum(p.numel() for p in network.parameters()) + statistics
    assert ours == total - sum(channels + 1 for channels in before_logits)


def test_the_gates_of_rau_net_1_stand_in_its_blocks_and_those_of_rau_net_2_where_maps_are_joined():
    for name, joins, blocks in (("rau_net_1", 0, 8), ("rau_net_2", 4, 0)):
        gates = [key for key, module in build(name).named_modules() if isinstance(module, SqueezeExcitation)]
        assert sum(key.startswith("join") for key in gates) == joins
        assert sum(key.endswith("gate") for key in gates) == blocks


@pytest.mark.parametrize("name", FIXED)
def test_what_is_padded_inside_is_cut_off_again(name):
    network, x = build(name).eval(), images(1, BANDS, 16, 48)
    padded = torch.zeros(1, BANDS, 32, 64)
    padded[..., :16, :48] = x
    with torch.no_grad():
        torch.testing.assert_close(network(x), network(padded)[..., :16, :48])


def test_bands_change_the_first_convolution_of_the_unet_alone():
    difference = parameters("unet", in_channels=14) - parameters("unet", in_channels=13)
    first = next(m for m in build("unet").modules() if isinstance(m, nn.Conv2d))
    assert difference == first.weight[:, 0].numel()
