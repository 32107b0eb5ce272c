"""How sure a map is: what is calibrated is a frequency, and a threshold keeps its promise about missed area."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control import SemanticSegmentationController
from numpy.testing import assert_allclose
from scipy.special import expit, logit
from torch import nn

from landslide_lib.geo import certainty
from landslide_lib.paths import TRAINED
from landslide_lib.training.bundle import load_bundle

SEEDS = st.integers(0, 2**32 - 1)


def images(draw, count, strength=1.0):
    """Simulate images of some regions' sort: how well a landslide is seen varies from one to the next."""
    seen = draw.normal(strength, 1.0, count)
    masks = [draw.random((4, size)) < 0.3 for size in draw.integers(4, 12, count)]
    for mask in masks:
        mask[0, 0] = True
    scores = [np.where(mask, each, -1) + draw.normal(size=mask.shape) for mask, each in zip(masks, seen, strict=True)]
    return [expit(each).astype(np.float32) for each in scores], masks


@given(SEEDS, st.floats(0.2, 5))
def test_temperature_is_that_of_the_logits_and_of_the_highest_likelihood(seed, told):
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(40, 50)) * 3
    truth = draw.random(logits.shape) < expit(logits)
    found = certainty.temperature(told * logits, truth)
    assert_allclose(found, told * certainty.temperature(logits, truth), rtol=1e-3)
    assert_allclose(found, told, rtol=0.25)

    def likelihood(t):
        return np.log(expit(np.where(truth, told, -told) * logits / t)).mean()

    assert likelihood(found) >= max(likelihood(found * 1.01), likelihood(found / 1.01), likelihood(1))


def test_calibrated_probabilities_are_frequencies_and_keep_their_order():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=200_000) * 2 - 1
    truth, sure = draw.random(logits.shape) < expit(logits), expit(3 * logits)
    better = certainty.calibrated(sure, certainty.temperature(logit(sure), truth))
    assert certainty.calibration_error(sure, truth) > 0.1 > 0.01 > certainty.calibration_error(better, truth)
    frame = certainty.reliability(better, truth)
    assert_allclose(frame["probability"], frame["landslide"], atol=0.02)
    assert (np.argsort(better) == np.argsort(sure)).all()
    edges = np.array([0, 0.5, 1, np.nan], np.float32)
    assert_allclose(certainty.calibrated(edges, 3), edges)
    assert certainty.calibrated(edges, 3).dtype == np.float32


@given(SEEDS, st.sampled_from([1, 2, 4, 8, 16]))
def test_the_error_is_that_of_the_table_and_the_table_counts_each_pixel_once(seed, bins):
    draw = np.random.default_rng(seed)
    chances = draw.integers(0, 33, (5, 20)) / 32  # many lie on an edge, 0 and 1 among them
    truth = draw.random(chances.shape) < chances**2
    frame = certainty.reliability(chances, truth, bins).fillna(0)
    place = np.minimum((chances * bins).astype(int), bins - 1)
    for k, row in frame.iterrows():
        inside = place == k
        assert row["pixels"] == inside.sum()
        assert_allclose(row["probability"] * row["pixels"], chances[inside].sum())
        assert_allclose(row["landslide"] * row["pixels"], truth[inside].sum())
    apart = (frame["probability"] - frame["landslide"]).abs() * frame["pixels"]
    assert_allclose(certainty.calibration_error(chances, truth, bins), apart.sum() / chances.size, atol=1e-12)


@given(SEEDS, st.integers(20, 60), st.floats(0.05, 0.9))
def test_the_threshold_is_the_highest_whose_bound_holds(seed, count, alpha):
    chances, masks = images(np.random.default_rng(seed), count)
    threshold = certainty.missed_bound(chances, masks, alpha)

    def risk(t):  # the paper's equation 4 by definition
        missed = [1 - (chance[mask] > t).mean() for chance, mask in zip(chances, masks, strict=True)]
        return (np.sum(missed) + 1) / (count + 1)

    above = np.float32(threshold)
    for _ in range(2):
        above = np.nextafter(above, np.float32(1))
    assert risk(threshold) <= alpha + 1e-9 < risk(above) + 2e-9
    assert_allclose(certainty.missed_share(chances, masks, threshold), (risk(threshold) * (count + 1) - 1) / count)


