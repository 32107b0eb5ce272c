"""What is said of a filter of negatives is what the records of its networks hold."""

import numpy as np
import pytest

from landslide_lib.study import filtered, reports
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.records import Store

TABLE, ENERGY = reports.table("filter/curves"), reports.table("filter/energy")
FACTS = reports.reports()["filter"].facts
HOW = {"dataset": "synthetic-zindi", "profile_name": "quick"}


def sorting(lost=0, removed=0.25):
    """What a filter of 200 tiles does that was tuned on 40 positives."""
    part = {"tiles": 50, "left_out": 10 + lost, "landslides": 10, "lost": lost}
    return {
        "tiles": 200,
        "removed": removed,
        "positive_before": 0.2,
        "lost": 0.0,
        "positive_after": 0.2 / (1 - removed),
        "seconds": 2.0,
        "threshold": 0.01,
        "parts": {"valid": part, "test": part},
    }


@pytest.fixture
def made(record):
    """Make a network of a row, or an ensemble of networks."""

    def of(row, curve=(0.1, 0.3, 0.4, 0.4), *, table=TABLE, train=150, **fields):
        wanted = reports.resolve(table, table.row(row), **HOW)
        tiles = {"metrics": {"tiles": dict.fromkeys(("f1", "iou", "precision", "recall"), 0.5)}}
        outcome = {"threshold": 0.5, **tiles}
        history = [{"train_loss": 0.5, "valid_loss": 0.6, "valid_f1": f1, "seconds": 30.0} for f1 in curve]
        counts = [[1, 0, 0, 0]] * 50
        return record(
            non_default_fields(wanted),
            counts,
            test=outcome,
            test_tuned=outcome,
            valid=outcome,
            history=history,
            images={"train": train, "valid": 50, "test": 50},
            **{"energy_wh": 2.0, "energy_method": "estimated", **fields},
        )

    return of


# What it leaves out.


def test_networks_of_a_row_are_the_members_of_its_ensembles(made, tmp_path):
    store = Store(tmp_path / "records", more=())
    members = [made("one-network", seed=seed) for seed in (1, 2)]
    whole = made("final", (), grown_from=[one.name for one in members])
    runs = {"final": [whole], "one-network": members[:1], "no-fpn": []}
    assert filtered.networks(runs, store) == {"one-network": [members[:1]]}
    for one in members:
        store.add(one)
    assert filtered.networks(runs, store)["final"] == [members]


def test_a_line_a_filter_and_none_without_one(made):
    some = [made("one-network", filtered=sorting(lost)) for lost in (0, 3)]
    first, second = filtered.left_out([*some, made("one-network")])
    assert (first["network"], second["network"]) == ("1", "2")
    assert first["removed"] == "25.0%"
    assert second["valid: left out"] == "13 of 50"
    assert second["test: landslides lost"] == "3 of 10"


def test_what_is_removed_stands_beside_what_the_reports_shares_ask_for(made):
    before, after = (FACTS[f"positive_{when}"].value for when in ("before", "after"))
    words = filtered.removed_said([], FACTS)
    assert f"{1 - before / after:.0%} of the tiles" in words
    assert words.endswith("not run yet.")
    some = [made("one-network", filtered=sorting(removed=share)) for share in (0.2, 0.5)]
    words = filtered.removed_said(some, FACTS)
    assert "Ours take 20.0% to 50.0% away" in words
    assert f"from 20.0% to {(0.25 + 0.4) / 2:.1%}" in words


def test_lost_landslides_are_summed_and_set_beside_what_chance_would_lose(made):
    some = [made("one-network", filtered=sorting(lost)) for lost in (0, 1, 2)]
    valid, test = filtered.lost_said(some).splitlines()
    for line in (valid, test):
        assert "3 of 30 landslides are lost, by 2 of 3 filters, among 33 tiles" in line
        assert f"{3 * 10 / 41:.1f} would be" in line
    assert filtered.lost_said([made("one-network")]) == "Not run yet."


def test_nested_folds_are_summed_where_they_are_published():
    lines = [
        {
            "fold": k,
            "tiles": 100,
            "positives": 20,
            "removed": 30,
            "lost": lost,
            "threshold": 0.1,
            "tuned_on": 80,
            "expected": 20 / 81,
        }
        for k, lost in enumerate((0, 2, 1), 1)
    ]
    words = filtered.nested_said({"losses": lines})
    assert "all 300 tiles" in words
    assert "3 of 60 landslides are lost, in 2 of 3 folds, among 90 tiles" in words
    for nothing in (None, {}, {"losses": []}):
        assert "not measured yet" in filtered.nested_said(nothing)


