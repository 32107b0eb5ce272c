"""What is said of two domains and of rounds of refinement is what their records hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data import statistics
from landslide_lib.metrics import scores
from landslide_lib.study import adapted, comparison, findings, refined, reports
from landslide_lib.study.plots import adaptation as plots_adaptation
from landslide_lib.study.recipe import non_default_fields, recipe
from landslide_lib.study.recipe.adaptation import TARGETS
from landslide_lib.study.records import Store

TABLE, FINAL = reports.table("refinement/validation"), reports.table("refinement/test")
HOW = {"dataset": "bijie", "profile_name": "quick"}
GOOD, FAIR, POOR = ([[hits + k, 20 - hits, 20 - hits - k, 60] for k in range(4)] for hits in (16, 10, 2))


@pytest.fixture
def made(record):
    """Make the record of a row: its recipe, a seed and counts (tp, fp, fn, tn) of four images."""

    def of(row, counts=FAIR, *, table=TABLE, **fields):
        wanted = reports.resolve(table, table.row(row), **HOW)
        return record(non_default_fields(wanted), counts, **fields)

    return of


@pytest.fixture
def grown(record, tmp_path):
    """Two networks and their ensemble over rounds: each names those it grew from.

    Takes the counts of the ensembles round by round, and the pseudo-labels of each round.
    """

    def of(ensembles, labels, seeds=(0,)):
        store, records = Store(tmp_path / "records", more=()), []
        for seed in seeds:
            before = ()
            for number, counts in enumerate(ensembles):
                row = FINAL.row(["baseline-two", "round-1-two", "round-2-two"][number])
                whole = reports.resolve(FINAL, row, **HOW)
                told = labels[number - 1] if number else None
                members = [
                    record(non_default_fields(one), side, seed=seed, grown_from=before, pseudo_labels=told)
                    for one, side in zip(whole.depends_on, (POOR, FAIR), strict=True)
                ]
                before = tuple(one.name for one in members)
                records.append(record(non_default_fields(whole), counts, seed=seed, grown_from=before))
                for one in (*members, records[-1]):
                    store.add(one)
        return refined.chains(records, store)

    return of


def told(precision, recall=0.4, coverage=0.5):
    missed = None if recall is None else 1 - recall
    return {"coverage": coverage, "precision": precision, "recall": recall, "missed": missed}


# The domains.


@settings(max_examples=20)
@given(st.integers(0, 2**16), st.lists(st.sampled_from("abc"), min_size=6, max_size=12))
def test_the_rest_of_the_regions_is_the_source_of_one_of_them(packed, seed, regions):
    draw = np.random.default_rng(seed)
    regions = ["a", "b", *regions]  # a target and a source there are
    images = draw.random((len(regions), 3, 4, 4)).astype(np.float32)
    masks = draw.integers(0, 2, (len(regions), 4, 4), np.uint8)
    some = replace(
        packed,
        images=images,
        masks=masks,
        regions=tuple(regions),
        parts=("train",) * len(images),
        ids=tuple(map(str, range(len(images)))),
        groups=tuple(map(str, range(len(images)))),
    )
    wanted = recipe({"dataset": "synthetic", "task": "adaptation", "target": {"region": "a"}})
    found = adapted.domains(wanted, {"synthetic": statistics.describe(some)})
    for end, inside in (("target", np.array(regions) == "a"), ("source", np.array(regions) != "a")):
        assert found[end]["images"] == inside.sum()
        assert found[end]["landslide"] == pytest.approx(masks[inside].mean(), rel=1e-3)
        assert found[end]["positive"] == pytest.approx(masks[inside].any((1, 2)).mean(), rel=1e-3)
        for column, band in enumerate("RGB"):
            values = images[inside, column].astype(np.float64)
            assert found[end]["bands"][band]["mean"] == pytest.approx(values.mean(), rel=1e-3)
            assert found[end]["bands"][band]["std"] == pytest.approx(values.std(), rel=1e-2)


def test_the_whole_of_another_dataset_is_the_target_and_a_part_where_it_is_parted(packed):
    facts = statistics.describe(packed)
    to_uav = reports.resolve(TABLE, TABLE.row("resnet"), dataset="bijie")
    assert adapted.domains(to_uav, {"bijie": facts, "uav": facts}) == {"source": facts, "target": facts}
    halves = replace(packed, parts=("train", "valid") * (len(packed) // 2))
    shipped = statistics.describe(halves)
    to_valid = reports.resolve(TABLE, TABLE.row("resnet"))
    found = adapted.domains(to_valid, {"landslide4sense": shipped})
    assert found == {"source": shipped["parts"]["train"], "target": shipped["parts"]["valid"]}


def test_where_nothing_is_published_of_a_domain_there_is_none(packed):
    facts = statistics.describe(packed)
    to_uav = reports.resolve(TABLE, TABLE.row("resnet"), dataset="bijie")
    assert adapted.domains(to_uav, {"bijie": facts}) is None
    to_valid = reports.resolve(TABLE, TABLE.row("resnet"))
    assert adapted.domains(to_valid, {"landslide4sense": facts}) is None  # one part, and no other
    wanted = recipe({"dataset": "synthetic", "task": "adaptation", "target": {"region": "a"}})
    assert adapted.domains(wanted, {"synthetic": facts}) is None


def test_the_region_to_adapt_to_is_the_one_whose_bands_differ_most():
    known, apart = statistics.published(), {}
    for region in known["synthetic"]["regions"]:
        wanted = recipe({"dataset": "synthetic", "task": "adaptation", "target": {"region": region}})
        both = adapted.domains(wanted, known)
        apart[region] = np.mean(
            [
                abs(both["target"]["bands"][band]["mean"] - own["mean"]) / own["std"]
                for band, own in both["source"]["bands"].items()
            ]
        )
    assert max(apart, key=apart.get) == TARGETS["synthetic"]["region"]


def test_a_shift_is_counted_in_deviations_of_the_source():
    source = {
        "positive": 0.1,
        "landslide": 0.01,
        "bands": {"R": {"mean": 1.0, "std": 0.5}, "G": {"mean": 1.0, "std": 0.0}},
    }
    target = {
        "positive": 0.25,
        "landslide": 0.2,
        "bands": {"R": {"mean": 0.0, "std": 1.0}, "G": {"mean": 1.5, "std": 0.25}},
    }
    said = adapted.shifted({"source": source, "target": target})
    assert "in band R, by -2.00" in said
    assert "from 0.25 to 2.00 times" in said
    assert "1.0% of the source's pixels and 20.0%" in said
    assert "10% in the source and 80% in the target" in said


def test_the_floor_is_that_of_the_targets_share_of_landslide(made):
    one = made("resnet", [[10, 10, 10, 70], [0, 0, 0, 100]])
    said = adapted.scored_on(one)
    assert "10.0% of their pixels are landslide" in said
    assert f"an F1 of {2 * 0.1 / 1.1:.3f}" in said
    assert "images of uav (train), in 2 scenes" in said


# The components.


def test_a_component_is_worth_what_the_table_says_of_the_same_two_rows(made, tmp_path):
    store = Store(tmp_path / "records", more=())
    for seed in range(3):
        store.add(made("resnet", POOR, seed=seed))
        store.add(made("resnet-sn", [[a + seed, *rest] for a, *rest in GOOD], seed=seed))
    rows = {row["id"]: row["ours"] for row in comparison.compare(TABLE, store, **HOW)}
    runs = comparison.records_of(TABLE, store, **HOW)
    (found,) = adapted.worth(TABLE, runs, {"resnet-sn": "resnet"})
    for key in ("difference", "low", "high", "common"):
        assert found[key] == rows["resnet-sn"]["versus"][key]
    cells = [TABLE.row(name).reported["f1"] for name in ("resnet-sn", "resnet")]
    assert found["reported"] == pytest.approx((cells[0] - cells[1]) / 100)


def test_rows_of_other_seeds_or_other_images_are_not_compared(made):
    one = made("resnet-sn", GOOD)
    assert adapted.paired([one], []) is None
    assert adapted.paired([one], [made("resnet", seed=1)]) is None
    other = made("resnet", test_ids=["a", "b", "c", "d"])
    assert adapted.paired([one], [other]) is None


def test_help_harm_and_neither_are_told_apart(made):
    runs = {
        "resnet": [made("resnet", FAIR, seed=seed) for seed in range(2)],
        "resnet-sn": [made("resnet-sn", GOOD, seed=seed) for seed in range(2)],
        "resnet-slo": [made("resnet-slo", POOR, seed=seed) for seed in range(2)],
        "resnet-cross-sensor": [made("resnet-cross-sensor", FAIR, seed=seed) for seed in range(2)],
    }
    pairs = dict.fromkeys([*list(runs)[1:], "resnet-sn-slo"], "resnet")
    better, worse, neither, missing = adapted.worth_said(adapted.worth(TABLE, runs, pairs)).splitlines()[:4]
    for line, row in ((better, "resnet-sn"), (worse, "resnet-slo"), (neither, "resnet-cross-sensor")):
        assert f": {TABLE.row(row).label} against {TABLE.row('resnet').label} " in line
        assert line.count(" against ") == 1
    assert "**Worse**" in worse
    assert TABLE.row("resnet-sn-slo").label in missing
    assert adapted.worth_said(adapted.worth(TABLE, {}, pairs)) == "Not run yet."


def test_a_difference_of_two_rows_below_the_floor_is_no_verdict(made):
    low, lower = ([[k, 0, 50 - k, 50]] * 3 for k in (3, 1))
    names = {"test_ids": ["a", "b", "c"], "test_groups": ["x", "y", "z"]}
    runs = {"resnet": [made("resnet", lower, **names)], "resnet-sn": [made("resnet-sn", low, **names)]}
    (found,) = adapted.worth(TABLE, runs, {"resnet-sn": "resnet"})
    assert found["under"]
    assert found["low"] > 0
    better, *_, neither = adapted.worth_said([found]).split("\n\n")[0].splitlines()
    assert better.endswith("no row.")
    assert neither.startswith("- Neither above calling every pixel landslide")


def test_a_difference_over_too_few_scenes_is_not_told_apart_and_says_why(made):
    names = {"test_groups": ["one scene"] * len(GOOD)}
    runs = {"resnet": [made("resnet", FAIR, **names)], "resnet-sn": [made("resnet-sn", GOOD, **names)]}
    found = adapted.worth(TABLE, runs, {"resnet-sn": "resnet"})
    assert found[0]["low"] is None
    words = adapted.worth_said(found)
    assert f"{found[0]['difference']:+.3f} (too few scenes)" in words
    assert "Not told apart from no difference: " + TABLE.row("resnet-sn").label in words
    assert np.isnan(plots_adaptation.worth(found).data["low"].astype(float)).all()


def test_one_seed_is_said_to_leave_the_training_out(made):
    runs = {"resnet": [made("resnet", FAIR)], "resnet-sn": [made("resnet-sn", GOOD)]}
    said = adapted.worth_said(adapted.worth(TABLE, runs, {"resnet-sn": "resnet"}))
    assert "With one seed" in said


def test_a_gain_that_turns_at_the_sources_threshold_is_named(made):
    tuned = {"threshold": 0.3, "metrics": scores.scores(POOR)}
    runs = {"resnet": [made("resnet", FAIR)], "resnet-sn": [made("resnet-sn", GOOD)]}
    pairs = {"resnet-sn": "resnet"}
    assert "other way round" not in adapted.worth_said(adapted.worth(TABLE, runs, pairs))
    runs["resnet-sn"] = [made("resnet-sn", GOOD, test_tuned=tuned)]
    found = adapted.worth(TABLE, runs, pairs)
    assert found[0]["tuned"] < 0 < found[0]["low"]
    assert "other way round at the source's threshold" in adapted.worth_said(found)


def test_rows_below_the_floor_are_named(made, tmp_path):
    store = Store(tmp_path / "records", more=())
    store.add(made("resnet", [[1, 0, 49, 50], [0, 0, 0, 100]]))
    store.add(made("resnet-sn", [[40, 0, 10, 50], [0, 0, 0, 100]]))
    rows = comparison.compare(TABLE, store, **HOW)
    for line in adapted.above_floor(rows).splitlines():
        assert line.endswith(f"floor: {TABLE.row('resnet').label}.")
    assert adapted.above_floor([row for row in rows if not row["ours"]]) == "Not run yet."
    nothing = "Neither their order nor their differences say which finds landslides"
    assert nothing not in findings.summary(TABLE, rows)
    assert nothing in findings.summary(TABLE, [row for row in rows if row["id"] != "resnet-sn"])


def test_the_same_network_has_the_same_curve(made):
    line = {"train_loss": 0.5, "valid_loss": 0.6, "valid_f1": 0.1, "seconds": 1.0}
    runs = {
        "resnet": [made("resnet", history=[line])],
        "resnet-sn": [made("resnet-sn", GOOD, history=[line])],
        "resnet-slo": [made("resnet-slo", history=[{**line, "train_loss": 0.75}])],
    }
    same, other = adapted.same_networks(TABLE, runs, ["resnet-sn", "resnet-slo"], "resnet").split("\n")
    assert "are equal in every epoch" in same
    f1 = [scores.scores(counts)["pooled"]["f1"] for counts in (GOOD, FAIR)]
    assert f"on the target {f1[0]:.3f} ({f1[1]:.3f})." in same
    assert "differ by up to 0.25" in other
    assert adapted.same_networks(TABLE, {}, ["resnet-sn"], "resnet") == "Not run yet."


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_of_the_target_is_found_by_trying_all(made, seed):
    draw = np.random.default_rng(seed)
    histogram = draw.integers(0, 50, (2, 100)).tolist()
    (found,) = adapted.thresholds(TABLE, {"resnet": [made("resnet", histogram=histogram)]})
    yes, no = (np.array(side) for side in histogram)
    tried = [2 * yes[k:].sum() / (yes[k:].sum() + no[k:].sum() + yes.sum()) for k in range(1, 100)]
    assert found["best_f1"] == pytest.approx(max(tried))
    assert tried[round(100 * found["best"]) - 1] == pytest.approx(max(tried))


def test_what_the_sources_threshold_is_worth_is_counted_over_rows():
    line = {
        "row": "a",
        "half": 0.2,
        "chosen": 0.3,
        "chosen_f1": 0.5,
        "best": 0.1,
        "best_f1": 0.6,
        "floor": 0.1,
        "auc": 0.7,
    }
    said = adapted.travelled([line, {**line, "chosen_f1": 0.1, "chosen": 0.4}])
    assert "in 1 of 2 rows" in said
    assert "from -0.100 to +0.300" in said
    assert "ask for 0.30 to 0.40" in said
    assert "up to 0.400 more" in said
    assert "up to 0.000 more" in adapted.travelled([{**line, "floor": 0.7}])
    assert adapted.travelled([]) == "Not run yet."
    assert "ROC" not in said
    blind = adapted.travelled([line, {**line, "auc": 0.4}])
    assert "1 of 2 rows give landslide no higher probability" in blind


# The rounds.


def test_a_chain_holds_its_ensembles_and_the_members_that_they_name(grown):
    ((name, chain),) = grown([FAIR, GOOD, GOOD], [told(0.9), told(0.9)], seeds=(0, 1)).items()
    assert name == "ResNet and SegFormer, x1"
    for number in range(3):
        names = [one.network for one in chain if one.round == number and one.record.seed == 1]
        assert names == ["Ensemble, x1", "ResNet, x1", "SegFormer, x1"]
    assert len(chain) == 2 * 3 * 3


def test_rounds_of_other_networks_are_another_chain(made, record, tmp_path):
    store = Store(tmp_path / "records", more=())
    teacher = made("resnet-sn-slo")
    later = made("round-1-swin", grown_from=(teacher.name,), pseudo_labels=told(0.9))
    whole = reports.resolve(FINAL, FINAL.row("round-1-two"), **HOW)
    other = record(non_default_fields(whole), FAIR)
    for one in (teacher, later, other, made("resnet")):
        store.add(one)
    found = refined.chains([later, other, made("resnet")], store)
    assert {name: [one.network for one in chain] for name, chain in found.items()} == {
        "ResNet, x1": ["ResNet, x1", "Swin, x2.5"],
        # The teacher alone labels for the one chain, and together with another for this one.
        "ResNet and SegFormer, x1": ["ResNet, x1", "Ensemble, x1"],
    }
    assert refined.chains([made("resnet")], store) == {}


def test_labels_of_a_round_stand_once_beside_the_prediction_they_were_made_of(grown):
    (chain,) = grown([FAIR, GOOD], [told(0.9, 0.3)], seeds=(0, 1)).values()
    before = scores.scores(FAIR)["pooled"]
    sure = np.linspace(0.01, 1, 100) > chain[-1].recipe.confidence + 1e-4  # by the bins' ends
    called = np.sum([np.array(side)[sure] for side in chain[0].record.histogram])
    assert refined.labels(chain) == [
        {
            "round": 1,
            "seed": seed,
            "coverage": 0.5,
            "precision": 0.9,
            "recall": 0.3,
            "missed": 0.7,
            "called": called,
            "before_precision": before["precision"],
            "before_recall": before["recall"],
        }
        for seed in (0, 1)
    ]
    (line,) = refined.labels_table(chain)
    assert (line["precision"], line["recall"], line["seeds"]) == ("90.0%", "30.0%", "2")
    assert line["recall at 0.5 before"] == f"{before['recall']:.1%}"


def test_one_teacher_is_itself_the_prediction_before(made, tmp_path):
    store = Store(tmp_path / "records", more=())
    teacher = made("resnet-sn-slo", GOOD)
    later = made("round-1-swin", grown_from=(teacher.name,), pseudo_labels=told(0.9))
    store.add(teacher)
    (chain,) = refined.chains([later], store).values()
    (line,) = refined.labels(chain)
    assert line["before_precision"] == scores.scores(GOOD)["pooled"]["precision"]
    (alone,) = refined.chains([later], Store(tmp_path / "nothing", more=())).values()
    assert refined.labels(alone)[0]["before_precision"] is None
    assert refined.labels_table(alone)[0]["precision at 0.5 before"] is None
    assert "In round 1 it is not known" in refined.said(alone)


def test_a_round_whose_labels_are_no_better_than_the_prediction_is_named(grown):
    was = scores.scores(FAIR)["pooled"]["precision"]
    (chain,) = grown([FAIR, GOOD, POOR], [told(was), told(0.99)]).values()
    said = refined.said(chain)
    assert "In round 1 the pseudo-labels were no more precise" in said
    assert "In round 2 they were more precise" in said
    first, second = (line for line in said.splitlines() if line.startswith("- Round"))
    assert "Ensemble, x1: F1 +" in first
    assert "at threshold 0.5, a gain; " in first
    assert "at threshold 0.5, a loss; " in second


def test_a_network_that_stands_in_both_rounds_is_followed_where_there_is_no_ensemble(made, tmp_path):
    store = Store(tmp_path / "records", more=())
    teacher = made("resnet-sn-slo", POOR)
    store.add(teacher)
    later = made("round-1-resnet-x1", GOOD, grown_from=(teacher.name,), pseudo_labels=told(0.9))
    (chain,) = refined.chains([later], store).values()
    assert "ResNet, x1: F1 +" in refined.said(chain)
    swin = made("round-1-swin", GOOD, grown_from=(teacher.name,), pseudo_labels=told(0.9))
    (chain,) = refined.chains([swin], store).values()
    assert "No network stands in this round and in the one before." in refined.said(chain)


def test_better_labels_are_something_to_learn(grown):
    (chain,) = grown([FAIR, FAIR], [told(0.99)]).values()
    said = refined.said(chain)
    rise = 0.99 - scores.scores(FAIR)["pooled"]["precision"]
    assert "In round 1 they were more precise than the prediction" in said
    assert f"by {rise:.3f} at least" in said
    assert "no more precise" not in said
    assert "not told apart from none; " in said


def test_an_ensemble_is_set_against_its_own_members(grown):
    (chain,) = grown([GOOD, POOR], [told(0.9)]).values()
    f1 = {id(counts): scores.scores(counts)["pooled"]["f1"] for counts in (GOOD, POOR, FAIR)}
    middle = (f1[id(POOR)] + f1[id(FAIR)]) / 2
    said = refined.ensembles(chain)
    assert "In 1 of 2 cases" in said
    assert f"from {f1[id(POOR)] - middle:+.3f} to {f1[id(GOOD)] - middle:+.3f}" in said
    assert refined.ensembles([]) == "No ensemble has been run yet."


def test_no_round_is_no_round():
    assert refined.said([]) == "No round has been run yet."
    assert refined.labels([]) == []
