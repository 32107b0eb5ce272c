"""Optimizers step downhill, the learning rate rises and falls, and where the progress of a training shows."""

import sys
from itertools import pairwise

import IPython
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from landslide_lib.study.recipe.parts import Optimizer
from landslide_lib.training import loop
from landslide_lib.training.loop import OPTIMIZERS, learning_rate


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
