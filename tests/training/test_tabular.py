"""Tables: trees that never saw what they judge, and certainty factors that tell of their labels."""

import json
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landslide_lib.paths import HOME
from landslide_lib.study.teaching import published
from landslide_lib.training import boosting
from tools import tables, tabular
from tools.tables import FACTORS
from tools.tabular import encode, factor

# ---------------------------------------------------------------- boosted trees


def table(count: int = 240, seed: int = 0):
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 2, count)
    columns = {"told": draw.normal(1.5 * truth), "noise": draw.normal(0, 1, count)}
    return pd.DataFrame(columns, index=[f"row{k}" for k in range(count)]), truth


def test_each_row_is_judged_once_by_trees_that_never_saw_it():
    features, truth = table()
    cut = boosting.fold_rows(truth, 3, 1)
    found = boosting.out_of_fold(features, truth, cut, 1)
    learnt, tested = cut[2]
    assert not set(learnt) & set(tested)
    alone = boosting.train(features.iloc[learnt], truth[learnt], 1)
    np.testing.assert_array_equal(found.probabilities[tested], boosting.probabilities(alone, features.iloc[tested]))
    assert set(found.fold[tested]) == {2}


def test_folds_hold_the_share_of_positives_and_keep_groups_together():
    truth = np.repeat([1, 0, 0, 0], 50)
    for _, tested in boosting.fold_rows(truth, 5, 3):
        assert truth[tested].mean() == 0.25
    groups = [f"g{k // 4}" for k in range(200)]
    where = {}
    for number, (_, tested) in enumerate(boosting.fold_rows(truth, 5, 3, groups)):
        for row in tested:
            assert where.setdefault(groups[row], number) == number
    assert len(where) == 50


def test_scores_are_those_of_each_folds_counts_and_pairs():
    draw = np.random.default_rng(0)
    truth, fold = draw.integers(0, 2, 60), draw.integers(0, 3, 60)
    score = np.round(draw.random(60), 1)  # with ties
    for number, (f1, auc) in enumerate(tabular.fold_scores(truth, score, fold)):
        right = score[(truth == 1) & (fold == number)]
        wrong = score[(truth == 0) & (fold == number)]
        tp, fp = (right > 0.5).sum(), (wrong > 0.5).sum()
        assert f1 == pytest.approx(2 * tp / (len(right) + tp + fp))
        pairs = [(p > n) + (p == n) / 2 for p in right for n in wrong]
        assert auc == pytest.approx(np.mean(pairs))


def test_contributions_and_the_bias_sum_to_the_prediction():
    features, truth = table(150)
    cut = boosting.fold_rows(truth, 3)
    found = boosting.out_of_fold(features, truth, cut)
    given_ = tabular.contributions(features, cut, found.boosters)
    assert list(given_.index) == list(features.index)
    odds = np.log(found.probabilities / (1 - found.probabilities))
    bias = odds - given_.sum(axis=1)
    for _, tested in cut:
        assert bias.iloc[tested].std() < 1e-4
    assert given_["told"].abs().mean() > 2 * given_["noise"].abs().mean()


# ---------------------------------------------------------------- certainty factors


@given(st.floats(0, 0.99), st.floats(0.001, 0.9))
def test_the_odds_are_found_again_whatever_the_prior(density, prior):
    wanted = density * (1 - prior) / (prior * (1 - density))
    assert tabular.odds(factor(density, prior)) == pytest.approx(wanted, 1e-6, 1e-9)


def test_a_certainty_factor_is_nothing_at_the_mean_and_bounded_by_never_and_always():
    assert factor([0, 0.3, 1], 0.3).tolist() == [-1, 0, 1]
    rising = factor(np.linspace(0, 1, 50), 0.3)
    assert (np.diff(rising) > 0).all()


def region(seed: int = 0, count: int = 60_000):
    """Places with three maps of classes; landslides are likelier where the classes are high."""
    draw = np.random.default_rng(seed)
    classes = pd.DataFrame({name: draw.binomial(4, 0.5, count) for name in "abc"})
    chance = 0.01 * np.exp(0.6 * (classes["a"] - 2) - 0.4 * (classes["b"] - 2))
    return classes, (draw.random(count) < chance).to_numpy(), draw


