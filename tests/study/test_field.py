"""What others print, in one currency: the arithmetic by value, the rules, and what the file may hold."""

import math

import pytest
import yaml
from pydantic import ValidationError

from landslide_lib.paths import FIELD
from landslide_lib.study import audit
from landslide_lib.study.field import TOLERANCE, Source, field, landslide_f1

LANDSLIDE = {"precision": "landslide", "recall": "landslide", "f1": "landslide", "iou": "landslide"}
SOURCE = {
    "id": "here",
    "dataset": "cas",
    "split": "test",
    "over": {"f1": "landslide"},
    "why": "it says so",
    "where": "https://example.org",
    "place": "README",
    "results": [{"id": "one", "model": "U-Net", "printed": {"f1": "0.5"}}],
}


def test_counts_give_the_exact_f1():
    told = landslide_f1({"tp": "2", "fp": "1", "fn": "1", "tn": "9"}, {})
    assert (told["landslide_f1"], told["rule"]) == (pytest.approx(2 / 3), "counts")
    assert told["low"] == told["high"]


@pytest.mark.parametrize(
    ("printed", "rule", "f1"),
    [
        ({"iou": "0.500"}, "IoU", 2 / 3),
        ({"iou": "0.315", "miou": "0.650"}, "IoU", 0.479087),
        ({"precision": "0.500", "recall": "0.999"}, "precision and recall", 0.666445),
        ({"miou": "0.650", "background_iou": "0.985"}, "mean and background IoU", 0.479087),
        ({"f1": "0.4"}, "F1", 0.4),
    ],
)
def test_each_rule_by_value(printed, rule, f1):
    told = landslide_f1(printed, LANDSLIDE)
    assert told["rule"] == rule
    assert told["landslide_f1"] == pytest.approx(f1, abs=1.1e-3)
    assert told["low"] < f1 < told["high"]
    assert told["cannot"] == told["contradicts"] == ""


def test_several_scores_narrow_what_rounding_leaves():
    told = landslide_f1({"f1": "0.58", "iou": "0.40"}, LANDSLIDE)
    assert (told["low"], told["high"]) == (pytest.approx(0.575), pytest.approx(2 * 0.405 / 1.405))


def test_the_interval_holds_every_truth_that_rounds_to_what_is_printed():
    for tp, fp, fn in [(5, 3, 2), (90, 1, 40), (7, 70, 3)]:
        precision, recall, iou = tp / (tp + fp), tp / (tp + fn), tp / (tp + fp + fn)
        printed = {"precision": f"{precision:.2f}", "recall": f"{recall:.2f}", "iou": f"{iou:.2f}"}
        told = landslide_f1(printed, LANDSLIDE)
        assert told["low"] - 1e-12 <= 2 * tp / (2 * tp + fp + fn) <= told["high"] + 1e-12


@pytest.mark.parametrize("over", ["two_class", "per_image", "micro", "tiles", "regions", "unknown"])
def test_a_score_of_something_else_gives_none_and_says_why(over):
    told = landslide_f1({"f1": "0.9"}, {"f1": over})
    assert math.isnan(told["landslide_f1"])
    assert told["cannot"]
    assert told["rule"] == told["contradicts"] == ""


def test_a_mean_iou_alone_gives_none():
    assert "mean IoU" in landslide_f1({"miou": "0.6"}, {})["cannot"]


def test_what_is_not_said_to_be_of_the_landslides_only_contradicts():
    told = landslide_f1({"iou": "68.137", "f1": "89.675"}, {"iou": "landslide", "f1": "unknown"}, scale=100)
    assert told["landslide_f1"] == pytest.approx(0.8105, abs=1e-4)
    assert told["contradicts"] == "IoU means 0.810, F1 means 0.897"
    alike = landslide_f1({"iou": "68.137", "f1": "81.05"}, {"iou": "landslide", "f1": "unknown"}, scale=100)
    assert alike["contradicts"] == ""
    both = landslide_f1({"iou": "0.907", "f1": "0.933"}, {"iou": "unknown", "f1": "unknown"})
    assert math.isnan(both["landslide_f1"])
    assert both["contradicts"] == "IoU means 0.951, F1 means 0.933"


def test_scores_of_the_landslides_that_contradict_each_other_give_none():
    told = landslide_f1({"tp": "50", "fp": "50", "fn": "50", "f1": "0.6"}, {"f1": "landslide"})
    assert math.isnan(told["landslide_f1"])
    assert "contradict" in told["cannot"]
    assert told["contradicts"] == "counts means 0.500, F1 means 0.600"
    near = landslide_f1({"tp": "50", "fp": "50", "fn": "50", "f1": "0.504"}, {"f1": "landslide"})
    assert near["landslide_f1"] == 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "mars"},
        {"scale": 10},
        {"where": "a paper"},
        {"over": {"f1": "macro"}},
        {"colour": "red"},
        {"results": [{"id": "one", "model": "U-Net", "printed": {"f1": 0.5}}]},
        {"results": [{"id": "one", "model": "U-Net", "printed": {"dice": "0.5"}}]},
    ],
)
def test_the_schema_is_strict(change):
    Source.model_validate(SOURCE)
    with pytest.raises(ValidationError):
        Source.model_validate(SOURCE | change)


@pytest.mark.parametrize("one", yaml.safe_load(FIELD.read_text("utf-8"))["sources"], ids=lambda one: one["id"])
def test_a_source_has_results_or_a_table_and_says_what_each_score_is_of(one):
    source = Source.model_validate(one)
    assert bool(source.results) != bool(source.table)
    for result in source.results:
        assert result.printed.keys() & LANDSLIDE.keys() <= (result.over or source.over).keys()


def test_the_file_has_at_least_25_results_each_once_with_an_address():
    table = field()
    assert len(table) >= 25
    assert table.id.is_unique
    assert set(table.dataset) == {"landslide4sense", "bijie", "cas", "sen12landslides", "gvlm", "zindi"}
    assert table["where"].ne("").all()
    assert set(table.id[table.doubt.ne("")].str.partition("/")[0]) == {"l4s-attention"}
    told = table.landslide_f1.notna()
    assert (told == table.cannot.eq("")).all()
    assert (table.low[told] <= table.high[told]).all()
    assert set(table.id[table.seen == "issue"]) == {"l4s-prithvi/notebook", "sen12-newer/best"}


def test_rows_of_the_reports_are_theirs():
    table = field().set_index("id")
    assert table.landslide_f1["l4s-board/pos-1"] == pytest.approx(0.73648522342449)
    assert table.printed["l4s-refinement/round-3"] == "f1 74.54"
    assert table.over["zindi-filter/winner"] == "tiles"
    assert table.over["l4s-raunet/fold-1-0.95"] == "two_class"
    assert table.printed["l4s-raunet/fold-1-0.95"] == "f1 0.7463, miou 0.6597"
    assert math.isnan(table.landslide_f1["l4s-raunet/fold-1-0.95"])
    assert "zindi-fusion/gap" not in table.index


def test_every_f1_of_cas_is_the_mean_over_both_classes():
    for _, row in field().query("dataset == 'cas'").iterrows():
        both = audit.readings(row.scores["f1"], row.scores["miou"], digits=3, scale=100)["two_class"]
        assert both.f1[0] - TOLERANCE < row.landslide_f1 < both.f1[1] + TOLERANCE
        assert row.over == "two_class"
        assert row.f1 > row.landslide_f1 + TOLERANCE
