"""Figures of the data: what they draw is in their data, and gaps in old statistics are no error."""

import matplotlib as mpl
import numpy as np
import pytest

from landslide_lib.data import statistics
from landslide_lib.study.plots import data as plots_data

mpl.use("Agg")


def test_a_shift_is_counted_in_standard_deviations_of_all_images(packed):
    facts = statistics.describe(packed)
    picture = plots_data.shift(facts["regions"], facts["bands"], name="shift")
    south = np.array(packed.regions) == "south"
    images = packed.images.astype(np.float64)
    wanted = (images[south, 2].mean() - images[:, 2].mean()) / images[:, 2].std()
    data = picture.data.set_index(["group", "band"])["value"]
    assert data["south", "B"] == pytest.approx(wanted, abs=1e-3)
    assert len(data) == 2 * 3


def test_a_constant_band_has_no_shift(packed):
    bands = {"R": {"mean": 0.5, "std": 0.0}}
    picture = plots_data.shift({"all": {"bands": bands}}, bands, name="shift")
    assert picture.data["value"].tolist() == [0]


def test_areas_are_shares_of_each_dataset_and_boxes_stand_in_for_masks(packed):
    facts = statistics.describe(packed)
    boxes = {"areas": None, "boxes": {"edges": [0.01, 0.1, 1], "counts": [1, 3]}}
    data = plots_data.areas({"masks": facts, "boxes": boxes, "old": {}}).data
    assert set(data["data"]) == {"masks", "boxes"}
    shares = data.groupby(["data", "of"])["share"].sum()
    assert shares.to_numpy() == pytest.approx(1, abs=1e-3)
    assert ("boxes", "image") not in shares
    some = data[(data["data"] == "masks") & (data["of"] == "image")]
    assert some["count"].sum() == packed.positive.sum()


def test_cut_pairs_are_those_of_the_statistics():
    cut = {"random": {"right": [3, 6], "below": [1, 2]}, "blocked": {"right": [0, 6]}}
    sets = {"a": {"neighbours": {"cut": cut}}, "b": {"neighbours": {"cut": None}}, "old": {}}
    picture = plots_data.cut_pairs(sets)
    assert picture.data["share"].tolist() == [0.5, 0.5, 0]
    bars = [bar.get_width() for bar in picture.figure.axes[0].patches]
    assert bars == [0.5, 0]


def test_nothing_to_draw_is_an_empty_figure():
    assert len(plots_data.areas({"old": {}}).data) == 0
    assert len(plots_data.cut_pairs({"old": {}}).data) == 0