def samples(seed: int = 0, *, own: bool = True, pick=None):
    """A study's table: factors of the region's landslides, as many places as negatives."""
    classes, slid, draw = region(seed)
    made = slid if own else (draw.random(len(slid)) < 0.5) & slid
    prior = made.mean()
    encoded = pd.DataFrame(
        {
            name: factor(pd.Series(made).groupby(classes[name]).mean().to_numpy(), prior)[classes[name]]
            for name in classes
        }
    )
    places = np.flatnonzero(~slid if pick is None else ~slid & pick(encoded))
    rows = np.concatenate(
        [np.flatnonzero(slid if own else slid & ~made), draw.choice(places, int(slid.sum()), replace=False)]
    )
    return encoded.iloc[rows].reset_index(drop=True), slid[rows].astype(int)


def test_areas_sum_to_one_where_the_factors_are_of_these_landslides_and_are_the_regions():
    factors, truth = samples()
    found = tabular.levels(factors, truth)
    balance = tabular.balance(found)
    assert balance["sum"].to_numpy() == pytest.approx(1, abs=1e-9)
    classes, slid, _ = region()
    area = classes["a"][~slid].value_counts(normalize=True)
    mine = found[found["factor"] == "a"].assign(area=tabular.areas(found)[found["factor"] == "a"])
    # In the order of the class's density of landslides, as certainty factors are.
    density = pd.Series(slid).groupby(classes["a"]).mean().sort_values()
    assert mine["area"].to_numpy() == pytest.approx(area[density.index].to_numpy())
    other = tabular.balance(tabular.levels(*samples(own=False)))
    assert np.abs(other["sum"] - 1).max() > 0.01


def test_the_simulation_tells_the_landslides_that_factors_were_made_of_from_others():
    def nearer(of, found):
        return next(line["nearer"] for line in found["draws"] if line["of"] == of)

    mine = tabular.made_of(*samples(1), draws=100)
    other = tabular.made_of(*samples(1, own=False), draws=100)
    assert nearer("fresh", mine) <= 0.05
    assert nearer(0.5, mine) <= 0.05
    assert nearer("fresh", other) > 0.05
    assert mine["distance"] < other["distance"]
    medians = [line["median"] for line in mine["draws"][:-1]]
    assert medians == sorted(medians, reverse=True)


def test_negatives_at_random_fit_the_region_and_picked_ones_do_not():
    fair = tabular.negatives(tabular.levels(*samples(2)))
    picked = tabular.negatives(tabular.levels(*samples(2, pick=lambda cf: cf["a"] < 0.2)))
    assert fair["auc"].to_numpy() == pytest.approx(fair["auc_region"].to_numpy(), abs=0.04)
    line = picked.set_index("factor").loc["a"]
    assert line["bare"] > 0.05
    assert line["bare_expected"] > 5
    assert line["auc"] > line["auc_region"] + 0.05


def test_a_bare_class_joins_its_neighbour_and_nothing_else_changes():
    factors, truth = samples(2, pick=lambda cf: cf["a"] < 0.2)
    closed = tabular.closed(factors, tabular.levels(factors, truth))
    assert closed[["b", "c"]].equals(factors[["b", "c"]])
    there = set(factors["a"][truth == 0])
    assert set(closed["a"]) <= there
    kept = factors["a"].isin(there)
    assert closed["a"][kept].equals(factors["a"][kept])
    highest = factors["a"] == factors["a"].max()
    assert (closed["a"][highest] == max(there)).all()


def test_an_encoding_looks_at_no_label_but_those_it_may():
    draw = np.random.default_rng(0)
    classes = pd.DataFrame({"a": draw.integers(0, 5, 80), "b": draw.integers(0, 9, 80)})
    truth = draw.integers(0, 2, 80)
    classes.loc[79, "a"] = 99  # a class of the rest alone
    learnt = np.arange(60)
    found = encode(classes, truth, learnt)
    other = np.concatenate([truth[:60], 1 - truth[60:]])
    assert encode(classes, other, learnt).equals(found)
    assert found.loc[79, "a"] == 0
    prior, inside = truth[:60].mean(), truth[:60][classes["a"][:60] == 3].mean()
    wanted = factor(inside, prior)
    assert found["a"][classes["a"] == 3].to_numpy() == pytest.approx(float(wanted))
    assert not encode(classes, other).equals(encode(classes, truth))


