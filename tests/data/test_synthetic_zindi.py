"""Simulated tiles with radar: reproducible, physically ordered, on the scale of the challenge."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from landslide_lib.data import statistics
from landslide_lib.data.bands import RGB, SAR, ZINDI, clouds
from landslide_lib.data.datasets.synthetic import LEAST, POSITIVE, SCENES, TILE, TILES, _tiles
from landslide_lib.data.datasets.zindi import UNIT
from landslide_lib.data.registry import get_dataset
from landslide_lib.data.simulator import radar
from landslide_lib.data.simulator.fields import REGIONS, Scene
from landslide_lib.data.simulator.radar import FLOOR, LOOK, LOOKS, backscatter
from landslide_lib.data.simulator.scenes import lay_out

DATASET = get_dataset("synthetic-zindi")
#: What the tiles are set beside; see the file for its source.
GENUINE = yaml.safe_load((Path(__file__).parent / "zindi_channels.yaml").read_text())
CHALLENGE = statistics.published()["zindi"]
#: Scenes of each region that are simulated here.
SOME = 1


@cache
def tiles():
    """Simulate some scenes of each region: images (n, 64, 64, 12) and masks."""
    pairs = [_tiles(name, scene) for name in REGIONS for scene in range(SOME)]
    return np.concatenate([i for i, _ in pairs]), np.concatenate([m for _, m in pairs])


def channel(name):
    return tiles()[0][..., ZINDI.index(name)]


def flat(covers=(), gradient=(0.0, 0.0), size=128):
    """A plane of one gradient (southwards, eastwards) with some covers all over it."""
    level = np.zeros((size, size))
    return Scene(
        REGIONS["humid_mountains"],
        level,
        np.stack([level + side for side in gradient]),
        level,
        level.astype(np.uint8),
        np.zeros((size, size, 12)),
        tuple((name, level + share) for name, share in covers),
    )


def look(scene, seed=0):
    return backscatter(np.random.default_rng(seed), scene)


def mean(scene, name, count=8):
    """Over some draws: an acquisition has its own rain and wind."""
    return np.mean([look(scene, seed)[name].mean() for seed in range(count)])


# --- Tiles ----------------------------------------------------------------------------------------


def test_the_tiles_of_a_scene_are_one_group_of_one_region():
    found = DATASET.samples(Path("nowhere"))
    assert len(found) == len({s.id for s in found}) == len(REGIONS) * SCENES * TILES
    assert 1_900 < len(found) < 2_100
    assert {s.region for s in found} == set(REGIONS)
    assert {s.part for s in found} == {"train"}
    for sample in found:
        assert sample.id.startswith(f"{sample.group}/")
        assert sample.group.startswith(f"{sample.region}/")


def test_the_same_seed_gives_the_same_bytes_whatever_came_before():
    sample = DATASET.samples(Path("nowhere"))[-1]
    image, mask = DATASET.read(sample)
    _tiles.cache_clear()
    np.random.seed(0)  # noqa: NPY002, the global state is what is tried
    again, mask_again = DATASET.read(sample)
    assert (image.shape, image.dtype) == ((TILE, TILE, len(ZINDI)), np.float32)
    assert (image.tobytes(), mask.tobytes()) == (again.tobytes(), mask_again.tobytes())


def test_as_many_tiles_have_a_landslide_as_in_the_challenge():
    assert abs(POSITIVE / TILES - CHALLENGE["positive"]) < 0.002
    masks = tiles()[1]
    assert masks.any((1, 2)).mean() == POSITIVE / TILES
    for scene in masks.reshape(-1, TILES, TILE, TILE):
        assert scene.any((1, 2)).sum() == POSITIVE


def test_a_tile_has_landslide_enough_to_be_seen_or_none():
    pixels = tiles()[1].sum((1, 2), dtype=int)
    assert pixels[pixels > 0].min() >= LEAST
    assert set(np.unique(tiles()[1])) == {0, 1}


def test_where_a_tile_stands_in_its_scene_does_not_tell_its_label():
    positive = tiles()[1].any((1, 2)).reshape(-1, TILES)
    assert (positive.any(axis=0)).mean() > 0.6
    assert positive.mean(axis=0).max() < 0.6


# --- On the scale of the challenge ----------------------------------------------------------------


@pytest.mark.parametrize("name", ZINDI)
def test_a_channel_has_about_the_mean_and_the_deviation_of_the_challenges(name):
    """Means: optical within a quarter, radar 2.5 dB, its change 1 dB; spreads: a factor 1.7."""
    found, genuine = channel(name), GENUINE[name]
    unit = 1 if name in SAR else UNIT
    near = 1.0 if name.startswith("d") else 2.5 if name in SAR else 0.25 * genuine["mean"] / unit
    assert found.mean() == pytest.approx(genuine["mean"] / unit, abs=near)
    low, high = np.percentile(found, [25, 75])
    assert 1 / 1.7 < (high - low) / (genuine["q75"] - genuine["q25"]) * unit < 1.7
    assert 1 / 1.7 < found.std() / genuine["std"] * unit < 1.7


def test_values_are_finite_and_reflectance_is_never_negative():
    images = tiles()[0]
    assert np.isfinite(images).all()
    assert images[..., : len(RGB) + 1].min() >= 0
    assert np.abs(images.astype(np.float16).astype(np.float32) - images).max() < 0.05
    for name in SAR:
        if not name.startswith("d"):
            assert FLOOR <= channel(name).min() < channel(name).max() < 40


# --- Clouds ---------------------------------------------------------------------------------------


def test_clouds_hide_some_tiles_wholly_some_partly_and_most_not_at_all():
    hidden = clouds(*(channel(name) for name in (*RGB, "NIR"))).mean((1, 2))
    assert 0.03 < hidden.mean() < 0.25
    assert (hidden < 0.02).mean() > 0.6
    assert ((hidden > 0.1) & (hidden < 0.7)).sum() > 10
    assert hidden.max() > 0.9


def test_a_landslide_under_a_cloud_is_seen_by_the_radar_alone():
    """Its contrast to its tile vanishes in red, and is as large as elsewhere in VH's change."""
    hidden = clouds(*(channel(name) for name in (*RGB, "NIR"))) > 0
    scar = tiles()[1] > 0

    def contrast(name, where):
        band = channel(name)
        return band[where & scar].mean() - band[where & ~scar].mean()

    assert contrast("R", ~hidden) > 0.02
    deviation = channel("R")[~hidden].std(), channel("R")[hidden].std()
    assert contrast("R", hidden) / deviation[1] < 0.5 * contrast("R", ~hidden) / deviation[0]
    for name in ("dVH_desc", "dVH_asc"):
        assert contrast(name, ~hidden) < -0.7
        assert contrast(name, hidden) < -0.7


