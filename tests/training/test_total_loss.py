"""The loss of what a network gives: one mask, several resolutions, a dual head."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landslide_lib.training.segmentation import total_loss

LOSS = nn.BCEWithLogitsLoss()


def masks(size=32):
    made = torch.zeros(2, 1, size, size)
    made[0, :, 4:13, 8:20] = 1
    return made


def test_the_loss_of_a_mask_is_its_loss():
    logits = torch.randn(2, 1, 32, 32)
    assert total_loss(LOSS, logits, masks()) == LOSS(logits, masks())


def test_a_second_map_of_logits_counts_four_tenths_of_the_first():
    logits, y = torch.randn(2, 2, 32, 32), masks()
    expected = LOSS(logits[:, :1], y) + 0.4 * LOSS(logits[:, 1:], y)
    torch.testing.assert_close(total_loss(LOSS, logits, y), expected)


def test_the_images_own_resolution_counts_half_and_the_others_a_quarter_each():
    """Masks that agree at every resolution, so that each loss can be computed by hand."""
    y = torch.zeros(2, 1, 32, 32)
    y[:, :, 8:16, 8:24] = 1
    sizes = {
        "mask": (32, y),
        "half": (16, y[:, :, ::2, ::2]),
        "double": (64, y.repeat_interleave(2, 2).repeat_interleave(2, 3)),
    }
    outputs = {name: torch.randn(2, 1, size, size) for name, (size, _) in sizes.items()}
    mask, half, double = (float(LOSS(outputs[name], target)) for name, (_, target) in sizes.items())
    assert total_loss(LOSS, outputs, y) == pytest.approx(mask / 2 + half / 4 + double / 4)


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
    expected = LOSS(logits, y) + F.binary_cross_entropy_with_logits(image, torch.tensor([[1.0], [0.0]]))
    assert total_loss(LOSS, {"mask": logits, "image": image}, y) == pytest.approx(float(expected))
