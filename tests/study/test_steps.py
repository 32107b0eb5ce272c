"""A system put together step by step, and a choice on validation images."""

import numpy as np
import pytest

from landslide_lib.study import comparison, reports, steps
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.records import Outcome, Store

SYSTEM = [
    steps.Step("start", "raunet/losses/ce"),
    steps.Step("channels", "raunet/bands/23"),
    steps.Step("head", "raunet/heads/multi-resolution"),
    steps.Step("head, other", "raunet/heads/mono-branch", "raunet/heads/dual-head"),
]
FOUND = {"raunet/losses/ce": 4, "raunet/heads/multi-resolution": 6, "raunet/heads/dual-head": 5}


def resolved(where: str):
    table, _, row = where.rpartition("/")
    chosen = reports.table(table)
    return reports.resolve(chosen, chosen.row(row), dataset="bijie", profile_name="cpu")


@pytest.fixture
def store(tmp_path, record):
    """Seed 0 of each row; of the first one seed 1 too, which is far better."""
    made = Store(tmp_path / "records", more=())
    for where, tp in FOUND.items():
        made.add(record(non_default_fields(resolved(where)), [[tp, 2, 2, 20]], seed=0))
    made.add(record(non_default_fields(resolved("raunet/losses/ce")), [[9, 0, 0, 20]], seed=1))
    return made


def test_a_gain_is_over_the_last_step_that_was_run_and_over_common_seeds(store):
    found = steps.assembled(SYSTEM, store, dataset="bijie", profile="cpu")
    f1 = [2 * tp / (2 * tp + 4) for tp in (4, 6, 5)]
    run = found.dropna(subset=["landslide_f1"])
    assert list(run["step"]) == ["start", "head", "head, other"]
    np.testing.assert_allclose(run["landslide_f1"], f1)
    np.testing.assert_allclose(run["landslide_gain"][1:], np.diff(f1))
    assert list(run["seeds"]) == [1, 1, 1]
    assert list(found["possible"]) == [True, False, True, True]
    assert list(found["spans"])[1:] == ["", "channels", ""]
    said = steps.said(found, "bijie")
    assert "Our gain of head is over the step before channels" in said
    assert "Not there on this data: channels." in said
    assert f"Above zero here: 1 of 2, most of all head ({run['f1_gain'][2]:+.4f})." in said
    printed = [
        reports.table(w.printed.rpartition("/")[0]).row(w.printed.rpartition("/")[2]).reported["f1"] for w in SYSTEM
    ]
    np.testing.assert_allclose(found["reported_gain"][1:], np.diff(printed))


def test_what_was_not_run_is_an_em_dash(store, tmp_path):
    shown = steps.html(steps.assembled(SYSTEM, store, dataset="bijie", profile="cpu"), name="x", caption="")
    line = shown.split("<tr>")[3]
    assert "channels" in line
    assert line.count("—") == 5
    nothing = steps.assembled(SYSTEM, Store(tmp_path / "no", more=()), dataset="bijie", profile="cpu")
    assert nothing["f1"].isna().all()
    assert steps.said(nothing, "bijie").startswith("Too few steps")


def test_a_gain_over_a_step_that_could_be_run_and_was_not_is_not_compared(store):
    system = [SYSTEM[0], steps.Step("loss", "raunet/losses/iou"), SYSTEM[2], SYSTEM[3]]
    found = steps.assembled(system, store, dataset="bijie", profile="cpu")
    assert found["landslide_gain"].notna().tolist() == [False, False, False, True]
    assert "Not run yet on bijie: loss." in steps.said(found, "bijie")


def test_the_choice_looks_at_validation_alone(tmp_path, record):
    table = reports.table("raunet/own")
    store = Store(tmp_path / "records", more=())
    for place, row in enumerate(table.rows):
        wanted = reports.resolve(table, row, dataset="bijie", profile_name="cpu")
        made = record(non_default_fields(wanted), [[9 - place, 2, 2, 20]])
        seen = {"pooled": {"f1": 0.1 * place}}  # the worse on test images, the better here
        kept = Outcome(threshold=0.4, metrics=seen) if row.id != table.rows[-1].id else None
        store.add(made.model_copy(update={"valid_tuned": kept}))
    runs = comparison.records_of(table, store, dataset="bijie", profile_name="cpu")
    order = list(steps.on_validation(runs))
    assert order == [row.id for row in table.rows[-2::-1]]  # the last one keeps no such score


def test_the_clean_test_sets_the_chosen_one_beside_the_others(tmp_path, record):
    table = reports.table("raunet/own-test")
    store = Store(tmp_path / "records", more=())
    for row, hits in zip(table.rows, (6, 8, 7), strict=True):
        wanted = reports.resolve(table, row, dataset="bijie", profile_name="cpu")
        made = record(non_default_fields(wanted), [[hits, 2, 2, 20]])
        store.add(made.model_copy(update={"test_tuned": made.test}))
    rows = comparison.compare(table, store, dataset="bijie", profile_name="cpu")
    said = steps.clean_test(table, rows, "rau-net-2-voting")
    best, first = 16 / 20, 12 / 16
    assert f"reaches a landslide F1 of {best:.3f}" in said
    assert f"{best - first:+.3f} against The report's system" in said
    assert "another may turn the order" in said
    assert "has no row in this table" in steps.clean_test(table, rows, "u-net-ce")
    none = comparison.compare(table, Store(tmp_path / "no", more=()), dataset="bijie")
    assert "has not been run" in steps.clean_test(table, none, "rau-net-2-voting")
