"""Engineered channels: each against plain loops, and what has no answer has a stated one."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from landslide_lib.data.bands import (
    BRIGHT,
    CANNY,
    ENGINEERED,
    KERNEL,
    L4S,
    RGB,
    SAR,
    WHITENESS,
    ZINDI,
    check,
    cloud_score,
    engineer,
    is_radar,
    possible,
)
from landslide_lib.study.reports import resolve, table

SIDE = 8
LARGEST = float(np.finfo(np.float16).max)
SOURCES = ("R", "G", "B", "B4", "B8", "B11", "B12", "NIR", *SAR)
#: The channels of tiles with radar.
OF_RADAR = [name for name in ENGINEERED if is_radar(name)]


def some(seed: int = 0, count: int = 3) -> dict[str, np.ndarray]:
    """Planes of every band that a channel is made of, as a packed image holds them."""
    draw = np.random.default_rng(seed)
    return {name: draw.uniform(0.2, 3, (count, SIDE, SIDE)).astype(np.float16).astype(np.float32) for name in SOURCES}


def extremes(planes):
    return {name: (float(plane.min()), float(plane.max())) for name, plane in planes.items()}


def made(name, planes):
    """One channel, (N, S, S)."""
    return engineer([name], planes, extremes(planes))[name]


def reach(plane, y, x, radius, outside):
    """The square around a pixel, with `outside` saying which pixel stands for one beyond."""
    rows = [outside(i, SIDE) for i in range(y - radius, y + radius + 1)]
    columns = [outside(i, SIDE) for i in range(x - radius, x + radius + 1)]
    return np.array([[plane[i, j] for j in columns] for i in rows], np.float64)


def mirrored(i, n):
    return -i if i < 0 else 2 * (n - 1) - i if i >= n else i


def repeated(i, n):
    return min(max(i, 0), n - 1)


def filtered(planes, radius, outside, how):
    """Apply a function of the square around each pixel to the gray image, pixel by pixel."""
    result = np.zeros(planes["R"].shape)
    for k, y, x in np.ndindex(result.shape):
        gray = (planes["R"][k].astype(float) + planes["G"][k] + planes["B"][k]) / 3
        result[k, y, x] = how(reach(gray, y, x, radius, outside))
    return result


# --- Each channel against its definition ----------------------------------------------------------


def test_local_normalisation_is_of_each_image_alone():
    planes = some()
    for name in RGB:
        x = planes[name].astype(float)
        for k, image in enumerate(made(f"{name}_local", planes)):
            expected = (x[k] - x[k].min()) / (x[k].max() - x[k].min())
            np.testing.assert_allclose(image, expected, atol=1e-6)


def test_global_normalisation_is_of_the_dataset_and_not_of_the_images_at_hand():
    planes = some()
    for name in RGB:
        whole = {name: (-1.0, 4.0)}
        result = engineer([f"{name}_global"], planes, whole)[f"{name}_global"]
        np.testing.assert_allclose(result, (planes[name].astype(float) + 1) / 5, atol=1e-6)


@pytest.mark.parametrize(("name", "other"), [("NDVI", "B4"), ("VI", "B11"), ("NBR", "B12")])
def test_an_index_is_the_normalised_difference_to_near_infrared(name, other):
    planes = some()
    near, far = planes["B8"].astype(float), planes[other].astype(float)
    np.testing.assert_allclose(made(name, planes), (near - far) / (near + far), atol=1e-6)


def test_gray_is_the_mean_of_red_green_and_blue():
    planes = some()
    expected = np.mean([planes[name].astype(float) for name in RGB], axis=0)
    np.testing.assert_allclose(made("gray", planes), expected, rtol=1e-6)


def test_the_gaussian_is_a_weighted_mean_of_the_mirrored_image():
    distance = np.arange(KERNEL) - KERNEL // 2
    weights = np.exp(-(distance**2) / (2 * 2.0**2))
    weights = np.outer(weights, weights) / weights.sum() ** 2
    planes = some()
    expected = filtered(planes, KERNEL // 2, mirrored, lambda square: (square * weights).sum())
    np.testing.assert_allclose(made("gaussian", planes), expected, rtol=1e-4)


def test_the_median_is_within_half_of_a_256th_of_the_exact_one():
    planes = some()
    expected = filtered(planes, KERNEL // 2, repeated, np.median)
    gray = made("gray", planes)
    level = (gray.max((1, 2)) - gray.min((1, 2))) / 255
    assert (np.abs(made("median", planes) - expected).max((1, 2)) <= level / 2 + 1e-6).all()


@pytest.mark.parametrize("name", ["sobel_x", "sobel_y"])
def test_a_gradient_is_the_sobel_kernel_on_the_mirrored_image(name):
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    if name == "sobel_y":
        kernel = kernel.T
    planes = some()
    expected = filtered(planes, 1, mirrored, lambda square: (square * kernel).sum())
    np.testing.assert_allclose(made(name, planes), expected, atol=1e-6)


def test_the_gradient_of_a_slope_is_its_rise_a_pixel():
    ramp = np.broadcast_to(np.arange(SIDE, dtype=np.float32) * 3, (1, SIDE, SIDE))
    planes = dict.fromkeys(RGB, ramp)
    assert (made("sobel_x", planes)[0, :, 1:-1] == 3).all()
    assert (made("sobel_y", planes) == 0).all()


def test_edges_are_where_the_steepest_step_is_and_strong_enough():
    def edges(step):
        plane = np.zeros((1, SIDE, SIDE), np.float32)
        plane[:, :, 4:] = step
        plane[0, 0, 0] = 255  # the brightest pixel, against which a step is strong or weak
        return made("canny", dict.fromkeys(RGB, plane))[0, 3:]

    strong = edges(200)
    assert set(np.unique(strong)) == {0, 1}
    assert strong[:, 3:5].sum() == len(strong)
    assert strong.sum() == len(strong)
    # On 8 bits the Sobel kernel answers 4 times the step, which the lower threshold is set on.
    assert edges(CANNY[0] // 4 - 1).sum() == 0


def test_the_channels_of_the_first_authors_code_are_its_filters_on_the_rescaled_gray_image():
    planes = some()
    gray = np.mean([planes[name] for name in RGB], axis=0, dtype=np.float32)
    low, high = gray.min((1, 2), keepdims=True), gray.max((1, 2), keepdims=True)
    shades = dict.fromkeys(RGB, (gray - low) / (high - low))
    levels = dict.fromkeys(RGB, np.floor(shades["R"] * 255))
    # An even kernel reaches five pixels back and four on.
    mean = filtered(levels, 5, mirrored, lambda square: square[:-1, :-1].mean())
    np.testing.assert_allclose(made("mean_10", planes), mean / 255, atol=0.51 / 255)
    median = filtered(levels, 7, repeated, np.median)
    np.testing.assert_allclose(made("median_15", planes), median / 255, atol=1e-6)
    kernel = np.outer([1, 4, 6, 4, 1], [-1, -2, 0, 2, 1]) / 27.32001
    for name, weights in (("sobel_x_5", kernel), ("sobel_y_5", kernel.T)):
        expected = filtered(shades, 2, mirrored, lambda square, weights=weights: (square * weights).sum())
        np.testing.assert_allclose(made(name, planes), expected, atol=1e-5)
    strong = [cv2.Canny(np.uint8(image), 150, 227) > 0 for image in levels["R"]]
    np.testing.assert_array_equal(made("canny_150", planes), strong)


@pytest.mark.parametrize("side", ["desc", "asc"])
@pytest.mark.parametrize("name", ["VV", "VH"])
def test_before_the_event_is_after_it_without_the_change(name, side):
    planes = some()
    expected = planes[f"{name}_{side}"].astype(float) - planes[f"d{name}_{side}"]
    np.testing.assert_allclose(made(f"before_{name}_{side}", planes), expected, atol=1e-6)


@pytest.mark.parametrize("name", SAR)
def test_despeckled_is_the_exact_median_of_the_nine_around_a_pixel(name):
    planes = some()
    expected = np.zeros(planes[name].shape)
    for k, y, x in np.ndindex(expected.shape):
        expected[k, y, x] = np.median(reach(planes[name][k], y, x, 1, repeated))
    np.testing.assert_array_equal(made(f"median_{name}", planes), expected)


@pytest.mark.parametrize(
    ("red", "green", "blue", "near", "cloud"),
    [
        (0.6, 0.6, 0.6, 0.6, 1),  # a cloud
        (0.5, 0.55, 0.6, 0.5, 1),  # and a bluish one
        (0.05, 0.08, 0.04, 0.4, 0),  # a forest: dark
        (0.6, 0.3, 0.1, 0.5, 0),  # bright, and not grey
        (0.4, 0.4, 0.4, 0.1, 0),  # muddy water: dark in the near infrared
        (BRIGHT, BRIGHT, BRIGHT, 1.0, 0),
        (0.0, 0.0, 0.0, 0.0, 0),
    ],
)
def test_a_cloud_is_bright_and_grey(red, green, blue, near, cloud):
    colour = dict(zip((*RGB, "NIR"), (red, green, blue, near), strict=True))
    planes = {name: np.full((1, 2, 2), value, np.float32) for name, value in colour.items()}
    with np.errstate(all="raise"):
        found = made("clouds", planes)
    assert (found == cloud).all()


@given(st.lists(st.floats(0, 2, width=32), min_size=4, max_size=4))
def test_the_rule_of_clouds_is_the_whiteness_of_fmask(values):
    *visible, near = values
    middle = np.mean(visible)
    grey = middle > 0 and sum(abs(v - middle) for v in visible) / middle
    assume(all(abs(v) > 1e-4 for v in (middle - BRIGHT, near - BRIGHT, grey - WHITENESS)))
    planes = {name: np.full((1, 1, 1), value, np.float32) for name, value in zip((*RGB, "NIR"), values, strict=True)}
    expected = middle > BRIGHT and near > BRIGHT and grey < WHITENESS
    assert bool(made("clouds", planes)) == expected


def test_a_tile_that_is_all_cloud_or_all_black_has_a_score_and_a_mask():
    draw = np.random.default_rng(0)
    tiles = np.stack([np.zeros((4, 8, 8)), np.full((4, 8, 8), 0.9), draw.random((4, 8, 8))])
    red, green, blue, near = tiles.astype(np.float16).swapaxes(0, 1)
    score = cloud_score(red, green, blue)
    np.testing.assert_allclose(score, tiles[:, :3].mean((1, 2, 3)), rtol=2e-3)
    assert score.dtype == np.float32
    planes = dict(zip((*RGB, "NIR"), map(np.float32, (red, green, blue, near)), strict=True))
    assert made("clouds", planes)[:2].mean((1, 2)).tolist() == [0, 1]


def test_the_brightness_of_bright_tiles_is_not_lost_in_half_precision():
    tiles = np.full((1, 128, 128), 1000.0, np.float16)
    assert cloud_score(tiles, tiles, tiles) == pytest.approx(1000)


# --- What has no answer of its own ----------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, 1.5, LARGEST])
@pytest.mark.parametrize("name", ENGINEERED)
def test_a_constant_image_has_no_contrast_no_edges_and_no_gradient(name, value):
    planes = {band: np.full((2, SIDE, SIDE), value, np.float32) for band in SOURCES}
    result = made(name, planes)
    kept = name in ("gray", "gaussian", "median") or (name in OF_RADAR and name.startswith("median_"))
    expected = 1 if name == "clouds" and value else value if kept else 0
    np.testing.assert_allclose(result, np.full((2, SIDE, SIDE), expected), rtol=1e-6)


def test_an_index_of_two_zeros_is_zero_and_no_warning():
    planes = some()
    planes["B8"][0, 2] = planes["B4"][0, 2] = 0
    planes["B8"][1, 3], planes["B4"][1, 3] = 1, -1
    with np.errstate(all="raise"):
        ndvi = made("NDVI", planes)
    assert (ndvi[0, 2] == 0).all()
    assert (ndvi[1, 3] == 0).all()
    assert np.isfinite(ndvi).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.sampled_from([1e-7, 1.0, 255.0, LARGEST]), st.sampled_from([1e-7, 1.0, 255.0, LARGEST]))
def test_every_channel_of_any_packed_image_is_a_number_that_float16_holds(seed, low, high):
    draw = np.random.default_rng(seed)
    planes = {name: draw.uniform(-low, high, (2, SIDE, SIDE)).astype(np.float16).astype(np.float32) for name in SOURCES}
    for name in SAR:  # in dB, of which no radar has thousands
        planes[name] = np.clip(planes[name], -LARGEST / 2, LARGEST / 2)
    for name, channel in engineer(ENGINEERED, planes, extremes(planes)).items():
        assert channel.shape == (2, SIDE, SIDE)
        assert channel.dtype == np.float32
        assert np.isfinite(channel.astype(np.float16)).all(), name
        if name.endswith(("_local", "_global")) or name in ("canny", "clouds", "mean_10", "median_15", "canny_150"):
            assert 0 <= channel.min() <= channel.max() <= 1
        if name in ("NDVI", "VI", "NBR"):
            assert -1 <= channel.min() <= channel.max() <= 1


@pytest.mark.parametrize("name", ENGINEERED)
def test_an_image_does_not_depend_on_those_it_is_computed_with(name):
    planes = some(count=4)
    whole = extremes(planes)
    together = engineer([name], planes, whole)[name]
    for k in range(4):
        alone = engineer([name], {band: p[k : k + 1] for band, p in planes.items()}, whole)[name]
        np.testing.assert_array_equal(alone[0], together[k])


# --- Names ----------------------------------------------------------------------------------------


def test_a_picture_has_no_channel_of_bands_that_it_lacks():
    indices = {"NDVI", "VI", "NBR"}
    assert {*possible(L4S)} == {*L4S, *RGB, *ENGINEERED} - {*OF_RADAR, "clouds"}
    assert {*possible(RGB)} == {*RGB, *ENGINEERED} - {*OF_RADAR, "clouds"} - indices
    assert {*possible(ZINDI)} == {*ZINDI, *ENGINEERED} - indices
    assert len(set(possible(L4S))) == len(possible(L4S))


def test_what_a_dataset_lacks_is_refused_with_what_it_is_made_of_and_what_is_allowed():
    check(possible(RGB), RGB, "bijie")
    with pytest.raises(
        ValueError,
        match=r"bijie has no NDVI \(made of B8 and B4\), B9, ndvi; "
        r"allowed: R, G, B, R_local.*canny_150$",
    ):
        check(["R", "NDVI", "B9", "ndvi"], RGB, "bijie")


def test_the_rows_of_the_report_have_as_many_channels_as_it_counts():
    rows = table("raunet/bands")
    reported = [row for row in rows.rows if not row.ours]
    made = {row.id: resolve(rows, row).bands or L4S for row in reported}
    assert {name: len(names) for name, names in made.items()} == {name: int(name) for name in made}
    for less, more in (("14", "17"), ("17", "21"), ("21", "23"), ("23", "25"), ("25", "26")):
        assert made[more][: len(made[less])] == made[less]
    assert set(made["22"]) == set(made["26"]) - set(made["21"]) | set(made["17"])


def test_sentinel_alone_is_the_input_that_was_kept_without_the_radar_in_every_fold():
    rows = table("raunet/sentinel-only")
    kept = resolve(table("raunet/bands"), table("raunet/bands").row("23")).bands
    for k in range(5):
        alone, whole = (resolve(rows, rows.row(f"{name}-{k + 1}")) for name in ("sentinel", "polsar"))
        assert whole.bands == kept
        assert alone.bands == tuple(name for name in kept if name not in ("slope", "DEM"))
        assert alone.split.fold == whole.split.fold == k


def test_a_picture_runs_the_rows_that_need_its_three_bands_alone():
    rows = table("raunet/bands")
    for dataset in ("bijie", "uav"):
        runnable = rows.runnable(dataset)
        assert {row.id for row in runnable if not row.ours} == {"9"}
        assert all(resolve(rows, row, dataset=dataset) for row in runnable)
    assert not any(row.ours for row in rows.runnable("synthetic"))
