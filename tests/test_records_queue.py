"""`make records`: what is missing is computed, the most valuable first; what was stopped goes on."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from landslide_lib.paths import HOME
from landslide_lib.study import reports, runs
from landslide_lib.study.records import Store

SCRIPT = HOME / "workflow" / "records.py"
spec = importlib.util.spec_from_file_location("records_queue", SCRIPT)
queue = importlib.util.module_from_spec(spec)
spec.loader.exec_module(queue)
PLAN = [{"dataset": "synthetic", "profile": "smoke", "seeds": 2, "tables": ["raunet/heads"]}]
HEADS = ["dual-head", "mono-branch", "multi-resolution"]


@pytest.fixture
def store(tmp_path) -> Store:
    """A store in which one row has been run with one seed."""
    made = Store(tmp_path / "records", ())
    table = reports.table("raunet/heads")
    recipe = reports.resolve(table, table.row("mono-branch"), dataset="synthetic", profile_name="smoke")
    runs.run(recipe, 0, store=made)
    return made


def test_rows_without_a_record_come_first_then_other_seeds_row_by_row(store):
    jobs, there = queue.missing(PLAN, store)
    assert [(job.row, job.seed) for job in jobs] == [
        ("dual-head", 0),
        ("multi-resolution", 0),
        ("mono-branch", 1),  # which the others are compared with
        ("dual-head", 1),
        ("multi-resolution", 1),
    ]
    assert there == 1
    assert all(job.seconds == pytest.approx(queue.duration(store.all()[0])) for job in jobs)
    assert "Of the 6 records" in queue.status(jobs, there, 2)


def test_three_seeds_come_first_of_what_others_are_compared_with_then_of_the_quickest(tmp_path, monkeypatch):
    seconds = {"ce": 9.0, "focal": 5.0, "iou": 4.0}
    monkeypatch.setattr(queue, "duration", lambda record: seconds[record.recipe.loss[0].name])
    made = Store(tmp_path / "records", ())
    table = reports.table("raunet/losses")
    for name in ("ce", "focal", "iou"):
        runs.run(reports.resolve(table, table.row(name), dataset="synthetic", profile_name="smoke"), 0, store=made)
    jobs, _ = queue.missing([{**PLAN[0], "seeds": 4, "tables": ["raunet/losses"]}], made)
    seeds = [(job.row, job.seed) for job in jobs if job.row in ("ce", "focal", "iou")]
    assert seeds == [(row, n) for row in ("ce", "iou", "focal") for n in (1, 2)] + [("ce", 3), ("iou", 3), ("focal", 3)]
    first = [job.seed for job in jobs][: len(table.rows) - 3]
    assert set(first) == {0}


def test_what_a_row_grows_from_is_part_of_its_time_and_counts_once_in_all(tmp_path):
    plan = [{**PLAN[0], "seeds": 1, "tables": ["refinement/test"]}]
    jobs, _ = queue.missing(plan, Store(tmp_path, ()))
    # Nothing is there: each training takes the ten minutes that are assumed.
    table = reports.table("refinement/test")
    for job in jobs:
        recipe = reports.resolve(table, table.row(job.row), dataset="synthetic", profile_name="smoke")
        assert job.seconds == 600 * (1 + len(recipe.ancestors))
    trainings = {name for job in jobs for name in job.trainings}
    assert len(trainings) < sum(len(job.trainings) for job in jobs)
    assert f"about {len(trainings) / 6:.1f} hours on 1 cores" in queue.status(jobs, 0, 1)


def test_a_row_that_stands_in_two_tables_is_computed_once(tmp_path):
    plan = [{**PLAN[0], "tables": ["raunet/losses", "raunet/losses-combined"]}]
    jobs, _ = queue.missing(plan, Store(tmp_path, ()))
    made = [
        (
            reports.resolve(t := reports.table(j.table), t.row(j.row), dataset="synthetic", profile_name="smoke").hash,
            j.seed,
        )
        for j in jobs
    ]
    assert len(set(made)) == len(made)


def test_what_needs_weights_that_no_package_has_is_left_out(tmp_path):
    plan = [{"dataset": "landslide4sense-boxes", "profile": "full", "seeds": 1, "tables": ["detection/backbones"]}]
    rows = {job.row for job in queue.missing(plan, Store(tmp_path, ()))[0]}
    assert "vit-large" not in rows
    assert "vit-tiny-random" in rows


def test_every_row_that_needs_no_download_is_asked_for_on_some_data(tmp_path):
    plan = [{**entry, "seeds": 1} for entry in yaml.safe_load(queue.PLAN.read_text("utf-8"))]
    cpu = partial(reports.resolve, profile_name="cpu")
    tables = {table.name: table for report in reports.reports().values() for table in report.tables.values()}
    jobs = queue.missing(plan, Store(tmp_path, ()))[0]
    asked = {cpu(tables[job.table], tables[job.table].row(job.row), dataset=job.dataset).hash for job in jobs}
    for table in tables.values():
        for row in table.rows:
            on = {entry["dataset"] for entry in plan if row in table.runnable(entry["dataset"])}
            here = {made.hash for made in (cpu(table, row, dataset=name) for name in on) if not made.needs_download}
            assert not here or here & asked, f"{table.name} {row.id}: no entry of records.yaml asks for it"


def test_a_queue_that_was_ended_goes_on_and_two_at_once_run_nothing_twice(tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text("[{dataset: synthetic, profile: smoke, seeds: 1, tables: [raunet/heads]}]")
    command = [sys.executable, str(SCRIPT), "--plan", str(plan), "--cores", "1", "--nice", "0"]
    where = {**os.environ, "LANDSLIDE_RUNS": str(tmp_path / "runs"), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HOME)}
    records = tmp_path / "runs" / "records"

    def start() -> subprocess.Popen:
        return subprocess.Popen(command, cwd=HOME, env=where, stdout=subprocess.PIPE, text=True)

    first = start()
    deadline = time.monotonic() + 120
    while not list(records.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    said, _ = first.communicate()
    assert first.returncode == 1
    assert "FAILED" not in said
    done = len(list(records.glob("*.json")))
    assert 1 <= done < 3
    both = [start(), start()]
    assert [process.communicate()[0].strip().splitlines()[-1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    names = [path.name.split("-s")[0] + path.name.split("-s")[1][0] for path in Path(records).glob("*.json")]
    assert len(names) == len(set(names)) == 3


def test_only_what_is_new_comes_into_the_tree_that_asked(tmp_path, monkeypatch):
    """That tree may have removed a record which the queue's clone still has."""
    clone, asked = tmp_path / "clone", tmp_path / "asked"
    for folder in (clone, asked):
        folder.mkdir()
    (clone / "removed.json").write_text("{}")
    monkeypatch.setattr(queue, "PUBLISHED", clone)
    monkeypatch.setattr(queue.Queue, "landslide", lambda *_: bool((clone / "new.json").write_text("{}")))
    job = queue.Job("raunet/heads", "mono-branch", "synthetic", "cpu", 0, {})
    assert queue.Queue(asked, 1.0, "0").compute(job)
    assert [path.name for path in asked.iterdir()] == ["new.json"]
