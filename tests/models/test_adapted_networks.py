"""The networks of the label-refinement report: what each keeps to, in which size."""

import math

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.fields import REFINEMENT_ENCODERS as FAMILIES
from landslide_lib.models import MODELS
from landslide_lib.models.backbones import Padded, encoder_of
from landslide_lib.models.cross_sensor import cross_sensor
from landslide_lib.models.refinement import OCR, UpsampledInput, init_logit_bias, window
from landslide_lib.models.weights import start
from landslide_lib.training.segmentation import AUXILIARY, total_loss

BANDS = 5
SIZES = ("tiny", "small", "base")


def build(name: str, size: str = "tiny", image_size: int = 64, bands: int = BANDS) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name](in_channels=bands, size=size, image_size=image_size)


def images(side: int, count: int = 2, bands: int = BANDS) -> Tensor:
    return torch.randn(count, bands, side, side, generator=torch.Generator().manual_seed(1))


def awake(network: nn.Module) -> nn.Module:
    """Let no residual branch be silent: some begin at zero."""
    with torch.no_grad():
        for value in network.parameters():
            value += 0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(2))
    return network


@pytest.fixture(params=FAMILIES)
def name(request) -> str:
    return request.param


def test_every_network_has_every_size():
    assert all(tuple(sizes) == SIZES for sizes in FAMILIES.values())


@pytest.mark.parametrize("side", [32, 80])
def test_a_network_gives_a_logit_for_every_pixel(name, side):
    logits = build(name, image_size=side)(images(side))
    assert logits.shape == (2, 2 if name == "hrnet_ocr" else 1, side, side)  # in training with that of its regions
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert logits.min() < 0 < logits.max()  # no sigmoid inside


def test_a_network_of_every_size_has_the_same_shapes_and_grows(name):
    counts = []
    for size in SIZES:
        network = build(name, size, image_size=48).eval()
        with torch.no_grad():
            assert network(images(48)).shape == (2, 1, 48, 48)
        counts.append(sum(value.numel() for value in network.parameters()))
    tiny, small, base = counts
    if name == "efficientnet_lite":  # ImageNet's weights fit a whole encoder alone
        assert tiny < small < base
    else:
        assert tiny < 1e6 < small < base / 2


def test_the_same_seed_builds_the_same_network(name):
    one, other = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("size", SIZES)
def test_a_network_can_begin_with_the_share_of_landslide(name, size):
    """In all its forms it has one layer that makes logits, and nothing but its bias is changed."""
    network, plain = (cross_sensor(build(name, size, image_size=32)) for _ in range(2))
    init_logit_bias(network, 0.02)
    begun = network.state_dict()
    changed = [key for key, value in plain.state_dict().items() if not torch.equal(value, begun[key])]
    assert len(changed) == 1
    assert changed[0].endswith("bias")
    assert begun[changed[0]].sigmoid().item() == pytest.approx(0.02)


def test_a_network_without_one_layer_of_logits_is_refused():
    with pytest.raises(ValueError, match="too many values"):
        init_logit_bias(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)), 0.5)


def test_training_draws_no_random_numbers(name):
    """A resumed run does not have the state of the global generator, and goes on alike."""
    network = build(name, image_size=32).train()
    state = torch.get_rng_state()
    network(images(32)).square().mean().backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_reach_every_parameter_and_every_band(name):
    network, x = awake(build(name, image_size=80)), images(80).requires_grad_()
    network(x).square().mean().backward()
    for key, value in network.named_parameters():
        assert value.grad is not None, key
        assert value.grad.isfinite().all(), key
        # What a batch norm takes off again, such as a bias before it, has a gradient of zero.
        assert value.ndim == 1 or value.grad.abs().sum() > 0, key
    assert (x.grad.abs().sum((0, 2, 3)) > 0).all()


def test_a_pixel_hears_of_the_whole_image(name):
    network, x = awake(build(name)).eval(), images(64, 1).requires_grad_()
    network(x)[..., 0, 0].sum().backward()
    assert x.grad[..., 56:, 56:].abs().sum() > 0


