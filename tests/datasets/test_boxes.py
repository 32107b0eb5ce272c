"""Landslide4Sense tiles with boxes: pictures without masks, and boxes in pixels of the picture."""

import numpy as np
import pytest

from landslide_lib import datasets
from landslide_lib.datasets import BadFileError, DatasetNotFoundError, DownloadError, statistics
from landslide_lib.datasets.landslide4sense_boxes import read_boxes
from landslide_lib.datasets.split import split
from landslide_lib.parts import Split

BOXES = datasets.get("landslide4sense-boxes")


def xml(*boxes, size=128, name="landslides"):
    """A file as it is met in the wild: corners in the order xmin, xmax, ymin, ymax."""
    things = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><xmax>{c}</xmax><ymin>{b}</ymin>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    return (
        f"<annotation><size><width>{size}</width><height>{size}</height></size>{things}"
        "</annotation>"
    )


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
    assert [s.part.split(",")[0] for s in samples][:4] == ["train", "test", "train", "valid"]
    assert all(s.part.endswith(", no masks") and s.mask is None for s in samples)
    image, mask = BOXES.read(samples[2])
    assert image.shape == (224, 224, 3)
    assert image.mean() == pytest.approx(30 / 255, abs=0.01)
    assert not mask.any()


def test_it_is_not_trained_on_as_a_segmentation(root, cache):
    packed = datasets.load(BOXES, 16, root=root, cache=cache)
    with pytest.raises(ValueError, match="no image with a mask"):
        split(packed, Split())


def test_what_is_wrong_with_a_tile_is_said(root, make):
    home = root / "landslide4sense-boxes"
    make["picture"](home / "train" / "1.jpg", np.zeros((128, 128, 3), np.uint8))
    make["picture"](home / "valid" / "3.jpg", np.zeros((224, 224, 3), np.uint8))
    make["picture"](home / "test" / "two.jpg", np.zeros((224, 224, 3), np.uint8))
    whole = (home / "train" / "5.jpg").read_bytes()
    (home / "train" / "5.jpg").write_bytes(whole[:500])
    said = {p.file.removeprefix(f"{home}/"): p.problem for p in datasets.verify(BOXES, root).bad}
    assert "has the id '3' of" in said.pop("valid/3.jpg")
    assert said == {
        "train/1.jpg": "is 128x128, not 224x224",
        "test/two.jpg": "is not called N.jpg",
        "train/5.jpg": "is truncated",
    }


def test_nothing_there_and_download_say_what_to_do(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="put train/, valid/ and test/ into"):
        BOXES.samples(tmp_path)
    with pytest.raises(DownloadError, match="no public address") as error:
        BOXES.download(tmp_path)
    assert str(tmp_path / "landslide4sense-boxes" / "train") in str(error.value)


@pytest.mark.parametrize("size", [128, 224, 1])
def test_boxes_are_in_pixels_of_the_picture_whatever_size_says(tmp_path, size):
    path = tmp_path / "1.xml"
    path.write_text(xml((178, 22, 224, 45), (0, 50, 222, 71), size=size))
    boxes = read_boxes(path)
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[178, 22, 224, 45], [0, 50, 222, 71]]


def test_a_tile_without_a_box_has_none(tmp_path):
    (tmp_path / "1.xml").write_text(xml())
    assert read_boxes(tmp_path / "1.xml").shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (xml((0, 0, 225, 10)), "box 0, 0, 225, 10, which is empty or not inside 224x224"),
        (xml((-1, 0, 5, 10)), "not inside"),
        (xml((5, 0, 5, 10)), "which is empty"),
        (xml((9, 0, 5, 10)), "which is empty"),
        (xml(("nan", 0, 5, 10)), "which is empty or not inside"),
        (xml(("a", 0, 5, 10)), "box without numbers: 'a', '0', '5', '10'"),
        (xml((0, 0, 5, 10)).replace("ymax", "top"), "box without numbers"),
        (xml((0, 0, 5, 10), name="flood"), "object 'flood', not 'landslides'"),
        (xml((0, 0, 5, 10))[:-9], "truncated or no XML"),
        ("", "truncated or no XML"),
        ("<html></html>", "holds <html>, not <annotation>"),
    ],
)
def test_a_file_that_holds_no_such_boxes_is_refused(tmp_path, text, problem):
    (tmp_path / "1.xml").write_text(text)
    with pytest.raises(BadFileError, match=problem) as error:
        read_boxes(tmp_path / "1.xml")
    assert error.value.path == tmp_path / "1.xml"


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadFileError, match="cannot be read"):
        read_boxes(tmp_path / "1.xml")


def test_the_sizes_of_boxes_are_those_of_the_files(root):
    facts = statistics.of_files(BOXES.samples(root))
    assert facts["sizes"]["short"] == [224, 224, 224]
    boxes = facts["boxes"]
    assert boxes["parts"] == {"train": 4, "test": 1, "valid": 1}
    assert boxes["per_tile"] == [1, 1, 1, 1]
    assert boxes["side"] == [20, 45, 70, 95, 120]
    assert sum(boxes["counts"]) == 6
    assert boxes["empty"] == 0


def test_the_outline_of_an_example_is_that_of_its_boxes(root):
    for name, (image, mask) in statistics.examples(BOXES.name, 3, root=root).items():
        assert image.shape == (3, 224, 224)
        assert mask.sum() == (20 * int(name)) ** 2


def test_the_real_tiles_and_boxes_are_those_that_the_readme_counts(real):
    """/work/shared/data/README.md: 1,440 / 309 / 308 tiles, 6,098 / 1,338 / 1,316 boxes."""
    if not (real / "landslide4sense-boxes").is_dir():
        pytest.skip(f"no landslide4sense-boxes/ below {real}")
    samples = BOXES.samples(real)
    parts = [s.part.split(",")[0] for s in samples]
    assert [parts.count(name) for name in ("train", "valid", "test")] == [1440, 309, 308]
    numbers = dict.fromkeys(parts, 0)
    for sample, part in zip(samples, parts, strict=True):
        boxes = read_boxes(sample.image.with_suffix(".xml"))
        assert len(boxes)
        numbers[part] += len(boxes)
    assert numbers == {"train": 6098, "valid": 1338, "test": 1316}
