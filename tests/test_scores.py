"""Scores agree with scikit-learn and torchmetrics; intervals say what they claim."""

import numpy as np
import pytest
import torch
import torchmetrics.classification as tm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from landslide_lib import scores as ours
from landslide_lib.scores import (
    CONVENTIONS,
    SCORES,
    best_threshold,
    floor,
    interval,
    kendall,
    paired_bootstrap,
    scores,
    sweep,
)

# --- scores of counts --------------------------------------------------------------------


def pictures(seed: int, images: int = 6, size: int = 20, share: float = 0.2):
    """Return masks and predictions (images, size * size) that agree in part."""
    draw = np.random.default_rng(seed)
    truth = draw.random((images, size * size)) < share * np.linspace(0.2, 1.8, images)[:, None]
    called = np.where(draw.random(truth.shape) < 0.15, ~truth, truth)
    return truth.astype(int), called.astype(int)


def counts_of(truth, called) -> np.ndarray:
    """Count by scikit-learn, image by image."""
    tables = [sk.confusion_matrix(t, c, labels=[0, 1]) for t, c in zip(truth, called, strict=True)]
    return np.array([[m[1, 1], m[0, 1], m[1, 0], m[0, 0]] for m in tables])


SKLEARN = {"f1": sk.f1_score, "iou": sk.jaccard_score, "precision": sk.precision_score,
           "recall": sk.recall_score}  # fmt: skip
