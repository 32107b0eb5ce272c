"""Scores by object: matches by value, beside those of torchmetrics, and of polygons as of masks."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage
from torchmetrics.detection import PanopticQuality

from landslide_lib.geo.objects import mask_counts, table

MASKS = array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
    lambda shape: st.tuples(*[arrays(bool, shape, elements=st.booleans())] * 2)
)


def test_a_match_shares_more_than_half():
    real = np.zeros((4, 9), bool)
    real[0, :6] = True
    for length, found in ((6, 1), (4, 1), (3, 0)):  # an IoU of 1, 2/3 and 1/2
        called = np.zeros_like(real)
        called[0, :length] = True
        assert mask_counts(called, real, ()).tolist() == [[found, 1 - found, 1 - found]]


def test_landslides_that_touch_at_a_corner_are_two():
    assert mask_counts(np.eye(3), np.eye(3), ()).tolist() == [[3, 0, 0]]


def test_a_match_is_in_the_class_of_the_true_one_and_what_is_false_in_its_own():
    called, real = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    real[0, :10], called[0, :9] = True, True  # 10 pixels, of which 9 are called
    called[3, :9] = called[5, :10] = real[7, 0] = True
    assert mask_counts(called, real, (10,)).tolist() == [[0, 1, 1], [1, 1, 0]]


@settings(deadline=None, max_examples=50)
@given(MASKS)
def test_f1_is_the_recognition_quality_of_torchmetrics(masks):
    called, real = masks
    quality = PanopticQuality(things={1}, stuffs={0}, return_sq_and_rq=True, return_per_class=True)
    parts = [np.stack([mask, ndimage.label(mask)[0]], -1) for mask in masks]
    truth = quality(*(torch.from_numpy(part)[None].int() for part in parts))[0, 2]
    counts = mask_counts(called, real)
    assert table(counts).f1.fillna(0)["all"] == pytest.approx(float(truth), abs=1e-6)
    tp, fp, fn = counts.sum(0)
    assert (tp + fp, tp + fn) == tuple(ndimage.label(mask)[1] for mask in masks)
    np.testing.assert_array_equal(counts.sum(0)[[0, 2, 1]], mask_counts(real, called).sum(0))


def test_the_table_names_its_classes():
    found = table([[1, 1, 0], [0, 0, 0], [2, 0, 2]], sizes=(1e3, 2.5e4))
    assert list(found.index) == ["all", "under 1000", "1000 to 25000", "from 25000"]
    assert found.loc["all"].to_dict() == pytest.approx(
        {"precision": 3 / 4, "recall": 3 / 5, "f1": 2 / 3, "tp": 3, "fp": 1, "fn": 2}
    )
    assert found.f1.isna().tolist() == [False, False, True, False]


def test_without_size_classes_all_landslides_are_one():
    counts = mask_counts(np.eye(4), np.eye(4), sizes=())
    found = table(counts, sizes=())
    assert list(found.index) == ["all", "any size"]
    assert found.tp.tolist() == [4, 4]
    assert found.f1.tolist() == [1, 1]


def test_scoring_needs_no_package_of_the_extra():
    code = "import sys, landslide_lib.geo.scoring; print({'geopandas', 'shapely', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
