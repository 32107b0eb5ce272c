"""Files of tensors: read without running code, and refused where they are not what is asked for."""

import os
import pickle

import pytest
import torch
from torch import nn

from landslide_lib.models.checkpoints import fill, load_weights, read_checkpoint, save_weights


class Evil:
    def __reduce__(self):
        return os.getenv, ("HOME",)


def test_a_checkpoint_with_code_in_it_is_refused(tmp_path):
    torch.save({"state_dict": {}, "evil": Evil()}, tmp_path / "last.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        read_checkpoint(tmp_path / "last.ckpt")


def test_weights_come_back_bit_for_bit_and_only_to_what_they_are_of(tmp_path):
    path, network = tmp_path / "a.pt", nn.Conv2d(3, 1, 1)
    save_weights(path, network, recipe={"width": 4}, seed=0)
    read = load_weights(path, recipe={"width": 4}, seed=0)
    assert all(torch.equal(value, read[name]) for name, value in network.state_dict().items())
    assert load_weights(path, recipe=None, seed=0).keys() == read.keys()  # None is anything
    with pytest.raises(ValueError, match=r"a\.pt: the weights are of another recipe, seed\. Move"):
        load_weights(path, recipe={"width": 8}, seed=1)
    with pytest.raises(ValueError, match=r"a\.pt: damaged \(its tensors are not those of"):
        fill(nn.Conv2d(4, 1, 1), read, path)
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "none.pt")
