"""Examples with and without a landslide: whole images where some are empty, else crops."""

import itertools
import re

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from landslide_lib.data.boxes import COVERED, INSIDE, STEPS, Crops, cut, examples
from landslide_lib.data.pack import Packed

SIZE = 32


class Known:
    """Boxes as `datasets.boxes.Boxes` gives them."""

    def __init__(self, *each):
        self.each = [np.array(boxes, np.float32).reshape(-1, 4) for boxes in each]

    def of(self, i):
        return self.each[i]


def tiles(count: int, masks=None, size: int = SIZE) -> Packed:
    """Tiles of noise; their truth is in boxes unless there are masks."""
    names = tuple(map(str, range(count)))
    draw = np.random.default_rng(0)
    return Packed(
        name="tiles",
        images=draw.random((count, 1, size, size)).astype(np.float16),
        masks=np.zeros((count, size, size), np.uint8) if masks is None else masks,
        bands=("R",),
        ids=names,
        groups=names,
        parts=("train",) * count,
        regions=("",) * count,
        fingerprint="0123456789abcdef",
        excluded=(),
    )


@st.composite
def some_boxes(draw):
    """One to four tiles with one to five boxes each, at fractions of pixels."""

    def box():
        left, top = draw(st.floats(0, SIZE - 1)), draw(st.floats(0, SIZE - 1))
        right = left + draw(st.floats(0.25, SIZE - left))
        bottom = top + draw(st.floats(0.25, SIZE - top))
        return left, top, min(right, SIZE), min(bottom, SIZE)

    return Known(*[[box() for _ in range(draw(st.integers(1, 5)))] for _ in range(draw(st.integers(1, 4)))])


def met(boxes, corner, side: int) -> tuple[list[float], float]:
    """Return the share of each box inside a crop, and the share of its pixels that they touch."""
    (x, y), inside, covered = corner, [], np.zeros((side, side), bool)
    columns, rows = x + np.arange(side), y + np.arange(side)
    for left, top, right, bottom in boxes.astype(float):
        width = max(0.0, min(right, x + side) - max(left, x))
        height = max(0.0, min(bottom, y + side) - max(top, y))
        inside.append(width * height / ((right - left) * (bottom - top)))
        across = (columns < right) & (columns + 1 > left)
        down = (rows < bottom) & (rows + 1 > top)
        covered |= down[:, None] & across
    return inside, covered.mean()


