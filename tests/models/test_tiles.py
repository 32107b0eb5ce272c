"""Networks of tiles: what the reports list of them, and what their branches look at."""

from typing import get_args

import pytest
import torch
from torch import nn

from landslide_lib.data.bands import RGB, ZINDI
from landslide_lib.models.encoders import ENCODERS
from landslide_lib.models.fusion import HIDDEN, Fusion, PyramidTiles, radar_branch
from landslide_lib.study.recipe import recipe
from landslide_lib.study.recipe.classification import Optical
from landslide_lib.study.reports import reports
from landslide_lib.study.tasks.classification import network_of

FACTS = {name: {key: fact.value for key, fact in reports()[name].facts.items()} for name in ("fusion", "filter")}
CLOUDY = ("R", "G", "B", "NIR", "clouds", *(band for band in ZINDI if "V" in band))


def parameters(network: nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_the_branch_of_the_radar_is_as_listed():
    made, facts = radar_branch(FACTS["fusion"]["sar"]), FACTS["fusion"]
    convolutions = [layer for layer in made if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == facts["sar_layers"]
    assert [layer.in_channels for layer in convolutions[:1]] == [facts["sar"]]
    assert convolutions[0].out_channels == facts["sar_width"]
    assert convolutions[-1].out_channels == facts["sar_features"]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    names = [type(layer).__name__ for layer in made]
    block = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert names == [*block, "MaxPool2d", *block, "MaxPool2d", *block, "AdaptiveAvgPool2d", "Flatten"]


def test_the_gate_of_the_large_network_has_the_widths_of_the_report():
    with torch.device("meta"):
        made = Fusion(ZINDI, "efficientnetv2_l")
    first, last = (layer for layer in made.gate if isinstance(layer, nn.Linear))
    facts = FACTS["fusion"]
    assert made.widths == {"optical": facts["optical_features"], "radar": facts["sar_features"]}
    assert (first.in_features, first.out_features) == (facts["gate_input"], facts["gate_hidden"])
    assert (last.in_features, last.out_features) == (facts["gate_hidden"], facts["gate_output"])
    assert facts["gate_hidden"] == HIDDEN
    assert (ENCODERS["efficientnetv2_l"].image_size, ENCODERS["efficientnet_b5"].image_size) == (
        facts["v2l_size"],
        facts["b5_size"],
    )


def test_every_encoder_that_a_recipe_can_name_is_there():
    assert set(get_args(Optical)) <= set(ENCODERS)


def test_the_widths_of_the_gate_follow_the_encoder():
    with torch.device("meta"):
        made = Fusion(ZINDI, "efficientnet_b5")
    width = made.encoder.num_features + FACTS["fusion"]["sar_features"]
    assert made.gate[0].in_features == width + 1
    assert made.gate[2].out_features == made.classifier[-1].in_features == width


@pytest.mark.parametrize("pyramid", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_the_network_with_a_pyramid_has_under_a_million_parameters(pyramid, shared):
    made = PyramidTiles(CLOUDY, pyramid=pyramid, shared=shared)
    assert 1e5 < parameters(made) < FACTS["filter"]["parameters"] * 1e6
    assert len(made.places["optical"]) == FACTS["filter"]["optical"]
    levels = [len(one) for one in made.branches.values()]
    assert set(levels) == {FACTS["filter"]["levels"]}


def test_a_shared_branch_is_one_and_needs_as_many_bands_of_both_passes():
    own, shared = (PyramidTiles(CLOUDY, shared=how) for how in (False, True))
    assert shared.branches["desc"] is shared.branches["asc"]
    assert parameters(shared) < parameters(own)
    with pytest.raises(ValueError, match="as many bands of both, not 2 of desc and 1 of asc"):
        PyramidTiles(("VV_desc", "VH_desc", "VV_asc"), shared=True)


@pytest.mark.parametrize("model", ["gated", "concatenated", "pyramid", "conventional"])
@pytest.mark.parametrize("modalities", ["all", "optical", "radar"])
def test_a_network_looks_at_the_bands_of_its_modalities_and_at_all_of_them(model, modalities):
    wanted = recipe(
        {"task": "classification", "dataset": "synthetic-zindi"},
        {"model": model, "modalities": modalities, "tiny": True, "optical_size": 32, "encoder": "resnet18"},
    )
    torch.manual_seed(0)
    made = network_of(wanted).eval()
    images = torch.randn(2, wanted.channels, 32, 32, requires_grad=True)
    logits = made(images)
    assert logits.shape == (2, 1, 1, 1)
    logits.sum().backward()
    assert (images.grad.abs().amax((0, 2, 3)) > 0).all()
    assert wanted.channels == {"all": 12, "optical": 4, "radar": 8}[modalities]


def test_a_gate_weighs_between_0_and_1_and_hears_of_the_brightness():
    torch.manual_seed(0)
    made = Fusion(ZINDI, "resnet18", 32, tiny=True).eval()
    images = torch.randn(2, 12, 32, 32)
    features = made.features(images)
    weights = made.weigh(features, images)
    assert weights.shape == features.shape
    assert ((weights > 0) & (weights < 1)).all()
    brighter = images.clone()
    brighter[:, :3] += 1
    assert not torch.allclose(made.weigh(features, brighter), weights)
    warmer = images.clone()
    warmer[:, 3] += 1  # near infrared is not seen
    assert torch.equal(made.weigh(features, warmer), weights)
    plain = Fusion(RGB, "resnet18", 32, gated=False, tiny=True).eval()
    assert plain.weigh(torch.ones(2, 24), images[:, :3]).unique().tolist() == [1.0]
