"""*Reported* beside *ours*, from records that are made up so that the answer is known."""

import csv
import io
import json
import re

import numpy as np
import pytest

from landslide_lib.metrics import scores
from landslide_lib.study import cells, comparison, render, reports
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.records import Store

TABLE = reports.table("raunet/losses")
COUNTS = {
    "ce": [[30, 10, 10, 50], [0, 5, 0, 95], [20, 10, 10, 60], [25, 5, 20, 50]],
    "focal": [[35, 5, 5, 55], [0, 0, 0, 100], [25, 10, 5, 60], [25, 5, 20, 50]],
}


@pytest.fixture
def store(tmp_path, record):
    """Two rows in the cpu profile, cross entropy with three seeds, focal with two."""
    made = Store(tmp_path / "records", more=())
    for row, seeds in (("ce", (0, 1, 2)), ("focal", (0, 1))):
        wanted = reports.resolve(TABLE, TABLE.row(row), dataset="bijie", profile_name="cpu")
        for seed in seeds:
            counts = [[tp + seed, fp, fn, tn - seed] for tp, fp, fn, tn in COUNTS[row]]
            made.add(record(non_default_fields(wanted), counts, seed=seed))
    return made


def test_the_mean_over_seeds_is_that_of_the_records(store):
    rows = {row["id"]: row for row in comparison.compare(TABLE, store)}
    f1 = [
        scores.scores(record.test_counts)["pooled"]["f1"]
        for record in store.all()
        if record.recipe.loss[0].name == "ce"
    ]
    ours = rows["ce"]["ours"]["metrics"]["pooled"]["f1"]
    assert ours["mean"] == pytest.approx(np.mean(f1))
    assert ours["values"] == f1
    assert (ours["low"] + ours["high"]) / 2 == pytest.approx(ours["mean"])
    assert rows["ce"]["ours"]["seeds"] == [0, 1, 2]


def test_a_row_that_was_not_run_has_nothing_of_ours_and_an_em_dash(store):
    rows = {row["id"]: row for row in comparison.compare(TABLE, store)}
    assert rows["lovasz"]["ours"] is None
    texts = [column.text(rows["lovasz"]) for column in cells.columns(TABLE, list(rows.values()))]
    assert texts[-1] == "—"
    assert "0.6461" in texts


def test_the_budget_and_the_floor_stand_beside_the_numbers(store):
    caption = cells.caption(comparison.compare(TABLE, store))
    for words in ("bijie", "cpu profile", "64 px", "width 16", "2 to 3 seeds", "95 % interval"):
        assert words in caption


def test_budgets_that_differ_between_rows_are_said_from_least_to_most(store):
    rows = comparison.compare(TABLE, store)
    run = [row for row in rows if row["ours"]]
    run[-1]["ours"]["budget"] |= {"image_size": 128, "epochs": 24}
    assert "64 to 128 px, width 16, 12 to 24 epochs" in cells.caption(rows)


def test_one_seed_is_called_one_seed_and_has_no_interval(store):
    rows = comparison.compare(TABLE, store, seeds=[0])
    assert "one seed, so no interval" in cells.caption(rows)
    assert "±" not in render.markdown(TABLE, rows).split("Ours:")[0]


def test_the_bootstrap_compares_the_same_seeds_of_both_rows(store):
    rows = {row["id"]: row for row in comparison.compare(TABLE, store)}
    assert rows["ce"]["ours"]["versus"] is None
    versus = rows["focal"]["ours"]["versus"]
    pooled = [np.sum([np.array(COUNTS[row]) + np.array([s, 0, 0, -s]) for s in (0, 1)], 0) for row in ("focal", "ce")]
    f1 = [scores.scores(counts)["pooled"]["f1"] for counts in pooled]
    assert versus["difference"] == pytest.approx(f1[0] - f1[1])
    assert versus["low"] <= versus["difference"] <= versus["high"]


def test_a_difference_over_too_few_scenes_says_so_wherever_it_stands(tmp_path, record):
    store = Store(tmp_path / "records", more=())
    for row in ("ce", "focal"):
        wanted = reports.resolve(TABLE, TABLE.row(row), dataset="bijie", profile_name="cpu")
        store.add(record(non_default_fields(wanted), COUNTS[row][:2]))
    rows = {row["id"]: row for row in comparison.compare(TABLE, store)}
    versus = rows["focal"]["ours"]["versus"]
    assert versus["difference"] == pytest.approx(70 / 80 - 60 / 85)
    assert (versus["low"], versus["high"], versus["reason"]) == (None, None, "too few scenes")
    rows = list(rows.values())
    assert "+0.169 (too few scenes)" in render.markdown(TABLE, rows)
    assert "+0.169<br>(too few scenes)" in render.html(TABLE, rows)
    assert json.loads(render.as_json(TABLE, rows))[1]["ours"]["versus"] == versus


def test_known_runs_are_found_and_smoke_is_left_out(store, record):
    assert comparison.known_runs(TABLE, store) == [("bijie", "cpu", 5)]
    smoke = reports.resolve(TABLE, TABLE.row("ce"), dataset="bijie", profile_name="smoke")
    store.add(record(non_default_fields(smoke), seed=7))
    assert comparison.known_runs(TABLE, store) == [("bijie", "cpu", 5)]


