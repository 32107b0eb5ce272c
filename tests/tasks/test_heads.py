"""Heads: what is trained, what is scored, and that a mono head is what it was."""

import pytest
import torch
from torch import nn

from landslide_lib.models import MODELS
from landslide_lib.models.heads import HEADS, mask_of
from landslide_lib.study.recipe import recipe
from landslide_lib.study.tasks.segmentation import model_of
from landslide_lib.training.segmentation import total_loss

BASE = {"dataset": "bijie", "width": 4, "image_size": 32}
LOSS = nn.BCEWithLogitsLoss()


def masks(size=32):
    made = torch.zeros(2, 1, size, size)
    made[0, :, 4:13, 8:20] = 1
    return made


@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_gives_a_mask_of_the_images_own_size_and_learns_through_all_it_gives(head):
    torch.manual_seed(0)
    network = model_of(recipe(BASE, {"head": head}), bands=3)
    outputs = network(torch.randn(2, 3, 32, 32))
    assert mask_of(outputs).shape == (2, 1, 32, 32)
    total_loss(LOSS, outputs, masks()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_mono_head_is_the_network_itself():
    torch.manual_seed(0)
    plain = MODELS["unet"](in_channels=3, width=4)
    torch.manual_seed(0)
    made = model_of(recipe(BASE, {"upsampling": "nearest"}), bands=3)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), made.parameters(), strict=True))
    outputs = made(torch.zeros(1, 3, 32, 32))
    assert mask_of(outputs) is outputs


def test_a_recipe_with_a_head_names_it_as_a_component_and_one_without_does_not():
    assert "head/dual" in recipe(BASE, {"head": "dual"}).components
    assert not any(name.startswith("head/") for name in recipe(BASE).components)
