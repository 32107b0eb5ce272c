"""Scores of detections are COCO's, and what is kept of them is enough."""

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import stats

from landslide_lib.metrics.detection import (
    RECALLS,
    Detections,
    Ranking,
    best_threshold,
    match,
    paired_bootstrap,
    scores,
)

BOX, ELSEWHERE, FAR = [0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90]


def coco(predicted, truth):
    """Score by pycocotools from beginning to end, as its users do."""
    found, true = [], []
    for image, ((boxes, values), real) in enumerate(zip(predicted, truth, strict=True), 1):
        for lines, all_scores, all_boxes in ((found, values, boxes), (true, [1] * len(real), real)):
            for (x, y, right, bottom), score in zip(all_boxes, all_scores, strict=True):
                size = [float(right - x), float(bottom - y)]
                lines.append(
                    {
                        "image_id": image,
                        "category_id": 1,
                        "score": float(score),
                        "bbox": [float(x), float(y), *size],
                        "area": size[0] * size[1],
                        "iscrowd": 0,
                        "id": len(lines) + 1,
                    }
                )
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "images": [{"id": i} for i in range(1, len(truth) + 1)],
            "categories": [{"id": 1}],
            "annotations": true,
        }
        known.createIndex()
        evaluation = COCOeval(known, known.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def simulated(draw, images, skill=1.0, clutter=10, least=0.01, digits=None):
    """Draw images of a few true boxes, detections near them and detections anywhere.

    The score of a detection near a true box is higher by `skill`, in logits.
    """
    predicted, truth = [], []
    for _ in range(images):
        centres, sides = draw.uniform(20, 200, (1 + draw.poisson(3), 2)), draw.lognormal(3, 0.5, 2)
        true = np.hstack([centres - sides / 2, centres + sides / 2])
        near = np.repeat(true, 1 + draw.poisson(0.6, len(true)), 0)
        near = near + draw.normal(0, 0.12, near.shape) * np.tile(sides, 2)
        some = draw.uniform(0, 200, (draw.poisson(clutter), 2))
        boxes = np.vstack([near, np.hstack([some, some + sides])])
        logits = np.append(draw.normal(skill - 1, 1.4, len(near)), draw.normal(-2.5, 1.3, len(some)))
        values = 1 / (1 + np.exp(-logits))
        values = values if digits is None else values.round(digits)
        kept = values >= least
        predicted.append((boxes[kept].astype(np.float32), values[kept].astype(np.float32)))
        truth.append(true)
    return predicted, truth


def curve(found):
    """Precision at each of COCO's levels of recall, and the threshold that reaches it, of the ranking at IoU 0.5."""
    ranking = Ranking(found)
    right = ranking.right[0]
    hit, called = right.cumsum()[right], np.flatnonzero(right) + 1
    highest = np.maximum.accumulate((hit / called)[::-1])[::-1]
    first = np.searchsorted(hit / ranking.truth.sum(), RECALLS)
    return np.append(highest, 0.0)[first], np.append(ranking.score[right], np.nan)[first]


def boxes(found, threshold=0.5):
    return scores(found, threshold)["boxes"]


# --- against COCO ------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.floats(-1, 4))
def test_map_is_cocos(seed, images, skill):
    predicted, truth = simulated(np.random.default_rng(seed), images, skill, digits=4)
    if not any(len(values) for _, values in predicted):
        return
    expected = coco(predicted, truth)
    found = match(predicted, truth)
    assert boxes(found)["map"] == pytest.approx(expected.stats[0], abs=1e-6)
    assert boxes(found)["map_50"] == pytest.approx(expected.stats[1], abs=1e-6)
    precision, score = curve(found)
    assert precision == pytest.approx(expected.eval["precision"][0, :, 0, 0, -1])
    reached = np.isfinite(score)
    theirs = expected.eval["scores"][0, :, 0, 0, -1]
    # Where the recall is 0 COCO names the first detection, we the first right one.
    assert score[1:][reached[1:]] == pytest.approx(theirs[1:][reached[1:]], abs=1e-6)


#: Scores that a detector may give: from nearly none to sure, hardly apart, few different ones.
RANGES = {
    "as they are": lambda values: values,
    "below a hundredth": lambda values: values / 100,
    "below a millionth": lambda values: values / 1e6,
    "around a fifth": lambda values: 0.19 + values / 50,
    "all sure": lambda values: 1 - (1 - values) / 1e4,
    "many equal": lambda values: np.ceil(values * 12) / 12,
}


@pytest.mark.parametrize("change", RANGES.values(), ids=RANGES)
@pytest.mark.parametrize(("skill", "clutter"), [(-1, 40), (6, 5)])
def test_what_is_kept_gives_cocos_scores_at_any_range(change, skill, clutter):
    predicted, truth = simulated(np.random.default_rng(7), 30, skill, clutter, least=0)
    predicted = [(found, change(values.astype(np.float64))) for found, values in predicted]
    expected = coco(predicted, truth).stats
    every = np.concatenate([values for _, values in predicted])
    thresholds = [float(np.float32(np.quantile(every, share))) for share in (0.3, 0.9)]
    found = match(predicted, truth, thresholds=[0.5, *thresholds])
    again = Detections.model_validate_json(found.model_dump_json())
    assert boxes(again)["map"] == pytest.approx(expected[0], abs=1e-9)
    assert boxes(again)["map_50"] == pytest.approx(expected[1], abs=1e-9)
    exact = Exact(predicted, truth)
    for threshold in (0.5, *thresholds, best_threshold(again)):
        for name, value in exact(threshold).items():
            assert boxes(again, threshold)[name] == pytest.approx(value, abs=1e-3), name


class Exact:
    """Precision and recall at IoU 0.5 counted over all detections, from COCO's own matches."""

    def __init__(self, predicted, truth):
        self.total = sum(map(len, truth))
        images = [one for one in coco(predicted, truth).evalImgs[: len(truth)] if one]
        self.scores = np.concatenate([one["dtScores"] for one in images]).astype(np.float32)
        self.right = np.concatenate([one["dtMatches"][0] > 0 for one in images])

    def __call__(self, threshold):
        called = self.scores >= np.float32(threshold)
        tp = int(self.right[called].sum())
        return {"precision": tp / called.sum() if called.any() else None, "recall": tp / self.total}


def test_faint_detections_of_other_images_keep_their_place():
    """The exact mAP is 1, as each right detection ranks before each wrong one."""
    pairs = [([BOX], [0.0105]), ([ELSEWHERE], [0.0101])] * 20
    assert boxes(match(pairs, [[BOX], []] * 20)) | {"f1": None} == {
        "map": 1,
        "map_50": 1,
        "f1": None,
        "precision": None,
        "recall": 0,
    }


def test_of_equal_scores_the_earlier_image_ranks_first():
    right, wrong = ([BOX], [0.7]), ([ELSEWHERE], [0.7])
    for predicted, expected in (([right, wrong], 1), ([wrong, right], 0.5)):
        truth = [[BOX] if one is right else [] for one in predicted]
        found = match(predicted, truth)
        assert boxes(found)["map_50"] == expected
        assert coco(predicted, truth).stats[1] == pytest.approx(expected)
        assert boxes(found, 0.7)["precision"] == 0.5
        assert best_threshold(found) == 0.7


@pytest.mark.parametrize(("skill", "clutter"), [(-1, 40), (3, 150)])
def test_a_record_of_all_that_coco_looks_at_is_small(skill, clutter):
    found = match(*simulated(np.random.default_rng(7), 310, skill, clutter), range(6))
    assert clutter < 150 or sum(found.count(i) for i in range(310)) > 90 * 310
    assert len(json.dumps(found.model_dump(mode="json"), separators=(",", ":"))) < 110_000


def test_coco_looks_at_a_hundred_detections_of_an_image():
    values = np.linspace(0.9, 0.6, 101)
    last_is_right = [(np.array([ELSEWHERE] * 100 + [BOX]), values)]
    assert boxes(match(last_is_right, [[BOX]]))["recall"] == 0
    first_is_right = [(np.array([BOX] + [ELSEWHERE] * 100), values)]
    assert boxes(match(first_is_right, [[BOX]]))["precision"] == pytest.approx(1 / 100)


# --- by hand -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "values", "truth", "expected"),
    [
        pytest.param([BOX, FAR], [0.9, 0.6], [BOX, FAR], (1, 1, 1, 1), id="perfect"),
        pytest.param([], [], [BOX], (0, 0, None, 0), id="none"),
        pytest.param([BOX, BOX], [0.9, 0.8], [BOX], (1, 1, 0.5, 1), id="twice"),
        # The recall of one half is reached at precision 1: levels 0, 0.01 .. 0.5, of 101.
        pytest.param([BOX], [0.9], [BOX, FAR], (51 / 101, 51 / 101, 1, 0.5), id="half"),
        pytest.param([ELSEWHERE, BOX], [0.9, 0.8], [BOX], (0.5, 0.5, 0.5, 1), id="false-first"),
        # IoU 0.8: right at .50, .55 .. .80, seven of ten.
        pytest.param([[0, 0, 10, 8]], [0.9], [BOX], (0.7, 1, 1, 1), id="iou"),
        pytest.param([BOX, FAR], [0.9, 0.4], [BOX, FAR], (1, 1, 1, 0.5), id="threshold"),
    ],
)
def test_scores_by_hand(found, values, truth, expected):
    got = boxes(match([(np.reshape(found, (-1, 4)), values)], [truth]))
    assert [got[k] for k in ("map", "map_50", "precision", "recall")] == pytest.approx(expected)


