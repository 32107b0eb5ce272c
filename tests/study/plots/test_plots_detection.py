"""Figures of detectors: what is drawn is in their data, and no score hides another."""

import matplotlib as mpl
import numpy as np
import pytest

from landslide_lib.metrics.detection import Example, match
from landslide_lib.study.plots import detection as plots_detection

mpl.use("Agg")

BOX, FAR = [0, 0, 10, 10], [40, 40, 60, 60]


def examples(count, found=((10, 20, 30, 40, 9000), (12, 20, 34, 44, 4000))):
    return [Example(image=k, found=list(found), truth=[(1, 1, 9, 9)]) for k in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_boxes_stand_beside_each_other_with_the_scores_from_the_threshold_on(count):
    picture = plots_detection.boxes_beside(None, examples(count), side=64, name="boxes")
    assert picture.data["boxes"].tolist() == ["true", "found"] * count
    assert picture.data["image"].unique().tolist() == list(range(1, count + 1))
    assert picture.data["score"].dropna().unique().tolist() == [0.9]
    assert "<img alt=" in picture._repr_html_()


def test_boxes_are_drawn_on_imagery_where_it_is_given():
    image = np.random.default_rng(0).random((64, 64, 3))
    picture = plots_detection.boxes_beside([image], examples(1), side=64, name="boxes")
    for place in picture.figure.axes:
        assert np.array_equal(place.images[0].get_array(), image)
    with pytest.raises(ValueError, match="1 images for 2 examples"):
        plots_detection.boxes_beside([image], examples(2), side=64, name="boxes")


def test_no_score_covers_another_or_leaves_the_picture():
    draw = np.random.default_rng(0)
    corners = draw.integers(0, 200, (20, 2))
    crowd = [(*corner, *(corner + 24), 9900) for corner in corners.tolist() for corner in [np.array(corner)]]
    picture = plots_detection.boxes_beside(None, examples(6, crowd), side=224, name="boxes")
    figure = picture.figure
    figure.canvas.draw()
    found = [place for place in figure.axes if place.get_title().endswith("found")]
    for place in found:
        drawn = [text.get_window_extent() for text in place.texts]
        assert len(drawn) > 5
        assert not any(a.overlaps(b) for k, a in enumerate(drawn) for b in drawn[:k])
        frame = place.get_window_extent()
        assert all(frame.x0 <= a.x0 and a.x1 <= frame.x1 for a in drawn)
        assert all(frame.y0 <= a.y0 and a.y1 <= frame.y1 for a in drawn)


def test_the_area_below_a_curve_is_in_its_name_and_the_curve_in_the_data():
    good = match([([BOX, FAR], [0.9, 0.8])], [[BOX, FAR]])
    half = match([([BOX], [0.9])], [[BOX, FAR]])
    picture = plots_detection.precision_recall({"good": good, "half": half})
    named = [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()]
    assert named == ["good (AP 1.000)", f"half (AP {51 / 101:.3f})"]
    means = picture.data.groupby("row")["precision"].mean()
    assert means.to_dict() == pytest.approx({"good": 1, "half": 51 / 101})


def test_bounds_are_no_values_and_rows_without_any_are_left_out():
    score = {"mean": 0.2, "low": 0.1, "high": 0.3}
    ours = {"metrics": {"boxes": {"map": score, "map_50": {**score, "mean": 0.4}}}}
    rows = [
        {"label": "run", "reported": {"map": 0.1, "map_50": 0.3}, "ours": ours},
        {"label": "bound", "reported": {"map": "<0.001", "map_50": "<0.01"}, "ours": ours},
        {"label": "neither", "reported": {"map": "<0.001"}, "ours": None},
        {"label": "reported", "reported": {"map": 0.2}, "ours": None},
    ]
    data = plots_detection.average_precision(rows).data.set_index(["row", "score"])
    assert set(data.index.get_level_values("row")) == {"run", "bound", "reported"}
    assert data.loc[("run", "map_50"), ["reported", "mean"]].tolist() == [0.3, 0.4]
    assert np.isnan(data.loc[("bound", "map"), "reported"])
    assert data.loc[("reported", "map")].isna().tolist() == [False, True, True, True]


def test_reconstructions_are_a_column_an_image_and_need_as_many_of_each():
    pictures = [np.full((8, 8, 3), value) for value in (0.1, 0.5, 2.0)]
    picture = plots_detection.reconstructions(pictures, pictures, pictures)
    assert len(picture.figure.axes) == 9
    assert [axes.get_ylabel() for axes in picture.figure.axes[::3]] == ["original", "masked", "restored"]
    with pytest.raises(ValueError, match="3 original, 2 masked, 3 restored; need as many"):
        plots_detection.reconstructions(pictures, pictures[:2], pictures)