def test_a_prediction_does_not_depend_on_the_other_images_of_its_batch(name):
    network, x = build(name).eval(), images(64, 3)
    with torch.no_grad():
        torch.testing.assert_close(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-5)


def test_channels_last_changes_the_speed_and_not_the_prediction(name):
    network, x = build(name, image_size=80).eval(), images(80)
    with torch.no_grad():
        plain = network(x)
        last = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-4)


def test_a_network_learns_in_half_precision(name):
    """Bright squares, on and off by turns: better than the share of their pixels knows."""
    x, masks = images(32, 4), torch.zeros(4, 1, 32, 32)
    for i, (top, left) in enumerate([(2, 3), (16, 12), (8, 18), (18, 2)]):
        masks[i, :, top : top + 10, left : left + 10] = 1
    x = x + 2 * masks
    network = build(name, image_size=32).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16):
            loss = total_loss(F.binary_cross_entropy_with_logits, network(x).float(), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    share = masks.mean()
    most = F.binary_cross_entropy(share.expand_as(masks), masks) / 2
    assert loss < most * (1 + AUXILIARY * (name == "hrnet_ocr"))


def test_a_segformer_is_that_of_smp_without_its_stochastic_depth():
    ours = build("segformer", "small", bands=3).network.eval()
    theirs = smp.Segformer("mit_b0", encoder_weights=None).eval()
    theirs.load_state_dict(ours.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(images(64, bands=3)), theirs(images(64, bands=3)))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("resnet", "resnet50"),
        ("efficientnetv2", "tf_efficientnetv2_s"),
        ("swin", "swin_tiny_patch4_window7_224"),
        ("hrnet_ocr", "hrnet_w32"),
    ],
)
def test_the_encoder_of_a_base_network_has_all_the_weights_of_its_name(name, theirs):
    """What the name stands for in timm, its classifier and what leads up to it left out."""
    with torch.device("meta"):
        network = build(name, "base", image_size=224, bands=3)
        whole = timm.create_model(theirs).state_dict()
    encoder = getattr(network, "network", network).encoder
    ours = {key.removeprefix("model."): value for key, value in encoder.state_dict().items()}
    shapes = {key.replace("layers_", "layers."): value.shape for key, value in ours.items()}
    assert shapes.items() <= {key: value.shape for key, value in whole.items()}.items()
    left = {key.split(".")[0] for key in whole.keys() - shapes.keys()}
    assert left <= {
        "fc",
        "head",
        "norm",
        "classifier",
        "conv_head",
        "bn2",
        "incre_modules",
        "downsamp_modules",
        "final_layer",
    }


@pytest.mark.parametrize(
    ("name", "size", "theirs"),
    [
        ("resnet", "small", "resnet18.a1_in1k"),
        ("efficientnetv2", "small", "tf_efficientnetv2_b0.in1k"),
        ("swin", "base", "swin_tiny_patch4_window7_224.ms_in1k"),
        ("hrnet_ocr", "small", "hrnet_w18_small.gluon_in1k"),
    ],
)
def test_an_encoder_takes_imagenets_weights_and_statistics_by_the_names_of_the_hub(tmp_path, name, size, theirs):
    published = timm.create_model(theirs.split(".")[0]).state_dict()
    for key, value in published.items():
        if value.is_floating_point():
            published[key] = torch.rand_like(value)
    (tmp_path / "weights").mkdir()
    save_file(published, tmp_path / "weights" / f"{theirs}.safetensors")
    encoder = encoder_of(UpsampledInput(build(name, size, image_size=224, bands=3), 1.0))
    assert start(encoder, "imagenet", tmp_path)["share"] == 1
    taken = {key.replace("layers_", "layers."): value for key, value in encoder.state_dict().items()}
    assert all(torch.equal(value, published[key]) for key, value in taken.items())
    assert any(key.endswith("running_var") for key in taken) == (name != "swin")


