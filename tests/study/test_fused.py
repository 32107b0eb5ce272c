"""What is said of networks of tiles is what their records hold."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data import statistics
from landslide_lib.metrics import scores
from landslide_lib.study import comparison, fused, reports, tilewise
from landslide_lib.study.plots import tiles as plots_tiles
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.records import Store

TABLE = reports.table("fusion/what-did-not-work")
FOLDS = reports.table("fusion/cross-validation")
HOW = {"dataset": "synthetic-zindi", "profile_name": "quick"}
FACTS = reports.reports()["fusion"].facts
#: Twelve scenes of five tiles, the first of each with a landslide.
SCENES = [f"scene{k // 5}" for k in range(60)]
TRUTH = np.arange(60) % 5 == 0


def said(right=12, false=0, *, high=0.9, low=0.1):
    """Probabilities that call the first landslides rightly, and so many other tiles falsely."""
    called = np.zeros(60, bool)
    called[np.flatnonzero(TRUTH)[:right]] = True
    called[np.flatnonzero(~TRUTH)[:false]] = True
    return np.where(called, high, low)


@pytest.fixture
def made(record):
    """Make the record of a row from the probabilities of its sixty test tiles."""

    def of(row, probability, *, table=TABLE, threshold=0.5, more=None, prefix="tile", **fields):
        wanted = reports.resolve(table, table.row(row), **HOW)
        counts = {}
        for name, at in (("test", 0.5), ("test_tuned", threshold)):
            called = np.asarray(probability) > at
            counts[name] = (
                np.stack([TRUTH & called, ~TRUTH & called, TRUTH & ~called, ~TRUTH & ~called], 1).astype(int).tolist()
            )
        outcomes = {
            name: {"threshold": at, "metrics": {"tiles": scores.scores(counts[name])["pooled"]}}
            for name, at in (("test", 0.5), ("test_tuned", threshold))
        }
        return record(
            non_default_fields(wanted),
            counts["test"],
            **outcomes,
            valid=outcomes["test"],
            test_ids=[f"{prefix}{k}" for k in range(60)],
            test_groups=SCENES,
            tiles={"probability": list(probability), **(more or {})},
            **fields,
        )

    return of


# The rows and the records.


@pytest.mark.parametrize("name", ["fusion/test", "fusion/what-did-not-work", "filter/curves"])
@pytest.mark.parametrize("dataset", ["bijie", "synthetic-zindi", "zindi"])
def test_rows_without_download_are_those_whose_recipes_fetch_nothing(name, dataset):
    table = reports.table(name)
    kept = fused.offline(table, dataset)
    for row in table.runnable(dataset):
        fetches = reports.resolve(table, row, dataset=dataset).needs_download
        assert (row.id in kept) != fetches


def test_members_come_in_the_order_that_the_ensemble_names_them_or_not_at_all(made, tmp_path):
    store = Store(tmp_path / "records", more=())
    parts = [made("gated-b0", said(), seed=seed) for seed in (2, 0, 1)]
    for one in parts[:2]:
        store.add(one)
    whole = made("ensemble-b0", said(), grown_from=[one.name for one in parts])
    assert fused.members(whole, store) == []
    store.add(parts[2])
    assert fused.members(whole, store) == parts
    assert fused.members(parts[0], store) == [parts[0]]


# The tiles.


def test_a_tile_is_wrong_at_the_threshold_of_validation(made):
    one = made("gated-b0", said(high=0.4, low=0.1), threshold=0.3)
    frame = tilewise.tiles([one, made("gated-b0", said(10, 3), seed=1)])
    first, second = (frame[frame["network"] == number] for number in (1, 2))
    assert first["landslide"].tolist() == TRUTH.tolist()
    assert not first["wrong"].any()  # at 0.5 every landslide would be
    assert set(first["margin"].round(3)) == {0.1, 0.2}
    assert second["wrong"].sum() == 2 + 3
    assert tilewise.tiles([]).empty


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_counts_at_a_threshold_give_its_scores(made, threshold):
    draw = np.random.default_rng(0)
    one = made("gated-b0", draw.random(60).round(4), threshold=threshold)
    for at, outcome in (("half", one.test), ("validation", one.test_tuned)):
        counts = tilewise.counts_of(one, at)
        assert counts.sum(1).tolist() == [1] * 60
        assert scores.scores(counts)["pooled"] == outcome.metrics["tiles"]


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=40), st.integers(0, 2**16))
def test_the_interval_of_a_mean_holds_it_and_is_students_where_scenes_are_tiles(values, seed):
    from scipy import stats

    values = np.round(values, 3)
    scenes = np.random.default_rng(seed).permutation(len(values))
    mean, low, high = tilewise.mean_of(values, scenes)
    assert mean == pytest.approx(values.mean())
    if np.ptp(values) > 0:
        expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert 0 <= low <= mean <= high <= 1
        if expected[0] >= 0 and expected[1] <= 1:
            assert (low, high) == pytest.approx(expected)
    else:
        assert np.isnan([low, high]).all()


def test_tiles_that_are_copies_of_their_scene_are_one_draw():
    values = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    once = tilewise.mean_of(values, range(5))
    copied = tilewise.mean_of(np.repeat(values, 7), np.repeat(range(5), 7))
    assert copied == pytest.approx(once)
    assert np.isnan(tilewise.mean_of(values, ["one"] * 5)[1:]).all()
    large = np.repeat(values, [40, 1, 1, 1, 1]), np.repeat(range(5), [40, 1, 1, 1, 1])
    assert np.isnan(tilewise.mean_of(*large)[1:]).all()


def test_groups_are_of_one_size_and_in_order():
    values = {"over": np.arange(50)[::-1], "value": np.arange(50) % 2}
    frame = pd.DataFrame({**values, "scene": SCENES[:50]})
    found = tilewise.by_quantile(frame, "over", "value", 5)
    assert found["tiles"].tolist() == [10] * 5
    assert found["at"].is_monotonic_increasing
    assert found["mean"].tolist() == [0.5] * 5
    alike = tilewise.by_quantile(frame.assign(over=0.0), "over", "value", 5)
    assert alike["tiles"].tolist() == [50]


# The folds.


def folds_of(made, scored):
    return {
        f"efficientnet-b0-{number}": [
            made(f"efficientnet-b0-{number}", said(right), table=FOLDS, prefix=f"fold{number}/")
        ]
        for number, right in enumerate(scored, 1)
    }


def test_folds_are_known_where_all_of_them_are(made):
    runs = folds_of(made, [12, 12, 6, 6, 12])
    ((name, side),) = fused.sides(FOLDS, runs).items()
    each = [1, 1, 2 / 3, 2 / 3, 1]
    assert fused.fold_scores(side) == pytest.approx(each)
    line = fused.folds_said(FOLDS, runs).splitlines()[-1]
    assert f"Ours, {name}: {np.mean(each):.3f} ± {np.std(each):.3f}" in line
    whole = 2 * 48 / (2 * 48 + 12)  # 48 of 60 landslides, nothing else called
    assert f"300 tiles together, {whole:.3f}" in line
    del runs["efficientnet-b0-3"]
    assert fused.sides(FOLDS, runs) == {}


def test_the_printed_mean_over_folds_is_said_as_printed():
    said = fused.folds_said(FOLDS, {})
    assert str(FOLDS.row("efficientnetv2-l-mean").reported["f1"]) in said
    assert "Ours" not in said


def test_networks_that_stopped_before_their_epochs_are_counted(made):
    line = {"train_loss": 0.5, "valid_loss": 0.6, "valid_f1": 0.1, "seconds": 1.0}
    full = reports.resolve(TABLE, TABLE.row("gated-b0"), **HOW).epochs
    some = [made("gated-b0", said(), history=[line] * full), made("gated-b0", said(6), history=[line], threshold=0.05)]
    words = fused.ended_said(some)
    assert "1 of 2 networks stopped early" in words
    assert f"for 1 to {full} of {full} epochs" in words
    assert "from 0.05 to 0.50" in words
    gain = (some[1].test_tuned.metrics["tiles"]["f1"] - some[1].test.metrics["tiles"]["f1"]) / 2
    assert f"{gain:+.3f}" in words
    assert fused.ended_said([made("ensemble-b0", said(), history=[])]) == "Not run yet."


# The parts.


def test_parts_over_too_few_scenes_are_left_open_and_say_why(made):
    scene = {"test_groups": ["one scene"] * len(SCENES)}
    hits = {"gated-b0": 10, "concatenated-b0": 6}
    runs = {name: [made(name, said(right)).model_copy(update=scene)] for name, right in hits.items()}
    found = fused.worth(TABLE, runs, {"the gate": tuple(hits)})
    assert found[0]["half"]["reason"] == "too few scenes"
    words = fused.worth_said(found)
    assert f"the gate {found[0]['half']['difference']:+.3f} (too few scenes)" in words
    assert plots_tiles.worth(found).data["half_low"].isna().all()


def test_a_part_is_worth_what_the_table_says_of_the_same_two_rows(made, tmp_path):
    store = Store(tmp_path / "records", more=())
    for seed in range(3):
        store.add(made("gated-b0", said(10 - seed, 2), seed=seed))
        store.add(made("concatenated-b0", said(6 + seed, 3), seed=seed))
    rows = {row["id"]: row["ours"] for row in comparison.compare(TABLE, store, **HOW)}
    runs = comparison.records_of(TABLE, store, **HOW)
    (found,) = fused.worth(TABLE, runs, {"the gate": ("gated-b0", "concatenated-b0")})
    versus = rows["concatenated-b0"]["versus"]
    assert found["half"]["difference"] == pytest.approx(-versus["difference"])
    assert found["half"]["low"] == pytest.approx(-versus["high"])
    assert found["half"]["common"] == 3
    assert found["validation"] == pytest.approx(found["half"])  # 0.5 is validation's here


def test_rows_of_other_seeds_or_other_tiles_are_not_compared(made):
    one = made("gated-b0", said())
    assert fused.paired([one], []) is None
    assert fused.paired([one], [made("gated-b0", said(6), seed=1)]) is None
    assert fused.paired([one], [made("gated-b0", said(6), prefix="other")]) is None


@pytest.mark.parametrize("row", ["concatenation", "standard-augmentations"])
def test_what_the_report_states_is_the_gap_between_its_two_scores(row):
    cells = TABLE.row(row).reported
    gap = float(cells["versus"].split()[0]) - cells["f1"]
    assert gap > 0
    assert fused.printed_worth(TABLE, row) == pytest.approx((gap, gap))


def test_help_harm_and_neither_are_told_apart_at_both_thresholds(made):
    runs = {
        name: [made(name, said(right, high=0.4), threshold=0.3, seed=seed) for seed in range(2)]
        for name, right in (("gated-b0", 12), ("concatenated-b0", 6), ("standard-b0", 12))
    }
    parts = {
        "one": ("gated-b0", "concatenated-b0"),
        "other": ("concatenated-b0", "gated-b0"),
        "same": ("gated-b0", "standard-b0"),
        "none": ("gated-b0", "optical-b0"),
    }
    words = fused.worth_said(fused.worth(TABLE, runs, parts, {"other": (0.1, 0.2)}))
    half, tuned = words.split("At the thresholds of validation")
    assert "Help by more than is left open: none" in half
    # At 0.5 nothing is called, which is no more than calling everything.
    assert "every tile landslide: one" in half
    assert "No measure" not in tuned
    helps, harms, neither, less = [line for line in tuned.splitlines() if line.startswith("- ")]
    assert ": one +" in helps
    assert ": other -" in harms
    assert ": same +0.000" in neither
    assert ": other -" in less
    assert "Not run together with what lacks it: none." in words
    assert "With one seed" not in words
    assert fused.worth_said(fused.worth(TABLE, {}, parts)) == "Not run yet."


def test_one_seed_is_said_to_leave_the_training_out(made):
    runs = {"gated-b0": [made("gated-b0", said())], "concatenated-b0": [made("concatenated-b0", said(4))]}
    found = fused.worth(TABLE, runs, {"the gate": ("gated-b0", "concatenated-b0")})
    assert "With one seed the" in fused.worth_said(found)
    more = {**found[0], "part": "other", "half": {**found[0]["half"], "common": 2}}
    assert "With one seed (all but other) the" in fused.worth_said([*found, more])
    words = fused.added_said("The gate adds", runs["gated-b0"], runs["concatenated-b0"])
    assert words.startswith(f"The gate adds: {found[0]['half']['difference']:+.3f} [")
    assert fused.added_said("The gate adds", [], []) == "The gate adds: not run yet."


# The gate.


def gated(made, *, slope, seeds=3, spread=0.02):
    """Networks whose optical weight goes with brightness by a slope, and the radar's against it."""
    records = []
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        brightness = draw.random(60)
        optical = 0.5 + slope * brightness + draw.normal(0, spread, 60)
        radar = 0.5 - slope * brightness + draw.normal(0, spread, 60)
        more = {"brightness": brightness.tolist(), "optical": optical.tolist(), "radar": radar.tolist()}
        records.append(made("gated-b0", said(), seed=seed, more=more))
    return tilewise.tiles(records)


