"""A folder of pictures with boxes in Pascal VOC's XML: any names, any sizes, no foreign files."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_lib.data.boxes import load_boxes
from landslide_lib.data.formats.boxes import read_objects
from landslide_lib.data.registry import BadFileError, DatasetNotFoundError, DownloadError, get_dataset, load_packed
from landslide_lib.data.split import Split, split
from landslide_lib.data.statistics import verify_files

VOC = get_dataset("voc")
WIDTH, HEIGHT = 60, 40


def xml(*boxes, name="scar"):
    things = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for a, b, c, d in boxes
    )
    return f"<annotation><size><width>7</width><height>7</height></size>{things}</annotation>"


@pytest.fixture
def put(make):
    """Write a picture with its XML, beside it or in another folder."""

    def write(image, *boxes, beside=None, **how):
        # No two pictures are the same: copies would stay on one side of a split.
        shade = 60 + sum(image.stem.encode()) % 150
        make["picture"](image, np.full((HEIGHT, WIDTH, 3), shade, np.uint8))
        folder = beside or image.parent
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{image.stem}.xml").write_text(xml(*boxes, **how))

    return write


def test_a_picture_of_any_size_keeps_its_boxes_when_it_becomes_a_square(tmp_path, cache, put):
    put(tmp_path / "voc" / "a.png", (30, 10, 60, 40), (0, 0, 6, 4), name="anything")
    put(tmp_path / "voc" / "b.jpg")
    packed = load_packed(VOC, 16, root=tmp_path, cache=cache)
    assert (packed.ids, packed.parts) == (("a", "b"), ("train", "train"))
    boxes = load_boxes(VOC, packed, tmp_path)
    np.testing.assert_allclose(boxes.of(0), [[8, 4, 16, 16], [0, 0, 1.6, 1.6]], rtol=1e-6)
    assert boxes.of(1).shape == (0, 4)


def test_verify_counts_boxes_where_there_are_no_masks(tmp_path, put):
    put(tmp_path / "voc" / "a.png", (30, 10, 60, 40), (0, 0, 6, 4))
    put(tmp_path / "voc" / "b.jpg")
    verdict = verify_files(VOC, tmp_path)
    assert (verdict.images, verdict.with_landslide, verdict.boxes) == (2, 1, 2)
    assert verdict.landslide_share is None


def test_a_box_is_around_what_is_bright_in_the_packed_picture(tmp_path, cache, make):
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[20:30, 45:60] = 255
    make["picture"](tmp_path / "a.png", image)
    (tmp_path / "a.xml").write_text(xml((45, 20, 60, 30)))
    packed = load_packed(VOC, 64, root=tmp_path, cache=cache)
    left, top, right, bottom = load_boxes(VOC, packed, tmp_path).of(0)[0].astype(int)
    bright = packed.images[0, 0] > 0.5
    assert bright[top:bottom, left:right].all()
    assert bright.sum() == (bottom - top) * (right - left)


@pytest.mark.parametrize("folder", ["voc", "."])
@pytest.mark.parametrize("apart", [True, False])
def test_layouts_met_in_the_wild_are_read(tmp_path, put, folder, apart):
    home = tmp_path / folder
    for part in ("train", "val", "test"):
        images = home / part / "JPEGImages" if apart else home / part
        put(images / "1.jpg", (0, 0, 9, 9), beside=home / part / "Annotations" if apart else None)
    samples = VOC.samples(tmp_path)
    assert {sample.id: sample.part for sample in samples} == {"train/1": "train", "val/1": "valid", "test/1": "test"}
    assert len({sample.group for sample in samples}) == 3
    assert all(len(VOC.boxes(sample)) == 1 for sample in samples)


def test_without_parts_there_is_no_published_split_but_our_own(tmp_path, cache, put):
    for number in range(9):
        image = tmp_path / "JPEGImages" / f"{number}.jpg"
        put(image, beside=tmp_path / "Annotations")
        cv2.imwrite(str(image), np.full((HEIGHT, WIDTH), 20 * number, np.uint8))  # no copies
    packed = load_packed(VOC, 16, root=tmp_path, cache=cache)
    ours = split(packed, Split(folds=3))
    assert sorted(np.concatenate(list(ours.values()))) == list(range(9))
    published = split(packed, Split(method="published", folds=3))
    assert {part: some.tolist() for part, some in published.items()} == {
        part: some.tolist() for part, some in ours.items()
    }
    parted = replace(packed, parts=("train", "valid", "test") * 3)
    assert split(parted, Split(method="published"))["test"].tolist() == [2, 5, 8]


def test_a_box_is_clipped_to_its_picture(tmp_path, put):
    put(tmp_path / "a.jpg", (-5, 10, 30, 20), (50, 30, 61, 400))
    (sample,) = VOC.samples(tmp_path)
    clipped = VOC.boxes(sample) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    np.testing.assert_allclose(clipped, [[0, 10, 30, 20], [50, 30, 60, 40]])


@given(*[st.lists(st.integers(-100, 100), min_size=2, max_size=2, unique=True)] * 2)
def test_what_is_left_of_a_box_has_area_and_is_inside_or_it_is_refused(tmp_path_factory, columns, rows):
    (left, right), (top, bottom) = sorted(columns), sorted(rows)
    home = tmp_path_factory.mktemp("one")
    cv2.imwrite(str(home / "a.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (home / "a.xml").write_text(xml((left, top, right, bottom)))
    (sample,) = VOC.samples(home)
    meets = left < WIDTH and right > 0 and top < HEIGHT and bottom > 0
    if not meets:
        with pytest.raises(BadFileError, match="outside its 60x40 pixels"):
            VOC.boxes(sample)
        return
    ((a, b, c, d),) = VOC.boxes(sample)
    assert 0 <= a < c <= 1
    assert 0 <= b < d <= 1


def test_a_box_that_has_no_area_in_single_precision_is_refused(tmp_path, put):
    put(tmp_path / "a.jpg", (199.9999999, 2, 200, 20))
    (sample,) = VOC.samples(tmp_path)
    with pytest.raises(BadFileError, match="which has no area"):
        VOC.boxes(sample)


def test_what_is_wrong_is_said_when_it_is_packed(tmp_path, cache, put):
    put(tmp_path / "fine.jpg", (0, 0, 9, 9))
    put(tmp_path / "outside.jpg", (0, 0, 9, 9), (60, 0, 70, 9))
    put(tmp_path / "flat.jpg", (9, 9, 9, 20))
    put(tmp_path / "reversed.jpg", (9, 9, 3, 20))
    put(tmp_path / "alone.jpg")
    (tmp_path / "alone.xml").unlink()
    (tmp_path / "orphan.xml").write_text(xml())
    put(tmp_path / "twin.jpg")
    put(tmp_path / "twin.png")
    packed = load_packed(VOC, 16, root=tmp_path, cache=cache, skip_bad=True)
    said = {one["file"].split("/")[-1]: one["problem"] for one in packed.excluded}
    assert "has the id 'twin' of" in said.pop("twin.png")
    assert said == {
        "outside.xml": "holds the box 60, 0, 70, 9, outside its 60x40 pixels",
        "flat.xml": "holds the box 9, 9, 9, 20, which has no area",
        "reversed.xml": "holds the box 9, 9, 3, 20, which has no area",
        "alone.xml": "cannot be read (No such file or directory)",
        "orphan.jpg": "is missing",
    }
    assert packed.ids == ("fine", "twin")
    assert len(load_boxes(VOC, packed, tmp_path)) == 2


def test_boxes_of_another_root_are_refused(tmp_path, cache, put):
    for home in ("one", "other"):
        put(tmp_path / home / "a.jpg", (0, 0, 9, 9 if home == "one" else 8))
    packed = load_packed(VOC, 16, root=tmp_path / "one", cache=cache)
    with pytest.raises(ValueError, match="other are not those that were packed"):
        load_boxes(VOC, packed, tmp_path / "other")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("entity", ['<!ENTITY leak SYSTEM "{uri}">', '<!ENTITY % leak SYSTEM "{uri}"> %leak;'])
def test_an_external_entity_is_refused_and_its_file_not_read(tmp_path, encoding, entity):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    inner = entity.format(uri=secret.as_uri())
    body = xml(("&leak;", 0, 5, 5)) if "%" not in entity else xml((0, 0, 5, 5))
    text = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE annotation [{inner}]>{body}'
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    with pytest.raises(BadFileError, match=r"a\.xml: holds a DOCTYPE") as error:
        read_objects(tmp_path / "a.xml")
    assert "hunter2" not in str(error.value)


def test_entities_that_grow_without_bound_are_refused(tmp_path):
    lines = ['<!ENTITY a0 "ha">'] + [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30)]
    laughs = f"<!DOCTYPE annotation [{''.join(lines)}]><annotation>&a29;</annotation>"
    (tmp_path / "a.xml").write_text(laughs)
    with pytest.raises(BadFileError, match="holds a DOCTYPE"):
        read_objects(tmp_path / "a.xml")


@pytest.mark.parametrize("declared", ["shift_jis", "no-such", "utf-16"])
def test_an_encoding_that_cannot_be_read_is_a_bad_file(tmp_path, declared):
    text = f'<?xml version="1.0" encoding="{declared}"?>{xml((0, 0, 5, 5))}'
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(BadFileError, match="is truncated or no XML"):
        read_objects(tmp_path / "a.xml")


def test_an_encoding_that_is_named_is_read(tmp_path):
    text = f'<?xml version="1.0" encoding="utf-16"?>{xml((0, 0, 5, 5), name="Erdrutsch größer")}'
    (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
    assert read_objects(tmp_path / "a.xml").tolist() == [[0, 0, 5, 5]]


def test_the_box_of_a_part_of_an_object_is_not_the_objects(tmp_path):
    """Pascal VOC draws boxes around heads and hands, inside the object of a person."""
    part = "<part><name>toe</name><bndbox><xmin>1</xmin></bndbox></part>"
    (tmp_path / "a.xml").write_text(xml((0, 0, 5, 5)).replace("<bndbox>", f"{part}<bndbox>", 1))
    assert read_objects(tmp_path / "a.xml").tolist() == [[0, 0, 5, 5]]


def test_nothing_there_and_download_say_what_to_do(tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"no JPEG or PNG .* holds nothing.* --data-root"):
        VOC.samples(tmp_path)
    with pytest.raises(DatasetNotFoundError, match=r"nowhere does not exist\. .* --data-root"):
        VOC.samples(tmp_path / "nowhere")
    with pytest.raises(DownloadError, match="--data-root"):
        VOC.download(tmp_path)


def test_a_normalised_box_is_refused_and_a_pixel_is_a_pixel(tmp_path, put):
    put(tmp_path / "a.jpg", (0.5, 0.25, 0.75, 1))
    put(tmp_path / "b.jpg", (0, 0, 1, 1))
    verdict = verify_files(VOC, tmp_path)
    assert [p.file for p in verdict.bad] == [str(tmp_path / "a.xml")]
    assert "it looks normalised to 0..1" in verdict.bad[0].problem
    np.testing.assert_allclose(VOC.boxes(VOC.samples(tmp_path)[1]), [[0, 0, 1 / WIDTH, 1 / HEIGHT]])


@pytest.mark.parametrize(
    ("images", "labels", "part"),
    [
        ("images", "annotations", "train"),
        ("JPEGImages", "Annotations", "train"),
        ("TRAIN", "TRAIN", "train"),
        ("Val/images", "Val/annotations", "valid"),
        ("images/test", "annotations/test", "test"),
    ],
)
def test_layouts(tmp_path, put, images, labels, part):
    home = tmp_path / "voc"
    put(home / images / "a.jpg", (30, 10, 60, 40), beside=home / labels)
    (home / images / "a.jpg.aux.xml").write_text("<PAMDataset/>")
    verdict = verify_files(VOC, tmp_path)
    assert (verdict.images, verdict.boxes, verdict.parts, verdict.bad) == (1, 1, {part: 1}, ())


def test_pictures_without_any_boxes_are_no_dataset(tmp_path, make):
    make["picture"](tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DatasetNotFoundError, match=r"no JPEG or PNG with boxes .* holds a\.png"):
        VOC.samples(tmp_path)
