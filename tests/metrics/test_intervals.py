"""Intervals agree with SciPy and say what they claim."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special, stats

from landslide_lib.metrics.intervals import DIFFERENCE, interval, limits, paired_bootstrap
from landslide_lib.metrics.scores import class_scores, scores

# --- intervals ---------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_the_interval_over_seeds_is_students(values):
    assume(np.std(values) > 1e-6)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    low, high = interval(values)
    assert 0 <= low <= np.mean(values) <= high <= 1
    if expected[0] >= 0 and expected[1] <= 1:
        assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_an_interval_that_would_leave_its_range_is_taken_on_the_scale_of_log_odds():
    """A table of this study printed 0.461 ± 0.713, and a difference of -0.797 [-1.183, -0.410]."""
    low, high = interval([0.6163, 0.6369, 0.1299])
    assert (low, high) == pytest.approx((0.0463, 0.9378), abs=1e-4)
    # By hand: log odds ± reach / (mean (1 - mean)).
    share, reach = 0.461, 0.713
    odds = np.log(share / (1 - share)) + np.array([-1, 1]) * reach / share / (1 - share)
    assert limits(share, reach) == pytest.approx(tuple(1 / (1 + np.exp(-odds))))
    low, high = limits(-0.797, 0.3865, DIFFERENCE)
    assert (low, high) == pytest.approx((-0.973, -0.031), abs=1e-3)
    assert limits(0.797, 0.3865, DIFFERENCE) == pytest.approx((-high, -low))  # Fisher's z


def test_one_seed_has_no_interval_and_equal_seeds_have_one_of_no_width():
    assert interval([]) is None
    assert interval([0.7]) is None
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def scenes(draw: np.random.Generator, count: int, tiles: int = 4) -> tuple[np.ndarray, ...]:
    """Simulate two rows on scenes whose tiles are alike: a hard scene is hard for each tile.

    Returns:
        Counts of the better row and of the base (count * tiles, 4), and the scene of each.
    """
    size = draw.integers(20, 200, count).repeat(tiles)
    skill = draw.beta(6, 3, count).repeat(tiles)
    gain = draw.normal(0.05, 0.08, count).repeat(tiles)
    rows = []
    for share in (skill + gain, skill):
        hit = draw.binomial(size, share.clip(0, 1))
        rows.append(np.stack([hit, size - hit, size - hit, 400 - 2 * size + hit], 1))
    return *rows, np.arange(count).repeat(tiles).astype(str)


def pooled(counts: np.ndarray) -> float:
    return scores(counts)["pooled"]["f1"]


def test_a_row_does_not_differ_from_itself():
    better, _, blocks = scenes(np.random.default_rng(0), 30)
    found = paired_bootstrap([better], [better], blocks)
    assert found == {"difference": 0, "low": 0, "high": 0, "images": 0, "seeds": 0}


def test_the_difference_is_that_of_the_pooled_f1_of_all_seeds_together():
    draw = np.random.default_rng(1)
    (a, base, blocks), (b, _, _) = scenes(draw, 30), scenes(draw, 30)
    found = paired_bootstrap([a, b], [base], blocks)
    expected = pooled(np.concatenate([a, b])) - pooled(base)
    assert found["difference"] == pytest.approx(expected, abs=1e-12)
    assert found["low"] <= found["difference"] <= found["high"]


def test_exchanging_the_rows_turns_the_interval_round():
    better, base, blocks = scenes(np.random.default_rng(2), 30)
    there = paired_bootstrap([better], [base], blocks)
    back = paired_bootstrap([base], [better], blocks)
    assert back["difference"] == -there["difference"]
    assert (back["low"], back["high"]) == pytest.approx((-there["high"], -there["low"]), abs=1e-12)


def test_the_same_seed_draws_the_same_and_the_names_of_scenes_do_not_matter():
    better, base, blocks = scenes(np.random.default_rng(3), 30)
    first = paired_bootstrap([better], [base], blocks, seed=4)
    renamed = [f"{int(name):04}" for name in blocks]
    order = np.argsort(renamed, kind="stable")
    assert paired_bootstrap([better], [base], blocks, seed=4) == first
    assert paired_bootstrap([better], [base], blocks, seed=5) != first
    again = paired_bootstrap([better[order]], [base[order]], np.array(renamed)[order], seed=4)
    assert again["difference"] == first["difference"]


def test_pairing_leaves_out_what_is_hard_for_both_rows():
    """Unpaired, the interval of the difference would be much wider."""
    better, base, blocks = scenes(np.random.default_rng(6), 60)
    paired = paired_bootstrap([better], [base], blocks)
    other = np.random.default_rng(0).permutation(60)[:, None] * 4 + np.arange(4)
    unpaired = paired_bootstrap([better], [base[other.ravel()]], blocks)
    assert paired["high"] - paired["low"] < 0.8 * (unpaired["high"] - unpaired["low"])


def test_rows_that_were_tested_on_other_images_are_refused():
    better, base, blocks = scenes(np.random.default_rng(0), 5)
    with pytest.raises(ValueError, match="rows of 19 and 20 test images"):
        paired_bootstrap([better], [base[:-1]], blocks)
    with pytest.raises(ValueError, match="rows of 20 and 19 test images"):
        paired_bootstrap([better], [base], blocks[:-1])


def test_the_bootstrap_is_wider_where_the_seeds_of_a_row_disagree():
    generator = np.random.default_rng(0)
    better, base, blocks = scenes(generator, 40)
    shift = np.zeros_like(np.asarray(base))
    shift[:, 0] += 30
    agree = paired_bootstrap([better, better], [base, base], blocks)
    disagree = paired_bootstrap([better, np.asarray(better) + shift], [base, base], blocks)
    assert disagree["high"] - disagree["low"] > agree["high"] - agree["low"]


def test_one_scene_with_landslides_leaves_nothing_to_draw_from_and_an_empty_one_adds_nothing():
    better, base, blocks = scenes(np.random.default_rng(0), 5)
    found = paired_bootstrap([better], [base], ["here"] * len(blocks))
    assert found["difference"] == pytest.approx(pooled(better) - pooled(base))
    assert (found["low"], found["high"], found["images"]) == (None, None, None)
    assert found["reason"] == "too few scenes"
    empty = np.array([[0, 0, 0, 400]] * 3)
    rows = [[np.vstack([side, empty])] for side in (better, base)]
    assert paired_bootstrap(*rows, ["here"] * len(blocks) + ["there"] * 3) == found
    told = [*blocks, "empty", "empty", "empty"]
    assert paired_bootstrap(*rows, told) == paired_bootstrap([better], [base], blocks)


def test_one_large_scene_among_small_ones_widens_the_interval():
    better, base, blocks = scenes(np.random.default_rng(9), 12)
    even = paired_bootstrap([better], [base], blocks)
    large = np.where(np.arange(len(blocks)) < 4, 20, 1)[:, None]
    uneven = paired_bootstrap([better * large], [base * large], blocks)
    assert uneven["high"] - uneven["low"] > 1.5 * (even["high"] - even["low"])
    vast = large**3
    assert paired_bootstrap([better * vast], [base * vast], blocks)["reason"] == "too few scenes"


COUNTS = st.lists(st.integers(0, 9) | st.integers(0, 10**6), min_size=4, max_size=4)


@given(st.data(), st.integers(1, 6), st.integers(1, 3))
def test_any_counts_give_a_possible_interval_or_say_why_there_is_none(data, images, seeds):
    row = st.lists(st.lists(COUNTS, min_size=images, max_size=images), min_size=1, max_size=seeds)
    scenes = data.draw(st.lists(st.sampled_from("abcd"), min_size=images, max_size=images))
    found = paired_bootstrap(data.draw(row), data.draw(row), scenes, draws=50)
    if found["low"] is None:
        assert found["high"] is None
        assert found["reason"] == "too few scenes"
    else:
        assert -1 <= found["low"] <= found["difference"] <= found["high"] <= 1


def test_two_scenes_are_too_few_and_so_is_one_that_outweighs_the_others():
    """Student's interval of the first was ±1.9e12."""
    ours, base = [[[10, 5, 5, 9], [1, 0, 0, 10]]], [[[5, 5, 10, 9], [0, 0, 1, 10]]]
    found = paired_bootstrap(ours, base, ["a", "b"])
    assert found["difference"] == pytest.approx(22 / 32 - 10 / 26)
    assert (found["low"], found["high"], found["reason"]) == (None, None, "too few scenes")
    large = [[[100, 50, 50, 9], *ours[0][1:] * 9]], [[[50, 50, 100, 9], *base[0][1:] * 9]]
    assert paired_bootstrap(*large, list("abcdefghij"))["reason"] == "too few scenes"
    even = [ours[0][:1] * 2], [base[0][:1] * 2]
    assert paired_bootstrap(*even, ["a", "b"])["reason"] == "too few scenes"