def test_a_gate_that_does_what_the_report_says_is_said_to_do_so(made):
    words = tilewise.gate_said(gated(made, slope=-0.3))
    optical, radar, verdict = words.splitlines()
    assert "optical features falls with" in optical
    assert "brightest tenth it is lower than in the rest" in optical
    assert "radar features rises with" in radar
    both = "optical and radar"
    assert verdict.endswith(f"for: over all tiles {both}; in the brightest tenth {both}.")


def test_a_gate_that_does_the_reverse_or_nothing_is_not(made):
    reverse = tilewise.gate_said(gated(made, slope=0.3)).splitlines()
    assert "optical features rises with" in reverse[0]
    assert reverse[-1].endswith("for: over all tiles neither; in the brightest tenth neither.")
    one = tilewise.gate_said(gated(made, slope=-0.3, seeds=1)).splitlines()
    assert one[-1].endswith("Of one network this cannot be told.")
    assert "optical features goes neither way" in one[0]
    frame = gated(made, slope=-0.3).drop(columns="radar")
    assert "The report says" not in tilewise.gate_said(frame)  # there is nothing to give it to
    assert "interval" not in one[0]
    assert tilewise.gate_said(tilewise.tiles([made("concatenated-b0", said())])) == "Not run yet."


def test_rank_correlations_are_of_each_network_alone(made):
    frame = gated(made, slope=-0.3, spread=0)
    assert tilewise.rank_correlations(frame, "optical") == pytest.approx([-1, -1, -1])
    # A network whose weights are higher all over changes nothing in the others.
    frame.loc[frame["network"] == 2, "optical"] += 5
    assert tilewise.rank_correlations(frame, "optical") == pytest.approx([-1, -1, -1])


