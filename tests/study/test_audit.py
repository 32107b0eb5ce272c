"""What a printed pair of scores can mean: true pairs are admitted, impossible ones refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_lib.metrics import scores
from landslide_lib.study import audit, reports

PIXELS = [
    found
    for report in reports.reports().values()
    for table in report.tables.values()
    for found in audit.audit_table(table)
]
ERRORS = st.integers(0, 2**14)
COUNTS = st.tuples(st.integers(1, 2**14), ERRORS, ERRORS, st.integers(1, 2**20))


def names(found):
    """Of the readings that are admitted."""
    return {name for name, reading in found.items() if reading}


def inside(value, interval):
    return interval[0] - 1e-12 <= value <= interval[1] + 1e-12


@given(COUNTS, st.sampled_from([2, 3, 4]))
def test_averages_over_two_classes_are_solved_back_to_the_classes(counts, digits):
    tp, fp, fn, tn = counts
    exact = scores.scores([counts])["two_class"]
    found = audit.readings(round(exact["f1"], digits), round(exact["iou"], digits), digits=digits)["two_class"]
    # Which is called landslide is a matter of naming where the background is the rarer one.
    low, high = sorted([2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)])
    assert inside(low, found.f1)
    assert inside(high, found.background_f1)
    assert inside(low / (2 - low), found.iou)
    if tn >= tp:
        assert inside((tp + fn) / sum(counts), found.share)


@given(COUNTS)
def test_the_solved_interval_is_no_wider_than_rounding_makes_it(counts):
    """Against a search over all pairs of classes whose averages round to the printed ones."""
    exact = scores.scores([counts])["two_class"]
    f1, miou = round(exact["f1"], 2), round(exact["iou"], 2)
    found = audit.readings(f1, miou, digits=2)["two_class"]
    a, b = np.meshgrid(np.linspace(0, 1, 501), np.linspace(0, 1, 501), indexing="ij")
    fits = (abs((a + b) / 2 - f1) <= 0.005) & (abs((a / (2 - a) + b / (2 - b)) / 2 - miou) <= 0.005) & (b >= a)
    if fits.any():
        assert found.f1[0] <= a[fits].min() + 1e-9
        assert found.f1[1] >= a[fits].max() - 1e-9
        assert found.background_f1[0] <= b[fits].min() + 1e-9
        assert found.background_f1[1] >= b[fits].max() - 1e-9
    if fits.sum() > 20:  # a thin sliver can lie between the points of the grid
        assert found.f1[0] > a[fits].min() - 0.05
        assert found.background_f1[1] < b[fits].max() + 0.05


@given(COUNTS)
def test_scores_of_one_class_are_admitted_as_pooled(counts):
    exact = scores.scores([counts])
    f1, iou = exact["pooled"]["f1"], exact["pooled"]["iou"]
    found = audit.readings(round(f1, 4), round(iou, 4))["pooled"]
    assert inside(f1, found.f1)
    assert inside(iou, found.iou)


@given(COUNTS)
def test_one_class_beside_both_is_admitted_as_mixed(counts):
    tp, fp, fn, tn = counts
    exact = scores.scores([counts])
    background, share = 2 * tn / (2 * tn + fp + fn), (tp + fn) / sum(counts)
    for name, ours, theirs in (("mixed_f1", "pooled", "two_class"), ("mixed_iou", "two_class", "pooled")):
        found = audit.readings(round(exact[ours]["f1"], 4), round(exact[theirs]["iou"], 4))[name]
        assert inside(exact["pooled"]["f1"], found.f1)
        assert inside(background, found.background_f1)
        assert inside(share, found.share)


@given(st.lists(COUNTS, min_size=1, max_size=9), st.integers(0, 9))
def test_means_over_images_are_admitted_with_or_without_the_empty_ones(images, empty):
    left_out = scores.scores([*images, *[(0, 0, 0, 9)] * empty])["per_image"]
    one_each = {k: (v * len(images) + empty) / (len(images) + empty) for k, v in left_out.items()}
    for exact in (left_out, one_each):
        found = audit.readings(round(exact["f1"], 4), round(exact["iou"], 4))["per_image"]
        assert inside(exact["f1"], found.f1)
        assert inside(exact["iou"], found.iou)


@given(st.floats(0, 1), st.floats(0, 1))
def test_what_averages_over_two_classes_could_be_means_over_images_too(f1, miou):
    """So that reading alone is weak evidence; the other way round it does not hold."""
    found = names(audit.readings(f1, miou))
    assert "two_class" not in found or "per_image" in found
    assert "pooled" not in found or "two_class" in found


@pytest.mark.parametrize(("f1", "miou"), [(0.6, 0.7), (0.3, 0.9), (0.9, 0.5), (0.02, 0.5)])
def test_a_pair_that_breaks_the_convex_hull_is_no_average_of_any_kind(f1, miou):
    assert not names(audit.readings(f1, miou)) & {"pooled", "two_class", "per_image"}


def test_two_classes_cannot_lie_further_apart_than_zero_and_one():
    assert "two_class" in names(audit.readings(0.5, 0.5))
    assert names(audit.readings(0.5, 0.49, digits=2)) >= {"two_class", "per_image"}
    assert "two_class" not in names(audit.readings(0.6, 0.58))
    assert "per_image" in names(audit.readings(0.6, 0.58))


def test_a_reading_that_needs_another_share_of_landslide_is_refused():
    counts = [900, 300, 300, 98500]
    exact = scores.scores([counts])["two_class"]
    pair = round(exact["f1"], 4), round(exact["iou"], 4)
    assert "two_class" in names(audit.readings(*pair, share=(0.012, 0.012)))
    assert "two_class" not in names(audit.readings(*pair, share=(0.2, 0.3)))


def test_percent_and_fractions_say_the_same():
    for name, reading in audit.readings(67.83, 60.01, digits=2, scale=100).items():
        other = audit.readings(0.6783, 0.6001)[name]
        assert (reading is None) == (other is None)
        if reading:
            assert reading.f1 == pytest.approx(other.f1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: audit.readings(67.83, 60.01), "scale=100"),
        (lambda: audit.readings(-0.1, 0.5), r"outside 0\.\.1"),
        (lambda: audit.readings(0.5, float("nan")), "outside"),
        (lambda: audit.readings("many", 0.5), "many"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_score_printed_as_less_than_is_a_bound():
    assert audit.bounds("<0.0010") == (0.0, 0.001)


def test_a_table_without_pairs_has_nothing_to_audit():
    assert audit.audit_table(reports.table("raunet/leaderboard")) == []


# What the reports print.


def fold_share():
    """The share of landslide in a fold is at most that of all patches times their number."""
    facts = reports.reports()["raunet"].facts
    return 0.0, facts["landslide"].value / 100 * facts["images"].value / facts["test_split"].value


def test_every_row_but_closing_keeps_the_bound_of_means_over_images():
    breaks = [(row["table"], row["id"]) for row in PIXELS if not row["readings"]["per_image"]]
    assert breaks == [("raunet/post-processing", "closing")]


def test_no_row_is_pooled_over_the_landslide_pixels():
    assert not [row["id"] for row in PIXELS if row["readings"]["pooled"]]


def test_with_the_share_of_landslide_two_readings_are_left_and_closing_fits_when_swapped():
    for table in reports.reports()["raunet"].tables.values():
        for row in audit.audit_table(table, share=fold_share()):
            if row["id"] == "closing":
                assert row["admitted"] == []
                assert names(row["exchanged"]) == {"two_class", "per_image"}
            else:
                assert row["admitted"] == ["two_class", "per_image"]
                assert row["readings"]["two_class"].f1[1] < row["f1"]
