"""The search of hyper-parameters: what is proposed, what decides, and that it goes on where it stopped."""

import json

import pytest
from typer.testing import CliRunner

from landslide_lib.cli import app
from landslide_lib.metrics.intervals import interval
from landslide_lib.paths import PUBLISHED
from landslide_lib.study import recipe as recipes
from landslide_lib.study import reports, runs
from landslide_lib.study.records import Store
from landslide_lib.study.search import SPACES, judged, search, space


def wanted(table="raunet/losses", row="ce", dataset="synthetic"):
    one = reports.table(table)
    return reports.resolve(one, one.row(row), dataset=dataset, profile_name="smoke")


@pytest.mark.parametrize("task", sorted(SPACES))
def test_what_is_searched_are_fields_of_the_recipe(task):
    table = {"segmentation": "raunet/losses", "adaptation": "refinement/domains", "detection": "detection/backbones"}
    one = reports.table(table.get(task, "filter/curves"))
    made = reports.resolve(one, one.rows[0], profile_name="smoke")
    assert made.task == task
    fields = made.model_dump(mode="json", by_alias=True)
    for name, choices in space(made).items():
        part, _, key = name.partition(".")
        assert part in fields
        assert not key or key in fields[part]
        for value in choices if isinstance(choices, list) else (choices["low"], choices["high"]):
            recipes.recipe(fields, {part: {key: value}} if key else {part: value})


def test_a_row_without_a_filter_has_none_to_search():
    names = {row: set(space(wanted("filter/curves", row, "synthetic-zindi"))) for row in ("final", "no-filter")}
    assert names["final"] - names["no-filter"] == {"filter.depth", "filter.trees"}


def test_an_ensemble_is_searched_by_its_first_network(monkeypatch):
    monkeypatch.setenv("LANDSLIDE_TRAIN", "no")
    ensemble = wanted("filter/curves", "final", "synthetic-zindi")
    first = ensemble.depends_on[0]
    with pytest.raises(runs.NotRunError, match=first.hash):
        search(ensemble, 1)


def test_the_row_as_it_is_comes_first_validation_data_decide_and_a_search_goes_on_by_its_records(tmp_path, monkeypatch):
    store = Store(tmp_path, ())
    found = search(wanted(), 2, store=store)
    assert [len(line["values"]) for line in found["trials"]] == [0, 4, 4]
    records = {record.name: record for record in store.all()}
    for line in found["trials"]:
        record = records[line["record"]]
        assert line["valid"] == judged(record) == (record.valid_tuned.metrics["pooled"]["f1"] or 0)
        assert line["test"] == (record.test_tuned.metrics["pooled"]["f1"] or 0)
    assert records[found["trials"][0]["record"]].recipe == wanted()
    changed = records[found["trials"][1]["record"]].recipe
    assert changed.optimizer.lr == found["trials"][1]["values"]["optimizer.lr"] != wanted().optimizer.lr
    assert found["best"] == max(range(3), key=lambda number: found["trials"][number]["valid"])

    monkeypatch.setattr(runs, "_make", lambda *_: pytest.fail("it has been trained"))
    assert search(wanted(), 2, store=store) == found


def test_a_trial_that_diverges_is_left_out(monkeypatch, record):
    calls = iter(range(4))

    def run(made, seed, **_):
        if next(calls) == 1:
            raise FloatingPointError("the loss is not finite")
        done = record(recipes.non_default_fields(made), seed=seed)
        return done.model_copy(update={"valid_tuned": done.valid})

    monkeypatch.setattr(runs, "run", run)
    found = search(wanted(), 3)
    assert next(calls, None) is None
    assert [len(line["values"]) for line in found["trials"]] == [0, 4, 4]


def test_the_command_writes_its_trials_and_says_the_best(tmp_path):
    out = tmp_path / "trials.json"
    where = ["--dataset", "synthetic", "--profile", "smoke", "--trials", "1", "--out", str(out)]
    done = CliRunner().invoke(app, ["search", "raunet/losses", "--row", "ce", *where])
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text("utf-8"))
    assert (written["table"], written["row"], len(written["trials"])) == ("raunet/losses", "ce", 2)
    assert f"{written['trials'][written['best']]['valid']:.4f}" in done.output


@pytest.mark.parametrize("path", sorted((PUBLISHED / "searches").glob("*.json")), ids=lambda path: path.stem)
def test_each_number_of_a_published_search_is_of_a_published_record(path):
    found = json.loads(path.read_text("utf-8"))
    one = reports.table(found["table"])
    row = reports.resolve(one, one.row(found["row"]), dataset=found["dataset"], profile_name=found["profile"])
    own, records = found["trials"][0], {record.name: record for record in Store(more=(PUBLISHED,)).all()}
    assert records[own["record"]].hash in {row.hash, *(base.hash for base in row.depends_on)}
    for trial in found["trials"]:
        record = records[trial["record"]]
        assert (trial["valid"], trial["test"]) == (judged(record), judged(record, "test_tuned"))
    assert found["best"] == max(range(len(found["trials"])), key=lambda number: found["trials"][number]["valid"])


def test_the_published_recipe_of_chapter_20_scores_what_it_claims():
    one = reports.table("raunet/search")
    wanted = reports.resolve(one, one.row("turns"), dataset="bijie", profile_name="cpu")
    runs_of_it = {each.seed: each for each in Store(more=(PUBLISHED,)).all() if each.hash == wanted.hash}
    scores = [each.test.metrics["pooled"]["f1"] for each in runs_of_it.values()]
    assert sorted(runs_of_it) == [0, 1, 2, 3, 4]
    assert sum(scores) / 5 == pytest.approx(0.8319, abs=5e-5)
    assert interval(scores)[0] > 0.79