TORCHMETRICS = {"f1": "F1Score", "iou": "JaccardIndex", "precision": "Precision",
                "recall": "Recall"}  # fmt: skip


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("seed", range(3))
def test_each_convention_is_what_scikit_learn_computes(seed, score):
    truth, called = pictures(seed)
    found, theirs = scores(counts_of(truth, called)), SKLEARN[score]
    flat = truth.ravel(), called.ravel()
    per_image = [theirs(t, c) for t, c in zip(truth, called, strict=True)]
    assert found["pooled"][score] == pytest.approx(theirs(*flat), abs=1e-12)
    assert found["two_class"][score] == pytest.approx(theirs(*flat, average="macro"), abs=1e-12)
    assert found["per_image"][score] == pytest.approx(np.mean(per_image), abs=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_each_convention_is_what_torchmetrics_computes(score):
    truth, called = pictures(3)
    found = scores(counts_of(truth, called))
    y, p = torch.tensor(truth), torch.tensor(called)
    binary = getattr(tm, f"Binary{TORCHMETRICS[score]}")
    multiclass = getattr(tm, f"Multiclass{TORCHMETRICS[score]}")
    both = multiclass(num_classes=2, average="macro")
    per_image = [binary()(p_i, y_i).item() for p_i, y_i in zip(p, y, strict=True)]
    assert found["pooled"][score] == pytest.approx(binary()(p, y).item(), abs=1e-6)
    assert found["two_class"][score] == pytest.approx(both(p, y).item(), abs=1e-6)
    assert found["per_image"][score] == pytest.approx(np.mean(per_image), abs=1e-6)


@pytest.mark.parametrize("score", SCORES)
def test_an_image_without_a_score_is_left_out_of_the_mean_over_images(score):
    truth, called = pictures(4)
    truth[0], called[0] = 0, 0  # nothing there, nothing found
    truth[1] = 0  # nothing there, something found
    called[2] = 0  # something there, nothing found
    needs = {"precision": called, "recall": truth}.get(score, truth | called).any(1)
    theirs = [SKLEARN[score](t, c) for t, c in zip(truth[needs], called[needs], strict=True)]
    assert len(theirs) < len(truth)
    found = scores(counts_of(truth, called))["per_image"][score]
    assert found == pytest.approx(np.mean(theirs), abs=1e-12)


number = st.integers(0, 60)
tables = st.lists(st.tuples(number, number, number, number), min_size=1, max_size=8)


@given(tables)
def test_iou_follows_from_f1_for_the_landslide_class(table):
    pooled = scores(table)["pooled"]
    f1, iou = pooled["f1"], pooled["iou"]
    if f1 is None:
        assert iou is None
    else:
        assert iou == pytest.approx(f1 / (2 - f1), abs=1e-12)


@given(tables)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(table):
    pooled = scores(table)["pooled"]
    p, r = pooled["precision"], pooled["recall"]
    assume(p and r)
    assert pooled["f1"] == pytest.approx(2 * p * r / (p + r), abs=1e-12)


@given(tables)
def test_the_two_class_average_is_the_mean_of_landslide_and_background(table):
    found = scores(table)
    background = scores([(tn, fn, fp, tp) for tp, fp, fn, tn in table])
    for score in SCORES:
        pair = found["pooled"][score], background["pooled"][score]
        both = None if None in pair else pytest.approx(sum(pair) / 2, abs=1e-12)
        assert found["two_class"][score] == both
        assert background["two_class"][score] == both


@given(tables, st.randoms(use_true_random=False))
def test_neither_the_order_of_images_nor_counting_them_twice_matters(table, random):
    found, shuffled = scores(table), list(table)
    random.shuffle(shuffled)
    for other in (scores(shuffled), scores([*table, *table])):
        for convention in CONVENTIONS:
            assert other[convention] == pytest.approx(found[convention], abs=1e-12, nan_ok=True)


@given(st.tuples(number, number, number, number))
def test_of_a_single_image_the_mean_over_images_is_its_own_score(counts):
    found = scores([counts])
    assert found["per_image"] == found["pooled"]


@given(tables)
def test_every_score_lies_between_0_and_1_or_is_none(table):
    for scored in scores(table).values():
        assert set(scored) == set(SCORES)
        assert all(value is None or 0 <= value <= 1 for value in scored.values())


@pytest.mark.parametrize(
    ("counts", "undefined"),
    [
        ([0, 0, 4, 12], {"precision"}),  # nothing found
        ([0, 4, 0, 12], {"recall"}),  # nothing to find
        ([0, 0, 0, 16], {"f1", "iou", "precision", "recall"}),
        ([2, 1, 1, 12], set()),
    ],
)
def test_a_score_that_is_0_over_0_is_none_not_0_nor_1(counts, undefined):
    found = scores([counts])
    for convention in CONVENTIONS:
        assert {k for k, v in found[convention].items() if v is None} == undefined


def test_counts_are_pooled_exactly_however_many_pixels():
    """In float32 a sum of pixels stops at 2**24."""
    big = 2**40
    precision = scores([[big, 1, 0, 0], [big, 0, 1, 0]])["pooled"]["precision"]
    assert precision == 2 * big / (2 * big + 1)


@pytest.mark.parametrize("bad", [[1, 2, 3, 4], [[1, 2, 3]], [[1, 2, 3, -1]]])
def test_counts_of_another_shape_or_sign_are_refused(bad):
    with pytest.raises(ValueError, match=r"need \(N, 4\), none negative"):
        scores(bad)


def test_the_floor_is_the_f1_of_calling_everything_landslide():
    truth, called = pictures(5)
    everything = np.ones_like(truth).ravel()
    expected = sk.f1_score(truth.ravel(), everything)
    assert floor(counts_of(truth, called)) == pytest.approx(expected, abs=1e-12)


# --- thresholds --------------------------------------------------------------------------

BINS = 50


def histograms(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, the bin of each pixel's probability, and the two histograms."""
    draw = np.random.default_rng(seed)
    y = (draw.random(400) < 0.3).astype(int)
    bins = np.clip((draw.normal(0.35 + 0.3 * y, 0.2) * BINS).astype(int), 0, BINS - 1)
    return y, bins, *(np.bincount(bins[y == k], minlength=BINS) for k in (1, 0))


@pytest.mark.parametrize("seed", range(3))
def test_a_sweep_is_scikit_learns_precision_recall_curve(seed):
    y, bins, landslide, background = histograms(seed)
    precision, recall, at = sk.precision_recall_curve(y, bins)
    found = sweep(landslide, background)
    # Their "score >= bin" is our "probability above the lower edge of the bin".
    np.testing.assert_allclose(found["threshold"], np.arange(BINS) / BINS)
    np.testing.assert_allclose(found["precision"][at], precision[:-1], atol=1e-12)
    np.testing.assert_allclose(found["recall"][at], recall[:-1], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_has_the_highest_f1_of_all(seed):
    y, bins, landslide, background = histograms(seed)
    brute = [sk.f1_score(y, bins >= k, zero_division=0) for k in range(BINS)]
    best = best_threshold(landslide, background)
    assert best == np.argmax(brute) / BINS
    at_best = sweep(landslide, background)["f1"][round(best * BINS)]
    assert at_best == pytest.approx(max(brute), abs=1e-12)


@given(st.lists(st.tuples(number, number), min_size=1, max_size=12))
def test_a_sweep_at_threshold_0_is_the_floor_and_recall_only_falls(pairs):
    landslide, background = np.array(pairs).T
    assume(landslide.sum())
    found = sweep(landslide, background)
    assert found["f1"][0] == floor([[landslide.sum(), background.sum(), 0, 0]])
    assert found["recall"][0] == 1
    assert (np.diff(found["recall"]) <= 0).all()


@pytest.mark.parametrize("landslide", [[0] * 4, [0, 0]])
def test_where_nothing_can_be_found_the_threshold_is_one_half(landslide):
    assert best_threshold(landslide, np.ones_like(landslide)) == 0.5


# --- intervals ---------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.sampled_from([0.8, 0.95]))
def test_the_interval_over_seeds_is_students(values, level):
    assume(np.std(values) > 1e-6)
    expected = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
    assert interval(values, level) == pytest.approx(expected, abs=1e-9)


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
    assert found == {"difference": 0, "low": 0, "high": 0, "share": 0}


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


def test_the_interval_holds_the_truth_as_often_as_it_says_but_not_without_blocks():
    """95 % of intervals are to hold the truth; 120 trials tell that from 85 %, not from 93 %."""
    draw, trials = np.random.default_rng(7), 120
    everything = scenes(draw, 200_000, tiles=1)
    truth = pooled(everything[0]) - pooled(everything[1])
    held = {"blocked": 0, "ignored": 0}
    for trial in range(trials):
        better, base, blocks = scenes(draw, 40)
        for how, names in (("blocked", blocks), ("ignored", np.arange(len(blocks)).astype(str))):
            found = paired_bootstrap([better], [base], names, draws=300, seed=trial)
            held[how] += found["low"] <= truth <= found["high"]
    low, high = stats.binom.interval(0.999, trials, 0.93)
    assert low <= held["blocked"] <= high
    assert held["ignored"] < low


def test_rows_that_were_tested_on_other_images_are_refused():
    better, base, blocks = scenes(np.random.default_rng(0), 5)
    with pytest.raises(ValueError, match="both rows need the same test images"):
        paired_bootstrap([better], [base[:-1]], blocks)
    with pytest.raises(ValueError, match="20 test images, 19"):
        paired_bootstrap([better], [base], blocks[:-1])


# --- the order of rows -------------------------------------------------------------------

REPORTED = [0.68, 0.683, 0.677, 0.682, 0.662, 0.646, 0.646]  # with a tie


def test_tau_is_scipys_of_the_means_over_seeds():
    draw = np.random.default_rng(0)
    rows = draw.random((len(REPORTED), 3))
    found = kendall(REPORTED, rows.tolist(), draws=50)
    assert found["tau"] == pytest.approx(stats.kendalltau(REPORTED, rows.mean(1)).statistic)
    assert -1 <= found["low"] <= found["tau"] <= found["high"] <= 1


def test_the_same_order_with_seeds_that_agree_is_certain_and_one_that_they_leave_open_is_not():
    order = list(range(6))
    sure = kendall(order, [[10**4 * i, 10**4 * i + 1] for i in order], draws=50)
    assert sure == pytest.approx({"tau": 1, "low": 1, "high": 1})
    reverse = kendall(order, [[-(10**4) * i, 1 - 10**4 * i] for i in order], draws=50)
    assert reverse == pytest.approx({"tau": -1, "low": -1, "high": -1})
    unsure = kendall(order, [[i, i + 5, i - 5] for i in order], draws=200)
    assert unsure["tau"] == pytest.approx(1)
    assert unsure["low"] < 0.5


def test_too_few_rows_or_one_seed_have_no_tau():
    two = [[0.1, 0.2]]
    assert kendall(REPORTED[:4], two * 4) is None
    assert kendall(REPORTED[:5], two * 4 + [[0.3]]) is None
    assert kendall(REPORTED[:5], [[0.1 * i, 0.2] for i in range(5)], draws=5) is not None


def test_the_names_of_scores_and_conventions_are_those_that_come_back():
    found = scores([[1, 1, 1, 1]])
    assert tuple(found) == ours.CONVENTIONS
    assert all(tuple(scored) == ours.SCORES for scored in found.values())


def test_the_bootstrap_is_wider_where_the_seeds_of_a_row_disagree():
    generator = np.random.default_rng(0)
    better, base, blocks = scenes(generator, 40)
    shift = np.zeros_like(np.asarray(base))
    shift[:, 0] += 30
    agree = paired_bootstrap([better, better], [base, base], blocks)
    disagree = paired_bootstrap([better, np.asarray(better) + shift], [base, base], blocks)
    assert disagree["high"] - disagree["low"] > agree["high"] - agree["low"]


def test_the_interval_of_tau_covers_as_often_as_it_says():
    """Three seeds a row; how often does the interval hold the tau of the true means?"""
    generator = np.random.default_rng(1)
    reported = list(range(8))
    held = 0
    for _ in range(100):
        truth = generator.normal(0, 1, 8)
        seeds = truth[:, None] + generator.normal(0, 0.3, (8, 3))
        interval = kendall(reported, seeds.tolist(), draws=200)
        wanted = stats.kendalltau(reported, truth).statistic
        held += interval["low"] <= wanted <= interval["high"]
    assert held >= 90
