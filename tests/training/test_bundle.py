"""A trained network as one file: what is read is what was written, and what is damaged is refused."""

import pytest
import torch
from safetensors.torch import save_file

from landslide_lib.models import MODELS
from landslide_lib.training.bundle import load_bundle, save_bundle

BUILD = {"model": "unet", "in_channels": 3, "width": 4}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MODELS["unet"](in_channels=3, width=4).eval()


def written(path, network, **change):
    shift, scale = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.0, 2.0, 4.0])
    fields = {"bands": ("R", "G", "B"), "shift": shift, "scale": scale, "threshold": 0.4, "post_processing": []}
    fields |= {"metres_per_pixel": 10.0, "units": [255.0, 255.0, 255.0]}
    return save_bundle(path, network, BUILD, **(fields | {"about": {"size": 32}} | change))


def test_what_is_read_predicts_as_what_was_written(tmp_path, network):
    read = load_bundle(written(tmp_path / "a.safetensors", network))
    images = torch.rand(2, 3, 32, 48)
    shift, scale = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.0, 2.0, 4.0])
    with torch.no_grad():
        truth = network((images - shift[:, None, None]) / scale[:, None, None]).sigmoid()
    assert read.predict(images).shape == (2, 1, 32, 48)
    torch.testing.assert_close(read.predict(images), truth, rtol=0, atol=2e-3)  # of half precision
    assert (read.bands, read.threshold, read.about) == (("R", "G", "B"), 0.4, {"size": 32})
    assert (read.metres_per_pixel, read.units, read.temperature, read.bounds) == (10.0, (255.0,) * 3, 1.0, {})


def test_the_mean_over_turns_turns_with_the_image(tmp_path, network):
    read = load_bundle(written(tmp_path / "a.safetensors", network, post_processing=[{"name": "multi_angles"}]))
    plain = load_bundle(written(tmp_path / "b.safetensors", network))
    images = torch.rand(1, 3, 32, 32)
    turned = images.rot90(1, (2, 3))
    torch.testing.assert_close(read.predict(turned), read.predict(images).rot90(1, (2, 3)), rtol=0, atol=1e-5)
    assert not torch.allclose(plain.predict(turned), plain.predict(images).rot90(1, (2, 3)), atol=1e-5)


def test_what_is_no_such_file_is_refused_by_name(tmp_path, network):
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors is not there; trained networks by name: "):
        load_bundle("absent")
    other = tmp_path / "other.safetensors"
    save_file(network.state_dict(), other)
    whole = written(tmp_path / "whole.safetensors", network)
    short, renamed = tmp_path / "short.safetensors", tmp_path / "renamed.safetensors"
    short.write_bytes(whole.read_bytes()[:-100])
    renamed.write_bytes(whole.read_bytes().replace(b'\\"width\\": 4', b'\\"width\\": 8'))
    for path in (other, short, renamed):
        with pytest.raises(ValueError, match=rf"{path.name}: damaged or no trained network"):
            load_bundle(path)


def test_a_weight_that_half_precision_cannot_hold_is_refused(tmp_path, network):
    next(one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)).running_var.fill_(1e6)
    with pytest.raises(ValueError, match=r"running_var of the network is too large for half precision"):
        written(tmp_path / "a.safetensors", network)
    assert not list(tmp_path.iterdir())
