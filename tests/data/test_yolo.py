"""Text files of YOLO: boxes, polygons, the layouts they come in, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data.formats.boxes import read_labels
from landslide_lib.data.registry import BadFileError, get_dataset
from landslide_lib.data.statistics import verify_files

VOC = get_dataset("voc")
WIDTH, HEIGHT = 60, 40


@pytest.fixture
def put(make):
    def write(image, text, labels):
        make["picture"](image, np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(text)

    return write


@pytest.mark.parametrize(
    ("line", "box"),
    [
        ("0 0.5 0.5 0.5 0.25", (0.25, 0.375, 0.75, 0.625)),
        ("3 0.1 0.2 0.5 0.2 0.3 0.9", (0.1, 0.2, 0.5, 0.9)),
        ("0 .2 .2 .4 .2 .4 .6 .2 .6", (0.2, 0.2, 0.4, 0.6)),
        ("0 0.95 0.5 0.2 1.0004", (0.85, 0, 1, 1)),
    ],
)
def test_a_line_is_a_box_or_a_polygon(tmp_path, line, box):
    (tmp_path / "a.txt").write_text(f"\n{line}\n")
    np.testing.assert_allclose(read_labels(tmp_path / "a.txt"), [box], atol=1e-12)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 30 20 12 8", "has the line '0 30 20 12 8', which is no box"),
        ("0 0.5 0.5 -0.1 0.2", "which is no box"),
        ("0 0.5 0.5 0.2 0.2 0.99", "which is no box"),
        ("0 0.5 0.5 nan 0.2", "which is no box"),
        ("0 0.5 0.5 0.2 0", r"holds the box .*, which has no area"),
        ("scar 0.5 0.5 0.2 0.2", "which is no box"),
    ],
)
def test_what_is_no_such_line_is_refused(tmp_path, line, problem):
    (tmp_path / "a.txt").write_text(f"0 0.5 0.5 0.2 0.2\n{line}\n")
    with pytest.raises(BadFileError, match=problem):
        read_labels(tmp_path / "a.txt")


@settings(max_examples=100)
@given(st.binary(max_size=80))
def test_random_bytes_are_boxes_inside_or_a_bad_file(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("one") / "a.txt"
    path.write_bytes(data)
    try:
        boxes = read_labels(path)
    except BadFileError:
        return
    assert ((boxes >= 0) & (boxes <= 1)).all()


@pytest.mark.parametrize(
    ("images", "labels", "part"),
    [
        ("", "", "train"),
        ("images", "labels", "train"),
        ("train/images", "train/labels", "train"),
        ("images/val", "labels/val", "valid"),
        ("TEST/Images", "TEST/Labels", "test"),
    ],
)
def test_layouts(tmp_path, put, images, labels, part):
    home = tmp_path / "voc"
    put(home / images / "a.jpg", "0 0.5 0.5 0.5 0.5", home / labels / "a.txt")
    put(home / images / "b.jpg", "", home / labels / "b.txt")
    (home / "data.yaml").write_text("nc: 1\n")
    (home / labels / "classes.txt").write_text("landslide\n")
    verdict = verify_files(VOC, tmp_path)
    assert (verdict.images, verdict.with_landslide, verdict.boxes) == (2, 1, 1)
    assert (verdict.parts, verdict.bad) == ({part: 2}, ())
    assert VOC.boxes(VOC.samples(tmp_path)[0]).tolist() == [[0.25, 0.25, 0.75, 0.75]]


def test_the_folder_of_the_pictures_alone_is_found_with_its_labels(tmp_path, put, capsys):
    put(tmp_path / "set" / "images" / "a.jpg", "", tmp_path / "set" / "labels" / "a.txt")
    assert len(VOC.samples(tmp_path / "set" / "images")) == 1
    assert capsys.readouterr().err == f"voc: read from {tmp_path / 'set'}\n"


def test_a_picture_without_labels_is_named_and_a_text_of_no_picture_is_none(tmp_path, put):
    put(tmp_path / "a.jpg", "0 0.5 0.5 0.5 0.5", tmp_path / "a.txt")
    put(tmp_path / "b.jpg", "0 0.5 0.5 0.5 0.5", tmp_path / "other.txt")
    (tmp_path / "README.txt").write_text("These are landslides.\n")
    found = {p.file.rpartition("/")[2]: p.problem for p in verify_files(VOC, tmp_path).bad}
    assert found == {"b.txt": "is missing"}


def test_two_formats_in_one_folder_are_refused(tmp_path, put):
    put(tmp_path / "a.jpg", "0 0.5 0.5 0.5 0.5", tmp_path / "a.txt")
    put(tmp_path / "b.jpg", "<annotation/>", tmp_path / "b.xml")
    with pytest.raises(BadFileError, match=r"several formats: Pascal VOC \(b.xml\), YOLO \(a.txt\)"):
        VOC.samples(tmp_path)