# --- Radar ----------------------------------------------------------------------------------------


def test_speckle_has_the_looks_that_are_stated_and_none_of_it_is_shared():
    """Of gamma speckle with L looks the mean squared over the variance, of power, is L."""
    scene = flat([("forest", 1.0)])
    looked = look(scene)
    half = [looked[f"dVV_{side}"] for side in LOOK]
    # What stands in all acquisitions, the grain of the cover, is no part of a difference; in dB
    # the variance of one of two speckles is (10 / ln 10)^2 times the trigamma function at L.
    trigamma = sum(1 / (LOOKS + k) ** 2 for k in range(100_000))
    expected = 2 * (10 / np.log(10)) ** 2 * trigamma
    for change in half:
        sharp = change - np.roll(change, 1, axis=1)  # rain differs from place to place, smoothly
        assert sharp.var() / 2 == pytest.approx(expected, rel=0.1)
    assert abs(np.corrcoef(*(np.diff(change).ravel() for change in half))[0, 1]) < 0.02
    assert abs(np.corrcoef(np.diff(looked["dVV_asc"]).ravel(), np.diff(looked["dVH_asc"]).ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("side", LOOK)
def test_a_slope_that_faces_the_radar_is_brighter_than_level_ground_and_than_its_back(side):
    turn = np.radians(LOOK[side])
    # Rising in the direction of the look is facing the radar.
    rise = -np.cos(turn), np.sin(turn)
    level = mean(flat(), f"VV_{side}")
    facing = mean(flat(gradient=(0.4 * rise[0], 0.4 * rise[1])), f"VV_{side}")
    back = mean(flat(gradient=(-0.4 * rise[0], -0.4 * rise[1])), f"VV_{side}")
    across = mean(flat(gradient=(0.4 * rise[1], -0.4 * rise[0])), f"VV_{side}")
    assert facing - level > 3
    assert level - back > 2
    assert abs(across - level) < 2


def test_the_two_passes_look_from_opposite_sides():
    east = flat(gradient=(0.0, -0.5))  # falls to the east, so that it faces the east
    assert mean(east, "VV_desc") - mean(east, "VV_asc") > 5


def test_a_slope_beyond_grazing_is_in_shadow_and_layover_has_a_bound():
    turn = np.radians(LOOK["asc"])
    shadow = look(flat(gradient=(3 * np.cos(turn), -3 * np.sin(turn))))["VV_asc"]
    assert np.median(shadow) < -30
    for rise in np.linspace(0, 3, 31):
        bright = look(flat(gradient=(-rise * np.cos(turn), rise * np.sin(turn))))
        assert np.isfinite(bright["VV_asc"]).all()
        assert bright["VV_asc"].max() < 40


def test_forest_lost_to_a_scar_takes_its_volume_scattering_with_it():
    """VH falls by more than VV; before the event there is no scar; grass lost changes VH less."""
    lost = flat([("forest", 1.0), ("scar", 1.0)])
    vv, vh = (mean(lost, f"{name}_desc") for name in ("dVV", "dVH"))
    assert vh < -2.5
    assert vh < vv - 1
    assert abs(mean(flat([("forest", 1.0)]), "dVH_desc")) < 0.5
    assert mean(flat([("scar", 1.0)]), "dVH_desc") > vh + 2
    before = look(lost)["VH_desc"] - look(lost)["dVH_desc"]
    assert before.mean() == pytest.approx(mean(flat([("forest", 1.0)]), "VH_desc"), abs=1.5)


def test_water_is_dark_forest_bright_and_vh_below_vv():
    level = {name: mean(flat([(name, 1.0)]), "VV_asc") for name in radar.COVERS if name != "scar"}
    assert min(level, key=level.get) == "water"
    assert max(level, key=level.get) == "forest"
    scene, draw = lay_out("dry_highlands", 0, 128)
    seen = backscatter(draw, scene)
    assert tuple(sorted(seen)) == tuple(sorted(SAR))
    for side in LOOK:
        assert (seen[f"VV_{side}"] > seen[f"VH_{side}"]).mean() > 0.9


def test_covers_of_a_scene_are_those_that_the_radar_knows_and_shares():
    for region in REGIONS:
        scene, _ = lay_out(region, 1, 128)
        for name, share in scene.covers:
            assert name in radar.COVERS
            assert share.min() >= 0
            assert share.max() <= 1
