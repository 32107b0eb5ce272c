"""Slopes beside xarray-spatial's, and of planes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_lib.geo.ground import horn_slope


def test_it_is_the_slope_of_xarray_spatial():
    xarray = pytest.importorskip("xarray")
    from xrspatial import slope as theirs

    draw = np.random.default_rng(0)
    metres = (draw.random((40, 60)).cumsum(1) * 20 + 900).astype(np.float32)
    metres[10, 10] = np.nan
    ours = horn_slope(metres, (10, 20))
    other = theirs(xarray.DataArray(metres, dims=("y", "x"), attrs={"res": (10, 20)})).values
    assert np.nanmax(np.abs(ours - other)) < 1e-4
    differ = np.argwhere(np.isnan(ours) != np.isnan(other))
    assert differ.tolist() == [[10, 10]]  # Horn's gradient does not look at the pixel itself; we leave it unknown
    assert np.isnan(ours[9:12, 9:12]).all()
    assert np.isnan(ours[[0, -1]]).all()
    assert np.isnan(ours[:, [0, -1]]).all()
    assert np.isfinite(ours[1:-1, 1:-1]).sum() == 38 * 58 - 9


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 90), st.floats(0.5, 90))
def test_a_plane_has_the_slope_of_its_gradient(east, north, wide, high):
    y, x = np.mgrid[:5, :6]
    found = horn_slope(east * x * wide - north * y * high, (wide, high))[1:-1, 1:-1]
    np.testing.assert_allclose(found, np.degrees(np.arctan(np.hypot(east, north))), atol=1e-4)


def test_flat_ground_is_0_and_a_wall_is_nearly_90():
    assert (horn_slope(np.full((4, 4), 8848.0), (10, 10))[1:-1, 1:-1] == 0).all()
    wall = np.repeat([[0.0, 0.0, 1e9, 1e9]], 4, 0)
    assert horn_slope(wall, (10, 10))[1, 1] == pytest.approx(90, abs=1e-3)