def test_the_threshold_is_that_of_mapie():
    chances, masks = images(np.random.default_rng(5), 80)
    grid = np.arange(0, 1, 0.002)
    theirs = SemanticSegmentationController(
        lambda x: x, risk="recall", method="crc", target_level=[0.95, 0.9, 0.7], predict_params=grid
    )
    for chance, mask in zip(chances, masks, strict=True):
        theirs.compute_risks(chance[mask][None], np.ones((1, mask.sum()), int))
    found = theirs.compute_best_predict_param().best_predict_param
    ours = [certainty.missed_bound(chances, masks, alpha) for alpha in (0.05, 0.1, 0.3)]
    assert_allclose(found, np.floor(np.array(ours) / 0.002) * 0.002, atol=1e-9)


@pytest.mark.parametrize(("count", "alpha"), [(9, 0.1), (25, 0.05), (40, 0.2)])
def test_over_many_draws_the_missed_share_is_at_most_alpha_and_not_far_below(count, alpha):
    draw = np.random.default_rng(count)
    missed = []
    for _ in range(400):
        chances, masks = images(draw, count + 5)
        threshold = certainty.missed_bound(chances[:count], masks[:count], alpha)
        missed.append(certainty.missed_share(chances[count:], masks[count:], threshold))
    error = np.std(missed) / np.sqrt(len(missed))
    assert alpha - 2 / (count + 1) - 3 * error <= np.mean(missed) <= alpha + 3 * error  # theorems 1 and 2 of the paper


def test_in_a_region_where_landslides_are_seen_less_the_bound_breaks():
    draw = np.random.default_rng(1)
    threshold = certainty.missed_bound(*images(draw, 200, strength=2), 0.1)
    assert certainty.missed_share(*images(draw, 200, strength=2), threshold) < 0.15
    assert certainty.missed_share(*images(draw, 200, strength=0), threshold) > 0.3


def test_the_table_of_groups_has_each_bound_on_each_group_and_within_one_on_who_is_left_out():
    draw = np.random.default_rng(4)
    (easy, of_easy), (hard, of_hard) = images(draw, 30, strength=2), images(draw, 30, strength=0)
    groups, empty = ["easy", "hard"] * 30 + ["easy"], np.zeros((2, 2))
    chances, masks = (
        [x for pair in zip(*both, strict=True) for x in pair] for both in ((easy, hard), (of_easy, of_hard))
    )
    table = certainty.missed_between([*chances, empty], [*masks, empty], groups, 0.2)
    assert table.index.tolist() == table.columns.tolist() == ["easy", "hard"]
    threshold = certainty.missed_bound(easy, of_easy, 0.2)
    assert table.loc["easy", "hard"] == certainty.missed_share(hard, of_hard, threshold) > 0.4
    left_out = [
        (
            hard[i][of_hard[i]] <= certainty.missed_bound(hard[:i] + hard[i + 1 :], of_hard[:i] + of_hard[i + 1 :], 0.2)
        ).mean()
        for i in range(30)
    ]
    assert_allclose(table.loc["hard", "hard"], np.mean(left_out))
    with pytest.raises(ValueError, match=r"^few: 2 of 2 images .* needs at least 4$"):
        certainty.missed_between(easy[:9], of_easy[:9], ["many"] * 7 + ["few"] * 2, 0.2)


@given(SEEDS)
def test_who_may_miss_more_has_a_higher_threshold_and_images_without_landslide_say_nothing(seed):
    draw = np.random.default_rng(seed)
    chances, masks = images(draw, 30)
    thresholds = [certainty.missed_bound(chances, masks, alpha) for alpha in (0.05, 0.1, 0.2, 0.5, 0.9)]
    assert thresholds == sorted(thresholds)
    empty = [draw.random((3, 3)), np.zeros((3, 3))]
    assert thresholds[1] == certainty.missed_bound([*chances, empty[0]], [*masks, empty[1]], 0.1)


