"""What a coarse grid can draw, against every answer there is; costs are those of the records."""

from itertools import product

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landslide_lib.metrics import scores
from landslide_lib.study.plots import models as plots_models

mpl.use("Agg")

MASKS = arrays(np.uint8, (1, 6, 6), elements=st.integers(0, 1)).filter(np.any)


def f1(masks, called):
    tp, fp = (masks & called).sum(), (~masks.astype(bool) & called).sum()
    return scores.scores([[tp, fp, masks.sum() - tp, 0]])["pooled"]["f1"]


@given(MASKS)
def test_no_answer_of_whole_cells_is_better(masks):
    wanted = max(
        f1(masks, np.kron(np.reshape(cells, (1, 2, 2)), np.ones((3, 3), bool)))
        for cells in product([False, True], repeat=4)
    )
    found, called = plots_models.whole_cells(masks, 3)
    assert found == pytest.approx(wanted)
    assert f1(masks, np.kron(called, np.ones((3, 3), bool))) == pytest.approx(found)


@given(MASKS)
def test_an_interpolated_answer_has_the_f1_that_is_said(masks):
    found, called = plots_models.interpolated(masks, 3)
    assert called.shape == masks.shape
    assert f1(masks, called) == pytest.approx(found, abs=0.02)  # a share on the edge of a bin


@given(MASKS)
def test_cells_of_one_pixel_draw_every_mask(masks):
    assert plots_models.whole_cells(masks, 1)[0] == 1
    assert plots_models.interpolated(masks, 1)[0] == 1


@given(MASKS)
def test_a_finer_grid_that_divides_the_coarse_one_is_never_worse(masks):
    best = [plots_models.whole_cells(masks, side)[0] for side in (1, 3, 6)]
    assert best[0] >= best[1] - 1e-12
    assert best[1] >= best[2] - 1e-12


def test_one_cell_is_calling_all_landslide():
    masks = np.eye(6, dtype=np.uint8)[None]
    assert plots_models.whole_cells(masks, 6)[0] == pytest.approx(scores.all_positive_f1([[6, 30, 0, 0]]))


@pytest.mark.parametrize("answer", [plots_models.whole_cells, plots_models.interpolated])
def test_masks_without_landslide_or_of_another_size_are_refused(answer):
    with pytest.raises(ValueError, match="no landslide"):
        answer(np.zeros((2, 6, 6), np.uint8), 3)
    with pytest.raises(ValueError, match="6 x 6 px: no whole cells of 4 px"):
        answer(np.ones((2, 6, 6), np.uint8), 4)


def test_a_figure_of_grids_draws_each_set_and_side():
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[1, 2:7, 1:4] = 1
    picture = plots_models.grids({"small": masks}, side=4, sides=(1, 2, 4), name="grids")
    assert len(picture.data) == 2 * 3
    assert picture.data["best_f1"].between(0, 1).all()


def row(name, mean, low=None, high=None):
    f1 = {"mean": mean, "low": low, "high": high}
    ours = {"parameters": 2_000_000, "metrics": {"pooled": {"f1": f1}}}
    return {"id": name, "label": name.upper(), "ours": ours}


def test_costs_are_of_the_rows_that_have_a_score():
    rows = [row("a", 0.5, 0.4, 0.6), row("b", 0.6), row("c", None), {"id": "d", "ours": None}]
    work = {"a": 3e6, "b": 5e6, "c": 1e6}
    data = plots_models.costs(rows, work, name="costs").data.set_index("row")
    assert data["multiply_adds"].to_dict() == {"A": 3e6, "B": 5e6}
    assert data["low"].isna().tolist() == [False, True]


def test_costs_of_nothing_are_an_empty_figure():
    assert len(plots_models.costs([{"id": "a", "ours": None}], {}, name="costs").data) == 0
