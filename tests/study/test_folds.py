"""Folds put together: each image once."""

import numpy as np
import pytest

from landslide_lib.study import folds
from landslide_lib.study.plots import folds as plots_folds


def split(record, way, counts, seeds=(0,)):
    """Two folds over two scenes of 2 x 2 tiles; `way` says which fold tests a tile."""
    ids = [f"hills/{scene}/{row}/{column}" for scene in (0, 1) for row in (0, 1) for column in (0, 1)]
    made = []
    for fold in (0, 1):
        mine = [name for k, name in enumerate(ids) if way(k) == fold]
        made.append(
            [
                record(
                    {"dataset": "synthetic"},
                    [counts[name] for name in mine],
                    seed=seed,
                    test_ids=mine,
                    test_groups=[name[:7] for name in mine],
                )
                for seed in seeds
            ]
        )
    return made


@pytest.fixture
def counts():
    draw = np.random.default_rng(0)
    return {
        f"hills/{scene}/{row}/{column}": draw.integers(1, 9, 4).tolist()
        for scene in (0, 1)
        for row in (0, 1)
        for column in (0, 1)
    }


def test_all_folds_together_hold_every_image_once_in_the_order_of_their_ids(record, counts):
    for way in (lambda k: k // 4, lambda k: k % 2):
        joined = folds.whole(split(record, way, counts, seeds=(0, 1)))
        assert joined.ids == sorted(counts)
        assert joined.groups == [name[:7] for name in sorted(counts)]
        assert joined.counts[1].tolist() == [counts[name] for name in sorted(counts)]


def test_without_a_fold_or_a_common_seed_there_is_no_whole(record, counts):
    assert folds.whole([]) is None
    first, _ = split(record, lambda k: k % 2, counts)
    assert folds.whole([first, []]) is None
    other = split(record, lambda k: k % 2, counts, seeds=(1,))[1]
    assert folds.whole([first, other]) is None


def test_folds_that_test_one_image_twice_are_refused_by_its_name(record, counts):
    first, _ = split(record, lambda k: k % 2, counts)
    with pytest.raises(ValueError, match="image hills/0/0/0 is tested in two of them"):
        folds.whole([first, first])


def test_only_seeds_that_every_fold_has_stand_on_a_side(record, counts):
    first, second = split(record, lambda k: k % 2, counts, seeds=(0, 1))
    runs = {"a": first, "b": second[1:]}
    assert [[one.seed for one in fold] for fold in folds.side(runs, ["a", "b"])] == [[1], [1]]
    assert folds.side(runs, ["a", "c"]) == []


def test_figures_carry_their_numbers():
    ways = {"random": [0.8, 0.9], "blocked": [0.7, 0.75]}
    assert plots_folds.dots(ways, title="F1").data["landslide_f1"].tolist() == [0.8, 0.9, 0.7, 0.75]
