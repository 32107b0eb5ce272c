"""Figures of domains and of rounds: what is drawn is in their data, and gaps are no error."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest

from landslide_lib.metrics import intervals, scores
from landslide_lib.study import reports
from landslide_lib.study.plots import adaptation as plots_adaptation
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.refined import Step

mpl.use("Agg")

FINAL = reports.table("refinement/test")
LABELS = {"coverage": 0.6, "precision": 0.8, "recall": 0.3}


@pytest.fixture
def chain(record):
    """An ensemble in two rounds, three seeds; the second round has the labels of the first."""

    def step(row, number, seed):
        wanted = reports.resolve(FINAL, FINAL.row(row), dataset="bijie", profile_name="quick")
        told = LABELS if number else None
        counts = [[10 + seed + 5 * number, 5, 5, 80], [3, 1, 1, 95]]
        one = record(non_default_fields(wanted), counts, seed=seed, pseudo_labels=told)
        return Step(number, "Ensemble, x1", one)

    return [step(row, number, seed) for number, row in enumerate(("baseline-two", "round-1-two")) for seed in range(3)]


def test_bars_are_means_and_stand_beside_each_other():
    source = {"R": {"mean": 0.3, "std": 0.1}, "G": {"mean": 0.4, "std": 0.2}}
    target = {"R": {"mean": 0.5, "std": 0.3}, "G": {"mean": 0.1, "std": 0.1}}
    picture = plots_adaptation.bands({"source": {"bands": source}, "target": {"bands": target}})
    bars = picture.figure.axes[0].patches
    assert [bar.get_height() for bar in bars] == [0.3, 0.4, 0.5, 0.1]
    spans = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)
    assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(spans))
    data = picture.data.set_index(["domain", "band"])
    assert data.loc[("target", "R")].tolist() == [0.5, 0.3]
    assert "<img alt=" in picture._repr_html_()


def test_what_a_component_is_worth_is_drawn_where_it_is_known():
    none = dict.fromkeys(("difference", "low", "high", "tuned", "common"))
    ours = {"difference": 0.1, "low": 0.05, "high": 0.15, "tuned": -0.02, "common": 3}
    found = [
        {"row": "both", "against": "plain", "reported": 0.09, **ours},
        {"row": "ours", "against": "plain", "reported": None, **ours},
        {"row": "printed", "against": "plain", "reported": 0.01, **none},
        {"row": "neither", "against": "plain", "reported": None, **none},
    ]
    data = plots_adaptation.worth(found).data.set_index("row")
    assert list(data.index) == ["both", "ours", "printed"]
    assert data.loc["both", ["reported", "difference", "tuned"]].tolist() == [0.09, 0.1, -0.02]
    assert np.isnan(data.loc["printed", "difference"])
    assert len(plots_adaptation.worth([]).data) == 0


def test_a_line_of_rounds_is_the_mean_over_seeds_with_its_interval(chain):
    picture = plots_adaptation.rounds({"two networks": chain})
    axes = picture.figure.axes[0]
    line, floor = axes.lines
    values = [[one.f1 for one in chain if one.round == number] for number in (0, 1)]
    assert line.get_ydata() == pytest.approx([np.mean(some) for some in values])
    assert floor.get_ydata()[0] == pytest.approx(scores.all_positive_f1(chain[0].record.test_counts))
    drawn = [segment[:, 1].tolist() for kept in axes.collections for segment in kept.get_segments()]
    assert drawn == [pytest.approx(intervals.interval(some)) for some in values]
    assert len(picture.data) == len(chain)
    assert axes.get_ylim()[1] > max(one.f1 for one in chain)


def test_every_chain_has_its_panel(chain):
    picture = plots_adaptation.rounds({"one": chain, "other": chain[:3]})
    titles = [axes.get_title() for axes in picture.figure.axes]
    assert titles == ["labels by one", "labels by other"]
    assert picture.data.groupby("chain").size().to_dict() == {"one": 6, "other": 3}


def test_pseudo_labels_are_drawn_beside_the_prediction_before(chain):
    picture = plots_adaptation.pseudo_labels({"two networks": chain})
    drawn = {line.get_label(): line.get_ydata().tolist() for line in picture.figure.axes[0].lines}
    for score, value in LABELS.items():
        assert drawn[score] == pytest.approx([value])
    before = [scores.scores(one.record.test_counts)["pooled"]["recall"] for one in chain[:3]]
    assert drawn["recall of the prediction before"] == pytest.approx([np.mean(before)])
    assert picture.data["seed"].tolist() == [0, 1, 2]


def test_labels_without_a_record_of_the_prediction_before_are_drawn_alone(chain):
    picture = plots_adaptation.pseudo_labels({"two networks": chain[3:]})
    assert [line.get_label() for line in picture.figure.axes[0].lines] == list(LABELS)
    assert "<img alt=" in picture._repr_html_()