def test_a_score_without_meaning_is_none():
    nothing = boxes(match([(np.zeros((0, 4)), [])], [[]]))
    assert set(nothing.values()) == {None}
    false = boxes(match([([BOX], [0.9])], [[]]))
    assert false == {"map": None, "map_50": None, "recall": None, "precision": 0, "f1": 0}
    assert set(boxes(match([], [])).values()) == {None}


def test_the_best_threshold_has_the_best_f1_of_all():
    found = match(*simulated(np.random.default_rng(2), 40, digits=3, least=0.2))
    best = best_threshold(found)
    every = [boxes(found, k / 1000)["f1"] or 0 for k in range(1001)]
    assert boxes(found, best)["f1"] == max(every)
    assert best_threshold(match([([ELSEWHERE], [0.9])], [[BOX]])) == 0.5


def test_the_mean_precision_of_the_curve_is_the_ap_and_its_scores_are_thresholds():
    found = match(*simulated(np.random.default_rng(3), 40))
    precision, score = curve(found)
    assert precision.mean() == pytest.approx(boxes(found)["map_50"], abs=1e-12)
    for recall, threshold in zip(RECALLS, score, strict=True):
        if np.isfinite(threshold):
            assert boxes(found, threshold)["recall"] >= recall


# --- what is kept ------------------------------------------------------------------------