def test_noise_passes_for_skill_through_labels_of_the_tested_and_not_otherwise():
    draw = np.random.default_rng(5)
    classes = pd.DataFrame(draw.integers(0, 25, (400, 8)), columns=list("abcdefgh"))
    truth = draw.permutation(np.repeat([0, 1], 200))
    found = tabular.compare(classes, truth, boosting.fold_rows(truth, 4))
    auc = {(name, model): each[:, 1].mean() for name, models in found.items() for model, each in models.items()}
    assert auc["all", "sum"] > 0.7
    assert auc["inside", "sum"] == pytest.approx(0.5, abs=0.08)
    assert auc["order lost", "trees"] == pytest.approx(0.5, abs=0.1)
    assert ("order lost", "sum") not in auc


# ---------------------------------------------------------------- files


def rows_of(count: int = 6):
    line = {"lon": 110.1, "lat": 27.2, **dict.fromkeys(FACTORS, 0.25)}
    frame = pd.DataFrame([line] * count)
    frame["lon"] += np.arange(count) * 0.1
    return frame.assign(target=np.arange(count) % 2)


def place(root, name, text, encoding="utf-8"):
    (root / "tabular").mkdir(exist_ok=True)
    (root / "tabular" / name).write_text(text, encoding=encoding)
    return root


def test_samples_are_read_and_twins_counted(tmp_path):
    frame = rows_of()
    frame.loc[5, "lon"] = frame.loc[4, "lon"]
    place(tmp_path, tables.SAMPLES, frame.to_csv(index=False))
    found = tables.samples(tmp_path)
    assert found["target"].tolist() == [0, 1, 0, 1, 0, 1]
    assert found.duplicated(["lon", "lat"]).sum() == 1
    assert len(set(tables.blocks(found))) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"NDVI": "1.5"}, r"NDVI of row 3 is '1.5', no number from -1 to 1"),
        ({"slope": ""}, r"slope of row 3 is ''"),
        ({"Soil": "clay"}, r"Soil of row 3 is 'clay'"),
        ({"lat": "127"}, r"lat of row 3"),
        ({"target": "0.5"}, r"target of row 3 is .0.5., not 0 or 1"),
    ],
)
def test_a_bad_cell_is_named_with_its_row(tmp_path, change, said):
    frame = rows_of().astype(str)
    for name, value in change.items():
        frame.loc[2, name] = value
    place(tmp_path, tables.SAMPLES, frame.to_csv(index=False))
    with pytest.raises(ValueError, match=said):
        tables.samples(tmp_path)


def test_a_file_that_is_missing_empty_or_of_one_class_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Set LANDSLIDE_DATA"):
        tables.samples(tmp_path)
    for text, said in (
        ("", "is no CSV"),
        ("a,b\n1,2\n", "has no column lon"),
        ("a,b\n1,2,3\n4,5,6\n", "its rows have more cells than its head"),
        (rows_of().head(0).to_csv(index=False), "no row"),
        (rows_of().assign(target=1).to_csv(index=False), "target is 1 in all rows"),
    ):
        place(tmp_path, tables.SAMPLES, text)
        with pytest.raises(ValueError, match=said):
            tables.samples(tmp_path)


EVENTS = "date,trigger,longitude,latitude,continentcode,place\n" + "\n".join(
    [
        "1/2/2007,Rain,-3.5,54.5,EU,a",
        "7/3/2010,Continuous_rain,-3.4,54.6,EU,Mairiporã",
        "7/3/2010,Continuous_Rain,170.1,-45,OC,b",
        ",unknown,-100,40,NA,c",
        "1/2/2007,,-3.5,54.5,NA,d",
    ]
)