def test_without_spread_over_images_the_interval_is_welchs_t_test_of_the_seeds():
    """All tiles alike: what is left open is the training alone, and SciPy knows that case."""
    draw = np.random.default_rng(5)
    rows = []
    for skill in (600, 500):
        tp = draw.integers(skill, skill + 60, 4)
        seeds = np.stack([tp, 1000 - tp, 1000 - tp, np.full(4, 9000)], 1)
        rows.append([np.repeat(counts[None], 6, 0) for counts in seeds])
    found = paired_bootstrap(rows[0], rows[1], list("abcdef"))
    f1 = [[scores(counts)["pooled"]["f1"] for counts in row] for row in rows]
    low, high = stats.ttest_ind(*f1, equal_var=False).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-3)
    assert found["images"] == pytest.approx(0, abs=1e-12)


def test_with_one_seed_the_interval_is_that_of_scipys_bootstrap_over_scenes():
    better, base, blocks = scenes(np.random.default_rng(8), 80)
    found = paired_bootstrap([better], [base], blocks, draws=4000)
    sums = [np.add.reduceat(counts, np.arange(0, len(counts), 4)) for counts in (better, base)]

    def difference(index, axis=-1):
        a, b = (side[index.astype(int)].sum(-2) for side in sums)
        return 2 * a[..., 0] / (2 * a[..., 0] + a[..., 1] + a[..., 2]) - 2 * b[..., 0] / (
            2 * b[..., 0] + b[..., 1] + b[..., 2]
        )

    theirs = stats.bootstrap(
        (np.arange(80),),
        difference,
        n_resamples=4000,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    assert found["images"] == pytest.approx(theirs.standard_error, rel=0.06)
    reach = (theirs.confidence_interval.high - theirs.confidence_interval.low) / 2
    assert (found["high"] - found["low"]) / 2 == pytest.approx(reach, rel=0.1)


# --- coverage: a band in which a true 95 % falls with probability 0.999 -------------------


def simulated(
    draw: np.random.Generator, scenes: int, tiles: int, seeds: int, spread: float, uneven: float = 0, largest: float = 0
) -> tuple[np.ndarray, ...]:
    """Simulate counts (seeds, N, 4) of two rows on the same tiles, and the scene of each; see `coverage`.

    How much of a landslide is found depends on the scene, mostly alike for both rows, on the tile and on the training.
    """
    sizes = np.maximum(1, np.round(tiles * np.exp(draw.normal(0, uneven, scenes)))).astype(int)
    if largest:
        sizes[0] = round(sizes[1:].sum() * largest / (1 - largest))
    scene = np.arange(scenes).repeat(sizes)
    size = draw.lognormal(5, 1, len(scene)) * np.exp(draw.normal(0, 0.5, scenes))[scene]
    common = draw.normal(0, 0.8, scenes)[scene] + draw.normal(0, 0.5, len(scene))
    rows = []
    for skill in (1.3, 1.0):
        own = draw.normal(0, 0.3, scenes)[scene]
        odds = skill + common + own + draw.normal(0, spread, (seeds, 1))
        share = 1 / (1 + np.exp(-(odds + draw.normal(0, 0.2, (seeds, len(scene))))))
        tp = np.round(size * share)
        fn, fp = np.round(size) - np.minimum(tp, np.round(size)), np.round(0.8 * size * (1 - share))
        rows.append(np.stack([tp, fp, fn, np.full_like(tp, 10_000)], -1).astype(np.int64))
    return rows[0], rows[1], scene


def coverage(
    scenes: int,
    seeds: int,
    *,
    tiles: int = 5,
    spread: float = 0.2,
    uneven: float = 0,
    largest: float = 0,
    blocked: bool = True,
    trials: int = 200,
) -> tuple[float, float]:
    """Return which share of `paired_bootstrap`s holds the true difference of two rows, that over very many scenes.

    A study has `scenes` test scenes of about `tiles` tiles, whose logarithm has the standard deviation `uneven`; the
    first holds the share `largest` of all, if given. Each row has `seeds` trainings, with a standard deviation of
    `spread` on the scale of log odds. `blocked` tells the bootstrap which tiles are neighbours. Returned is NaN where
    no study has an interval, and, second, the share of the studies that have too few scenes for one.
    """
    total, generator = np.zeros((2, 4)), np.random.default_rng(1)
    for _ in range(100):  # a scene's skill is independent of its size
        ours, base, _ = simulated(generator, 1000, 1, 4, spread)
        total += ours.sum((0, 1)), base.sum((0, 1))
    better, worse = class_scores(total[:, 0], total[:, 1], total[:, 2])["f1"]
    draw = np.random.default_rng(0)
    held = []
    for trial in range(trials):
        ours, base, scene = simulated(draw, scenes, tiles, seeds, spread, uneven, largest)
        groups = [str(name) for name in (scene if blocked else range(len(scene)))]
        versus = paired_bootstrap(list(ours), list(base), groups, draws=400, seed=trial)
        if versus["low"] is not None:
            held.append(versus["low"] <= better - worse <= versus["high"])
    return float(np.mean(held)) if held else np.nan, 1 - len(held) / trials


def holds(share: float, trials: int, level: float = 0.95) -> bool:
    low, high = stats.binom.interval(0.999, trials, level)
    return low <= share * trials <= high


@pytest.mark.parametrize(("scenes", "seeds"), [(10, 3), (40, 3), (40, 5), (40, 2)])
def test_the_paired_bootstrap_covers_as_often_as_it_says(scenes, seeds):
    share, refused = coverage(scenes, seeds, trials=150)
    assert holds(share, 150)
    assert refused == 0


@pytest.mark.parametrize("spread", [0.02, 0.2])
def test_where_one_scene_is_half_of_all_tiles_it_covers_and_where_it_is_nearly_all_it_refuses(spread):
    share, refused = coverage(10, 3, largest=0.5, spread=spread, trials=150)
    assert share > 0.93
    assert refused < 0.15
    share, refused = coverage(10, 3, largest=0.7, spread=spread, trials=150)
    assert share > 0.93
    assert coverage(10, 3, largest=0.95, spread=spread, trials=20)[1] == 1


def test_two_scenes_are_refused_and_of_three_it_covers():
    share, refused = coverage(2, 3, trials=20)
    assert np.isnan(share)
    assert refused == 1
    share, refused = coverage(3, 3, spread=0.02, trials=150)
    assert share > 0.93
    assert refused < 0.3


@pytest.mark.parametrize("scenes", [10, 40])
def test_scenes_of_uneven_size_leave_it_no_shorter_than_it_says(scenes):
    assert coverage(scenes, 3, spread=0.02, uneven=1.5, trials=150)[0] > 0.9


def test_a_bootstrap_that_ignores_scenes_covers_less_often():
    calm = {"tiles": 10, "spread": 0.01, "trials": 150}
    assert holds(coverage(20, 3, **calm)[0], 150)
    assert not holds(coverage(20, 3, blocked=False, **calm)[0], 150)


@pytest.mark.parametrize(("mean", "spread", "seeds"), [(0.7, 0.02, 2), (0.7, 0.02, 5), (0.9, 0.05, 3), (0.5, 0.2, 3)])
def test_the_interval_over_seeds_covers_as_often_as_it_says(mean, spread, seeds):
    """Scores whose log odds are normal; in the last two Student's interval would leave the range."""
    at, scale = special.logit(mean), spread / (mean * (1 - mean))
    truth = special.expit(np.random.default_rng(1).normal(at, scale, 10**6)).mean()
    drawn = special.expit(np.random.default_rng(0).normal(at, scale, (2000, seeds)))
    held = [low <= truth <= high for low, high in map(interval, drawn)]
    assert np.mean(held) > 0.93
