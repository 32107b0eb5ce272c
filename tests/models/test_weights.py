"""What an encoder starts from: checkpoints made here, in the layouts of published ones."""

import argparse
import os
import pickle
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from landslide_lib.models.encoders import encoder
from landslide_lib.models.weights import start

FAMILIES = ["resnet18", "efficientnet_b0", "vit_tiny", "swin_tiny"]
FILE = Path("theirs.pth")
IMAGENET = "imagenet"
WIDTH, DEPTH = 32, 2


def tiny(name: str = "vit_tiny", size: int = 64, bands: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return encoder(name, bands, size, tiny=True)


def placed(root: Path, content: object, name: str = FILE.name) -> Path:
    path = root / "weights" / name
    path.parent.mkdir(exist_ok=True)
    torch.save(content, path)
    return path


def equal(one: nn.Module, state: dict[str, Tensor]) -> bool:
    own = one.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[key], state[key]) for key in own)


def vit_of(prefix: str = "", grid: int = 14) -> dict[str, Tensor]:
    """Return random weights by the names that timm, MAE and SatMAE share."""
    shapes = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + grid**2, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 16, 16),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    for i in range(DEPTH):
        shapes |= {
            f"blocks.{i}.{layer}.{what}": shape
            for layer, out, inside in (
                ("attn.qkv", 3 * WIDTH, WIDTH),
                ("attn.proj", WIDTH, WIDTH),
                ("mlp.fc1", 4 * WIDTH, WIDTH),
                ("mlp.fc2", WIDTH, 4 * WIDTH),
            )
            for what, shape in (("weight", (out, inside)), ("bias", (out,)))
        }
        shapes |= {f"blocks.{i}.norm{k}.{what}": (WIDTH,) for k in (1, 2) for what in ("weight", "bias")}
    return {prefix + name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "encoder.", "visual.", "module.backbone."])
@pytest.mark.parametrize("name", FAMILIES)
def test_weights_are_found_below_any_wrapper_and_prefix(tmp_path, name, prefix, wrapper):
    theirs = tiny(name, seed=1).state_dict()
    content = {prefix + key: value for key, value in theirs.items()}
    content["head_of_theirs.weight"] = torch.zeros(1000, 8)
    placed(tmp_path, {wrapper: content, "epoch": 7} if wrapper else content)
    ours = tiny(name)
    assert not equal(ours, theirs)
    loaded = start(ours, FILE, tmp_path)
    assert equal(ours, theirs)
    assert loaded["share"] == 1
    assert (loaded["missing"], loaded["mismatched"]) == ([], {})
    assert loaded["taken"] == len(theirs)
    assert loaded["unexpected"] == ([] if prefix else ["head_of_theirs.weight"])


def test_safetensors_are_read(tmp_path):
    theirs = tiny(seed=1).state_dict()
    (tmp_path / "weights").mkdir()
    save_file(theirs, tmp_path / "weights" / "a.safetensors")
    ours = tiny()
    start(ours, Path("a.safetensors"), tmp_path)
    assert equal(ours, theirs)


def test_a_satmae_is_taken_without_its_decoder(tmp_path):
    theirs = vit_of()
    decoder = {
        "mask_token": torch.zeros(1, 1, 16),
        "decoder_pos_embed": torch.zeros(1, 197, 16),
        "decoder_embed.weight": torch.zeros(16, WIDTH),
        "decoder_blocks.0.attn.qkv.weight": torch.zeros(48, 16),
        "decoder_pred.weight": torch.zeros(768, 16),
    }
    arguments = argparse.Namespace(mask_ratio=0.75)  # as its training script leaves them
    placed(tmp_path, {"model": theirs | decoder, "epoch": 799, "args": arguments})
    ours = tiny(size=128)
    loaded = start(ours, FILE, tmp_path)
    assert loaded["share"] == 1
    assert set(loaded["unexpected"]) <= set(decoder)
    own = ours.state_dict()
    for key in set(theirs) - {"pos_embed"}:
        assert torch.equal(own[key], theirs[key]), key
    resized = resample_abs_pos_embed(theirs["pos_embed"], [8, 8])
    torch.testing.assert_close(own["pos_embed"], resized)


