"""The simulator: reproducible, in range, physically ordered, calibrated to Landslide4Sense."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from landslide_lib.data import statistics
from landslide_lib.data.simulator.fields import REGIONS
from landslide_lib.data.simulator.scenes import UNITS, relief, simulate_scene
from landslide_lib.study import reports

# What it is calibrated to: the published statistics of the genuine patches that were at hand, and
# what the RAU-Net report states of the training patches.
GENUINE = statistics.published()["landslide4sense"]["bands"]
STATED = reports.reports()["raunet"].facts
GENUINE_MEAN = {name: facts["mean"] for name, facts in GENUINE.items()}
GENUINE_TILE_SHARE = STATED["positive"].value / 100
GENUINE_PIXEL_SHARE = STATED["landslide"].value / 100
SEEDS = range(1)


@cache
def scenes() -> tuple[NDArray[np.float32], NDArray[np.uint8], list[str]]:
    """Simulate the fixed set once: images (n, 512, 512, 14), masks (n, 512, 512), regions."""
    names = [name for name in REGIONS for _ in SEEDS]
    pairs = [simulate_scene(name, seed) for name in REGIONS for seed in SEEDS]
    return np.stack([i for i, _ in pairs]), np.stack([m for _, m in pairs]), names


@pytest.mark.parametrize("size", [128, 256])
def test_same_arguments_give_the_same_bytes(size: int) -> None:
    """Neither the global state of numpy nor an earlier scene leaks in."""
    image, mask = simulate_scene("volcanic_hills", 3, size)
    np.random.seed(0)  # noqa: NPY002, the global state is what is tried
    simulate_scene("dry_highlands", 0, 128)
    again, mask_again = simulate_scene("volcanic_hills", 3, size)
    assert image.tobytes() == again.tobytes()
    assert mask.tobytes() == mask_again.tobytes()


def test_seed_and_region_matter() -> None:
    """Another seed is another place, another region too."""
    first = simulate_scene("dry_highlands", 0, 128)[0]
    assert not np.array_equal(first, simulate_scene("dry_highlands", 1, 128)[0])
    assert not np.array_equal(first, simulate_scene("alpine_valleys", 0, 128)[0])


@pytest.mark.parametrize("region", REGIONS)
def test_shapes_types_and_ranges(region: str) -> None:
    """An image is finite and never negative; a mask holds 0 and 1 only."""
    image, mask = simulate_scene(region, 7, 256)
    assert image.shape == (256, 256, 14)
    assert image.dtype == np.float32
    assert mask.shape == (256, 256)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 1}
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert image[..., 12].max() * UNITS[12] < 90  # degrees
    assert (np.delete(image, 9, axis=2) < 12).all()
    assert image[..., 9].max() <= 60


def test_scenes_of_any_seed_can_be_empty_but_never_fail() -> None:
    """Small scenes often hold no landslide at all: that is an empty mask, not an error."""
    counts = [simulate_scene("logged_coast", seed, 128)[1].sum() for seed in range(12)]
    assert min(counts) == 0
    assert max(counts) > 0


def test_landslides_lie_on_steep_ground() -> None:
    """Mean slope under landslides is above the mean of their own region."""
    images, masks, names = scenes()
    for region in REGIONS:
        here = [k for k, name in enumerate(names) if name == region]
        slope, landslide = images[here][..., 12], masks[here] > 0
        assert slope[landslide].mean() > 1.02 * slope.mean(), region


def test_slope_is_the_gradient_of_the_dem() -> None:
    """Undoing the rescaling, B13 is the angle of B14's gradient on 10 m pixels."""
    image, _ = simulate_scene("humid_mountains", 1, 128)
    dy, dx = np.gradient(image[..., 13].astype(float) * UNITS[13], 10.0)
    expected = np.degrees(np.arctan(np.hypot(dy, dx)))
    np.testing.assert_allclose(image[..., 12] * UNITS[12], expected, atol=0.05)


def test_the_relief_of_a_scene_is_that_of_its_image_and_its_rivers_lie_low() -> None:
    """Whoever wants the place alone gets the very place of the image."""
    heights, river, _ = relief("volcanic_hills", 3, 256)
    image, _ = simulate_scene("volcanic_hills", 3, 256)
    np.testing.assert_allclose(image[..., 13] * UNITS[13], heights, rtol=1e-5)
    assert 0 < (river > 0).mean() < 0.1
    assert heights[river > 0].mean() < heights.mean() - 20
    with pytest.raises(ValueError, match="region 'atlantis'"):
        relief("atlantis", 0, 128)


def test_band_means_are_near_the_genuine_ones() -> None:
    """Every band's mean over all regions is within a factor 1.5 of L4S's."""
    images, _, _ = scenes()
    for index, (band, genuine) in enumerate(GENUINE_MEAN.items()):
        ratio = float(images[..., index].mean(dtype=np.float64)) / genuine
        assert 1 / 1.5 < ratio < 1.5, (band, ratio)


def test_landslide_shares_are_near_the_genuine_ones() -> None:
    """Tiles with a landslide within 12 points, landslide pixels within a factor 1.6."""
    _, masks, _ = scenes()
    tiles = masks.reshape(len(masks), 4, 128, 4, 128).sum(axis=(2, 4), dtype=int)
    assert (tiles > 0).mean() == pytest.approx(GENUINE_TILE_SHARE, abs=0.12)
    assert 1 / 1.6 < masks.mean() / GENUINE_PIXEL_SHARE < 1.6
    assert tiles[tiles > 0].min() < 20
    assert tiles.max() > 0.15 * 128 * 128


def test_scars_are_brighter_in_red_but_overlap_with_the_rest() -> None:
    """Neither invisible nor given away by one band: bare fields and river beds look alike."""
    images, masks, _ = scenes()
    red, landslide = images[..., 3], masks > 0
    assert red[landslide].mean() > 1.5 * red[~landslide].mean()
    guess = red > np.quantile(red, 1 - masks.mean())
    precision = (guess & landslide).sum() / guess.sum()
    assert 0.05 < precision < 0.6


def test_regions_differ() -> None:
    """Each pair of regions is over a quarter of the spread apart in some band's mean."""
    images, _, names = scenes()
    spread = images.std(axis=(0, 1, 2))
    means = np.stack(
        [images[[k for k, name in enumerate(names) if name == region]].mean(axis=(0, 1, 2)) for region in REGIONS]
    )
    assert len(REGIONS) >= 6
    for a in range(len(means)):
        for b in range(a):
            assert (np.abs(means[a] - means[b]) / spread).max() > 0.25, (a, b)


def test_unknown_region_names_the_allowed_ones() -> None:
    """The message lets the reader mend the call."""
    with pytest.raises(ValueError, match=r"atlantis.*alpine_valleys.*volcanic_hills"):
        simulate_scene("atlantis", 0, 128)


@pytest.mark.parametrize("size", [0, -128, 100, 200])
def test_bad_size_is_refused(size: int) -> None:
    """Scenes are cut into tiles of 128."""
    with pytest.raises(ValueError, match="128"):
        simulate_scene("dry_highlands", 0, size)


def test_negative_seed_is_refused() -> None:
    """A negative number is no seed."""
    with pytest.raises(ValueError, match="non-negative"):
        simulate_scene("dry_highlands", -1, 128)
