"""Network and trees as a check on each other: what is joined, what it is worth."""

import numpy as np
import pytest

from landslide_lib.metrics import scores
from landslide_lib.study import checked, reports
from landslide_lib.study.recipe import non_default_fields, profile, recipe
from landslide_lib.study.records import Store

RECIPE = recipe({"task": "classification", "dataset": "bijie"}, profile("quick", "classification"))
FACTS = {"fingerprint": "a" * 16}


@pytest.fixture
def folds(record):
    """Make two records of forty tiles each, with the network's and the trees' probabilities."""

    def of(network, trees, truth):
        network, truth = np.array(network), np.array(truth)
        made, ids = [], [f"t{k}" for k in range(len(truth))]
        for half in (slice(0, len(truth) // 2), slice(len(truth) // 2, None)):
            called, true = network[half] > 0.5, truth[half]
            counts = np.stack([called & true, called & ~true, ~called & true, ~called & ~true], 1)
            made.append(
                record(
                    non_default_fields(RECIPE),
                    counts.astype(int).tolist(),
                    fingerprint="a" * 16,
                    test_ids=ids[half],
                    test_groups=ids[half],
                    tiles={"probability": network[half].tolist()},
                )
            )
        facts = {**FACTS, "out_of_fold": {"ids": ids[::-1], "probability": list(trees)[::-1]}}
        return checked.joined(made, facts)

    return of


def drawn(seed=0, count=80):
    draw = np.random.default_rng(seed)
    truth = draw.random(count) < 0.3
    noise = draw.normal(0, 0.25, (2, count))
    network, trees = np.clip(0.25 + 0.5 * truth + noise, 0.01, 0.99)
    return network, trees, truth


def test_a_tile_is_joined_by_its_id(folds):
    network, trees, truth = drawn()
    tiles = folds(network, trees, truth)
    assert tiles.loc["t7", "trees"] == trees[7]
    assert tiles.loc["t63", "network"] == network[63]
    assert tiles["truth"].tolist() == truth.tolist()
    assert tiles["fold"].value_counts().to_dict() == {0: 40, 1: 40}


def test_a_threshold_is_that_of_the_other_folds(folds):
    network, trees, truth = drawn()
    tiles = folds(network, trees, truth)
    called = checked.verdicts(tiles)
    for here, other in ((slice(0, 40), slice(40, 80)), (slice(40, 80), slice(0, 40))):
        best = max(np.arange(1, 1000) / 1000, key=lambda t: f1(network[other] > t, truth[other]))
        expected = f1(network[here] > best, truth[here])
        assert f1(called["network"].to_numpy()[here], truth[here]) == pytest.approx(expected)
    assert (called["both"] <= called["either"]).all()
    assert (called["both"] == (called["network"] & called["trees"])).all()


def f1(called, truth):
    return 2 * (called & truth).sum() / max(1, called.sum() + truth.sum())


def test_an_independent_opinion_as_good_as_the_first_helps_and_a_copy_does_not(folds):
    network, trees, truth = drawn(count=800)
    lines = {line["way"]: line for line in checked.compared(folds(network, trees, truth))}
    mean = lines[checked.WAYS["mean"]]
    assert mean["versus"]["low"] > 0
    same = folds(network, network, truth)
    for line in checked.compared(same):
        assert not line["versus"] or line["versus"]["difference"] == 0
    assert "agree on 100.0% of 800 tiles." in checked.said(same)
    assert "none of the ways" in checked.said(same)
    assert checked.WAYS["mean"] in checked.said(folds(network, trees, truth))


def test_scores_are_those_of_the_counts(folds):
    tiles = folds(*drawn())
    called, truth = checked.verdicts(tiles), tiles["truth"].to_numpy()
    for way, line in zip(checked.WAYS, checked.compared(tiles), strict=True):
        said = called[way].to_numpy()
        counts = [[(said & truth).sum(), (said & ~truth).sum(), (~said & truth).sum(), 0]]
        assert line["f1"] == scores.scores(counts)["pooled"]["f1"]


def test_other_data_and_a_tile_that_is_tested_twice_are_refused(record):
    one = record(
        non_default_fields(RECIPE),
        [[1, 0, 0, 0]],
        fingerprint="a" * 16,
        test_ids=["t"],
        test_groups=["t"],
        tiles={"probability": [0.7]},
    )
    facts = {**FACTS, "out_of_fold": {"ids": ["t"], "probability": [0.2]}}
    with pytest.raises(ValueError, match="the tile t is tested in two records"):
        checked.joined([one, one], facts)
    with pytest.raises(ValueError, match=r"of the data a{16}, the trees of b; measure"):
        checked.joined([one], {**facts, "fingerprint": "b"})


def test_the_folds_of_a_table_are_all_there_or_none_is_taken(record, tmp_path):
    table, store = reports.table("fusion/cross-validation"), Store(tmp_path / "records", more=())
    how = {"dataset": "bijie", "profile_name": "quick"}
    for number in range(1, 6):
        assert checked.folds(table, store, **how) == []
        wanted = reports.resolve(table, table.row(f"efficientnet-b0-{number}"), **how)
        store.add(record(non_default_fields(wanted), [[1, 0, 0, 0]], tiles={"probability": [0.7]}))
    found = checked.folds(table, store, **how)
    assert [one.recipe.split.fold for one in found] == [0, 1, 2, 3, 4]
