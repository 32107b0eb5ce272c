"""Optimizers step downhill, the learning rate rises and falls, and where the progress of a training shows."""

import signal
import sys
from itertools import pairwise
from types import SimpleNamespace

import IPython
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from landslide_lib.data.prepare import prepare
from landslide_lib.data.split import Split
from landslide_lib.losses import CrossEntropyLoss
from landslide_lib.study.recipe.parts import Optimizer
from landslide_lib.training import loop
from landslide_lib.training.loop import OPTIMIZERS, Plan, learning_rate, train
from landslide_lib.training.segmentation import SegmentationTask


class ZMQInteractiveShell:
    """As a notebook's kernel calls its shell."""


@pytest.mark.parametrize(
    ("shell", "terminal", "shows"),
    [(None, False, False), (None, True, True), (ZMQInteractiveShell(), False, True), (object(), False, False)],
)
def test_a_bar_shows_on_a_terminal_and_in_a_notebook_and_never_in_a_log(monkeypatch, shell, terminal, shows):
    import ipykernel  # noqa: F401, imported as another test of this process may have done

    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert loop._bar(3).disable is not shows
    monkeypatch.setenv("TQDM_DISABLE", "1")  # as in a chapter that is executed for the book
    assert loop._bar(3).disable


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_of_a_recipe_takes_a_step_downhill(name):
    how = Optimizer(name=name)
    weight = nn.Parameter(torch.tensor([3.0, -2.0]))
    made = OPTIMIZERS[name]([weight], lr=how.lr, weight_decay=how.weight_decay)
    before = weight.square().sum()
    before.backward()
    made.step()
    assert weight.square().sum() < before


@pytest.mark.parametrize(
    ("nesterov", "moved"),
    [
        (False, (0.1, 0.25, 0.425)),  # 0.1 times 1, then 1 + 0.5 more, then 1 + 0.5 + 0.25 more
        (True, (0.15, 0.325, 0.5125)),  # each step looks one ahead: 1.5, 1.75, 1.875
    ],
)
def test_momentum_lengthens_the_steps_of_a_gradient_that_keeps_its_sign(packed, monkeypatch, nesterov, moved):
    network = nn.Conv2d(3, 1, 1, bias=False)
    task = SegmentationTask(network, CrossEntropyLoss(), prepare(packed, Split()), batch=8)
    monkeypatch.setattr(loop.Loop, "trainer", SimpleNamespace(estimated_stepping_batches=10))
    plan = Plan(epochs=1, optimizer="sgd", momentum=0.5, nesterov=nesterov, schedule="constant", lr=0.1)
    made = loop.Loop(task, plan, "a run", {}).configure_optimizers()["optimizer"]
    before = network.weight.detach().clone()
    for expected in moved:
        network.weight.grad = torch.ones_like(network.weight)
        made.step()
        torch.testing.assert_close(before - network.weight, torch.full_like(before, expected))


steps_and_warmup = st.tuples(st.integers(1, 500), st.floats(0, 0.99))


@given(steps_and_warmup)
def test_the_learning_rate_rises_to_its_peak_and_falls_to_zero(drawn):
    steps, warmup = drawn
    rates = [learning_rate(step, steps, "warmup_cosine", warmup) for step in range(steps + 1)]
    warm = round(warmup * steps)
    assert all(0 < rate <= 1 for rate in rates[:-1])
    assert all(a < b for a, b in pairwise(rates[:warm]))
    assert all(a > b for a, b in pairwise(rates[warm:]))
    if warm < steps:
        assert max(rates) == rates[warm] == 1
        assert rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("least", [0.0, 0.01, 0.5])
def test_without_a_warm_up_it_is_the_cosine_of_torch(least):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=35, eta_min=least)
    for step in range(36):
        assert learning_rate(step, 35, "warmup_cosine", 0.0, least) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


@given(steps_and_warmup)
def test_a_constant_learning_rate_is_constant(drawn):
    steps, warmup = drawn
    rates = {learning_rate(step, steps, "constant", warmup) for step in range(steps + 1)}
    assert rates == {1.0}