def test_what_is_kept_survives_json_and_says_the_same():
    found = match(*simulated(np.random.default_rng(4), 12), examples=[3, 1])
    again = Detections.model_validate_json(found.model_dump_json())
    assert again == found
    assert scores(again, 0.3) == scores(found, 0.3)


def test_examples_keep_the_best_boxes_in_whole_pixels_and_skip_images_that_are_not_there():
    predicted = [([[1.4, 2, 9.6, 11]], [0.25]), ([FAR, BOX], [0.5, 0.75])]
    found = match(predicted, [[BOX], [FAR]], examples=range(6))
    assert [one.image for one in found.examples] == [0, 1]
    assert found.examples[0].found == [(1, 2, 10, 11, 2500)]
    assert found.examples[1].found == [(*BOX, 7500), (*FAR, 5000)]
    assert found.examples[1].truth == [tuple(FAR)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": [1]}, "detections: need"),
        ({"hits": [[2, 1023], []]}, "detections: need"),
        ({"hits": [[0, 1024], []]}, "detections: need"),
        ({"hits": [[0], []]}, "detections: need"),
        ({"hits": [[0, 1023], [0, 1023]]}, "detections: need"),
        ({"wrong": [[], [2, 1]]}, "detections: need"),
        ({"edges": [0.5, 0.6]}, "detections: need"),
        ({"edges": [1.5, 0.6]}, "less than or equal to 1"),
        ({"wrong": [[-1], []]}, "greater than or equal to 0"),
    ],
)
def test_a_record_of_detections_that_do_not_belong_together_is_refused(change, message):
    good = {"truth": [1, 0], "edges": [0.9, 0.5], "hits": [[0, 1023], []], "wrong": [[], [1]]}
    assert boxes(Detections.model_validate(good))["map"] == 1
    with pytest.raises(ValueError, match=message):
        Detections.model_validate({**good, **change})


# --- the bootstrap -----------------------------------------------------------------------


