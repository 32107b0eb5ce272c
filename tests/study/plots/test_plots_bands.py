"""An index of bands in units of their own: what is drawn is what `bands.engineer` computes."""

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_lib.data.bands import engineer
from landslide_lib.study.plots import bands as plots_bands

mpl.use("Agg")

UNIT = st.floats(0.01, 10)


def ndvi(infrared, red):
    planes = {"B8": infrared[None], "B4": red[None]}
    return engineer(["NDVI"], planes, {})["NDVI"][0]


@given(st.integers(0, 99), UNIT, UNIT)
def test_the_index_of_rescaled_bands_follows_from_that_of_reflectances(seed, near, red):
    one, other = np.random.default_rng(seed).uniform(0.01, 1, (2, 5, 5)).astype(np.float32)
    rescaled = ndvi(one / np.float32(near), other / np.float32(red))
    expected = plots_bands.of_units(ndvi(one, other), red / near)
    np.testing.assert_allclose(rescaled, expected, atol=2e-4)


@given(st.floats(-0.99, 0.99), UNIT)
def test_the_inverse_ratio_leads_back(index, ratio):
    there = plots_bands.of_units(np.array([index]), ratio)
    assert plots_bands.of_units(there, 1 / ratio)[0] == pytest.approx(index, abs=1e-6)


def test_one_unit_for_both_bands_changes_nothing():
    index = np.linspace(-1, 1, 11)
    np.testing.assert_allclose(plots_bands.of_units(index, 1), index)


@pytest.mark.parametrize("ratio", [0, -1])
def test_a_ratio_that_is_not_positive_is_refused(ratio):
    with pytest.raises(ValueError, match=f"ratio {ratio}"):
        plots_bands.of_units(np.zeros(2), ratio)


@pytest.mark.parametrize("landslide", [0, 1])
def test_the_figure_holds_every_pixel_of_a_small_tile(landslide):
    true = np.linspace(-0.5, 0.5, 16).reshape(4, 4)
    mask = np.zeros((4, 4), np.uint8)
    mask[1:3, 1:3] = landslide  # a tile without a landslide has no outline
    rescaled = plots_bands.of_units(true, 0.5)
    picture = plots_bands.index_and_units(true, rescaled, mask, ratio=0.5, name="index")
    assert picture.data["reflectances"].to_numpy() == pytest.approx(true.ravel(), abs=1e-4)
    assert picture.data["landslide"].sum() == 4 * landslide


@pytest.mark.parametrize("count", [1, 5, 6])
def test_any_number_of_channels_is_drawn(count):
    planes = {f"channel {i}": np.full((4, 4), i - 1.0) for i in range(count)}
    picture = plots_bands.channels(planes, np.eye(4), name="channels", alt="Some.")
    titles = [place.get_title() for place in picture.figure.axes if place.get_title()]
    assert titles == list(planes)