@settings(max_examples=60)
@given(some_boxes())
def test_a_negative_meets_no_box_and_a_positive_shows_one(boxes):
    """Of all candidates, against each one looked at by itself."""
    count, side = len(boxes.each), SIZE // 2
    expected = {}
    for i in range(count):
        for corner in itertools.product(range(0, side + 1, side // STEPS), repeat=2):
            inside, covered = met(boxes.of(i), corner, side)
            if max(inside) >= INSIDE or covered >= COVERED:
                expected[i, *corner] = 1
            elif max(inside) == 0:
                expected[i, *corner] = 0
    assert found(examples(tiles(count), np.arange(count), boxes, 1000)) == expected


def found(crops: Crops) -> dict[tuple[int, int, int], int]:
    """Return the label of each crop by image and corner; none is there twice."""
    places = zip(crops.image.tolist(), *crops.corner.T.tolist(), strict=True)
    labels = dict(zip(places, crops.label.tolist(), strict=True))
    assert len(labels) == len(crops.image)
    return labels


@given(some_boxes(), st.integers(0, 99), st.integers(1, 4))
def test_few_of_each_kind_are_drawn_of_an_image(boxes, seed, most):
    count = len(boxes.each)
    crops = examples(tiles(count), np.arange(count), boxes, most, seed)
    drawn, possible = found(crops), found(examples(tiles(count), np.arange(count), boxes, 1000))
    assert drawn.items() <= possible.items()
    for i, label in itertools.product(range(count), (0, 1)):
        of_all = sum(kind == label for (image, *_), kind in possible.items() if image == i)
        assert ((crops.image == i) & (crops.label == label)).sum() == min(most, of_all)
    assert (crops.corner >= 0).all()
    assert (crops.corner + crops.side[:, None] <= SIZE).all()
    assert (crops.side == SIZE // 2).all()


BOXES = Known([[0, 0, 6, 6]], [[20, 20, 30, 30], [0, 0, 3, 3]], [[12, 0, 14, 9]], [[0, 0, 32, 32]])


def test_the_same_seed_draws_the_same_and_another_one_others():
    def drawn(seed):
        return [part.tolist() for part in examples(tiles(4), np.arange(4), BOXES, 2, seed)]

    assert drawn(0) == drawn(0)
    assert any(drawn(seed) != drawn(0) for seed in range(1, 5))


def test_what_is_drawn_of_an_image_depends_on_no_other():
    def of_two(indices):
        crops = examples(tiles(4), np.array(indices), BOXES)
        return crops.corner[crops.image == 2].tolist(), crops.label[crops.image == 2].tolist()

    assert of_two([0, 1, 2, 3]) == of_two([2]) == of_two([3, 2])


def test_images_with_the_same_boxes_give_crops_of_different_places():
    crops = examples(tiles(20), np.arange(20), Known(*[[[0, 0, 6, 6]]] * 20), 1)
    assert len(np.unique(crops.corner[crops.label == 0], axis=0)) > 3


def test_an_image_in_which_no_negative_fits_gives_none():
    crops = examples(tiles(4), np.array([3]), BOXES)
    assert crops.label.tolist() == [1, 1]
    center = Known([[15, 15, 17, 17]])  # every crop of half the side meets it, one or all of it
    assert not (examples(tiles(1), np.array([0]), center, 100).label == 0).any()


def test_a_piece_of_a_large_landslide_is_positive_and_a_corner_of_a_small_box_is_left_out():
    large = Known([[0, 0, 32, 32]])  # no crop holds more than a quarter of it
    assert examples(tiles(1), np.array([0]), large, 100).label.tolist() == [1] * 25
    small = Known([[14, 14, 20, 20]])
    crops = examples(tiles(1), np.array([0]), small, 100)
    inside = [met(small.of(0), corner, 16)[0][0] for corner in crops.corner]
    assert all(share >= INSIDE for share, label in zip(inside, crops.label, strict=True) if label)
    assert 0 < len(crops.image) < 25


def test_an_edge_that_a_crop_shares_with_a_box_is_not_met():
    touching = Known([[16, 0, 32, 32]])  # the left half is free
    crops = examples(tiles(1), np.array([0]), touching, 100)
    assert set(crops.corner[crops.label == 0][:, 0].tolist()) == {0}
    overlapping = Known([[15.9, 0, 32, 32]])
    assert examples(tiles(1), np.array([0]), overlapping, 100).label.all()


def test_a_negative_shows_no_pixel_of_the_mask_that_has_no_box():
    masks = np.zeros((1, SIZE, SIZE), np.uint8)
    masks[0, 30, 30] = 1
    crops = examples(tiles(1, masks), np.array([0]), Known([[0, 0, 6, 6]]), 100)
    empty = crops.corner[crops.label == 0]
    assert len(empty)
    assert ((empty + SIZE // 2 <= 30).any(1)).all()


def test_no_image_gives_no_crop():
    crops = examples(tiles(4), np.array([], np.int64), BOXES)
    assert [part.shape for part in crops] == [(0,), (0, 2), (0,), (0,)]


def test_where_some_images_are_empty_the_images_themselves_are_the_examples():
    masks = np.zeros((10, SIZE, SIZE), np.uint8)
    masks[:9, 4, 4] = 1
    # A landslide of a pixel is too small for a box, and is one.
    boxes = Known([[4, 4, 8, 8]], *[[]] * 9)
    packed, indices = tiles(10, masks), np.array([9, 0, 3])
    crops = examples(packed, indices, boxes)
    assert crops.image.tolist() == [9, 0, 3]
    assert crops.label.tolist() == [0, 1, 1]
    images = torch.from_numpy(packed.images[indices]).float()
    assert torch.equal(cut(images, crops), images)


def test_a_crop_is_enlarged_to_the_size_of_the_image():
    size, side = 32, 16
    column = torch.arange(float(size)).expand(2, 3, size, size)
    images = torch.cat([column, column.mT], 1)  # each pixel's own column and row
    one = np.ones(2, np.int64)
    crops = Crops(0 * one, np.array([[8, 16], [0, 4]]), side * one, one)
    parts = cut(images, crops)
    assert parts.shape == images.shape
    for part, (left, top) in zip(parts, crops.corner.tolist(), strict=True):
        # Bilinear: pixel centers at (i + 0.5) / 2 - 0.5, held at the crop's own edges.
        line = (np.arange(size) + 0.5) * side / size - 0.5
        line = torch.from_numpy(line.clip(0, side - 1)).float()
        torch.testing.assert_close(part[:3], (left + line).expand(3, size, size))
        torch.testing.assert_close(part[3:], (top + line)[:, None].expand(3, size, size))


def test_an_enlarged_crop_shows_nothing_from_outside():
    images = torch.ones(1, 1, SIZE, SIZE)
    images[0, 0, 8:24, 4:20] = 0
    one = np.ones(1, np.int64)
    assert not cut(images, Crops(0 * one, np.array([[4, 8]]), 16 * one, one)).any()


def test_the_real_tiles_give_both_kinds(real):
    home = real / "landslide4sense-boxes"
    if not home.is_dir():
        pytest.skip("no landslide4sense-boxes")
    scale = SIZE / 224
    each = []
    for path in sorted((home / "test").glob("*.xml")):
        text = path.read_text()
        columns = [re.findall(rf"<{key}>(\d+)</{key}>", text) for key in ("xmin", "ymin", "xmax", "ymax")]
        each.append(np.array(columns, float).T * scale)
    boxes = Known(*each)
    crops = examples(tiles(len(each)), np.arange(len(each)), boxes)
    inside = [max(met(boxes.of(i), corner, SIZE // 2)[0]) for i, corner in zip(crops.image, crops.corner, strict=True)]
    empty = crops.label == 0
    assert not np.array(inside)[empty].any()
    assert all(np.array(inside)[~empty])
    assert len(np.unique(crops.image[~empty])) > 0.9 * len(each)
    assert empty.sum() > len(each) / 2
