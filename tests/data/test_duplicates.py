"""Images that are the same, byte for byte: found, named, kept on one side."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from landslide_lib import cli
from landslide_lib.data.formats.duplicates import across, copies, together
from landslide_lib.data.registry import get_dataset, load_packed
from landslide_lib.data.split import Split, split
from landslide_lib.data.statistics import verify_files

VOC = get_dataset("voc")


@pytest.fixture
def shipped(tmp_path, make):
    """Eleven pictures in three parts: five pairs of the same, four of them across parts."""
    draw = np.random.default_rng(5)
    pairs = {"train/a": "test/a", "train/b": "test/x", "train/c": "valid/c", "valid/d": "test/d", "train/e": "train/f"}
    for name in (*pairs, "train/other"):
        image = tmp_path / f"{name}.png"
        make["picture"](image, draw.integers(0, 256, (24, 24, 3), np.uint8))
        for other in filter(None, [pairs.get(name)]):
            (tmp_path / other).parent.mkdir(exist_ok=True)
            shutil.copy(image, tmp_path / f"{other}.png")
    for image in tmp_path.rglob("*.png"):
        image.with_suffix(".txt").write_text("")
    return tmp_path


def test_verify_counts_and_names_the_copies(shipped):
    verdict = verify_files(VOC, shipped)
    assert (verdict.images, len(verdict.remarks)) == (11, 2)
    assert "train/e = train/f" in verdict.remarks[0]
    done = CliRunner().invoke(cli.app, ["data", "verify", "voc", "--data-root", str(shipped)])
    assert done.exit_code == 0
    assert "5 sets of images that are the same, byte for byte (train/a = test/a;" in done.output
    assert "the publisher's split leaks: 4 sets of images" in done.output
    done = CliRunner().invoke(cli.app, ["data", "make", "voc", "--data-root", str(shipped)])
    assert "the publisher's split leaks: 4 sets of images" in done.output


def test_a_publishers_split_says_that_it_leaks_and_ours_does_not_leak(shipped, cache, capsys):
    packed = load_packed(VOC, 16, root=shipped, cache=cache)
    split(packed, Split(method="published"))
    assert "voc: 4 sets of images" in capsys.readouterr().err
    for fold in range(3):
        parts = split(packed, Split(folds=3, fold=fold, validation=0.5))
        side = {packed.ids[i]: part for part, some in parts.items() for i in some}
        assert across(packed.copies, side) == ()
    assert capsys.readouterr().err == ""


def test_files_of_one_size_and_other_bytes_are_no_copies(tmp_path):
    samples = VOC.samples
    for name, data in (("a", b"1234"), ("b", b"1235"), ("c", b"1234")):
        (tmp_path / f"{name}.png").write_bytes(data)
        (tmp_path / f"{name}.txt").write_text("")
    assert copies(samples(tmp_path)) == (("a", "c"),)


def test_scenes_that_share_images_become_one():
    names = together("abcde", ["1", "2", "3", "4", "5"], (("1", "3"), ("3", "4")))
    assert names[0] == names[2] == names[3]
    assert len(set(names)) == 3


@pytest.mark.parametrize("name", ["bijie", "uav", "landslide4sense-boxes"])
def test_the_published_records_are_of_data_without_copies(real, name):
    """So that no split that a published record is of has changed."""
    if not (real / name).is_dir():
        pytest.skip(f"no {name}/ below {real}")
    assert copies(get_dataset(name).samples(real)) == ()
