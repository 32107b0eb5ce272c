"""Optimizers step downhill, and the learning rate rises and falls as a schedule says."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from landslide_lib.study.recipe.parts import Optimizer
from landslide_lib.training.optimizers import OPTIMIZERS, learning_rate


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