@pytest.mark.parametrize("patch", [14, 16])
def test_the_image_tower_of_an_open_clip_is_taken_by_its_own_names(tmp_path, patch):
    """SkyScript's checkpoint: both towers under state_dict, below `module.`, of patches of 14 pixels."""
    theirs = tiny("vit_large_clip", seed=1).state_dict()
    names = [("norm_pre", "ln_pre"), ("patch_embed.proj", "conv1"), ("blocks.", "transformer.resblocks.")]
    names += [("attn.qkv.", "attn.in_proj_"), ("attn.proj", "attn.out_proj"), ("mlp.fc1", "mlp.c_fc")]
    names += [("mlp.fc2", "mlp.c_proj"), ("pos_embed", "positional_embedding"), (".norm", ".ln_")]
    content = {"module.logit_scale": torch.ones(()), "module.visual.proj": torch.ones(WIDTH, 16)}
    for key, value in theirs.items():
        for ours, clip in names:
            key = key.replace(ours, clip)
        key = key.replace("cls_token", "class_embedding").replace("norm.", "ln_post.")
        value = value.flatten() if "class_embedding" in key else value[0] if "positional" in key else value
        content[f"module.visual.{key}"] = value
    kernel = torch.full((WIDTH, 3, patch, patch), 0.25)
    content["module.visual.conv1.weight"] = kernel
    placed(tmp_path, {"epoch": 20, "name": "ViT-L-14", "state_dict": content})
    ours = tiny("vit_large_clip")
    loaded = start(ours, FILE, tmp_path)
    assert (loaded["share"], loaded["missing"], loaded["mismatched"]) == (1, [], {})
    own = ours.state_dict()
    for key in set(theirs) - {"patch_embed.proj.weight"}:
        assert torch.equal(own[key], theirs[key]), key
    assert own["patch_embed.proj.weight"].shape == (WIDTH, 3, 16, 16)
    assert torch.equal(own["patch_embed.proj.weight"], kernel) is (patch == 16)


@pytest.mark.parametrize(("name", "first"), [("resnet18", "conv1"), ("vit_tiny", "patch_embed.proj")])
def test_three_bands_become_any_number(tmp_path, name, first):
    theirs = tiny(name, seed=1).state_dict()
    placed(tmp_path, theirs)
    ours = tiny(name, bands=5)
    assert start(ours, FILE, tmp_path)["share"] == 1
    of_three = theirs[f"{first}.weight"]
    made = ours.state_dict()[f"{first}.weight"]
    torch.testing.assert_close(made, of_three[:, [0, 1, 2, 0, 1]] * 3 / 5)


def test_a_swin_of_another_image_size_has_its_windows_resized(tmp_path):
    """A bias that grows with the distance downwards does so in windows of another size."""
    theirs = tiny("swin_tiny", size=224, seed=1).state_dict()
    key = "layers.0.blocks.0.attn.relative_position_bias_table"
    theirs[key] = torch.arange(-6.0, 7).repeat_interleave(13)[:, None]
    placed(tmp_path, theirs)
    ours = tiny("swin_tiny", size=64)
    loaded = start(ours, FILE, tmp_path)
    assert loaded["share"] == 1
    assert loaded["mismatched"] == {}
    table = ours.state_dict()[key].view(15, 15)
    torch.testing.assert_close(table, table[:, :1].expand(15, 15))  # the same across
    assert (table[:, 0].diff() > 0).all()
    torch.testing.assert_close(table[7], torch.zeros(15), atol=1e-4, rtol=0)
    torch.testing.assert_close(table, -table.flip(0), atol=1e-4, rtol=0)


def test_tensors_of_another_shape_are_listed_and_left_out(tmp_path):
    theirs = tiny(seed=1).state_dict()
    theirs["norm.weight"] = torch.zeros(7)
    del theirs["norm.bias"]
    placed(tmp_path, theirs)
    ours = tiny()
    before = ours.state_dict()["norm.weight"].clone()
    loaded = start(ours, FILE, tmp_path)
    assert loaded["mismatched"] == {"norm.weight": [[7], [WIDTH]]}
    assert loaded["missing"] == ["norm.bias"]
    assert 0.99 < loaded["share"] < 1
    assert torch.equal(ours.state_dict()["norm.weight"], before)


