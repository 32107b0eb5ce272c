"""Boxes: of the Landslide4Sense tiles in pixels of the picture, and those of any packed dataset."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from landslide_lib.data import bands
from landslide_lib.data.boxes import MIN_AREA, around, load_boxes
from landslide_lib.data.formats.boxes import read_objects
from landslide_lib.data.registry import (
    DATASETS,
    BadFileError,
    BoxDataset,
    DatasetNotFoundError,
    DownloadError,
    get_dataset,
    load_packed,
)
from landslide_lib.data.split import Split, split
from landslide_lib.data.statistics import verify_files
from tools import describe

BOXES = get_dataset("landslide4sense-boxes")


def xml(*boxes, size=128, name="landslides"):
    """A file as it is met in the wild: corners in the order xmin, xmax, ymin, ymax."""
    things = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><xmax>{c}</xmax><ymin>{b}</ymin>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    return f"<annotation><size><width>{size}</width><height>{size}</height></size>{things}</annotation>"


@pytest.fixture
def root(tmp_path, make):
    """Tiles 1 to 6 over three parts, with a box each."""
    home = tmp_path / "landslide4sense-boxes"
    for number, part in enumerate(("train", "test", "train", "valid", "train", "train"), 1):
        image = np.full((224, 224, 3), 10 * number, np.uint8)
        make["picture"](home / part / f"{number}.jpg", image)
        side = 20 * number
        (home / part / f"{number}.xml").write_text(xml((0, 0, side, side)))
    return tmp_path


def test_the_numbers_run_through_all_parts_and_no_tile_has_a_mask(root):
    samples = BOXES.samples(root)
    assert [s.id for s in samples] == list("123456")
    assert [s.part for s in samples][:4] == ["train", "test", "train", "valid"]
    assert all(s.mask is None for s in samples)
    image, mask = BOXES.read(samples[2])
    assert image.shape == (224, 224, 3)
    assert image.mean() == pytest.approx(30 / 255, abs=0.01)
    assert not mask.any()


def test_tiles_of_all_parts_are_split_or_taken_as_they_are(root, cache):
    packed = load_packed(BOXES, 16, root=root, cache=cache)
    ours = split(packed, Split(method="random", folds=2))
    assert sorted(np.concatenate(list(ours.values()))) == list(range(6))
    theirs = split(packed, Split(method="published"))
    assert {part: indices.tolist() for part, indices in theirs.items()} == {
        "train": [0, 2, 4, 5],
        "valid": [3],
        "test": [1],
    }


def test_what_is_wrong_with_a_tile_is_said(root, make):
    home = root / "landslide4sense-boxes"
    make["picture"](home / "valid" / "3.jpg", np.zeros((224, 224, 3), np.uint8))
    make["picture"](home / "test" / "two.jpg", np.zeros((224, 224, 3), np.uint8))
    whole = (home / "train" / "5.jpg").read_bytes()
    (home / "train" / "5.jpg").write_bytes(whole[:500])
    (home / "train" / "6.xml").write_text(xml((0, 0, 0, 5)))
    (home / "test" / "2.xml").unlink()
    (home / "valid" / "9.xml").write_text(xml())
    said = {p.file.removeprefix(f"{home}/"): p.problem for p in verify_files(BOXES, root).bad}
    assert "has the id '3' of" in said.pop("valid/3.jpg")
    assert said.pop("train/5.jpg").startswith("is truncated")
    assert said == {
        "test/two.jpg": "is not called N.jpg",
        "train/6.xml": "holds the box 0, 0, 0, 5, which has no area",
        "test/2.xml": "cannot be read (No such file or directory)",
        "valid/9.jpg": "is missing",
    }


def test_nothing_there_and_download_say_what_to_do(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="put train/, valid/ and test/ into"):
        BOXES.samples(tmp_path)
    with pytest.raises(DownloadError, match=r"subawocit/cs291k.*data_land4sensor") as error:
        BOXES.download(tmp_path)
    assert str(tmp_path / "landslide4sense-boxes") in str(error.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (xml((5, 0, 5, 10)), "box 5, 0, 5, 10, which has no area"),
        (xml((0, 9, 5, 5)), "which has no area"),
        (xml((0.1, 0, 0.5, 1)), "looks normalised"),
        (xml(("nan", 0, 5, 10)), "without numbers"),
        (xml((0, 0, "1e999", 10)), "without numbers"),
        (xml(("a", 0, 5, 10)), "box without numbers .*'a'"),
        (xml((0, 0, 5, 10)).replace("ymax", "top"), "box without numbers"),
        (xml((0, 0, 5, 10))[:-9], "truncated or no XML"),
        ("", "truncated or no XML"),
        ("<html></html>", "holds <html>, not <annotation>"),
    ],
)
def test_a_file_that_holds_no_such_boxes_is_refused(tmp_path, text, problem):
    (tmp_path / "1.xml").write_text(text)
    with pytest.raises(BadFileError, match=problem) as error:
        read_objects(tmp_path / "1.xml")
    assert error.value.path == tmp_path / "1.xml"


def test_the_sizes_of_boxes_are_those_of_the_files(root):
    facts = describe.of_files(BOXES, BOXES.samples(root))
    assert facts["sizes"]["short"] == [224, 224, 224]
    boxes = facts["boxes"]
    assert boxes["parts"] == {"train": 4, "test": 1, "valid": 1}
    assert boxes["per_tile"] == [1, 1, 1, 1]
    assert boxes["side"] == [20, 45, 70, 95, 120]
    assert sum(boxes["counts"]) == 6
    assert boxes["empty"] == 0


def test_boxes_are_in_pixels_of_the_packed_images(root, cache):
    """`<size>` says 128 and the boxes are in 224 pixels: at 128 px they are scaled by 128 / 224."""
    packed = load_packed(BOXES, 128, root=root, cache=cache)
    boxes = load_boxes(BOXES, packed, root)
    assert len(boxes) == len(packed) == 6
    for i, name in enumerate(packed.ids):
        side = 20 * int(name) * 128 / 224
        np.testing.assert_allclose(boxes.of(i), [[0, 0, side, side]], rtol=1e-6)
    with pytest.raises(IndexError):
        boxes.of(6)


def test_what_was_left_out_when_packing_leaves_the_boxes_of_the_others_in_place(root, cache):
    home = root / "landslide4sense-boxes" / "train"
    (home / "3.xml").write_text("<annotation>")
    with pytest.raises(BadFileError, match=r"3\.xml: is truncated or no XML"):
        load_packed(BOXES, 224, root=root, cache=cache)
    packed = load_packed(BOXES, 224, root=root, cache=cache, skip_bad=True)
    assert [one["file"] for one in packed.excluded] == ["train/3.xml"]
    boxes = load_boxes(BOXES, packed, root)
    assert [boxes.of(i)[0, 2] for i in range(5)] == [20, 40, 80, 100, 120]


def test_a_tile_may_have_no_box_or_many(root, cache):
    home = root / "landslide4sense-boxes" / "train"
    (home / "1.xml").write_text(xml())
    (home / "6.xml").write_text(xml((1, 2, 3, 4), (0, 0, 224, 224)))
    packed = load_packed(BOXES, 224, root=root, cache=cache)
    boxes = load_boxes(BOXES, packed, root)
    assert boxes.of(0).shape == (0, 4)
    assert boxes.of(5).tolist() == [[1, 2, 3, 4], [0, 0, 224, 224]]


def test_a_changed_box_changes_the_fingerprint_of_the_dataset_and_is_noticed(root, cache):
    path = root / "landslide4sense-boxes" / "train" / "5.xml"
    first = load_packed(BOXES, 32, root=root, cache=cache)
    path.write_text(xml((0, 0, 100, 101)))
    with pytest.raises(ValueError, match="not those that were packed; load the dataset anew"):
        load_boxes(BOXES, first, root)
    again = load_packed(BOXES, 32, root=root, cache=cache)
    assert again.fingerprint != first.fingerprint
    assert load_boxes(BOXES, again, root).of(4).tolist() == [[0, 0, np.float32(100 / 7), np.float32(101 / 7)]]
    np.testing.assert_array_equal(again.images, first.images)


def test_the_boxes_of_a_run_that_starts_from_a_file_of_weights_are_those_of_the_data(root, cache):
    """Its fingerprint is of the weights, too, see `study.domains.load`."""
    packed = load_packed(BOXES, 32, root=root, cache=cache)
    boxes = load_boxes(BOXES, replace(packed, fingerprint="of both"), root)
    np.testing.assert_array_equal(boxes.corners, load_boxes(BOXES, packed, root).corners)


def test_the_boxes_of_masks_are_around_their_landslides(packed):
    """In memory: forty pictures, every other one with a square."""
    boxes = load_boxes(get_dataset("bijie"), packed)
    for i, mask in enumerate(packed.masks):
        rows, columns = np.nonzero(mask)
        square = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]] if len(rows) else []
        assert boxes.of(i).tolist() == square
    assert len(boxes.corners) == 20


@given(arrays(np.uint8, (9, 12), elements=st.integers(0, 1)), st.integers(1, 6))
def test_boxes_around_a_mask_are_those_of_another_library(mask, least):
    """SciPy's labels, with corners touching, and its slices."""
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    expected = [
        (columns.start, rows.start, columns.stop, rows.stop)
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1)
        if (labels == number).sum() >= least
    ]
    found = around(mask, least)
    assert found.dtype == np.float32
    assert sorted(map(tuple, found.tolist())) == sorted(expected)


