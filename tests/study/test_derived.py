"""Rows that are computed from others: at a threshold, and over folds."""

import numpy as np
import pytest

from landslide_lib.metrics import scores
from landslide_lib.study import cells, comparison, reports
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.records import Store

FOLDS = reports.table("raunet/k-fold-thresholds")
OVER = reports.table("raunet/k-fold")
AFTER = reports.table("raunet/post-processing")


def histogram(landslide: dict[int, int], background: dict[int, int]) -> list[list[int]]:
    """Return two histograms of 100 bins, from the pixels of some."""
    return [[side.get(k, 0) for k in range(100)] for side in (landslide, background)]


#: At 0.5 six of eight pixels are found and two are wrong; at 0.95 three, and none is wrong.
TOLD = histogram({20: 2, 60: 3, 97: 3}, {5: 20, 70: 2})


@pytest.fixture
def folds(tmp_path, record):
    """Five folds with one seed, each with one landslide pixel more that is missed."""
    store = Store(tmp_path / "records", more=())
    for k in range(5):
        wanted = reports.resolve(FOLDS, FOLDS.row(f"fold-{k + 1}-0.5"), dataset="bijie", profile_name="cpu")
        store.add(record(non_default_fields(wanted), [[6, 2, 2 + k, 20]], seed=0, histogram=TOLD))
    return store


def by_id(table, store):
    rows = comparison.compare(table, store, dataset="bijie", profile_name="cpu")
    return {row["id"]: row for row in rows}


def test_mean_and_deviation_over_folds_are_those_of_the_folds_themselves(folds):
    ours = by_id(OVER, folds)["no"]["ours"]["metrics"]["two_class"]
    f1 = [scores.scores([[6, 2, 2 + k, 20]])["two_class"]["f1"] for k in range(5)]
    assert ours["f1"]["mean"] == pytest.approx(np.mean(f1))
    assert ours["f1_std"]["mean"] == pytest.approx(np.sqrt(np.mean((f1 - np.mean(f1)) ** 2)))
    rows = list(by_id(OVER, folds).values())
    assert cells.columns(OVER, rows)[3].heading == "STD of F1 (two-class)"


def test_a_missing_fold_leaves_no_mean(folds, tmp_path):
    fewer = Store(tmp_path / "fewer", more=())
    for record in folds.all()[:4]:
        fewer.add(record)
    assert by_id(OVER, fewer)["no"]["ours"] is None
    assert comparison.known_runs(OVER, folds) == [("bijie", "cpu", 5)]


def test_a_threshold_is_taken_from_the_histogram_of_the_run(tmp_path, record):
    store = Store(tmp_path / "records", more=())
    wanted = reports.resolve(AFTER, AFTER.row("none"), dataset="bijie", profile_name="cpu")
    store.add(record(non_default_fields(wanted), [[6, 2, 2, 20]], histogram=TOLD))
    rows = by_id(AFTER, store)
    pooled = rows["threshold-0.95"]["ours"]["metrics"]["pooled"]
    assert pooled["precision"]["mean"] == 1
    assert pooled["recall"]["mean"] == pytest.approx(3 / 8)
    assert rows["threshold-0.95"]["ours"]["thresholds"] == [0.95]
    assert rows["threshold-0.95"]["ours"]["tuned"]["pooled"]["f1"]["mean"] is None
    assert (
        rows["threshold-0.5"]["ours"]["metrics"]["two_class"]["f1"]
        == (rows["none"]["ours"]["metrics"]["two_class"]["f1"])
    )
    assert rows["voting"]["ours"] is None
    assert rows["threshold-multi-angles"]["ours"] is None  # its row was not run
    assert "at the row's threshold" in str(cells.columns(AFTER, list(rows.values())))


def test_scored_takes_the_best_threshold_on_the_very_images(folds):
    row = by_id(FOLDS, folds)["fold-1-0.95"]["ours"]
    every = [scores.at_threshold(*TOLD, threshold=k / 100)["pooled"]["f1"] or 0 for k in range(1, 100)]
    assert row["metrics"]["pooled"]["f1"]["mean"] == pytest.approx(max(every))


def test_a_threshold_inside_a_bin_is_refused():
    with pytest.raises(ValueError, match="100 bins"):
        scores.at_threshold(*TOLD, threshold=0.505)


def test_rows_come_from_rows_that_are_run():
    for report in reports.reports().values():
        for table in report.tables.values():
            for row in table.rows:
                for other, leaf in reports.leaves(table, row):
                    assert other.row(leaf.id).kind == "run"


def test_a_row_at_a_chosen_threshold_says_which_it_was(folds):
    row = by_id(FOLDS, folds)["fold-1-0.95"]
    at = row["ours"]["thresholds"][0]
    assert cells.label(row) == f"Fold 1, t = 0.95 (derived; ours at {at:g})"