def rows(seed=5, images=24, seeds=2):
    """Return two rows on the same images, of which the first is better, with truth and scenes."""
    draw = np.random.default_rng(seed)
    better, truth = simulated(draw, images, 3)

    def another(noise):
        """Move boxes and scores; no score is faint, and none is twice in an image."""
        moved = []
        for found, values in better:
            order = (values + draw.normal(0, 0.1, len(values))).argsort().argsort()
            some = np.sort(draw.choice(np.arange(2000, 10_000), len(values), replace=False))
            shift = np.tile(draw.normal(0, noise, (len(found), 2)), 2)
            moved.append((found + shift, some[order] / 10_000))
        return moved

    rows = [[another(noise) for _ in range(seeds)] for noise in (0, 3)]
    return *rows, truth, [f"scene {image // 3}" for image in range(images)]


def test_the_bootstrap_is_that_of_a_plain_loop():
    better, worse, truth, blocks = rows()
    sides = [[match(seed, truth) for seed in row] for row in (better, worse)]
    found = paired_bootstrap(*sides, blocks, draws=40, seed=3)
    place = np.unique(blocks, return_inverse=True)[1]
    drawn = np.random.default_rng(3).multinomial(8, [1 / 8] * 8, 40)

    def mean_ap(row, times):
        which = np.repeat(np.arange(len(truth)), times[place])
        drawn_truth = [truth[i] for i in which]
        return np.mean([boxes(match([seed[i] for i in which], drawn_truth))["map_50"] for seed in row])

    once = np.ones(8, int)
    assert found["difference"] == pytest.approx(mean_ap(better, once) - mean_ap(worse, once))
    loop = [mean_ap(better, times) - mean_ap(worse, times) for times in drawn]
    weight = np.bincount(place, [len(true) for true in truth])
    equal = weight.sum() ** 2 / (weight**2).sum()
    images = np.var(loop, ddof=1) * equal / (equal - 1)
    assert found["images"] == pytest.approx(images**0.5)
    by_seed = [[boxes(seed)["map_50"] for seed in side] for side in sides]
    seeds = [np.var(values, ddof=1) / 2 for values in by_seed]
    assert found["seeds"] == pytest.approx(sum(seeds) ** 0.5)
    total = images + sum(seeds)
    freedom = total**2 / (images**2 / (equal - 1) + sum(variance**2 for variance in seeds))
    reach = stats.t.ppf(0.975, freedom) * total**0.5
    assert found["high"] - found["difference"] == pytest.approx(reach)


def test_a_row_does_not_differ_from_itself_and_exchanging_rows_turns_the_interval_round():
    better, worse, truth, blocks = rows(seeds=1)
    ours, base = ([match(seed, truth) for seed in row] for row in (better, worse))
    same = paired_bootstrap(ours, ours, blocks, draws=20)
    assert same == {"difference": 0, "low": 0, "high": 0, "images": 0, "seeds": 0}
    there, back = paired_bootstrap(ours, base, blocks), paired_bootstrap(base, ours, blocks)
    assert back["difference"] == -there["difference"] < 0
    assert (back["low"], back["high"]) == pytest.approx((-there["high"], -there["low"]))


def test_an_image_without_any_box_changes_nothing_and_false_ones_alone_are_drawn():
    better, worse, truth, blocks = rows(seeds=1)
    nothing, false = (np.zeros((0, 4)), []), (np.array([BOX] * 5), [0.9999] * 5)

    def compared(extra):
        ours, base = (
            [match([*seed, one], [*truth, []]) for seed in row] for row, one in zip((better, worse), extra, strict=True)
        )
        return paired_bootstrap(ours, base, [*blocks, "zz"])

    plain = [[match(seed, truth) for seed in row] for row in (better, worse)]
    assert compared((nothing, nothing)) == paired_bootstrap(*plain, blocks)
    assert compared((nothing, false))["images"] > compared((nothing, nothing))["images"]


def test_one_scene_with_landslides_leaves_nothing_to_draw_from():
    found = [match([([BOX], [0.9]), ([BOX], [0.9])], [[BOX], []])]
    assert paired_bootstrap(found, found, ["a", "b"])["reason"] == "too few scenes"
    found = [match([([BOX], [0.9]), ([BOX], [0.9])], [[BOX], [BOX]])]
    assert paired_bootstrap(found, found, ["a", "a"])["reason"] == "too few scenes"


def test_rows_of_other_images_are_refused():
    one, two = ([match([([BOX], [0.9])] * n, [[BOX]] * n)] for n in (1, 2))
    other = [match([([BOX], [0.9])] * 2, [[BOX], [BOX, FAR]])]
    for pair in ((two, one), (one, one), (two, other)):
        with pytest.raises(ValueError, match="the same true boxes"):
            paired_bootstrap(*pair, ["a", "b"])