def test_a_gate_that_looks_at_clouds_alone_does_so_in_the_brightest_tenth(made):
    frame = gated(made, slope=0, spread=0.01)
    cloudy = frame.groupby("network")["brightness"].rank(pct=True) > 0.9
    frame.loc[cloudy, "optical"] -= 0.2
    step = tilewise.brightest_less_rest(frame, "optical")
    assert step == pytest.approx([-0.2] * 3, abs=0.01)
    assert "in the brightest tenth optical." in tilewise.gate_said(frame)


def test_halves_are_cut_at_the_median_brightness_and_scored_apart(made):
    brightness = np.where(np.arange(60) < 30, 0.2, 0.8).tolist()
    more = {"brightness": brightness}
    bright = np.array(brightness) > 0.5
    hidden = np.where(bright, 0.1, said())  # light sees nothing where it is bright
    runs = {"gated-b0": [made("gated-b0", said(), more=more)], "optical-b0": [made("optical-b0", hidden, more=more)]}
    named = {"both": "gated-b0", "light": "optical-b0", "radar": "radar-only"}
    found = {(one["half"], one["sees"]): one for one in fused.halves(runs, named)}
    assert {key: one["f1"] for key, one in found.items()} == {
        ("dark", "both"): 1,
        ("dark", "light"): 1,
        ("bright", "both"): 1,
        ("bright", "light"): 0,
    }
    assert [one["tiles"] for one in found.values()] == [30] * 4
    assert [one["landslides"] for one in found.values()] == [6] * 4
    assert found["bright", "light"]["versus"]["difference"] == 1
    dark, light = fused.halves_said(list(found.values())).splitlines()
    assert dark.endswith("not told apart.")
    assert light.endswith("worth no more than calling every tile landslide.")
    better = [{**one, "floor": -1} for one in found.values()]
    assert fused.halves_said(better).endswith("both are better.")
    assert fused.halves_said(fused.halves({}, named)).startswith("Not run yet")


