"""Neighbours: raster order is found where it is, and nowhere else; cut pairs are counted."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_lib.data.registry import Packed
from tools import neighbours

ROWS, COLUMNS, SIDE, BANDS = 8, 9, 16, 2


def packed(images, ids, parts=None, groups=None) -> Packed:
    count = len(images)
    return Packed(
        "made",
        images.astype(np.float16),
        np.zeros((count, SIDE, SIDE), np.uint8),
        ("A", "B")[: images.shape[1]],
        tuple(ids),
        tuple(groups or ids),
        tuple(parts or ["train"] * count),
        ("",) * count,
        "0" * 16,
        (),
    )


@pytest.fixture(scope="module")
def mosaic() -> Packed:
    """A smooth random field cut into 8 rows of 9 tiles, numbered row by row."""
    draw = np.random.default_rng(3)
    noise = draw.normal(size=(BANDS, ROWS * SIDE, COLUMNS * SIDE)).astype(np.float32)
    field = np.stack([cv2.GaussianBlur(band, (0, 0), 2) for band in noise]) * 10 + 5
    tiles = field.reshape(BANDS, ROWS, SIDE, COLUMNS, SIDE).transpose(1, 3, 0, 2, 4)
    tiles = tiles.reshape(-1, BANDS, SIDE, SIDE)
    return packed(tiles, [f"image_{i}" for i in range(len(tiles))])


def test_the_order_of_a_mosaic_is_found_with_the_length_of_its_rows(mosaic):
    found = neighbours.measure(mosaic)
    assert found["ordered"]
    assert found["row"] == COLUMNS
    assert min(found["right"], found["below"]) > 0.8 > found["random_high"]
    assert abs(found["random"]) < 0.15
    assert found["pairs"] == ROWS * COLUMNS - 1
    assert found["below_pairs"] == (ROWS - 1) * COLUMNS


def test_shuffled_numbers_are_no_order(mosaic):
    ids = np.random.default_rng(0).permutation(mosaic.ids)
    found = neighbours.measure(replace(mosaic, ids=tuple(ids)))
    assert not found["ordered"]
    assert found["cut"] is None
    assert abs(found["right"]) < 0.2


def test_tiles_that_are_left_out_do_not_hide_the_order(mosaic):
    kept = np.sort(np.random.default_rng(1).choice(len(mosaic), 60, replace=False))
    found = neighbours.measure(
        replace(
            mosaic,
            images=mosaic.images[kept],
            masks=mosaic.masks[kept],
            ids=tuple(mosaic.ids[i] for i in kept),
            groups=tuple(map(str, kept)),
            parts=("train",) * 60,
            regions=("",) * 60,
        )
    )
    assert found["ordered"]
    assert found["row"] == COLUMNS
    assert found["pairs"] == (np.diff(kept) == 1).sum()


def test_the_likeness_of_a_pair_is_pearsons_r_averaged_over_the_bands(mosaic):
    right, left = mosaic.images[0, :, :, -1], mosaic.images[1, :, :, 0]
    wanted = np.mean([np.corrcoef(right[b], left[b])[0, 1] for b in range(BANDS)])
    both = replace(mosaic, ids=("a1", "a2", *mosaic.ids[2:]))
    edges = [neighbours._edges(mosaic.images[:2, :, :, side]) for side in (-1, 0)]
    assert neighbours.likeness(edges[0][:1], edges[1][1:])[0] == pytest.approx(wanted, abs=1e-3)
    assert neighbours.pairs(both.ids[:2])[0].tolist() == [0]


@pytest.mark.parametrize("value", [0.0, 0.1, 61440.0])
def test_constant_tiles_have_no_likeness_and_raise_no_warning(value, recwarn):
    images = np.full((30, BANDS, SIDE, SIDE), value)
    found = neighbours.measure(packed(images, [str(i) for i in range(30)]))
    assert (found["right"], found["below"], found["random"]) == (None, None, None)
    assert not found["ordered"]
    assert not recwarn.list


def test_a_constant_band_does_not_weaken_the_others(mosaic):
    images = mosaic.images.copy()
    images[:, 1] = 7
    found, one = (neighbours.measure(replace(mosaic, images=i)) for i in (images, images[:, :1]))
    assert found["right"] == pytest.approx(one["right"], abs=1e-6)


def test_names_without_numbers_and_a_handful_of_images_have_no_order(mosaic):
    names = tuple(f"tile {chr(65 + i % 26)}{'x' * (i // 26)}" for i in range(len(mosaic)))
    assert neighbours.measure(replace(mosaic, ids=names)) is None
    assert neighbours.measure(packed(mosaic.images[:8], mosaic.ids[:8])) is None


def test_rows_and_columns_in_the_name_are_raster_order(mosaic):
    names = tuple(f"hill/{i // COLUMNS}/{i % COLUMNS}" for i in range(len(mosaic)))
    named = replace(mosaic, ids=names)
    assert neighbours.measure(named)["row"] == COLUMNS
    first, second = neighbours.pairs([*names, *(f"dale{name}" for name in names)], COLUMNS)
    assert (second - first == COLUMNS).all()


@given(st.lists(st.integers(0, 30), unique=True), st.integers(1, 5))
def test_pairs_are_all_and_only_those_of_the_lag(numbers, lag):
    first, second = neighbours.pairs([f"t{n}" for n in numbers], lag)
    found = {(numbers[a], numbers[b]) for a, b in zip(first, second, strict=True)}
    assert found == {(n, n + lag) for n in numbers if n + lag in numbers}


def test_a_pair_is_cut_where_its_sides_differ_and_counts_where_both_have_one():
    sides = np.array(["train", "train", "test", "", "test"])
    assert neighbours.cut(np.arange(4), np.arange(1, 5), sides) == [1, 2]


def test_a_shipped_split_is_counted_and_one_by_blocks_cuts_less_than_a_random_one(mosaic):
    count = len(mosaic)
    half = replace(
        mosaic,
        parts=tuple("train, no masks" if i < count // 2 else "test, no masks" for i in range(count)),
        groups=tuple(str(i // (2 * COLUMNS)) + "ab"[i % COLUMNS > 4] for i in range(count)),
    )
    cuts = neighbours.measure(half)["cut"]
    assert cuts["shipped"] == {"right": [1, count - 1], "below": [COLUMNS, count - COLUMNS]}
    assert cuts["blocked"]["right"][0] < cuts["random"]["right"][0]
    # Parts that are numbered apart say nothing of each other.
    apart = replace(half, ids=tuple(f"{p[:4]}/{i}" for i, p in enumerate(half.parts)))
    assert "shipped" not in neighbours.measure(apart)["cut"]


def test_a_dataset_too_small_for_a_split_is_still_measured(mosaic):
    scenes = replace(mosaic, groups=("one",) * len(mosaic))
    found = neighbours.measure(scenes)
    assert found["ordered"]
    assert set(found["cut"]) == {"random"}