def test_a_speck_gets_no_box():
    mask = np.zeros((8, 8), np.uint8)
    mask[0, : MIN_AREA - 1] = 1
    assert around(mask).shape == (0, 4)
    mask[0, :MIN_AREA] = 1
    assert around(mask).tolist() == [[0, 0, MIN_AREA, 1]]


def test_recipes_and_datasets_agree_on_what_has_boxes():
    having = {name for name, dataset in DATASETS.items() if isinstance(dataset, BoxDataset)}
    assert having == set(bands.BOXES)


def test_the_real_tiles_and_boxes_are_all_there(real, cache):
    """Against a count of the words in the files, and /work/shared/data/README.md of empty tiles."""
    home = real / "landslide4sense-boxes"
    if not home.is_dir():
        pytest.skip(f"no landslide4sense-boxes/ below {real}")
    packed = load_packed(BOXES, 32, root=real, cache=cache)
    boxes = load_boxes(BOXES, packed, real)
    assert (boxes.starts[1:] > boxes.starts[:-1]).all()
    for part, indices in split(packed, Split(method="published")).items():
        words = [path.read_text().count("<object>") for path in (home / part).glob("*.xml")]
        assert len(indices) == len(words)
        assert sum(len(boxes.of(i)) for i in indices) == sum(words)
    corner = re.compile(r"<xmax>(\d+)</xmax>")
    of_first = corner.findall((home / "train" / f"{packed.ids[0]}.xml").read_text())
    assert boxes.of(0)[:, 2].tolist() == pytest.approx([int(x) * 32 / 224 for x in of_first])
