"""A record is there whole or not at all, is never replaced, and answers only for what it is of."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from landslide_lib.fields import REVISIONS
from landslide_lib.paths import write_once
from landslide_lib.study import records
from landslide_lib.study.recipe import profile, recipe
from landslide_lib.study.records import RecordError, Store, publish, read


@pytest.fixture
def store(tmp_path) -> Store:
    """A store of local runs alone, empty."""
    return Store(tmp_path / "records", more=())


def later(minutes: int) -> str:
    return f"2026-11-20T11:{minutes:02}:00.500001+00:00"


# --- reading and writing -----------------------------------------------------------------


def test_a_record_reads_back_as_it_was_written(store, record):
    made = record({"loss": [{"name": "focal", "gamma": 3.0}], "bands": ["R", "B"]})
    path = store.add(made)
    assert read(path) == made
    assert read(path).recipe.hash == made.hash
    assert path.stem == made.name


def test_a_record_is_plain_json_with_a_line_a_field(store, record):
    made = record(history=record().model_dump()["history"] * 3)
    text = store.add(made).read_text()
    assert json.loads(text) == made.model_dump(mode="json")
    assert len(text.splitlines()) == 2 + len(type(made).model_fields) + 1 + len(made.history)


def test_an_undefined_score_is_null_and_stays_none(store, record):
    made = record(counts=[[0, 0, 5, 11]])
    assert read(store.add(made)).test.metrics["pooled"]["precision"] is None


def test_records_of_before_a_field_with_a_default_can_still_be_read(store, record):
    """The other way round, a field that is not known is refused."""

    class Longer(records.Record):
        note: str = ""

    path = store.add(record())
    assert Longer.model_validate_json(path.read_bytes()).note == ""
    path.write_text(Longer(**record().model_dump(), note="x").to_json())
    with pytest.raises(RecordError, match="note"):
        read(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "EOF"),
        (b'{"recipe": {"dataset": "bij', "EOF"),
        (b"\xff\xfe\x00\x80", "Invalid JSON"),
        (b"[]", "object"),
        (b"{}", "recipe"),
    ],
)
def test_a_file_that_is_no_record_is_named_with_what_is_wrong(store, content, says):
    path = store.home / "bijie-broken.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RecordError, match=says) as caught:
        store.all()
    assert str(path) in str(caught.value)


def test_a_record_with_one_wrong_field_names_the_field(store, record):
    path = store.add(record())
    whole = json.loads(path.read_text())
    whole["test"]["threshold"] = "half"
    path.write_text(json.dumps(whole))
    with pytest.raises(RecordError, match=r"test: threshold: "):
        read(path)


def test_a_crash_while_writing_leaves_nothing(store, record, monkeypatch):
    def crash(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(OSError, match="disk full"):
            store.add(record())
    assert list(store.home.iterdir()) == []
    store.add(record())
    assert store.all() == [record()]


def test_what_a_killed_writer_left_behind_is_no_record(store, record):
    store.add(record())
    (store.home / ".ab12.part").write_text('{"recipe": ')
    assert store.all() == [record()]


def test_what_macos_leaves_beside_a_record_is_none(store, record):
    path = store.add(record())
    path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7")
    assert store.all() == [record()]


def test_a_record_is_never_overwritten(store, record):
    path = store.add(record())
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        store.add(record(threads=7))
    assert path.read_bytes() == before
    assert [file.name for file in store.home.iterdir()] == [path.name]


def test_of_many_writers_of_one_file_one_wins_whole(tmp_path):
    path = tmp_path / "one.json"
    texts = [str(i) * 10_000 for i in range(8)]

    def attempt(text: str) -> bool:
        try:
            return bool(write_once(path, text))
        except FileExistsError:
            return False

    with ThreadPoolExecutor(len(texts)) as pool:
        won = list(pool.map(attempt, texts))
    assert sum(won) == 1
    assert path.read_text() == texts[won.index(True)]
    assert list(tmp_path.iterdir()) == [path]


# --- finding -----------------------------------------------------------------------------


def test_a_record_is_found_by_recipe_seed_and_data(store, record):
    focal = {"loss": [{"name": "focal"}]}
    for change in ({}, focal):
        for seed in (2, 0, 1):
            store.add(record(change, seed=seed))
    wanted = recipe({"dataset": "bijie"}, focal)
    assert [r.seed for r in store.find(wanted)] == [0, 1, 2]
    assert [(r.seed, r.recipe) for r in store.find(wanted, 1)] == [(1, wanted)]
    assert store.find(wanted, 3) == []
    assert store.find(wanted, 1, record().fingerprint) == store.find(wanted, 1)
    assert store.find(wanted, 1, "other data") == []
    assert store.find(recipe({"dataset": "bijie", "epochs": 1})) == []


def test_an_empty_store_has_nothing_and_is_not_made_by_asking(store):
    assert store.all() == []
    assert store.find(recipe({"dataset": "bijie"})) == []
    assert not store.home.exists()


def test_the_newest_record_of_a_seed_answers_and_the_old_one_stays(store, record):
    new = record(finished=later(30))
    for made in (new, record(), record(finished=later(5))):
        store.add(made)
    assert store.find(new.recipe, 0) == [new]
    assert len(store.all()) == 3


def test_seeds_on_other_data_are_not_mixed_in(store, record):
    """A reader without the data gets the records of the newest data only."""
    for seed in (0, 1):
        store.add(record(seed=seed, fingerprint="old data"))
    store.add(record(seed=0, fingerprint="new data", finished=later(1)))
    wanted = record().recipe
    assert [(r.seed, r.fingerprint) for r in store.find(wanted)] == [(0, "new data")]
    assert [r.seed for r in store.find(wanted, fingerprint="old data")] == [0, 1]


def test_published_records_are_found_beside_the_local_ones_each_once(tmp_path, record):
    both, published = record(), record(seed=1)
    store = Store(tmp_path / "local", more=(tmp_path / "published",))
    store.add(both)
    for made in (both, published):
        write_once(tmp_path / "published" / f"{made.name}.json", made.to_json())
    assert store.find(both.recipe) == [both, published]
    assert store.path(both).parent.name == "published"


def test_records_go_to_the_folder_that_landslide_runs_names(monkeypatch, tmp_path, record):
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path / "here"))
    path = Store(more=()).add(record())
    assert path.parent == tmp_path / "here" / "records"


# --- stale -------------------------------------------------------------------------------


def test_a_raised_revision_makes_the_records_that_used_it_stale(store, record, monkeypatch):
    entropy, focal = record(), record({"loss": [{"name": "focal"}]})
    store.add(entropy)
    store.add(focal)
    monkeypatch.setitem(REVISIONS, "loss/focal", 2)
    assert store.all() == [entropy]
    assert store.find(focal.recipe) == []
    again = record({"loss": [{"name": "focal"}]}, finished=later(1))
    store.add(again)
    assert store.find(focal.recipe) == [again]


@pytest.mark.parametrize("name", sorted(recipe({"dataset": "bijie"}).components))
def test_every_component_counts(record, monkeypatch, name):
    made = record()
    assert not made.stale
    monkeypatch.setitem(REVISIONS, name, REVISIONS.get(name, 1) + 1)
    assert made.stale


def test_a_component_that_came_later_leaves_old_records_until_it_is_changed(record, monkeypatch):
    known = dict(record().revisions)
    del known["pack"]
    old = record(revisions=known)
    assert not old.stale
    monkeypatch.setitem(REVISIONS, "pack", 2)
    assert old.stale


def test_a_component_that_went_leaves_the_records_of_its_first_revision(record):
    known = record().revisions
    assert not record(revisions={**known, "postprocess/old": 1}).stale
    assert record(revisions={**known, "postprocess/old": 2}).stale


def test_a_record_whose_recipe_now_means_something_else_is_stale(record):
    """Its hash was that of another default."""
    assert record(hash="0" * 16).stale


# --- publishing --------------------------------------------------------------------------


def test_a_published_record_is_a_copy_and_stays_as_it_is(store, record, tmp_path):
    made = record()
    source, folder = store.add(made), tmp_path / "results"
    target = publish(made, source, folder)
    assert target.parent == folder
    assert target.read_bytes() == source.read_bytes()
    source.write_text("changed since")
    assert publish(made, source, folder) == target
    assert read(target) == made


@pytest.mark.parametrize(
    ("change", "fields", "says"),
    [
        (profile("smoke"), {}, "smoke profile"),
        ({}, {"dirty": True}, "uncommitted changes"),
        ({}, {"hash": "0" * 16}, "changed since"),
    ],
)
def test_what_may_not_be_published_is_refused_with_the_reason(store, record, tmp_path, change, fields, says):
    made = record(change, **fields)
    source = store.add(made)
    with pytest.raises(RecordError, match=says) as caught:
        publish(made, source, tmp_path / "results")
    assert made.name in str(caught.value)
    assert not (tmp_path / "results").exists()


# --- two processes -----------------------------------------------------------------------

#: A process that asks for one run of a recipe, with a training that only counts itself.
ASK = """
import os, signal, sys, time
from pathlib import Path
from landslide_lib.study import runs
from landslide_lib.study.records import read