def test_events_are_counted_and_triggers_spelt_one_way(tmp_path):
    place(tmp_path, tables.EVENTS, EVENTS, "latin-1")
    events = tables.events(tmp_path)
    assert events["trigger"].tolist() == ["rain", *["continuous rain"] * 2, *["unknown"] * 2]
    found = tabular.of_catalogue(tmp_path)
    assert found["events"] == 5
    assert found["undated"] == 1
    assert found["twins"] == 1
    assert found["years"] == {"2007": 2, "2010": 2}
    assert found["triggers"] == {"continuous rain": 2, "unknown": 2, "rain": 1}
    assert found["months"]["north"] == [2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert found["months"]["south"][6] == 1
    assert sum(n for _, _, n in found["cells"]) == 5
    for west, south, _ in found["cells"]:
        assert west % found["cell"] == 0 == south % found["cell"]
    assert [-6, 54, 3] in found["cells"]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1/2/2007,Rain", "2007-01-02,Rain", "date of row 1 is '2007-01-02', not month/day/year"),
        (",-45,", ",-95,", "latitude of row 3"),
        ("170.1", "east", "longitude of row 3 is 'east'"),
        ("trigger", "cause", "has no column trigger"),
    ],
)
def test_an_event_that_is_nowhere_or_never_is_refused(tmp_path, old, new, said):
    place(tmp_path, tables.EVENTS, EVENTS.replace(old, new), "latin-1")
    with pytest.raises(ValueError, match=said):
        tables.events(tmp_path)


# ---------------------------------------------------------------- tiles, and what is published


def test_tiles_are_told_by_all_features_and_by_those_of_each_sensor():
    features, truth = table()
    named = features.rename(columns={"told": "VV_asc_mean", "noise": "NDVI_mean"})
    facts = tabular.describe(named, truth)
    assert set(facts["scores"]) == {"all", "optical", "radar"}
    assert facts["scores"]["radar"]["auc"] > 0.75 > 0.6 > facts["scores"]["optical"]["auc"]
    assert (facts["tiles"], facts["positives"]) == (240, int(truth.sum()))
    assert facts["out_of_fold"]["ids"] == list(features.index)
    assert not facts["grouped"]
    assert tabular.describe(named, truth, groups=np.arange(240) // 6)["grouped"]


def test_what_is_published_is_read_back_newest_first_and_never_overwritten(tmp_path):
    facts = {"name": "tiles-a", "fingerprint": "0123456789abcdef", "scores": {"all": 1}}
    path = tabular.publish(facts, tmp_path)
    assert path.name == "tiles-a-01234567.json"
    found = published("tiles-a", tmp_path)
    assert {key: found[key] for key in facts} == facts
    assert tabular.publish({**facts, "scores": {}}, tmp_path) == path
    assert published("tiles-a", tmp_path) == found
    assert published("tiles", tmp_path) is None


def test_samples_are_measured_whole_from_the_file_alone(tmp_path, monkeypatch):
    factors, truth = samples(3)
    some = np.random.default_rng(0).choice(len(truth), 240, replace=False)
    names = list(FACTORS)
    frame = pd.DataFrame({name: factors["abc"[k % 3]].to_numpy()[some] for k, name in enumerate(names)}).assign(
        target=truth[some]
    )
    draw = np.random.default_rng(1)
    frame["lon"], frame["lat"] = 110 + draw.random(240), 27 + draw.random(240)
    place(tmp_path, tables.SAMPLES, frame.to_csv(index=False))
    monkeypatch.setattr(tabular, "REPEATS", 2)
    facts = tabular.measure("susceptibility", tmp_path)
    assert facts["fingerprint"] == sha256((tmp_path / "tabular" / tables.SAMPLES).read_bytes()).hexdigest()[:16]
    assert (facts["rows"], facts["positives"]) == (240, int(truth[some].sum()))
    assert set(facts["shap"]) == set(names)
    assert len(facts["scores"]) == 6
    assert len(facts["encodings"]) == 2 * (4 + 3)
    assert sum(line["positives"] for line in facts["levels"]) == facts["positives"] * len(names)
    assert json.loads(json.dumps(facts)) == facts


def test_no_sample_itself_is_published():
    """Aggregates only: no list is as long as the file, and no place of a sample is told."""
    for path in (HOME / "data" / "results" / "tabular").glob("*.json"):
        facts = json.loads(path.read_text())
        rows = facts.get("rows") or facts.get("events") or facts.get("tiles") or facts["filters"][0]["tiles"]
        for value in facts.values():
            assert not isinstance(value, list) or len(value) < rows / 4
        assert not {"lon", "lat"} & {key for line in facts.get("levels", []) for key in line}
