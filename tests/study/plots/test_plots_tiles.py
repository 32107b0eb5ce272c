"""Figures of networks of tiles: what is drawn is in their data, and gaps are no error."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from landslide_lib.study.plots import tiles as plots_tiles

mpl.use("Agg")


def frame(networks=2, radar=True, seed=0):
    """Sixty tiles a network: weights against brightness, a spread that grows with the errors."""
    draw = np.random.default_rng(seed)
    frames = []
    for number in range(1, networks + 1):
        brightness, wrong = draw.random(60), draw.random(60) < 0.3
        columns = {
            "network": number,
            "scene": [f"scene{k // 5}" for k in range(60)],
            "wrong": wrong,
            "brightness": brightness,
            "optical": 0.6 - 0.1 * brightness,
            "apart": 0.1 * wrong + draw.random(60),
            "margin": draw.random(60) / 2,
            "probability": draw.random(60),
        }
        frames.append(pd.DataFrame(columns | ({"radar": 0.4 + 0.1 * brightness} if radar else {})))
    return pd.concat(frames, ignore_index=True)


def test_what_a_part_is_worth_is_drawn_where_it_is_known():
    half = {"difference": 0.1, "low": 0.05, "high": 0.15}
    tuned = {"difference": -0.02, "low": -0.05, "high": 0.01}
    names = {"having": "a", "lacking": "b", "taught": {"half": True, "validation": False}}
    blank = {"taught": {"half": False, "validation": False}}
    found = [
        {"part": "both", "reported": (0.01, 0.02), "half": half, "validation": tuned, **names},
        {"part": "ours", "reported": None, "half": half, "validation": tuned, **names, **blank},
        {"part": "printed", "reported": (0.03, 0.03), "half": None, "validation": None, **names, **blank},
        {"part": "neither", "reported": None, "half": None, "validation": None, **names},
    ]
    picture = plots_tiles.worth(found)
    data = picture.data.set_index("part")
    assert list(data.index) == ["both", "ours", "printed"]
    assert data.loc["both", "half_difference"] == 0.1
    assert data.loc["both", ["reported_low", "reported_high"]].tolist() == [0.01, 0.02]
    assert data.loc["ours", "validation_low"] == -0.05
    assert np.isnan(data.loc["printed", "half_difference"])
    axes = picture.figure.axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["both", "ours\n(no measure of it)", "printed"]
    assert "<img alt=" in picture._repr_html_()


def test_nothing_reported_is_not_in_the_legend():
    half = {"difference": 0.1, "low": 0.05, "high": 0.15}
    one = {
        "part": "a",
        "having": "a",
        "lacking": "b",
        "reported": None,
        "half": half,
        "taught": {"half": True, "validation": True},
    }
    (legend,) = plots_tiles.worth([{**one, "validation": half}]).figure.legends
    assert "reported" not in [text.get_text() for text in legend.get_texts()]
    assert len(plots_tiles.worth([]).data) == 0


def test_weights_of_both_branches_are_drawn_over_brightness_with_each_network():
    picture = plots_tiles.gate(frame(networks=3))
    data = picture.data
    assert set(data["branch"]) == {"optical", "radar"}
    assert set(data["network"]) == {"1", "2", "3", "all"}
    every = data[(data["network"] == "all") & (data["branch"] == "optical")]
    assert every["mean"].is_monotonic_decreasing
    assert every["tiles"].sum() == 180
    assert (every["low"] <= every["mean"]).all()
    optical, radar = picture.figure.axes
    assert optical.get_title() == "optical features"
    assert optical.get_ylim() == radar.get_ylim()


def test_data_without_radar_has_one_panel():
    picture = plots_tiles.gate(frame(networks=1, radar=False))
    assert [axes.get_title() for axes in picture.figure.axes] == ["optical features"]


def test_errors_are_drawn_by_spread_and_by_nearness_to_the_threshold():
    some = frame(networks=1)
    picture = plots_tiles.disagreement(some)
    for _, groups in picture.data.groupby("by"):
        assert len(groups) == 5
        # Fifths of sixty tiles: their mean is that of all.
        assert groups["mean"].mean() == pytest.approx(some["wrong"].mean(), abs=1e-4)
        assert groups["low"].min() >= 0
        assert groups["high"].max() <= 1
    nearest = some.nsmallest(12, "margin")["wrong"].mean()
    by = picture.data[picture.data["by"].str.startswith("nearness")]
    assert by["mean"].iloc[-1] == pytest.approx(nearest, abs=1e-4)


def test_a_group_without_an_error_is_drawn_without_an_interval():
    some = frame(networks=1).assign(wrong=False)
    picture = plots_tiles.disagreement(some)
    assert picture.data["low"].isna().all()
    assert "<img alt=" in picture._repr_html_()


def test_curves_are_means_over_networks_with_their_spread():
    one, other = np.array([[0.1, 0.2, 0.3], [0.3, 0.4, np.nan]]), np.array([[0.5, 0.6]])
    picture = plots_tiles.curves({"one": one, "other": other})
    data = picture.data.set_index(["row", "epoch"])
    assert data.loc[("one", 1), ["mean", "std"]].tolist() == pytest.approx([0.2, 0.1])
    assert data.loc[("one", 3), ["mean", "std"]].tolist() == pytest.approx([0.3, 0.0])
    assert data["networks"].tolist() == [2, 2, 2, 1, 1]
    drawn = {line.get_label(): list(line.get_ydata()) for line in picture.figure.axes[0].lines}
    assert drawn["other"] == [0.5, 0.6]
