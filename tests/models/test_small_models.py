"""What small networks hold and cost: counted by hand."""

import torch
from torch import nn

from landslide_lib.study import edge
from landslide_lib.study.recipe import recipe
from landslide_lib.study.tasks.segmentation import model_of


def test_multiply_adds_are_those_of_each_convolution_at_its_resolution():
    wanted = recipe({"dataset": "bijie", "width": 4, "image_size": 32})
    network, places = model_of(wanted, 3), []

    def note(layer, _, out):
        # A transposed convolution with a stride as long as its kernel touches each output once.
        pixels = out.shape[2] * out.shape[3]
        spread = layer.stride[0] ** 2 if isinstance(layer, nn.ConvTranspose2d) else 1
        places.append(layer.weight.numel() * pixels // spread)

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(note)
    network.eval()(torch.zeros(1, 3, 32, 32))
    found = edge.cost(wanted)
    assert found["multiply_adds"] == sum(places)
    assert found["parameters"] == sum(p.numel() for p in network.parameters())


def test_twice_the_side_takes_four_times_the_work_and_no_more_parameters():
    one, two = (edge.cost(recipe({"dataset": "bijie", "width": 4, "image_size": size})) for size in (32, 64))
    assert two["multiply_adds"] == 4 * one["multiply_adds"]
    assert two["parameters"] == one["parameters"]


def test_counting_a_network_that_starts_from_imagenet_needs_no_weights():
    layers = {"dataset": "bijie", "width": 4, "image_size": 32, "model": "efficientnet_lite0"}
    assert edge.cost(recipe({**layers, "start": {"name": "imagenet"}})) == edge.cost(recipe(layers))
