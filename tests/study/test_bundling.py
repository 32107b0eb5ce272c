"""`landslide bundle`: the network of a row that was trained here as a file that `landslide predict` takes."""

import pytest
import torch
from typer.testing import CliRunner

from landslide_lib import cli
from landslide_lib.data.registry import get_dataset
from landslide_lib.study import runs
from landslide_lib.study.tasks.run import weights_of
from landslide_lib.training.bundle import load_bundle

ROW = ["raunet/losses", "--row", "ce", "--dataset", "bijie", "--profile", "smoke"]


def landslide(*words):
    done = CliRunner().invoke(cli.app, list(words))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.fixture
def trained(bijie, tmp_path, monkeypatch):
    """A row that was trained here; where its bundle will lie."""
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path / "runs"))
    assert landslide("train", *ROW)[0] == 0
    return tmp_path / "net.safetensors"


def test_the_file_says_what_was_trained_and_its_network_is_the_one_of_the_run(trained):
    status, text = landslide("bundle", *ROW, "--out", str(trained))
    assert status == 0, text
    (path,) = (trained.parent / "runs" / "records").glob("*.json")
    (record,) = (one for one in runs.open_store().all() if one.name == path.stem)
    made = load_bundle(trained)
    assert made.bands == ("R", "G", "B")
    assert made.units == (255.0,) * 3
    assert made.threshold == record.test_tuned.threshold
    assert made.about["record"] == record.name
    assert made.metres_per_pixel == pytest.approx(0.8 * 32 / record.recipe.image_size)  # the pictures have 32 pixels
    assert set(made.bounds) <= {"0.05", "0.1", "0.2"}
    ours = made.network.state_dict()
    theirs = weights_of(record, runs.open_store().weights(record), record.fingerprint)
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        torch.testing.assert_close(value.float(), theirs[name].half().float(), rtol=0, atol=0)
    card = trained.with_suffix(".md").read_text()
    assert record.name in card
    assert "table `raunet/losses`, row `ce`, seed 0" in card


def test_the_ground_size_of_a_pixel_is_asked_for_where_nobody_says_it(trained, monkeypatch):
    assert landslide("bundle", *ROW, "--out", str(trained), "--metres", "2.5")[0] == 0
    assert load_bundle(trained).metres_per_pixel == 2.5
    monkeypatch.setattr(type(get_dataset("bijie")), "metres_per_pixel", None)
    status, text = landslide("bundle", *ROW, "--out", str(trained))
    assert status == 2
    assert "give --metres" in text


def test_what_was_not_trained_here_or_has_several_masks_is_refused(trained):
    status, text = landslide("bundle", *ROW, "--seed", "7", "--out", str(trained))
    assert status == 2
    assert "the weights of seed 7 are not here; `landslide weights` gets them" in text
    heads = ["raunet/heads", "--row", "multi-resolution", "--dataset", "bijie", "--profile", "smoke"]
    status, text = landslide("bundle", *heads, "--out", str(trained))
    assert status == 2
    assert "a bundle takes a segmentation whose head is mono" in text
    assert not trained.exists()