@pytest.mark.parametrize("theirs", ["resnet18", "swin_tiny"])
def test_another_networks_weights_are_refused_and_nothing_is_changed(tmp_path, theirs):
    path = placed(tmp_path, tiny(theirs).state_dict())
    ours = tiny()
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(ValueError, match="another network's") as error:
        start(ours, FILE, tmp_path)
    assert str(path) in str(error.value)
    assert "Missing: " in str(error.value)
    assert equal(ours, before)


def test_an_encoder_that_would_stay_mostly_random_is_refused_and_a_little_is_said(tmp_path, capsys):
    state = tiny().state_dict()
    most = dict(sorted(state.items(), key=lambda item: -item[1].numel())[:2])
    placed(tmp_path, most)
    with pytest.raises(ValueError, match="at least 95% have to be"):
        start(tiny(), FILE, tmp_path)
    placed(tmp_path, {name: value for name, value in state.items() if name != "norm.bias"})
    assert start(tiny(), FILE, tmp_path)["missing"] == ["norm.bias"]
    assert "what it lacks stays random. Missing: norm.bias." in capsys.readouterr().err


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    state = tiny().state_dict()
    state["norm.bias"] = torch.full_like(state["norm.bias"], torch.nan)
    path = placed(tmp_path, state)
    with pytest.raises(ValueError, match=r"holds NaN or infinity in norm\.bias") as error:
        start(tiny(), FILE, tmp_path)
    assert str(path) in str(error.value)


def test_code_in_a_checkpoint_is_never_run(tmp_path):
    class Foreign:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'it_ran'}",)

    path = placed(tmp_path, {"model": tiny().state_dict(), "hook": Foreign()})
    with pytest.raises(ValueError, match="code in it could be run"):
        start(tiny(), FILE, tmp_path)
    path.write_bytes(pickle.dumps(Foreign()))  # the older format, a bare pickle
    with pytest.raises(ValueError):
        start(tiny(), FILE, tmp_path)
    assert not (tmp_path / "it_ran").exists()
    torch.load(placed(tmp_path, Foreign(), "again.pth"), weights_only=False)
    assert (tmp_path / "it_ran").exists()  # it would have


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04cut off"])
@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_a_damaged_file_is_one_clear_error(tmp_path, name, content):
    path = placed(tmp_path, {}, name)
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        start(tiny(), Path(name), tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [[1, 2], {}, {"model": {}}, {"epoch": 3}])
def test_a_file_without_weights_is_refused(tmp_path, content):
    placed(tmp_path, content)
    with pytest.raises(ValueError, match=FILE.name):
        start(tiny(), FILE, tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        start(tiny(), FILE, tmp_path)
    assert str(tmp_path / "weights" / FILE.name) in str(error.value)


@pytest.mark.parametrize("name", FAMILIES)
def test_imagenet_without_a_network_says_which_file_goes_where(tmp_path, monkeypatch, name):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    ours = encoder(name, 3, 64)
    source = ours.pretrained_cfg["hf_hub_id"]
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(FileNotFoundError) as error:
        start(ours, IMAGENET, tmp_path)
    assert source in str(error.value)
    path = tmp_path / "weights" / f"{source.removeprefix('timm/')}.safetensors"
    assert f"model.safetensors here: {path}" in str(error.value)
    assert equal(ours, before)

    theirs = encoder(name, 3, 64).state_dict()
    path.parent.mkdir()
    save_file(theirs, path)
    assert start(ours, IMAGENET, tmp_path)["source"] == path.name
    assert equal(ours, theirs)


def test_a_run_of_ours_has_to_hold_all_of_the_encoder():
    theirs = {f"encoder.{key}": value for key, value in tiny(seed=1).state_dict().items()}
    theirs["head.weight"] = torch.zeros(2, WIDTH)
    ours = tiny()
    assert start(ours, theirs)["unexpected"] == []
    del theirs["encoder.norm.weight"]
    with pytest.raises(ValueError, match=r"norm\.weight"):
        start(ours, theirs)
