"""Figures of tables: what they draw is what was measured, and it is in their data."""

import matplotlib as mpl
import pytest

from landslide_lib.study.plots import tabular as plots_tabular

mpl.use("Agg")

NAMES = {"a": "first", "b": "second"}
LEVELS = [
    {"factor": "a", "value": -0.5, "positives": 1, "negatives": 3, "area": 0.6, "shap": -1.0},
    {"factor": "a", "value": 0.2, "positives": 3, "negatives": 1, "area": 0.2, "shap": 0.5},
    {"factor": "b", "value": 0.0, "positives": 4, "negatives": 4, "area": 1.0, "shap": 0.0},
]


def test_factors_are_drawn_as_shares_of_each_side():
    data = plots_tabular.factors(LEVELS, NAMES).data.set_index(["factor", "class", "of"])["share"]
    assert data["a", 1, "landslides"] == 0.25
    assert data["a", 1, "other samples"] == 0.75
    assert data["a", 2, "region, as implied"] == 0.25
    assert data.groupby(["factor", "of"]).sum().to_numpy() == pytest.approx(1)


def test_a_panel_a_factor_and_one_legend():
    picture = plots_tabular.factors(LEVELS, NAMES)
    titles = [axes.get_title() for axes in picture.figure.axes if axes.axison]
    assert titles == ["first", "second"]
    assert len(picture.figure.legends) == 1


def test_the_band_of_chance_is_as_wide_as_the_error_says():
    lines = [
        {"factor": "a", "sum": 1.01, "error": 0.005, "empty": 0},
        {"factor": "b", "sum": 0.98, "error": 0.010, "empty": 1},
    ]
    axes = plots_tabular.balance(lines, NAMES).figure.axes[0]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([2 * 1.96 * 0.005, 2 * 1.96 * 0.010])
    drawn = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert drawn["this table"] == [1.01]
    assert drawn["with an empty class"] == [0.98]


def test_both_areas_under_the_curve_stand_on_their_factors_line():
    lines = [{"factor": "a", "auc": 0.8, "auc_region": 0.7}, {"factor": "b", "auc": 0.5, "auc_region": 0.6}]
    picture = plots_tabular.chosen(lines, NAMES)
    axes = picture.figure.axes[0]
    assert [list(line.get_xdata()) for line in axes.lines[:2]] == [[0.8, 0.5], [0.7, 0.6]]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["first", "second"]


def test_contributions_are_drawn_largest_first():
    picture = plots_tabular.shap({"a": 0.1, "b": 0.4}, LEVELS, NAMES)
    left = picture.figure.axes[0]
    assert [bar.get_width() for bar in left.patches] == [0.4, 0.1]
    assert [text.get_text() for text in left.get_yticklabels()] == ["second", "first"]
    assert picture.data.set_index(["factor", "value"]).loc[("a", 0.2), "shap"] == 0.5


def test_encodings_leave_out_what_was_not_measured():
    lines = [
        {"labels": kind, "encoding": way, "model": model, "auc": 0.6, "auc_std": 0.01}
        for kind in ("true", "permuted")
        for way, model in (("given", "trees"), ("given", "sum"), ("lost", "trees"))
    ]
    picture = plots_tabular.encodings(lines, {"given": "as given", "lost": "order lost"})
    for axes in picture.figure.axes:
        trees, sums = (container.lines[0].get_xdata() for container in axes.containers)
        assert list(trees) == [0.6, 0.6]
        assert sums[0] == 0.6
        assert sums[1] != sums[1]


def test_a_cell_of_the_map_lies_where_its_events_do():
    picture = plots_tabular.world([[-6, 54, 7], [177, -45, 2]], 3)
    mesh = picture.figure.axes[0].collections[0]
    counts = mesh.get_array().reshape(60, 120)
    assert counts[(54 + 90) // 3, (-6 + 180) // 3] == 7
    assert counts[(-45 + 90) // 3, (177 + 180) // 3] == 2
    assert counts.count() == 2
    assert picture.data["events"].sum() == 9


def test_months_are_shares_of_their_side():
    months = {"north": [3, 1, *[0] * 10], "south": [0] * 12}
    data = plots_tabular.events({"rain": 5, "unknown": 2}, months).data
    shares = data[data["side"] == "north"].set_index("month")["share"]
    assert shares[1] == 0.75
    assert data[data["side"] == "south"]["share"].eq(0).all()
    assert data.dropna(subset="trigger")["events"].tolist() == [5, 2]


def test_a_panel_a_dataset_and_no_more_planes_than_asked_for():
    picture = plots_tabular.planes({"x": {"R": 0.1, "NDVI": 0.3, "B": 0.2}, "y": {"R": 1.0}}, 2)
    left, right = picture.figure.axes
    assert [bar.get_width() for bar in left.patches] == [0.3, 0.2]
    assert [text.get_text() for text in left.get_yticklabels()] == ["NDVI", "B"]
    assert right.get_title() == "y"
    assert len(picture.data) == 4