# The ensemble.


def test_a_spread_that_tells_of_errors_more_than_the_mean_is_said_to(made):
    draw = np.random.default_rng(0)
    probability = said(6, 6)
    wrong = (probability > 0.5) != TRUTH
    telling = {"apart": (wrong + draw.random(60) / 2).tolist()}
    words = tilewise.spread_said(tilewise.tiles([made("ensemble-b0", probability, more=telling)]))
    assert "tells more of errors than the mean does" in words
    assert "the larger spread in 100% of all pairs" in words
    against = {"apart": (~wrong + draw.random(60) / 2).tolist()}
    words = tilewise.spread_said(tilewise.tiles([made("ensemble-b0", probability, more=against)]))
    assert "tells nothing of errors" in words


def test_without_members_or_errors_nothing_is_said_of_their_spread(made):
    assert tilewise.spread_said(tilewise.tiles([])) == "Not run yet."
    assert "Not run yet" in tilewise.spread_said(tilewise.tiles([made("gated-b0", said(6))]))
    even = {"apart": [0.1] * 60}
    right = tilewise.tiles([made("ensemble-b0", said(), more=even)])
    assert "no tile is called wrongly" in tilewise.spread_said(right)


# What the report states.


def test_the_weight_of_easy_examples_is_left_at_the_probability_that_is_named():
    stated = FACTS["easy"].value / 100
    alpha, gamma = FACTS["focal_alpha"].value, FACTS["focal_gamma"].value
    for reading, weight in (("without alpha", 1), ("landslide", alpha), ("other", 1 - alpha)):
        p = fused.easy(FACTS)[reading]
        assert 0 < p < 1
        assert weight * (1 - p) ** gamma == pytest.approx(1 - stated)
    assert f"{1 - 0.5**gamma:.0%} is taken" in fused.easy_said(FACTS)


def test_the_counts_of_the_report_are_held_against_its_scores():
    table = reports.table("fusion/confusion")
    cells = table.rows[0].reported
    words = fused.confusion_said(table, statistics.published()["zindi"]["positive"])
    assert "neither is what is printed" in words
    f1 = 200 * cells["tp"] / (2 * cells["tp"] + cells["fp"] + cells["fn"])
    assert words.count(f"{f1:.1f}") == 2  # a transposition leaves it
    assert f"{cells['tp'] + cells['fn']} landslides as printed" in words
    assert f"{cells['tp'] + cells['fp']} transposed" in words