def test_a_swin_takes_weights_of_other_windows_by_their_older_names(tmp_path):
    """In the first files the layer that halves a map stands at the end of a stage, not before the next."""
    theirs = "swin_tiny_patch4_window7_224"
    published = timm.create_model(theirs).state_dict()
    for key in [key for key in published if "downsample" in key]:
        published[f"layers.{int(key.split('.')[1]) - 1}.{key.split('.', 2)[2]}"] = published.pop(key)
    (tmp_path / "weights").mkdir()
    save_file(published, tmp_path / "weights" / f"{theirs}.ms_in1k.safetensors")
    encoder = encoder_of(build("swin", "base", image_size=128))
    assert start(encoder, "imagenet", tmp_path)["share"] == 1
    reduction = encoder.state_dict()["layers_1.downsample.reduction.weight"]
    assert torch.equal(reduction, published["layers.0.downsample.reduction.weight"])


@pytest.mark.parametrize("side", [32, 48, 64, 80])
def test_what_is_reflected_is_cut_off_at_its_place(side):
    """A network that looks at each pixel alone does not notice."""
    alone = nn.Conv2d(BANDS, 1, 1)
    assert torch.equal(Padded(alone, reflect=True)(images(side)), alone(images(side)))


def test_a_reflection_keeps_the_statistics_of_the_image():
    """Half of a bright image at 80 pixels: the network sees half bright, and no rim of its own."""
    seen = []

    class Seeing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return x

    x = torch.zeros(1, 1, 80, 80)
    x[..., 40:] = 1
    Padded(Seeing(), reflect=True)(x)
    assert seen[0].shape == (1, 1, 96, 96)
    assert seen[0].mean() == x.mean()
    assert set(seen[0].unique().tolist()) == {0, 1}


@pytest.mark.parametrize("side", [32, 96, 160, 224, 320])
def test_windows_fill_the_maps_of_a_swin(side):
    encoder = build("swin", image_size=side).network.encoder
    blocks = [
        module for module in encoder.modules() if hasattr(module, "input_resolution") and hasattr(module, "window_size")
    ]
    assert len(blocks) == 4
    for block, stride in zip(blocks, (4, 8, 16, 32), strict=True):
        assert tuple(block.input_resolution) == (side // stride,) * 2
        assert (side // stride) % block.window_size[0] == 0
    assert 5 <= window(side) <= 10


def test_a_side_that_no_window_divides_has_the_padded_ones():
    assert window(416) == 8
    assert build("swin", image_size=416).eval()(images(416, 1)).shape == (1, 1, 416, 416)


def test_object_contexts_are_those_of_the_paper():
    """Equations 2, 3 and 5 summed region by region, in float64."""
    head = awake(OCR(channels=6, width=8)).double().eval()
    maps = [images(side, bands=3).double() for side in (8, 4)]
    x = torch.cat([maps[0], F.interpolate(maps[1], size=(8, 8), mode="bilinear")], 1)
    pixels, scores = head.pixels(x), head.regions(x)
    queries = head.queries(pixels)
    total, context = 0, 0
    for k in range(scores.shape[1]):
        weights = scores[:, k].exp() / scores[:, k].exp().sum((1, 2), keepdim=True)
        region = (weights[:, None] * pixels).sum((2, 3), keepdim=True)
        related = (queries * head.keys(region)).sum(1, keepdim=True) / math.sqrt(4)
        total = total + related.exp()
        context = context + related.exp() * head.values(region)
    context = head.context(context / total)
    wanted = head.logits(head.fused(torch.cat([context, pixels], 1)))
    torch.testing.assert_close(head(maps), wanted)


def test_in_training_the_regions_give_the_log_odds_of_landslide_of_their_softmax():
    head = awake(OCR(channels=6, width=8)).double()
    maps = [images(8).double(), images(8, bands=1).double()]
    mask, auxiliary = head.train()(maps).split(1, 1)
    probability = head.regions(torch.cat(maps, 1)).softmax(1)[:, :1]
    torch.testing.assert_close(auxiliary.sigmoid(), probability)
    assert mask.shape == auxiliary.shape
