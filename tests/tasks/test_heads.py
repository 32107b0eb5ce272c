"""Heads: what is trained, what is scored, and that a mono head is what it was."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landslide_lib.models import MODELS
from landslide_lib.models.heads import HEADS, mask_of
from landslide_lib.recipe import recipe
from landslide_lib.tasks.segmentation import model_of
from landslide_lib.training.optimizers import OPTIMIZERS
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
    made = model_of(recipe(BASE), bands=3)
    assert all(
        torch.equal(a, b) for a, b in zip(plain.parameters(), made.parameters(), strict=True)
    )
    outputs = made(torch.zeros(1, 3, 32, 32))
    assert mask_of(outputs) is outputs


def test_the_objective_of_a_mask_is_its_loss():
    logits = torch.randn(2, 1, 32, 32)
    assert total_loss(LOSS, logits, masks()) == LOSS(logits, masks())


def test_the_objective_of_several_resolutions_is_the_mean_of_their_losses():
    """Masks that agree at every resolution, so that each loss can be computed by hand."""
    y = torch.zeros(2, 1, 32, 32)
    y[:, :, 8:16, 8:24] = 1
    sizes = {"mask": (32, y), "half": (16, y[:, :, ::2, ::2]),
             "double": (64, y.repeat_interleave(2, 2).repeat_interleave(2, 3))}  # fmt: skip
    outputs = {name: torch.randn(2, 1, size, size) for name, (size, _) in sizes.items()}
    by_hand = [LOSS(outputs[name], target) for name, (_, target) in sizes.items()]
    assert total_loss(LOSS, outputs, y) == pytest.approx(float(sum(by_hand)) / 3)


def test_a_coarse_pixel_is_landslide_where_half_of_it_is():
    y = torch.zeros(1, 1, 4, 4)
    y[0, 0, 0, :2] = 1  # two of four: landslide
    y[0, 0, 3, 3] = 1  # one of four: not
    sure = torch.full((1, 1, 2, 2), -20.0)
    sure[0, 0, 0, 0] = 20.0
    right = {"mask": torch.where(y > 0, 20.0, -20.0), "half": sure}
    assert total_loss(LOSS, right, y) < 1e-6


def test_a_dual_head_is_told_which_images_hold_a_landslide():
    y, logits = masks(), torch.randn(2, 1, 32, 32)
    image = torch.tensor([[2.0], [-1.0]])
    expected = LOSS(logits, y) + F.binary_cross_entropy_with_logits(
        image, torch.tensor([[1.0], [0.0]])
    )
    assert total_loss(LOSS, {"mask": logits, "image": image}, y) == pytest.approx(float(expected))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_of_a_recipe_takes_a_step_downhill(name):
    how = recipe(BASE, {"optimizer": {"name": name}}).optimizer
    weight = nn.Parameter(torch.tensor([3.0, -2.0]))
    made = OPTIMIZERS[name]([weight], lr=how.lr, weight_decay=how.weight_decay)
    before = weight.square().sum()
    before.backward()
    made.step()
    assert weight.square().sum() < before


def test_a_recipe_with_a_head_names_it_as_a_component_and_one_without_does_not():
    assert "head/dual" in recipe(BASE, {"head": "dual"}).components
    assert not any(name.startswith("head/") for name in recipe(BASE).components)