template, log, killed = read(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3] == "killed"

def train(wanted, setting, store):
    with log.open("a") as lines:
        lines.write(f"{os.getpid()}\\n")
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    finished = f"2026-11-20T10:00:01.{os.getpid():06}+00:00"
    return template.model_copy(
        update={"seed": setting.seed, "fingerprint": setting.packed.fingerprint, "finished": finished}
    )

runs._make = train
print("ready", flush=True)
sys.stdin.readline()
print(runs.run(template.recipe, 0, device="cpu").name)
"""


def ask(template: Path, log: Path, fate: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASK, str(template), str(log), fate]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_processes_that_want_one_run_train_it_once_even_if_the_first_is_killed(bijie, tmp_path, record):
    log, made = tmp_path / "trainings", record(profile("smoke"))
    template = write_once(tmp_path / "template.json", made.to_json())
    killed, *others = processes = [ask(template, log, f) for f in ("killed", "", "")]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    killed.communicate("go\n")
    assert killed.returncode == -signal.SIGKILL
    for process in others:  # both at once
        process.stdin.write("go\n")
        process.stdin.flush()
    names = [process.communicate()[0].strip() for process in others]
    trained = [int(line) for line in log.read_text().split()]
    assert trained[0] == killed.pid
    assert len(trained) == 2
    assert trained[1] in {process.pid for process in others}
    assert names[0] == names[1]
    assert [record.name for record in Store(more=()).all()] == names[:1]
