"""Benchmarks compare like with like; no time is asserted here."""

import csv
import sys

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import channels, clock, imports, loader, results, second, step, sweep, table
from benchmarks.results import Measurement
from landslide_lib.data.registry import DATASETS
from landslide_lib.study import machine


@pytest.fixture(autouse=True)
def _threads_as_they_were():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def made(name: str = "a", ours: float = 1.0, peer: float | None = 3.0, **rest) -> Measurement:
    return Measurement(name, "this / that", ours, peer, "once", **rest)


# --- What a measurement says --------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "ratio", "bound", "holds"),
    [
        (made(at_least=3.0), 3.0, ">= 3x", True),
        (made(at_least=3.5), 3.0, ">= 3.5x", False),
        (made(ours=1.4, peer=1.0, above=0.5), 1 / 1.4, "<= peer + 0.5 s", True),
        (made(ours=1.6, peer=1.0, above=0.5), 1 / 1.6, "<= peer + 0.5 s", False),
        (made(ours=19.0, within=20.0), 3.0 / 19, "<= 20 s", True),
        (made(ours=21.0, peer=None, within=20.0), None, "<= 20 s", False),
        (made(), 3.0, "", None),
        (made(peer=None), None, "", None),
    ],
)
def test_a_ratio_is_held_against_its_bound(one, ratio, bound, holds):
    assert one.ratio == (None if ratio is None else pytest.approx(ratio))
    assert (one.bound, one.holds) == (bound, holds)
    assert ("MISSED" in results.line(one)) == (holds is False)


def test_a_csv_row_says_what_it_was_measured_on(tmp_path):
    path = results.write([made(at_least=2.0, threads=2, precision="float32")], tmp_path)
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert tuple(row) == results.COLUMNS
    assert (row["ours_seconds"], row["peer_seconds"]) == ("1.00000", "3.00000")
    assert (row["ratio"], row["bound"], row["holds"]) == ("3.000", ">= 2x", "yes")
    assert (row["threads"], row["precision"]) == ("2", "float32")
    assert row["device"] == machine.processor()
    assert row["torch"] == torch.__version__.split("+")[0]
    assert row["python"] == ".".join(map(str, sys.version_info[:3]))
    assert row["commit"] == machine.commit()[0]
    assert row["date"]


def test_a_name_measured_again_replaces_its_row_and_no_other(tmp_path):
    results.write([made("a"), made("b", peer=None)], tmp_path)
    path = results.write([made("a", ours=1.5)], tmp_path)
    with path.open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows["a"]["ratio"] == "2.000"
    assert (rows["b"]["peer_seconds"], rows["b"]["ratio"], rows["b"]["holds"]) == ("", "", "")


def test_ours_and_the_peer_take_turns_after_a_pass_that_does_not_count():
    said = []

    def side(name, seconds):
        left = iter(seconds)
        return lambda: (said.append(name), next(left))[1]

    assert clock.race(side("ours", [0, 5, 4, 6]), side("peer", [0, 9, 7, 8]), 3) == (4, 7)
    assert said == ["ours", "peer"] * 4


# --- The command --------------------------------------------------------------------------


def test_a_missed_bound_is_exit_status_1_and_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "write", lambda rows: tmp_path / str(len(rows)))
    monkeypatch.setattr(sweep, "measure", lambda threads: [made("sweep", at_least=4.0)])
    monkeypatch.setattr(table, "measure", lambda threads: [made("table", note=f"{threads}")])
    assert command.main(["table", "--threads", "3"]) == 0
    assert command.main(["sweep", "table"]) == 1
    shown = capsys.readouterr().out
    assert "MISSED" in shown
    assert "/2" in shown


def test_an_unknown_benchmark_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["speed"])
    assert "no benchmark 'speed'; there are: loader, step" in capsys.readouterr().err


# --- Each compares the same ---------------------------------------------------------------


def test_both_loaders_deliver_the_same():
    names = [one.name for one in loader.measure(1, images=4, batch=2, repeats=1)]
    assert names == ["loader/float32"]


@pytest.mark.parametrize("spoilt", [0, 1])
def test_another_content_is_noticed(spoilt):
    draw = torch.Generator().manual_seed(0)
    peer = torch.rand(2, 3, 8, 8, generator=draw) + 0.5, torch.zeros(2, 8, 8)
    ours = [peer[0].half(), peer[1][:, None].half()]
    assert loader.same_content((ours[0], ours[1]), peer)
    ours[spoilt] = ours[spoilt].flip(0).clone()
    ours[spoilt][0, 0, 0, 0] += 0.01
    assert not loader.same_content((ours[0], ours[1]), peer)


def test_an_epoch_that_lacks_images_is_noticed():
    batches = [(torch.zeros(2, 1), torch.zeros(2, 1))]
    loader.pass_over(batches, 2)
    with pytest.raises(RuntimeError, match="held 2 images of 4"):
        loader.pass_over(batches, 4)


def test_both_trainings_have_the_same_loss_and_leave_torch_as_it_was():
    (one,) = step.measure(1, size=16, width=2, batch=4, steps=2, repeats=1)
    assert one.precision == "bf16-mixed / 32-true"
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_sweep_finds_the_f1_of_scikit_learn():
    (one,) = sweep.measure(1, images=6, size=32, batch=4, repeats=1)
    assert one.peer is not None
    found = sweep.ours(*sweep.predictions(6, 32, seed=5), 4)
    exact = sweep.sklearn(*sweep.predictions(6, 32, seed=5))
    assert sweep.agree(found[0], exact[0])
    assert 0 < found[0] < 1
    assert not sweep.agree(exact[0] + 0.01, exact[0])
    assert not sweep.agree(exact[0] - 0.01, exact[0])


def test_the_library_and_the_interpreter_are_timed_in_fresh_processes(monkeypatch):
    for name in ("TORCH", "COMMAND"):
        monkeypatch.setattr(imports, name, imports.BARE)
    assert [one.name for one in imports.measure(1, repeats=1)] == ["import", "import/torch", "import/cli"]


def test_the_channels_are_those_of_the_peer_and_all_of_them():
    (one,) = channels.measure(1, images=5, size=16, repeats=1)
    assert f"12 engineered of {len(channels.channels())} channels of 5 patches" in one.what
    assert one.bound == "<= 20 s"


def test_the_second_run_is_timed_to_its_first_step_and_the_datasets_are_as_they_were():
    before = dict(DATASETS)
    (one,) = second.measure(1, images=40, size=32)
    assert one.peer is not None
    assert one.ours > 0
    assert dict(DATASETS) == before
    torch.use_deterministic_algorithms(False)
