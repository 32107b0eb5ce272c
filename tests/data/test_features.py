"""Hand-made features: what they are by other means, and that no tile breaks them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landslide_lib.data import bands, features

RADAR = [f"{name}_{way}" for way in ("desc", "asc") for name in ("VV", "VH", "dVV", "dVH")]
TWELVE = ["R", "G", "B", "NIR", *RADAR]


def tiles(count: int, size: int = 8, seed: int = 0, names=TWELVE):
    draw = np.random.default_rng(seed)
    return {
        name: draw.normal(-12, 4, (count, size, size))
        if name in RADAR
        else draw.uniform(0.01, 0.6, (count, size, size))
        for name in names
    }


def pixels(planes, *names):
    """The pixels of the first tile, one after the other, as plain numbers."""
    return list(zip(*(planes[name][0].ravel().tolist() for name in names), strict=True))


BY_HAND = {
    "NDVI": (("NIR", "R"), lambda n, r: (n - r) / (n + r)),
    "SAVI": (("NIR", "R"), lambda n, r: 1.5 * (n - r) / (n + r + 0.5)),
    "NDWI": (("G", "NIR"), lambda g, n: (g - n) / (g + n)),
    "NGRDI": (("G", "R"), lambda g, r: (g - r) / (g + r)),
    "bare": (("R", "G", "NIR", "B"), lambda r, g, n, b: (r + g - n - b) / (r + g + n + b)),
    "brightness": (("R", "G", "B"), lambda r, g, b: (r + g + b) / 3),
    "colour": (("R", "G", "B"), lambda r, g, b: max(r, g, b) - min(r, g, b)),
    "ratio_asc": (("VV_asc", "VH_asc"), lambda v, h: v - h),
    "dratio_desc": (("dVV_desc", "dVH_desc"), lambda v, h: v - h),
    "change_asc": (("dVV_asc", "dVH_asc"), lambda v, h: math.sqrt(v * v + h * h)),
    "dVH_mean": (("dVH_desc", "dVH_asc"), lambda d, a: (d + a) / 2),
    "dVV_apart": (("dVV_desc", "dVV_asc"), lambda d, a: abs(d - a)),
}


@pytest.mark.parametrize("plane", BY_HAND)
def test_a_plane_is_what_its_formula_gives_pixel_by_pixel(plane):
    planes = tiles(2)
    names, how = BY_HAND[plane]
    values = sorted(how(*one) for one in pixels(planes, *names))
    found = features.measure(planes).iloc[0]
    mean = sum(values) / len(values)
    assert found[f"{plane}_mean"] == pytest.approx(mean)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    assert found[f"{plane}_std"] == pytest.approx(spread)
    assert found[f"{plane}_p50"] == pytest.approx((values[31] + values[32]) / 2)
    assert values[2] <= found[f"{plane}_p05"] <= values[4]
    assert values[-5] <= found[f"{plane}_p95"] <= values[-3]


def test_the_table_names_bands_that_are_enough_and_each_needed():
    for name, plane in features.PLANES.items():
        assert name in features.planes_of(plane.of)
        for band in plane.of:
            assert name not in features.planes_of(set(plane.of) - {band})


def test_texture_is_the_mean_square_of_steps():
    plane = np.array([[[1.0, 2.0, 4.0], [1.0, 5.0, 4.0]]])
    right = [1, 4, 16, 1]
    down = [0, 9, 0]
    found = features.measure({"R": plane})["R_energy"].iloc[0]
    assert found == pytest.approx(sum(right) / 4 + sum(down) / 3)


def test_a_dataset_gets_the_features_that_its_bands_allow():
    assert not [name for name in features.possible(bands.RGB) if "NDVI" in name]
    assert "BSI_mean" in features.possible(bands.L4S)  # B11 is its SWIR
    assert "BSI_mean" not in features.possible(TWELVE)
    assert {"NDVI_p95", "ratio_desc_std", "change_asc_mean"} <= set(features.possible(TWELVE))
    found = features.measure(tiles(1))
    assert tuple(found.columns) == features.possible(TWELVE)


def test_sentinel_2_names_stand_for_colours():
    planes = tiles(2, names=["R", "G", "B", "NIR"])
    renamed = dict(zip(("B4", "B3", "B2", "B8"), planes.values(), strict=True))
    assert features.measure(renamed).equals(features.measure(planes))


@given(
    arrays(np.float64, (2, 4, 4), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])),
    st.sampled_from([-60.0, -10.0, 0.0, 30.0]),
)
@settings(max_examples=25)
def test_constant_cloudy_and_empty_tiles_give_finite_numbers(light, echo):
    planes = {name: np.full((2, 4, 4), echo) if name in RADAR else light for name in TWELVE}
    found = features.measure(planes)
    assert np.isfinite(found.to_numpy()).all()
    assert (found[[f"{name}_std" for name in RADAR]] == 0).all(axis=None)
    for name in ("NDVI", "NDWI", "NGRDI", "bare"):
        assert found[[f"{name}_p05", f"{name}_p95"]].abs().le(1).all(axis=None)


def test_a_turned_tile_has_the_same_features():
    planes = tiles(3)
    turned = {name: np.rot90(plane, axes=(1, 2))[:, ::-1] for name, plane in planes.items()}
    np.testing.assert_allclose(features.measure(turned), features.measure(planes))


def test_decibels_that_both_polarisations_gain_leave_the_ratio():
    planes = tiles(2)
    louder = {n: p + 3 if n in ("VV_asc", "VH_asc") else p for n, p in planes.items()}
    one, other = features.measure(planes), features.measure(louder)
    np.testing.assert_allclose(other["VV_asc_mean"], one["VV_asc_mean"] + 3)
    np.testing.assert_allclose(other["ratio_asc_p95"], one["ratio_asc_p95"])


def test_more_tiles_than_a_chunk_are_each_its_own(monkeypatch):
    planes = tiles(7)
    whole = features.measure(planes, ids=[f"t{k}" for k in range(7)])
    monkeypatch.setattr(features, "CHUNK", 3)
    assert features.measure(planes, ids=whole.index).equals(whole)
    alone = features.measure({name: plane[5:6] for name, plane in planes.items()})
    np.testing.assert_allclose(alone.iloc[0], whole.loc["t5"])


def test_packed_halves_are_taken(packed):
    found = features.measure({name: packed.plane(name) for name in packed.bands}, packed.ids)
    assert list(found.index) == list(packed.ids)
    wanted = packed.images[3, 0].astype(np.float64).mean()
    assert found.loc[packed.ids[3], "R_mean"] == pytest.approx(wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_refused_by_band_and_tile(value):
    planes = tiles(70)
    planes["VH_asc"][66, 1, 1] = value
    with pytest.raises(ValueError, match="band VH_asc of tile 66"):
        features.measure(planes)


@pytest.mark.parametrize(("planes", "said"), [({"thermal": np.zeros((1, 4, 4))}, "thermal allow none"), ({}, "none")])
def test_planes_that_do_not_go_together_are_refused(planes, said):
    with pytest.raises(ValueError, match=said):
        features.measure(planes)
