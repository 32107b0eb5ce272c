"""Walks into a valley, against what is known of the rules on paper."""

import matplotlib as mpl
import numpy as np
import pytest

from landslide_lib.study.plots import optimizers as plots_optimizers
from landslide_lib.study.recipe.parts import Optimizer
from landslide_lib.study.valley import Valley, descend, mean_heights

mpl.use("Agg")

BY_COORDINATE = ("adagrad", "rmsprop", "adam", "nadam")


def how(name, lr=0.1):
    return Optimizer(name=name, lr=lr)


def test_sgd_shrinks_each_direction_by_its_own_factor():
    valley = Valley(flat=0.05, steep=5)
    steps = np.arange(61)
    wanted = [-4 * (1 - 0.1 * 0.05) ** steps, (1 - 0.1 * 5) ** steps]
    np.testing.assert_allclose(descend(how("sgd"), valley).T, wanted)


@pytest.mark.parametrize("name", BY_COORDINATE)
def test_the_scale_of_the_loss_changes_the_walk_of_sgd_alone(name):
    flat, steep = Valley(flat=0.05, steep=5), Valley(flat=0.5, steep=50)
    np.testing.assert_allclose(descend(how(name), flat), descend(how(name), steep), rtol=1e-4, atol=1e-5)
    assert not np.allclose(descend(how("sgd", 0.01), flat), descend(how("sgd", 0.01), steep))


@pytest.mark.parametrize("name", ["adagrad", "adam"])
def test_the_first_step_is_the_learning_rate_in_each_coordinate(name):
    first, second = descend(how(name, 0.03), Valley(), steps=1)
    np.testing.assert_allclose(np.abs(second - first), 0.03, rtol=1e-5)


def test_a_turned_valley_turns_the_walk_of_sgd_and_changes_that_of_adam():
    straight, turned = Valley(), Valley(turn=45)
    for name, alike in (("sgd", True), ("adam", False)):
        back = descend(how(name), turned) @ turned.axes
        assert np.allclose(back, descend(how(name), straight)) == alike


def test_heights_of_a_turned_valley_are_those_of_its_directions():
    valley = Valley(flat=1, steep=4, turn=90)
    np.testing.assert_allclose(valley.height([[1, 0], [0, 1]]), [2, 0.5])


def test_sgd_falls_below_two_over_the_steepest_curvature_and_leaves_the_valley_above():
    valley = Valley(flat=0.05, steep=5)
    start = valley.height(valley.start)
    below, above, far = mean_heights(how("sgd"), valley, [0.39, 0.41, 1e6])
    assert below < start < above
    assert far == np.inf


def test_the_figures_hold_what_they_draw():
    walk = descend(how("adam"), Valley(), steps=3)
    data = plots_optimizers.walks({"a": {"Adam": walk}}, Valley().height, name="x").data
    np.testing.assert_allclose(data[["x", "y"]], walk, atol=1e-5)
    rates = np.array([0.1, 1.0])
    picture = plots_optimizers.rates(rates, {"SGD": np.array([1, np.inf])}, shared=0.1, start=2.0, name="y")
    assert picture.data["SGD"].isna().tolist() == [False, True]