@pytest.mark.parametrize("name", [f"cuda:{torch.cuda.device_count()}", "gpu", "mps", "cuda:x"])
def test_a_device_that_is_not_here_is_refused_with_those_there_are(name):
    with pytest.raises(ValueError, match="not here; possible: auto, cpu"):
        loop.device_of(name)
    assert loop.device_of("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("capability", "wanted", "expected"),
    [
        ((7, 5), "bf16-mixed", "16-mixed"),  # a T4
        ((8, 0), "bf16-mixed", "bf16-mixed"),  # an A100
        ((7, 5), "32-true", "32-true"),
    ],
)
def test_a_gpu_without_bfloat16_mixes_float16_in(monkeypatch, capability, wanted, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert loop.precision_on(torch.device("cuda", 0), wanted) == expected
    assert loop.precision_on(torch.device("cpu"), wanted) == wanted


class Watched(SegmentationTask):
    """Keeps the weights that each batch meets; may be interrupted before an epoch."""

    met: list[torch.Tensor]
    ends_before = None

    def start_epoch(self, epoch):
        if epoch == self.ends_before:
            raise RuntimeError("the power is gone")

    def training_loss(self, batch, epoch, step):
        self.met.append(self.network[0].weight.detach().clone())
        return super().training_loss(batch, epoch, step)


def watched(packed, tmp_path, *, averaging, ends_before=None):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
    task = Watched(network, CrossEntropyLoss(), prepare(packed, Split()), batch=8)
    task.met, task.ends_before = [], ends_before
    plan = Plan(epochs=3, lr=0.1, precision="32-true", averaging=averaging)
    train(task, plan, seed=0, folder=tmp_path, device=torch.device("cpu"))
    return task


def test_the_moving_average_of_the_weights_is_kept(packed, tmp_path):
    plain = watched(packed, tmp_path / "plain", averaging=0.0)
    after = [*plain.met[1:], plain.network[0].weight]
    expected = after[0]
    for weight in after[1:]:
        expected = 0.75 * expected + 0.25 * weight
    averaged = watched(packed, tmp_path / "averaged", averaging=0.75)
    torch.testing.assert_close(averaged.network[0].weight, expected)
    torch.testing.assert_close(averaged.met[-1], plain.met[-1])  # what is trained is the same
    assert not torch.allclose(expected, plain.network[0].weight)
    assert all(value.requires_grad for value in averaged.network.parameters())  # a record counts those


def test_an_interrupted_average_goes_on(packed, tmp_path):
    whole = watched(packed, tmp_path / "whole", averaging=0.75)
    with pytest.raises(RuntimeError, match="power"):
        watched(packed, tmp_path / "parts", averaging=0.75, ends_before=2)
    resumed = watched(packed, tmp_path / "parts", averaging=0.75)
    assert len(resumed.met) == len(whole.met) // 3
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def test_a_network_in_evaluation_is_trained_in_training(packed, tmp_path):
    task = SegmentationTask(
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)), CrossEntropyLoss(), prepare(packed, Split())
    )
    task.eval()
    train(task, Plan(epochs=1, precision="32-true"), seed=0, folder=tmp_path, device=torch.device("cpu"))
    assert task.network[0].num_batches_tracked > 0


def test_an_interrupt_arrives_as_one_and_leaves_the_next_one_working(packed, tmp_path, monkeypatch):
    def stop(self, epoch):
        raise KeyboardInterrupt

    monkeypatch.setattr(SegmentationTask, "start_epoch", stop)
    task = SegmentationTask(nn.Conv2d(3, 1, 1), CrossEntropyLoss(), prepare(packed, Split()))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts with & ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            train(task, Plan(epochs=1), seed=0, folder=tmp_path, device=torch.device("cpu"))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_training_that_is_terminated_has_not_ended_well(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(SegmentationTask, "start_epoch", lambda self, epoch: signal.raise_signal(signal.SIGTERM))
    task = SegmentationTask(nn.Conv2d(3, 1, 1), CrossEntropyLoss(), prepare(packed, Split()))
    with pytest.raises(SystemExit) as stopped:
        train(task, Plan(epochs=2), seed=0, folder=tmp_path, device=torch.device("cpu"))
    assert stopped.value.code == 143
