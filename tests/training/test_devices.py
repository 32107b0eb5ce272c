"""The device to train on, and what is said where there is none."""

import pytest
import torch

from landslide_lib.training.devices import device


def test_a_device_that_is_not_here_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match="use auto or cpu"):
        device(f"cuda:{torch.cuda.device_count()}")
    assert device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x"])
def test_an_unknown_device_is_refused_with_those_there_are(name):
    with pytest.raises(ValueError, match="unknown; allowed: auto, cpu, cuda, cuda:N"):
        device(name)
