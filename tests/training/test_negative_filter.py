"""The negative filter: loses no positive out of fold, says what it costs, and owns up elsewhere."""

import json

import numpy as np
import pandas as pd
import pytest
from xgboost import XGBClassifier

from landslide_lib.training import boosting
from tools.filters import TREES, author_features
from tools.tabular import losses


def table(count: int = 300, told: float = 2.0, seed: int = 0):
    """Tiles of which a fifth is positive; one column tells them, one is noise."""
    draw = np.random.default_rng(seed)
    truth = (np.arange(count) % 5 == 0).astype(int)
    columns = {"told": draw.normal(told * truth), "noise": draw.normal(0, 1, count)}
    return pd.DataFrame(columns, index=[f"tile{k}" for k in range(count)]), truth


@pytest.fixture(scope="module")
def fitted():
    features, truth = table()
    return features, truth, boosting.fit_filter(features, truth, folds=4)


def test_no_positive_is_lost_and_no_higher_threshold_would_do(fitted):
    _, truth, one = fitted
    assert one.keep[truth == 1].all()
    assert 0 < one.threshold < 1
    higher = one.out_of_fold >= np.nextafter(one.threshold, 1)
    assert not higher[truth == 1].all()


def test_the_cost_is_counted_on_the_training_tiles(fitted):
    _, truth, one = fitted
    gone = sum(p < one.threshold for p in one.out_of_fold)
    assert one.cost["removed"] == pytest.approx(gone / len(truth))
    assert one.cost["removed"] > 0.1
    assert one.cost["positive_before"] == pytest.approx(0.2)
    assert one.cost["positive_after"] == pytest.approx(truth.sum() / (len(truth) - gone))
    assert one.cost["lost"] == 0
    assert one.cost["seconds"] > 0


def test_out_of_fold_means_that_a_tiles_own_label_has_no_say(fitted):
    features, truth, one = fitted
    learnt, tested = boosting.fold_rows(truth, 4, 0)[0]
    booster = boosting.train(features.iloc[learnt], truth[learnt], 0)
    np.testing.assert_array_equal(one.out_of_fold[tested], boosting.probabilities(booster, features.iloc[tested]))


def test_a_new_tile_gets_the_mean_of_the_folds_trees(fitted):
    features, _, one = fitted
    some = features.iloc[:7]
    each = [boosting.probabilities(booster, some) for booster in one.boosters]
    np.testing.assert_allclose(one.probabilities(some), sum(each) / 4)
    np.testing.assert_array_equal(one.keeps(some), one.probabilities(some) >= one.threshold)


def test_columns_are_found_by_name_and_a_missing_one_is_named(fitted):
    features, _, one = fitted
    turned = features[["noise", "told"]].assign(more=0.0)
    np.testing.assert_array_equal(one.keeps(turned), one.keeps(features))
    with pytest.raises(KeyError, match="noise"):
        one.keeps(features[["told"]])


def test_depth_and_number_of_trees_can_be_chosen():
    one = boosting.fit_filter(*table(), folds=4, depth=1, trees=7)
    trees = one.boosters[0].trees_to_dataframe()
    assert trees.Tree.nunique() == 7
    assert (trees.groupby("Tree").size() == 3).all()  # a root and two leaves


def test_the_same_seed_gives_the_same_filter(fitted):
    features, truth, one = fitted
    again = boosting.fit_filter(features, truth, folds=4)
    np.testing.assert_array_equal(again.out_of_fold, one.out_of_fold)
    assert again.threshold == one.threshold
    assert again.cost | {"seconds": 0} == one.cost | {"seconds": 0}
    other = boosting.fit_filter(features, truth, folds=4, seed=1)
    assert (other.out_of_fold != one.out_of_fold).any()


def test_a_filter_that_can_sort_out_nothing_keeps_everything():
    features, truth = table(60)
    blind = features * 0
    one = boosting.fit_filter(blind, truth, folds=3)
    assert one.threshold == 0
    assert one.keep.all()
    assert one.keeps(blind - 99).all()
    assert one.cost["removed"] == 0
    assert one.cost["positive_after"] == one.cost["positive_before"]


def test_a_saved_filter_is_the_same_and_holds_no_pickle(fitted, tmp_path):
    features, _, one = fitted
    one.save(tmp_path / "filter.json")
    again = boosting.load_filter(tmp_path / "filter.json")
    np.testing.assert_array_equal(again.probabilities(features), one.probabilities(features))
    np.testing.assert_array_equal(again.keep, one.keep)
    assert again.cost == one.cost
    assert (again.columns, again.threshold, again.seed) == (one.columns, one.threshold, one.seed)


def test_the_authors_trees_are_those_of_xgboost_by_its_defaults_but_for_depth_and_weight(fitted):
    features, truth, _ = fitted
    theirs = XGBClassifier(max_depth=5, min_child_weight=10).fit(features.to_numpy(), truth)
    ours = boosting.probabilities(boosting.train(features, truth, **TREES), features)
    np.testing.assert_allclose(ours, theirs.predict_proba(features.to_numpy())[:, 1], rtol=1e-5)