def test_json_has_the_fields_a_program_relies_on(store):
    rows = json.loads(render.as_json(TABLE, comparison.compare(TABLE, store)))
    for row in rows:
        assert {"id", "label", "kind", "reported", "uncertain", "ours"} <= set(row)
    ours = rows[0]["ours"]
    assert {"metrics", "seeds", "budget", "parameters"} <= set(ours)
    assert {"mean", "low", "high"} <= set(ours["metrics"]["two_class"]["iou"])


def test_csv_has_a_line_a_row_and_a_score(store):
    rows = comparison.compare(TABLE, store)
    lines = {(line["row"], line["column"]): line for line in csv.DictReader(io.StringIO(render.as_csv(TABLE, rows)))}
    assert len(lines) == len(TABLE.rows) * 4  # mIoU and F1 as printed, landslide F1 at two thresholds
    assert float(lines["ce", "landslide_f1"]["ours"]) == rows[0]["ours"]["metrics"]["pooled"]["f1"]["mean"]
    assert float(lines["ce", "f1"]["reported"]) == TABLE.rows[0].reported["f1"]
    assert lines["lovasz", "f1"]["ours"] == ""


def test_markdown_and_html_say_the_same(store):
    rows = comparison.compare(TABLE, store)
    text, page = render.markdown(TABLE, rows), render.html(TABLE, rows)
    for row in rows:
        for cell in [column.text(row) for column in cells.columns(TABLE, rows)][:-1]:
            assert cell in text
            assert cell.replace("'", "&#x27;").replace(" [", "<br>[").replace(" (too", "<br>(too") in page
    columns = text.splitlines()[2].count("|")
    assert all(line.count("|") == columns for line in text.splitlines() if line.startswith("|"))


def test_every_seed_of_a_row_names_its_record(store):
    page = render.html(TABLE, comparison.compare(TABLE, store))
    assert set(re.findall(r"record (bijie-[\w-]+)", page)) == {path.stem for path in store.paths()}


def test_a_score_that_is_undefined_in_one_seed_makes_no_mean_of_the_others(tmp_path, record):
    store = Store(tmp_path, more=())
    wanted = reports.resolve(TABLE, TABLE.row("ce"), dataset="bijie", profile_name="cpu")
    for seed, counts in enumerate(([[5, 5, 5, 5]], [[0, 0, 10, 10]])):
        store.add(record(non_default_fields(wanted), counts, seed=seed))
    ours = comparison.compare(TABLE, store)[0]["ours"]["metrics"]["pooled"]
    assert ours["precision"]["mean"] is None
    assert cells.text_of(ours["precision"]) == "—"
    assert ours["recall"]["mean"] == pytest.approx(0.25)


def copies(store, record):
    """Add a newer record of focal on another copy of the data; return the rows of a store."""
    wanted = reports.resolve(TABLE, TABLE.row("focal"), dataset="bijie", profile_name="cpu")
    newer = "2026-11-21T10:25:52.907820+00:00"
    store.add(record(non_default_fields(wanted), [[1, 0, 0, 99]] * 2, fingerprint="the copy", finished=newer))

    def rows(data=None):
        made = Store(store.home, more=(), data=data)
        return {row["id"]: row for row in comparison.compare(TABLE, made)}

    return rows


def test_a_table_shows_the_copy_of_the_data_that_is_here(store, record):
    rows = copies(store, record)
    here = rows(lambda recipe: ["the copy"])
    assert here["ce"]["ours"] is None
    assert here["focal"]["ours"]["metrics"]["pooled"]["f1"]["values"] == [1.0]
    assert here["focal"]["ours"]["data"] == {"fingerprint": "the copy", "made_on": "here", "published": False}
    first = rows(lambda recipe: ["0123456789abcdef"])
    assert (first["ce"]["ours"]["seeds"], first["focal"]["ours"]["seeds"]) == ([0, 1, 2], [0, 1])
    assert cells.caption(list(first.values())).endswith("landslide F1.")


def test_the_newest_copy_is_not_hidden_by_the_one_with_more_rows(store, record):
    rows = copies(store, record)
    for data, why in (
        (lambda recipe: [], "which is not on this machine"),
        (lambda recipe: ["a third copy"], "which is not the data at LANDSLIDE_DATA"),
    ):
        shown = rows(data)
        assert shown["ce"]["ours"] is None
        assert shown["focal"]["ours"]["seeds"] == [0]
        assert f"records of data the copy, {why}" in cells.caption(list(shown.values()))
    assert rows()["focal"]["ours"]["data"]["made_on"] == "any"


def test_of_data_without_its_bad_files_all_rows_are_of_the_same_choice(store, record):
    rows = copies(store, record)(lambda recipe: ["0123456789abcdef", "the copy"])
    assert rows["ce"]["ours"] is None  # the newest run left the bad files out
    assert rows["focal"]["ours"]["seeds"] == [0]


def test_a_row_whose_network_is_stood_in_for_is_marked():
    from landslide_lib.study.table import table as study_table

    pretraining = study_table("detection/pretraining", dataset="landslide4sense-boxes", profile="cpu")
    labels = pretraining.effects().label
    assert labels["vit-large-mae"].endswith("†")
    assert not labels["vit-tiny-mae"].endswith("†")
    assert "rows with the same one are the same runs" in pretraining._repr_html_()
    refinement = study_table("refinement/validation", dataset="synthetic", profile="cpu")
    page = refinement._repr_html_()
    assert "swin_narrow, random" in page
    assert "the same runs" not in page
