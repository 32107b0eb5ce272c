"""Statistics of a dataset, as the book prints them."""

from dataclasses import replace

import numpy as np
import pytest

from landslide_lib.datasets import statistics


def test_the_numbers_are_those_of_the_pixels(packed):
    facts = statistics.describe(packed)
    images = packed.images.astype(np.float64)
    for column, name in enumerate(packed.bands):
        assert facts["bands"][name]["mean"] == pytest.approx(images[:, column].mean())
        assert facts["bands"][name]["std"] == pytest.approx(images[:, column].std())
        assert facts["bands"][name]["max"] == images[:, column].max()
    areas = [mask.mean() for mask in packed.masks if mask.any()]
    assert facts["positive"] == len(areas) / len(packed)
    assert facts["landslide"] == pytest.approx(packed.masks.mean())
    assert (facts["smallest"], facts["largest"]) == (min(areas), max(areas))


def test_images_without_truth_have_no_share_of_landslides(packed):
    facts = statistics.describe(replace(packed, parts=("test, no masks",) * len(packed)))
    assert facts["labelled"] == 0
    assert facts["positive"] is facts["landslide"] is facts["largest"] is None
    assert facts["images"] == len(packed)


def test_what_is_published_is_read_back_and_never_overwritten(packed, tmp_path):
    facts = statistics.describe(packed)
    path = statistics.publish(facts, tmp_path)
    assert statistics.published(tmp_path) == {packed.name: facts}
    assert statistics.publish({**facts, "images": 0}, tmp_path) == path
    assert statistics.published(tmp_path) == {packed.name: facts}