def test_the_authors_features_are_six_numbers_of_bands_and_indices():
    tile = np.linspace(0.0, 1.0, 10).reshape(1, 2, 5)
    bands = {"R": tile, "G": tile**2, "B": tile, "NIR": 2 * tile, "VV_asc": tile - 9, "VH_asc": tile, "dVV_asc": -tile}
    found = author_features(bands).iloc[0]
    assert len(found) == 6 * (len(bands) + 1 + 1 + 6)  # before the event, the ratio, the indices
    unit = (tile - 0.5) / tile.std()
    expected = [0, 1, unit.max(), unit.min(), *np.quantile(unit, (0.1, 0.9))]
    np.testing.assert_allclose(found.filter(regex="^(R|before_VV_asc)_"), [*expected, *expected], atol=1e-12)
    np.testing.assert_allclose(found[["ratio_asc_0", "NDVI_1", "EVI_3"]], 0, atol=1e-6)  # equal once standardised


def test_a_threshold_for_each_fold_sorts_out_more_and_a_new_tile_only_where_all_folds_agree(fitted, tmp_path):
    features, truth, one = fitted
    own = boosting.fit_filter(features, truth, folds=4, each_fold=True)
    fold = boosting.out_of_fold(features, truth, boosting.fold_rows(truth, 4, 0)).fold
    lowest = np.array([one.out_of_fold[(truth == 1) & (fold == k)].min() for k in range(4)])
    np.testing.assert_array_equal(own.keep, one.out_of_fold >= lowest[fold])
    assert own.keep[truth == 1].all()
    assert own.cost["removed"] > one.cost["removed"]
    assert own.cost["lost"] == 0
    each = np.array([boosting.probabilities(booster, features) for booster in own.boosters])
    np.testing.assert_array_equal(own.keeps(features), (each >= lowest[:, None]).any(0))
    own.save(tmp_path / "filter.json")
    np.testing.assert_array_equal(boosting.load_filter(tmp_path / "filter.json").keeps(features), own.keeps(features))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[1, 2]",
        lambda text: json.dumps(json.loads(text) | {"format": "other"}),
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "threshold"}),
        lambda text: json.dumps(json.loads(text) | {"boosters": [{"learner": 1}]}),
    ],
)
def test_a_file_that_is_no_filter_is_refused_by_name(fitted, tmp_path, spoil):
    path = tmp_path / "filter.json"
    fitted[2].save(path)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(ValueError, match=r"filter\.json: no negative filter that can be read"):
        boosting.load_filter(path)


def test_what_cannot_be_filtered_is_refused():
    features, truth = table(50)
    scenes = ["one" if label else f"s{k % 7}" for k, label in enumerate(truth)]
    spoilt = features.copy()
    spoilt.loc["tile7", "noise"] = np.nan
    for given, labels, options, said in (
        (features, truth * 0, {}, "no row of each class"),
        (features, truth, {"folds": 11}, "no row of each class"),
        (features, truth, {"folds": 1}, "n_splits=1"),
        (features, truth, {"groups": scenes}, "no row of each class"),
        (features, truth * 2, {}, "0 and 1 are possible, not"),
        (features, truth[:-1], {}, "inconsistent numbers"),
        (spoilt, truth, {}, "features contains NaN"),
    ):
        with pytest.raises(ValueError, match=said):
            boosting.fit_filter(given, labels, **{"folds": 3, **options})


def test_tiles_of_one_scene_do_not_judge_each_other():
    """A scene's own mark, which trees could learn by heart, tells nothing of other scenes."""
    draw = np.random.default_rng(3)
    scene = np.repeat(np.arange(40), 8)
    truth = draw.integers(0, 2, 40)[scene]
    features = pd.DataFrame({"mark": draw.normal(0, 1, 40)[scene]})
    auc = {}
    for name, groups in (("known", None), ("scenes", scene)):
        one = boosting.fit_filter(features, truth, folds=4, groups=groups)
        lower = one.out_of_fold[truth == 0]
        auc[name] = np.mean([(p > lower).mean() for p in one.out_of_fold[truth == 1]])
    assert auc["known"] > 0.95
    assert auc["scenes"] < 0.75


def test_losses_are_counted_on_folds_that_set_no_threshold():
    features, truth = table(240, told=1.5, seed=4)
    found = losses(features, truth, folds=3, seed=2)
    assert found["tiles"].sum() == len(truth)
    assert found["positives"].sum() == truth.sum()
    rest, left = boosting.fold_rows(truth, 3, 2)[1]
    one = boosting.fit_filter(features.iloc[rest], truth[rest], folds=3, seed=2)
    gone = ~one.keeps(features.iloc[left])
    line = found.iloc[1]
    assert line["removed"] == gone.sum()
    assert line["lost"] == (gone & (truth[left] == 1)).sum()
    assert line["threshold"] == one.threshold
    assert line["tuned_on"] == truth[rest].sum()
    assert line["expected"] == pytest.approx(truth[left].sum() / (truth[rest].sum() + 1))


def test_new_positives_are_lost_at_about_the_rate_that_ranks_predict():
    """Few positives set a loose threshold: some new ones fall below it, not one in all."""
    lost = expected = 0.0
    for seed in range(6):
        features, truth = table(100, told=1.0, seed=seed)
        found = losses(features, truth, folds=2, seed=seed)
        lost, expected = lost + found["lost"].sum(), expected + found["expected"].sum()
    assert 0 < lost < 4 * expected
