"""JSON of COCO: the layouts it comes in, boxes by value, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.formats.boxes import read_pictures
from landslide_lib.data.registry import BadFileError, get_dataset, load_packed
from landslide_lib.data.statistics import verify_files

VOC = get_dataset("voc")
WIDTH, HEIGHT = 60, 40


def content(*names, boxes=((30, 10, 15, 20),), **fields):
    """COCO's JSON; the boxes are of the first image."""
    return {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [
            {"id": i, "image_id": 0, "category_id": 1, "bbox": list(box), **fields} for i, box in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "landslide"}],
    }


@pytest.fixture
def put(make):
    def write(path, images, *names, **how):
        for name in names:
            make["picture"](images / name, np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content(*names, **how)))

    return write


@pytest.mark.parametrize(
    ("path", "images", "part"),
    [
        ("train/_annotations.coco.json", "train", "train"),  # Roboflow
        ("valid/_annotations.coco.json", "valid", "valid"),
        ("annotations/instances_val2017.json", "val2017", "valid"),  # COCO itself
        ("annotations/instances_test.json", "images/test", "test"),
        ("annotations/instances_train.json", "images", "train"),
        ("labels.json", "data", "train"),  # FiftyOne
        ("annotations.json", "", "train"),
    ],
)
def test_layouts(tmp_path, put, cache, path, images, part):
    home = tmp_path / "voc"
    put(home / path, home / images, "a.jpg", "b.jpg", boxes=[(30, 10, 15, 20), (-6, 0, 12, 4)])
    if "annotations/" not in path:
        home = tmp_path
    verdict = verify_files(VOC, tmp_path)
    assert (verdict.images, verdict.boxes, verdict.bad) == (2, 2, ())
    assert verdict.parts == {part: 2}
    packed = load_packed(VOC, 20, root=tmp_path, cache=cache)
    boxes = load_boxes(VOC, packed, tmp_path)
    np.testing.assert_allclose(boxes.of(0), [[10, 5, 15, 15], [0, 0, 2, 2]], rtol=1e-6)
    assert boxes.of(1).shape == (0, 4)


def test_a_name_with_folders_and_two_parts_of_the_same_names(tmp_path, put):
    for part in ("train", "val"):
        put(tmp_path / "annotations" / f"instances_{part}.json", tmp_path / part, "a.jpg")
    put(tmp_path / "annotations" / "captions_train.json", tmp_path / "train")
    (tmp_path / "annotations" / "instances_test.json").write_text(json.dumps(content("test/a.jpg")))
    (tmp_path / "test").mkdir()
    (tmp_path / "train" / "a.jpg").rename(tmp_path / "test" / "a.jpg")
    found = VOC.samples(tmp_path)
    assert [(s.id, s.part, s.image.is_file()) for s in found] == [
        ("train/a", "train", False),
        ("val/a", "valid", True),
        ("test/a", "test", True),
    ]


def test_names_do_not_lead_out_of_the_folder(tmp_path, put, make):
    make["picture"](tmp_path / "secret.jpg", np.zeros((8, 8, 3), np.uint8))
    put(tmp_path / "set" / "a.json", tmp_path / "set", "b.jpg")
    names = ("../secret.jpg", str(tmp_path / "secret.jpg"), "C:\\pictures\\b.jpg")
    (tmp_path / "set" / "a.json").write_text(json.dumps(content(*names)))
    found = VOC.samples(tmp_path / "set")
    assert sorted(s.image.relative_to(tmp_path / "set").name for s in found) == ["b.jpg", "secret.jpg", "secret.jpg"]
    assert {s.image.is_file() for s in found if s.image.name == "secret.jpg"} == {False}


def test_verify_names_what_is_not_on_disk_and_what_is_not_listed(tmp_path, put, make):
    put(tmp_path / "a.json", tmp_path, "a.jpg", "gone.jpg")
    (tmp_path / "gone.jpg").unlink()
    make["picture"](tmp_path / "more.jpg", np.zeros((8, 8, 3), np.uint8))
    found = {p.file.rpartition("/")[2]: p.problem for p in verify_files(VOC, tmp_path).bad}
    assert found == {"gone.jpg": "is missing", "more.jpg": "is not among the images of a.json"}


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"boxes": [(5, 5, 0, 9)]}, "holds the box 5, 5, 5, 14, which has no area"),
        ({"iscrowd": 1}, "has a crowd (iscrowd 1), a region of many objects"),
        ({"boxes": [(61, 5, 9, 9)]}, "holds the box 61, 5, 70, 14, outside its 60x40 pixels"),
        ({"boxes": [(1, 5, 9, 9), (0.1, 0.1, 0.5, 0.5)]}, "looks normalised to 0..1"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said(tmp_path, put, how, problem):
    put(tmp_path / "a.json", tmp_path, "a.jpg", "b.jpg", **how)
    verdict = verify_files(VOC, tmp_path)
    assert verdict.images == 1
    assert problem in verdict.bad[0].problem


def test_a_picture_of_another_size_than_the_json_says_is_refused(tmp_path, put):
    put(tmp_path / "a.json", tmp_path, "a.jpg")
    given = content("a.jpg")
    given["images"][0] |= {"width": 120, "height": 80}
    (tmp_path / "a.json").write_text(json.dumps(given))
    (bad,) = verify_files(VOC, tmp_path).bad
    assert bad.problem == "is 60x40 pixels, a.json says 120x80"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (json.dumps(content("a.jpg"))[:-30], "is truncated or no JSON"),
        (json.dumps(content()), "lists an image twice, or a box of an image that is not listed"),
        ('{"images": [{"id": 1}], "annotations": []}', "no JSON of COCO that can be read"),
        ('{"images": [1], "annotations": []}', "no JSON of COCO that can be read"),
        (json.dumps(content("a.jpg", boxes=[(5, 5, None, 9)])), r"COCO .*annotations\.0\.bbox\.2"),
        ("[" * 100_000, "is truncated or no JSON"),
    ],
)
def test_a_json_that_is_wrong_is_a_bad_file(tmp_path, put, text, problem):
    put(tmp_path / "a.json", tmp_path, "a.jpg")
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadFileError, match=problem):
        VOC.samples(tmp_path)


def test_the_fingerprint_is_of_the_json_and_the_pictures(tmp_path, put):
    put(tmp_path / "a.json", tmp_path, "a.jpg", "b.jpg")
    before = VOC.fingerprint(VOC.samples(tmp_path))
    put(tmp_path / "a.json", tmp_path, "a.jpg", "b.jpg", boxes=[(30, 10, 15, 21)])
    assert VOC.fingerprint(VOC.samples(tmp_path)) != before


@settings(max_examples=100)
@given(st.data())
def test_cuts_and_flips_of_a_json_are_read_or_a_bad_file(tmp_path_factory, data):
    whole = json.dumps(content("a.jpg", "b.jpg")).encode()
    if data.draw(st.booleans()):
        text = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
        text = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
    path = tmp_path_factory.mktemp("one") / "a.json"
    path.write_bytes(text)
    try:
        read = read_pictures(path)
    except BadFileError:
        return
    assert len(text) == len(whole)
    assert read is None or len(read) == 2
