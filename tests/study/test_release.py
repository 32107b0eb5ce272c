"""Weights of published runs, from a server on localhost: checked by the scores of their record, or not there."""

import functools
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from landslide_lib.cli import app
from landslide_lib.study import reports, runs
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.records import Record, Store
from landslide_lib.study.weights import get


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder that is served, and its address."""
    folder = tmp_path_factory.mktemp("release")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, bijie_root) -> tuple[Store, dict[str, Record]]:
    """A network of pixels, one of tiles with its filter, and a detector."""
    store, found = Store(tmp_path_factory.mktemp("published") / "records", more=()), {}
    for name, row in (
        ("raunet/losses", "focal"),
        ("filter/curves", "one-network"),
        ("detection/backbones", "resnet-18-random"),
    ):
        table = reports.table(name)
        made = reports.resolve(table, table.row(row), dataset="bijie", profile_name="smoke")
        found[row] = runs.run(made, 0, store=store, device="cpu", data_root=bijie_root)
    return store, found


@pytest.fixture
def published(trained, tmp_path) -> Store:
    """The same records as others have them: without weights."""
    return Store(tmp_path / "runs" / "records", more=(trained[0].home,))


@pytest.mark.parametrize("row", ["focal", "one-network", "resnet-18-random"])
def test_weights_arrive_whole_and_give_the_scores_of_their_record(trained, published, release, bijie_root, row):
    store, record = trained[0], trained[1][row]
    files = sorted(store.weights(record).parent.glob(f"{record.name}.*"))
    assert len(files) == 1 + (row == "one-network")
    for file in files:
        shutil.copy(file, release[0])
    path = get(record, published, release[1] + "/", bijie_root)
    assert path == published.weights(record)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == {p.name: p.read_bytes() for p in files}
    for file in files:
        (release[0] / file.name).unlink()
    assert get(record, published, release[1], bijie_root) == path  # and is not asked for again


class Code:
    def __reduce__(self):
        return Path("harm").touch, ()


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (Path.unlink, "404"),
        (damage, "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-99]), "damaged"),
        (lambda path: torch.save({"weights": Code()}, path), "damaged"),
        (lambda path: torch.save({"weights": {}}, path), "the weights are of another recipe, seed, fingerprint"),
        (lambda path: torch.save(changed(path), path), "its scores differ from those of bijie-.* by up to 1"),
    ],
)
def test_what_is_not_those_weights_is_refused_and_leaves_nothing(
    trained, published, release, bijie_root, spoil, says, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    store, record = trained[0], trained[1]["focal"]
    spoil(Path(shutil.copy(store.weights(record), release[0])))
    with pytest.raises((ValueError, OSError), match=says):
        get(record, published, release[1], bijie_root)
    assert list(published.weights(record).parent.iterdir()) == []
    assert not Path("harm").exists()


def changed(path: Path) -> dict:
    """Return weights that call every pixel landslide."""
    content = torch.load(path, weights_only=True)
    name = [name for name in content["weights"] if name.endswith("bias")][-1]
    content["weights"][name] += 1e3
    return content


def test_without_a_release_they_are_trained_again_and_compared(trained, published, bijie_root):
    record = trained[1]["focal"]
    path = get(record, published, "", bijie_root)
    (made,) = published.find(record.recipe, 0)
    assert path == published.weights(made)
    assert made.test == record.test
    metrics = record.test.metrics | {"pooled": dict.fromkeys(record.test.metrics["pooled"], 2.0)}
    wrong = record.model_copy(update={"test": record.test.model_copy(update={"metrics": metrics}), "finished": "2020"})
    with pytest.raises(ValueError, match=r"trained again: its scores differ from those of .* by up to [12]\."):
        get(wrong, published, "", bijie_root)


def test_the_command_prints_the_file_of_each_network(trained, release, bijie, monkeypatch, tmp_path):
    store, record = trained[0], trained[1]["focal"]
    shutil.copy(store.weights(record), release[0])
    home = tmp_path / "runs"
    shutil.copytree(store.home, home / "records")
    monkeypatch.setenv("LANDSLIDE_RUNS", str(home))
    how = ["weights", "raunet/losses", "--row", "focal", "--dataset", "bijie", "--profile", "smoke"]
    done = CliRunner().invoke(app, [*how, "--from", release[1]])
    assert done.exit_code == 0, done.output
    assert str(home / "weights" / f"{record.name}.pt") in done.stdout
    done = CliRunner().invoke(app, [*how, "--seed", "7"])
    assert done.exit_code == 2


def test_a_network_of_an_ensemble_whose_record_is_not_here_is_named(monkeypatch, record, tmp_path):
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path))
    table = reports.table("filter/result")
    made = reports.resolve(table, table.row("submission"), dataset="synthetic-zindi", profile_name="smoke")
    gone = record(non_default_fields(made)).model_copy(update={"depends_on": ("a-member",)})
    monkeypatch.setattr(Store, "find", lambda *_: [gone])
    words = ["weights", "filter/result", "--row", "submission", "--dataset", "synthetic-zindi", "--profile", "smoke"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "whose records are not here: a-member" in " ".join(done.output.split())