def test_where_all_probabilities_are_equal_all_are_called():
    chances, masks = np.full((20, 4, 4), 0.3, np.float32), np.ones((20, 4, 4))
    threshold = certainty.missed_bound(chances, masks, 0.1)
    assert (torch.from_numpy(chances) > threshold).all()
    assert_allclose(threshold, 0.3, rtol=1e-6)


HALF, ONE = np.full((3, 2, 2), 0.5), np.ones((3, 2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: certainty.missed_bound(HALF, ONE, 0.0), "alpha 0.0: it has to be above 0 and below 1"),
        (lambda: certainty.missed_bound(HALF, ONE, 1), "alpha 1: it has to be"),
        (lambda: certainty.missed_bound(HALF, ONE, 0.1), r"3 of 3 .* too few; alpha 0.1 needs at least 9$"),
        (lambda: certainty.missed_bound(HALF, ONE, 0.05), "needs at least 19$"),
        (lambda: certainty.missed_bound(HALF, 0 * ONE, 0.5), "0 of 3 images with a landslide: .* at least 1$"),
        (lambda: certainty.missed_bound(0 * HALF, ONE, 0.5), "landslide has probability 0"),
        (lambda: certainty.missed_bound(HALF, ONE[:2], 0.5), "3 images and 2 masks"),
        (lambda: certainty.missed_bound(HALF, [*ONE[:2], ONE[0, 0]], 0.5), r"image 2: .* \(2, 2\) and truth \(2,\)"),
        (lambda: certainty.missed_bound(HALF * np.nan, ONE, 0.5), "image 0: probabilities: 4 are not in 0..1"),
        (lambda: certainty.missed_bound(HALF, 255 * ONE, 0.5), "image 0: truth: it has to be 0 or 1"),
        (lambda: certainty.missed_share(HALF, 0 * ONE, 0.5), "none of 3 images has a landslide"),
        (lambda: certainty.missed_between(HALF, 0 * ONE, ["a"] * 3, 0.5), "a: 0 of 0 images with a landslide"),
        (lambda: certainty.missed_between(HALF, ONE, ["a"] * 2, 0.5), "3 images, 3 masks, 2 groups"),
        (lambda: certainty.temperature(HALF, ONE), "all pixels are of one class"),
        (lambda: certainty.temperature([-1, 2], [0, 1]), "not one pixel is wrong"),
        (lambda: certainty.temperature([3, -1, 2], [0, 1, 1]), "more wrong than right"),
        (lambda: certainty.temperature([np.inf, 0], [1, 0]), "logits: 1 are not finite"),
        (lambda: certainty.calibrated(HALF, 0), "temperature 0: it has to be above 0"),
        (lambda: certainty.reliability([], []), "not empty"),
    ],
)
def test_what_cannot_be_said_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_network_is_calibrated_on_its_validation_images_alone():
    draw = np.random.default_rng(2)
    logits = torch.from_numpy(3 * draw.normal(size=(15, 1, 16, 16))).float()
    masks = (torch.from_numpy(draw.random(logits.shape)) < logits.sigmoid()).float()
    batches = {"valid": [(logits[:10] / 2, masks[:10]), (logits[10:] / 2, masks[10:])]}
    found = certainty.of_validation(nn.Upsample(scale_factor=1), SimpleNamespace(loader=batches.__getitem__))
    assert_allclose(found["temperature"], certainty.temperature(logits / 2, masks), rtol=1e-3)
    assert list(found["bounds"]) == ["0.1", "0.2"]  # 15 images are too few for 0.05
    for alpha, threshold in found["bounds"].items():
        assert_allclose(threshold, certainty.missed_bound((logits / 2).sigmoid(), masks, float(alpha)), rtol=1e-5)


@pytest.mark.parametrize("path", sorted(TRAINED.glob("*.safetensors")), ids=lambda path: path.stem)
def test_a_published_network_says_how_sure_it_is_and_its_card_says_the_same(path):
    bundle, card = load_bundle(path), path.with_suffix(".md").read_text("utf-8")
    assert list(bundle.bounds) == ["0.05", "0.1", "0.2"]
    assert list(bundle.bounds.values()) == sorted(bundle.bounds.values())
    assert f"\n  {bundle.temperature:.3f} bring" in card
    assert ", ".join(f"{share} above {least:.4g}" for share, least in bundle.bounds.items()) in card
