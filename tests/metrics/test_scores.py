"""Scores agree with scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
import torchmetrics.classification as tm
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sk

from landslide_lib.metrics import scores as ours
from landslide_lib.metrics.scores import CONVENTIONS, SCORES, all_positive_f1, best_threshold, roc_auc, scores, sweep

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


SKLEARN = {"f1": sk.f1_score, "iou": sk.jaccard_score, "precision": sk.precision_score, "recall": sk.recall_score}
TORCHMETRICS = {"f1": "F1Score", "iou": "JaccardIndex", "precision": "Precision", "recall": "Recall"}


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


def test_the_floor_is_the_f1_of_calling_everything_landslide():
    truth, called = pictures(5)
    everything = np.ones_like(truth).ravel()
    expected = sk.f1_score(truth.ravel(), everything)
    assert all_positive_f1(counts_of(truth, called)) == pytest.approx(expected, abs=1e-12)


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


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_curve_is_that_of_scikit_learn(seed):
    y, bins, landslide, background = histograms(seed)
    assert roc_auc(landslide, background) == pytest.approx(sk.roc_auc_score(y, bins), abs=1e-12)
    assert roc_auc(background, landslide) == pytest.approx(1 - sk.roc_auc_score(y, bins), abs=1e-12)


@given(st.lists(st.tuples(number, number), min_size=1, max_size=12))
def test_a_sweep_at_threshold_0_is_the_floor_and_recall_only_falls(pairs):
    landslide, background = np.array(pairs).T
    assume(landslide.sum())
    found = sweep(landslide, background)
    assert found["f1"][0] == all_positive_f1([[landslide.sum(), background.sum(), 0, 0]])
    assert found["recall"][0] == 1
    assert (np.diff(found["recall"]) <= 0).all()


@pytest.mark.parametrize("landslide", [[0] * 4, [0, 0]])
def test_where_nothing_can_be_found_the_threshold_is_one_half(landslide):
    assert best_threshold(landslide, np.ones_like(landslide)) == 0.5


def test_the_names_of_scores_and_conventions_are_those_that_come_back():
    found = scores([[1, 1, 1, 1]])
    assert tuple(found) == ours.CONVENTIONS
    assert all(tuple(scored) == ours.SCORES for scored in found.values())
