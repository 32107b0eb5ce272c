"""The transcribed reports: every row can become a recipe, and what is wrong in a file is named."""

import pytest
import yaml

from landslide_lib.study import reports, runs
from landslide_lib.study.recipe import BUDGETS, PROFILES, RecipeError

ALL = [table for report in reports.reports().values() for table in report.tables.values()]


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_every_row_of_kind_run_that_has_a_change_is_a_recipe_in_every_profile(table):
    for row in table.rows:
        if row.kind != "run":
            continue
        for name in BUDGETS:
            made = reports.resolve(table, row, profile_name=name)
            budget = {**PROFILES[made.task][name], **table.budgets.get(name, {})}
            stated = table.base.get("epochs")  # where a report states them, and the budget not
            assert made.epochs == row.change.get("epochs", budget.get("epochs", stated))


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.name)
def test_a_transcription_is_sound(table):
    assert {table.row(name).kind for name in table.reference} <= {"run"}
    assert set(table.metrics) <= set(table.columns)
    assert set(table.budgets) <= set(BUDGETS)
    assert len({row.id for row in table.rows}) == len(table.rows)
    for row in table.rows:
        assert (row.kind == "run") == (row.change is not None)
        assert row.at is None or (row.kind == "derived" and len(row.source) == 1)
        assert set(row.uncertain) <= set(row.reported) <= {*table.metrics, *table.extra}
        assert bool(reports.leaves(table, row)) == (row.kind != "quoted")  # and they are in the report


@pytest.mark.parametrize(
    ("table", "row", "dataset", "told"),
    [
        ("raunet/bands", "14", "bijie", "is for landslide4sense and synthetic, not for bijie"),
        ("raunet/bands", "rgb", "synthetic", "not for synthetic"),
        ("raunet/k-fold", "yes", None, "is derived; train k-fold-thresholds, and"),
        ("raunet/leaderboard", "pos-1", None, "is quoted and never run"),
    ],
)
def test_a_row_that_cannot_be_run_says_why(table, row, dataset, told):
    found = reports.table(table)
    with pytest.raises(ValueError, match=f"{table}, row {row}: .*{told}"):
        list(runs.run_table(found, rows=[row], dataset=dataset))


def test_a_row_that_stands_in_two_tables_is_one_recipe_so_it_is_run_once():
    single, combined = reports.table("raunet/losses"), reports.table("raunet/losses-combined")
    for name in ("iou", "focal"):
        one, other = (reports.resolve(t, t.row(name), profile_name="cpu") for t in (single, combined))
        assert one.hash == other.hash
    hashes = {reports.resolve(single, row).hash for row in single.runnable()}
    assert len(hashes) == len(single.runnable())


def test_the_base_of_the_bands_is_the_sum_of_losses_that_was_chosen():
    bands, combined = reports.table("raunet/bands"), reports.table("raunet/losses-combined")
    one = reports.resolve(bands, bands.row("14"), profile_name="cpu")
    assert one.hash == reports.resolve(combined, combined.row("focal-iou"), profile_name="cpu").hash


def test_cross_entropy_is_the_baseline():
    losses, base = reports.table("raunet/losses"), reports.table("raunet/baseline")
    assert reports.resolve(losses, losses.row("ce")).hash == reports.resolve(base, base.row("unet")).hash


def test_a_row_of_ours_for_one_dataset_is_not_run_on_another():
    table = reports.table("raunet/baseline")
    assert "regions" in [row.id for row in table.runnable("synthetic")]
    assert "regions" not in [row.id for row in table.runnable("bijie")]


def test_an_unknown_table_or_row_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="raunet/losses"):
        reports.table("raunet/loses")
    with pytest.raises(ValueError, match="log-cosh"):
        reports.table("raunet/losses").row("logcosh")
    table = reports.table("raunet/losses")
    with pytest.raises(RecipeError, match="smoke, quick, cpu, full"):
        reports.resolve(table, table.rows[0], profile_name="huge")


def write(folder, change):
    """A report of one table with a change to it."""
    table = {
        "title": "T",
        "where": "p. 1",
        "metrics": ["f1"],
        "rows": [
            {"id": "a", "label": "A", "kind": "run", "change": {}, "reported": {"f1": 0.5}},
            {"id": "b", "label": "B", "kind": "quoted", "reported": {"f1": 0.6}},
        ],
    }
    change(table)
    report = {
        "report": "r",
        "title": "R",
        "authors": "X",
        "venue": "V",
        "cite": "x",
        "data": "d",
        "asked": "Why?",
        "method": ["So."],
        "found": ["That."],
        "columns": {"f1": {"label": "F1", "convention": "pooled", "score": "f1"}},
        "tables": {"t": table},
    }
    (folder / "r.yaml").write_text(yaml.safe_dump(report))
    return reports.reports(folder)


def test_a_sound_transcription_is_read_with_full_names(tmp_path):
    table = write(tmp_path, lambda t: None)["r"].tables["t"]
    assert table.name == "r/t"
    assert [row.id for row in table.runnable()] == ["a"]
    with pytest.raises(ValueError, match="quoted"):
        reports.resolve(table, table.row("b"))


def test_a_derived_row_may_name_a_row_of_another_table_of_its_report(tmp_path):
    change = {"kind": "derived", "from": ["t/a"]}
    table = write(tmp_path, lambda t: t["rows"][1].update(change))["r"].tables["t"]
    assert table.row("b").source == ("t/a",)


@pytest.mark.parametrize("text", ["- a list", "report: x", "tables: {}", "report: [", "report: x\ntables: {a: {}}"])
def test_a_file_that_is_no_report_is_named(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"mine\.yaml: no report \("):
        reports.reports(tmp_path)
