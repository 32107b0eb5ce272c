"""Pseudo-labels: what networks are sure of, and how right they are."""

import numpy as np
import torch
from torch import nn

from landslide_lib.training import adaptation
from landslide_lib.training.adaptation import IGNORE_INDEX as OPEN


class Fixed(nn.Module):
    """A network that always says the same probability of every pixel, by the image's value."""

    def forward(self, images):
        return images[:, :1].logit()


def test_labels_are_what_the_mean_is_sure_of():
    values = torch.tensor([0.9, 0.7, 0.69, 0.5, 0.31, 0.3, 0.05])
    batch = values.view(1, 1, 1, 7)
    labels = adaptation.labels_of([Fixed(), Fixed()], [(batch, torch.zeros(1, 1, 1, 7))], 0.7)
    assert labels.tolist() == [[[1, 1, OPEN, OPEN, OPEN, 0, 0]]]
    lax = adaptation.labels_of([Fixed()], [(batch, torch.zeros(1, 1, 1, 7))], 0.3)
    assert lax.tolist() == [[[1, 1, 1, 1, 1, 1, 0]]]  # landslide goes before background


def test_the_mean_of_one_network_is_that_network():
    images = torch.rand(2, 3, 8, 8) * 0.9 + 0.05
    assert torch.allclose(adaptation.mean_probability([Fixed()], images), images[:, :1], atol=1e-6)


def test_quality_has_none_where_nothing_is_called():
    nothing = np.zeros((1, 2, 2), np.uint8)
    assert adaptation.quality(nothing, nothing) == {"coverage": 1.0, "precision": None, "recall": None, "missed": None}
