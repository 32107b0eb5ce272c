"""The command line as a user types it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from landslide_lib import cli
from landslide_lib.study import records
from landslide_lib.study.records import Store
from tests.data.conftest import fill_bijie

run = CliRunner().invoke


def landslide(*words):
    """Type a command; return exit status and all it printed."""
    done = run(cli.app, list(words))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["train"],
        ["table"],
        ["publish"],
        ["run"],
        ["list"],
        ["data"],
        ["data", "verify"],
        ["data", "download"],
        ["data", "make"],
    ],
)
def test_every_command_explains_itself(command):
    status, text = landslide(*command, "--help")
    assert status == 0
    assert "Usage" in text


def test_list_names_reports_tables_rows_chapters_and_datasets(bijie):
    status, text = landslide("list")
    assert status == 0
    for words in ("raunet/losses", "log-cosh", "11_losses", "synthetic", "landslide4sense"):
        assert words in text


def test_train_prints_the_path_of_one_record_and_a_second_time_the_same(bijie):
    words = [
        "train",
        "raunet/losses",
        "--row",
        "focal",
        "--seed",
        "0",
        "--dataset",
        "bijie",
        "--profile",
        "smoke",
        "--device",
        "cpu",
    ]
    status, text = landslide(*words)
    assert status == 0
    record = records.read(Store().paths()[0])
    assert text.strip().endswith(f"{record.name}.json")
    assert record.recipe.loss[0].name == "focal"
    assert landslide(*words) == (status, text)
    # Published it cannot be: it is a smoke record.
    status, text = landslide("publish", "raunet/losses", "--profile", "smoke")
    assert status == 2
    assert "smoke profile" in text
    status, text = landslide("table", "raunet/losses", "--dataset", "bijie", "--profile", "smoke", "--format", "json")
    rows = {row["id"]: row for row in json.loads(text)}
    assert rows["focal"]["ours"]["seeds"] == [0]
    assert rows["ce"]["ours"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "raunet/losses", "--row", "fokal"], "its rows: ce, focal"),
        (["train", "raunet/loses"], "raunet/losses"),
        (["train", "raunet/losses", "--dataset", "bijjie"], "'synthetic', 'bijie'"),
        (["train", "raunet/losses", "--profile", "huge"], "smoke, quick, cpu, full"),
        (["train", "raunet/losses", "--dataset", "bijie", "--device", "tpu"], "tpu"),
        (["train", "raunet/losses", "--threads", "100000"], "less than or equal to"),
        (["table", "raunet/losses", "--format", "xls"], "md, csv, json"),
        (["run", "99_none"], "10_baseline"),
        (["data", "verify", "nothing"], "synthetic, bijie"),
        (["data", "make", "bijie", "--image-size", "20000"], "less than or equal to 4096"),
    ],
)
def test_a_slip_ends_with_one_line_that_says_what_is_allowed(words, said, bijie):
    status, text = landslide(*words)
    assert status == 2
    assert said in " ".join(text.split())
    assert "Traceback" not in text


@pytest.mark.parametrize("where", ["an empty folder", "a file"])
def test_train_without_the_data_fails_though_the_row_is_published(where, tmp_path, monkeypatch):
    row = ["raunet/losses", "--row", "focal", "--dataset", "bijie", "--profile", "cpu"]
    words = ["train", *row]
    monkeypatch.setenv("LANDSLIDE_DATA", str(tmp_path))
    if where == "a file":
        (tmp_path / "file").write_text("root:x:0:0")
        words += ["--data-root", str(tmp_path / "file")]
    status, text = landslide(*words)
    assert status == 2
    assert "data/results" not in text
    problem = {"an empty folder": "landslide data download bijie", "a file": "--data-root"}
    assert problem[where] in " ".join(text.split())
    status, text = landslide("table", *row[:1], *row[3:])
    assert status == 0
    assert "These are published records of data" in text
    assert "which is not on this machine" in text


def test_a_table_is_that_of_the_folder_which_was_trained_on(tmp_path, monkeypatch):
    """Two copies of a dataset, and one whose masks were corrected, in turn."""
    monkeypatch.setattr(records, "PUBLISHED", tmp_path / "none")
    monkeypatch.setattr(records.Store.__init__, "__defaults__", (None, ()))
    options = ["--dataset", "bijie", "--profile", "smoke", "--data-root"]

    def trained_and_shown(root):
        status, text = landslide("train", "raunet/losses", "--row", "ce", *options, str(root))
        assert status == 0, text
        made = records.read(Path(text.split()[-1]))
        return made, shown(root)

    def shown(root):
        _, text = landslide("table", "raunet/losses", "--format", "json", *options, str(root))
        return json.loads(text)[0]["ours"]

    copies = [fill_bijie(tmp_path / name, 12, 12) for name in ("first", "second")]
    for mask in (copies[1] / "bijie" / "landslide" / "mask").iterdir():
        pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(mask), np.roll(pixels, 9, axis=1))
    for copy in copies:
        made, ours = trained_and_shown(copy)
        assert ours["records"] == [made.name]
        assert ours["data"]["made_on"] == "here"
    assert shown(copies[0])["records"] != shown(copies[1])["records"]
    for mask in (copies[0] / "bijie" / "landslide" / "mask").iterdir():
        cv2.imwrite(str(mask), np.full_like(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE), 255))
    assert shown(copies[0])["data"]["made_on"] == "other"
    made, ours = trained_and_shown(copies[0])
    assert (ours["records"], ours["data"]["made_on"]) == ([made.name], "here")


def test_data_that_is_not_there_is_named_with_the_command_that_gets_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_DATA", str(tmp_path))
    status, text = landslide("data", "verify", "bijie")
    assert status == 2
    assert "landslide data download bijie" in " ".join(text.split())


def test_verify_counts_and_a_bad_file_is_named(bijie, tmp_path):
    status, text = landslide("data", "verify", "bijie")
    assert status == 0
    assert "48 images" in text
    import shutil

    copy = tmp_path / "bijie"
    shutil.copytree(bijie / "bijie", copy)
    bad = sorted((copy / "landslide" / "mask").iterdir())[0]
    bad.write_bytes(bad.read_bytes()[:40])
    status, text = landslide("data", "verify", "bijie", "--data-root", str(tmp_path))
    assert status == 1
    assert bad.name in text


@pytest.mark.parametrize(
    "words",
    [
        ["run", "11_losses", "--profil", "quick"],
        ["run", "11_losses", "stray"],
        ["run", "-p", "seeds", "11_losses"],
        ["run", "11_losses", "-p", "sedes=0"],
        ["run", "11_losses", "-p", "seeds=x"],
        ["run", "11_losses", "-p", "seeds"],
        ["run", "11_losses", "-p", "data_root=nowhere"],
        ["run", "11_losses", "--dataset", "bijjie"],
        ["run", "11_losses", "-p", "profile=huge"],
    ],
)
def test_a_chapter_is_not_run_with_words_that_it_does_not_know(words, monkeypatch):
    import papermill

    def never(*_, **__):
        raise AssertionError("ran")

    monkeypatch.setattr(papermill, "execute_notebook", never)
    status, text = landslide(*words)
    assert status == 2
    assert "Traceback" not in text


def test_a_table_of_data_that_does_not_exist_is_no_table_of_dashes():
    status, text = landslide("table", "raunet/losses", "--dataset", "nonsense")
    assert status == 2
    assert "synthetic" in text
    status, text = landslide("table", "detection/backbones", "--dataset", "voc")
    assert status == 0
    assert "ResNet-18" in text


def test_publish_takes_the_newest_records_and_leaves_smoke_out(tmp_path, record, monkeypatch):
    from landslide_lib.study import reports
    from landslide_lib.study.recipe import non_default_fields

    published = tmp_path / "published"
    monkeypatch.setattr(records.publish, "__defaults__", (published,))
    table = reports.table("raunet/losses")
    recipes = {
        name: non_default_fields(reports.resolve(table, table.row("ce"), dataset="bijie", profile_name=name))
        for name in ("cpu", "smoke")
    }
    store = Store()
    store.add(record(recipes["smoke"]))
    store.add(record(recipes["cpu"], dirty=True, finished="2126-11-20T10:00:00.1+00:00"))
    status, text = landslide("publish", "raunet/losses")
    assert status == 2
    assert "--rerun" in text
    store.add(record(recipes["cpu"], finished="2126-11-20T11:00:00.1+00:00"))
    status, text = landslide("publish", "raunet/losses")
    assert status == 0
    assert len(list(published.glob("*-s0-2126*"))) == 1


def test_publish_takes_what_every_record_grew_from(tmp_path, record, monkeypatch):
    from landslide_lib.study import reports
    from landslide_lib.study.recipe import non_default_fields

    published = tmp_path / "published"
    monkeypatch.setattr(records.publish, "__defaults__", (published,))
    # Without the study's own records of the same rows.
    monkeypatch.setattr(records.Store.__init__, "__defaults__", (None, (published,)))
    table, store = reports.table("refinement/test"), Store()
    wanted = reports.resolve(table, table.row("round-1-two"), dataset="bijie", profile_name="cpu")
    made = {}
    for one in (wanted, *wanted.ancestors):  # an ensemble, its members, and who taught these
        made[one.hash] = record(non_default_fields(one))
    for one in (wanted, *wanted.ancestors):
        names = [made[other.hash].name for other in one.depends_on]
        store.add(record(non_default_fields(one), depends_on=names))
    status, text = landslide("publish", "refinement/test", "--dataset", "bijie")
    assert status == 0, text
    assert len(list(published.glob("*.json"))) == len(made) == 5