def test_the_lines_of_the_filters_own_nested_folds_are_understood():
    import pandas as pd

    from landslide_lib.training import negative_filter

    draw = np.random.default_rng(0)
    truth = np.arange(120) % 4 == 0
    features = pd.DataFrame({"told": draw.normal(3.0 * truth), "noise": draw.normal(0, 1, 120)})
    found = negative_filter.losses(features, truth.astype(int), folds=3)
    words = filtered.nested_said({"losses": found.to_dict("records")})
    assert f"{found['lost'].sum()} of {truth.sum()} landslides are lost" in words


# What is learnt.


def test_curves_of_several_lengths_end_in_gaps_and_unscored_epochs_are_none(made):
    each = filtered.curve([[made("one-network", (0.1, None, 0.3)), made("one-network", (0.5,))]])
    assert each.shape == (2, 3)
    assert np.isnan(each).tolist() == [[False, True, False], [False, True, True]]
    assert each[0, 2] == 0.3


def test_the_row_that_ends_highest_is_said_first_with_the_epoch_it_rose_by(made):
    fast = [[made("one-network", (0.5, 0.5, 0.5, 0.5)), made("one-network", (0.4, 0.5, 0.5, 0.5))]]
    slow = [[made("one-network", (0.1, 0.2, 0.3, 0.8))]]
    first, second = filtered.curves_said({"fast": fast, "slow": slow}).splitlines()
    assert first.startswith("- slow: 0.800")
    assert "at epoch 4 of 4" in first
    assert "fast: 0.500, networks from 0.500 to 0.500" in second
    assert "at epoch 1 of 4" in second
    assert filtered.curves_said({}) == "Not run yet."


# What it costs.


def test_energy_is_summed_over_members_and_averaged_over_seeds(made):
    seeds = [[made("one-network", seed=seed, energy_wh=wh) for wh in (1.0, 2.0 + seed)] for seed in (0, 1)]
    found = filtered.energy(seeds)
    assert found["wh"] == pytest.approx((3 + 4) / 2)
    assert (found["networks"], found["tiles"], found["epochs"]) == (2, 300, 8)
    assert found["seconds"] == 8 * 30
    assert found["method"] == "estimated"
    assert found["positives"] is None


def test_a_row_with_a_network_that_was_not_metered_has_no_energy(made):
    found = filtered.energy([[made("one-network"), made("one-network", energy_wh=None, energy_method="")]])
    assert found["wh"] is None
    assert found["method"] == "estimated and not metered"
    rows = {"no-filter": [[made("one-network", energy_wh=None)]], "with-filter": [[made("final")]]}
    assert filtered.energy_table(ENERGY, rows)[0]["ours, Wh"] is None
    assert filtered.saved_said(rows, FACTS).endswith("Ours was not metered.")


def test_both_rows_stand_beside_what_is_printed_run_or_not(made):
    rows = {"with-filter": [[made("one-network", filtered=sorting(), energy_wh=0.5)]]}
    without, having = filtered.energy_table(ENERGY, rows)
    assert without["reported Wh"] == FACTS["energy_before"].value
    assert without["ours, Wh"] is None
    assert (having["ours, Wh"], having["minutes of epochs"]) == ("0.5", "2.0")
    assert having["positives"] == "20.0% to 26.7%"


def test_what_is_saved_is_a_share_of_energy_beside_one_of_tiles(made):
    rows = {
        "no-filter": [[made("one-network", energy_wh=4.0, train=200)]],
        "with-filter": [[made("one-network", energy_wh=1.0, train=150)]],
    }
    words = filtered.saved_said(rows, FACTS)
    assert "4 Wh without the filter and 1 Wh with it, 75% less, and leaves 25%" in words
    printed = [FACTS[f"energy_{when}"].value for when in ("before", "after")]
    assert f"{1 - printed[1] / printed[0]:.0%} of the energy is saved" in words
    turned = {"no-filter": rows["with-filter"], "with-filter": rows["no-filter"]}
    assert "300% more" in filtered.saved_said(turned, FACTS)
    assert "apart" not in words
    several = [made("one-network", energy_wh=wh, train=200) for wh in (3.0, 4.0, 5.0)]
    assert "lie up to 50% apart." in filtered.saved_said(rows | {"no-filter": [several]}, FACTS)
    assert filtered.saved_said({}, FACTS).endswith("not run yet.")


def test_seeds_that_both_rows_have_give_the_saving_an_interval(made):
    rows = {
        name: [[made("one-network", seed=seed, energy_wh=wh + seed / 10)] for seed in (0, 1, 2)]
        for name, wh in (("no-filter", 4.0), ("with-filter", 1.0))
    }
    assert "saved, interval over seeds: +" in filtered.saved_said(rows, FACTS)
