"""Folds put together, what they cut, and the figures of chapters 18 and 19."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from landslide_lib.data.pack import resize
from landslide_lib.metrics import intervals, scores
from landslide_lib.metrics.scores import at_threshold
from landslide_lib.study import folds, reports
from landslide_lib.study.plots import folds as plots_folds
from landslide_lib.study.plots import post as plots_post
from landslide_lib.training.postprocessing import morphology


def split(record, way, counts, seeds=(0,)):
    """Two folds over two scenes of 2 x 2 tiles; `way` says which fold tests a tile."""
    ids = [f"hills/{scene}/{row}/{column}" for scene in (0, 1) for row in (0, 1) for column in (0, 1)]
    made = []
    for fold in (0, 1):
        mine = [name for k, name in enumerate(ids) if way(k) == fold]
        made.append(
            [
                record(
                    {"dataset": "synthetic"},
                    [counts[name] for name in mine],
                    seed=seed,
                    test_ids=mine,
                    test_groups=[name[:7] for name in mine],
                )
                for seed in seeds
            ]
        )
    return made


@pytest.fixture
def counts():
    draw = np.random.default_rng(0)
    return {
        f"hills/{scene}/{row}/{column}": draw.integers(1, 9, 4).tolist()
        for scene in (0, 1)
        for row in (0, 1)
        for column in (0, 1)
    }


def test_all_folds_together_hold_every_image_once_in_the_order_of_their_ids(record, counts):
    for way in (lambda k: k // 4, lambda k: k % 2):
        joined = folds.whole(split(record, way, counts, seeds=(0, 1)))
        assert joined.ids == sorted(counts)
        assert joined.groups == [name[:7] for name in sorted(counts)]
        assert joined.counts[1].tolist() == [counts[name] for name in sorted(counts)]


def test_without_a_fold_or_a_common_seed_there_is_no_whole(record, counts):
    assert folds.whole([]) is None
    first, second = split(record, lambda k: k % 2, counts)
    assert folds.whole([first, []]) is None
    other = split(record, lambda k: k % 2, counts, seeds=(1,))[1]
    assert folds.whole([first, other]) is None
    assert folds.paired([first, other], [first, second]) is None


def test_folds_that_test_one_image_twice_are_refused_by_its_name(record, counts):
    first, _ = split(record, lambda k: k % 2, counts)
    with pytest.raises(ValueError, match="image hills/0/0/0 is tested in two of them"):
        folds.whole([first, first])


def test_the_same_networks_cut_otherwise_do_not_differ(record, counts):
    blocked = split(record, lambda k: k // 4, counts)
    mixed = split(record, lambda k: k % 2, counts)
    found = folds.paired(mixed, blocked)
    assert found["difference"] == found["seeds"] == 0
    assert found["reason"] == "too few scenes"  # of which there are two


def test_paired_folds_are_the_paired_bootstrap_over_all_images(record, counts):
    better = {name: [tp + 3, fp, fn, tn] for name, (tp, fp, fn, tn) in counts.items()}
    found = folds.paired(split(record, lambda k: k % 2, better), split(record, lambda k: k // 4, counts))
    names = sorted(counts)
    wanted = intervals.paired_bootstrap(
        [[better[n] for n in names]], [[counts[n] for n in names]], [n[:7] for n in names]
    )
    assert found == wanted


def test_other_images_cannot_be_compared(record, counts):
    half = split(record, lambda k: k % 2, counts)
    assert folds.paired(half[:1], half[1:]) is None


def test_only_seeds_that_every_fold_has_stand_on_a_side(record, counts):
    first, second = split(record, lambda k: k % 2, counts, seeds=(0, 1))
    runs = {"a": first, "b": second[1:]}
    assert [[one.seed for one in fold] for fold in folds.side(runs, ["a", "b"])] == [[1], [1]]
    assert folds.side(runs, ["a", "c"]) == []


def test_neighbours_are_those_of_one_scene_side_by_side(record, counts):
    where = folds.places([*counts, "elsewhere"])
    blocked = folds.fold_of(split(record, lambda k: k // 4, counts))
    assert set(blocked.values()) == {1, 2}
    assert folds.neighbours(blocked, where) == {"pairs": 8, "cut": 0, "images": 8, "leaking": 0}
    columns = folds.fold_of(split(record, lambda k: k % 2, counts))
    assert folds.neighbours(columns, where) == {"pairs": 8, "cut": 4, "images": 8, "leaking": 8}


def test_numbers_are_places_only_where_the_length_of_a_row_is_known():
    names = [f"train/{number}" for number in range(1, 10)]
    assert folds.places(names) == {}
    of = {name: 1 if number < 6 else 2 for number, name in enumerate(names, 1)}
    # Three rows of three: the fold ends inside the second one.
    found = folds.neighbours(of, folds.places(names, row=3))
    assert found == {"pairs": 12, "cut": 4, "images": 9, "leaking": 6}


def test_the_map_of_tiles_draws_the_fold_of_each(record, counts):
    where = folds.places(list(counts))
    ways = {
        "random": folds.fold_of(split(record, lambda k: k % 2, counts)),
        "blocked": folds.fold_of(split(record, lambda k: k // 4, counts)),
    }
    picture = plots_folds.tiles(ways, where)
    assert len(picture.data) == 16
    told = picture.data.set_index(["way", "scene", "row", "column"])["fold"]
    assert told["blocked", "hills/1", 0, 0] == 2
    texts = [text.get_text() for text in picture.figure.axes[2].texts]
    assert texts == ["1", "2", "1", "2"]


def test_a_large_scene_is_drawn_from_where_a_fold_ends():
    names = [f"train/{number}" for number in range(1, 401)]
    of = {name: 1 if number <= 300 else 2 for number, name in enumerate(names, 1)}
    picture = plots_folds.tiles({"contiguous": of}, folds.places(names, row=20))
    texts = {text.get_text() for text in picture.figure.axes[1].texts}
    assert texts == {"1", "2"}


def test_figures_carry_their_numbers():
    ways = {"random": [0.8, 0.9], "blocked": [0.7, 0.75]}
    assert plots_folds.dots(ways, title="F1").data["landslide_f1"].tolist() == [0.8, 0.9, 0.7, 0.75]
    sides = {"reported": {"21": [1.0, 2.0], "23": [3.0, None]}}
    drawn = plots_folds.pairs(sides, names=("21", "23"), title="F1").data
    assert drawn["f1"].tolist()[:3] == [1, 2, 3]
    assert np.isnan(drawn["f1"].iloc[3])


MASKS = hnp.arrays(np.uint8, (9, 9), elements=st.integers(0, 1))


@given(MASKS, st.sampled_from(["opening", "closing"]), st.sampled_from([3, 5]))
def test_the_chapters_morphology_is_that_of_the_study(mask, name, kernel):
    wanted = morphology(torch.from_numpy(mask.astype(np.float32))[None, None], name, kernel)
    assert (plots_post.morphology(mask, name, kernel) == wanted[0, 0].numpy()).all()


@given(MASKS)
def test_a_landslide_is_gone_exactly_when_no_pixel_of_it_is_left(mask):
    found = plots_post.deleted([mask], 3)
    assert found["area"].sum() == mask.sum()
    # Of what goes nothing is left, so the rest holds all that an opening leaves.
    left = int(plots_post.morphology(mask, "opening", 3).sum())
    assert left <= found.loc[~found["gone"].astype(bool), "area"].sum()
    assert (found.loc[found["area"] < 9, "gone"]).all()


def test_landslides_are_sorted_into_classes_of_area_by_their_upper_ends():
    found = pd.DataFrame({"area": [1, 4, 5, 64, 65], "gone": [True, True, False, False, False]})
    table = plots_post.by_area(found).set_index("pixels")
    assert table["landslides"].to_dict()["1 to 4"] == 2
    assert table["landslides"].to_dict()["33 to 64"] == table["landslides"].to_dict()["over 64"] == 1
    assert table["share"]["1 to 4"] == 1
    assert np.isnan(table["share"]["10 to 16"])
    picture = plots_post.deletions({"64 px": found}, 3)
    assert picture.data["gone"].sum() == 2


def test_masks_are_shrunk_as_a_dataset_is_packed():
    mask = np.random.default_rng(0).integers(0, 2, (16, 16), np.uint8)
    packed = resize(np.zeros((16, 16, 1), np.float32), mask, 8)[1]
    assert (plots_post.shrunk(mask, 8) == packed).all()


def test_specks_turn_about_the_share_that_is_asked_for():
    mask = np.zeros((100, 100), np.uint8)
    assert plots_post.speckled(mask, 0.0).sum() == 0
    assert 100 < plots_post.speckled(mask, 0.02).sum() < 300
    assert (plots_post.speckled(mask, 1.0) == 1).all()


def test_a_square_as_large_as_the_kernel_is_left_as_it_is():
    mask = np.zeros((9, 9), np.uint8)
    mask[2:7, 2:7] = 1
    table = plots_post.perfect({"9 px": [mask]}, (5, 7)).set_index(["step", "kernel"])["f1"]
    assert table["opening", 5] == 1
    assert table["opening", 7] == 0
    assert plots_post.kernels(table.reset_index().assign(size="9 px")).data["f1"].max() == 1


def histogram(landslide, background):
    return [[side.get(k, 0) for k in range(100)] for side in (landslide, background)]


def test_the_gain_is_what_the_best_threshold_adds_to_that_of_validation(record):
    told = histogram({20: 2, 60: 3, 97: 3}, {5: 20, 70: 2})
    chosen = {"threshold": 0.9, "metrics": at_threshold(*told, threshold=0.9)}
    found = plots_post.gains([record(histogram=told, test_tuned=chosen)]).iloc[0]
    best = scores.best_threshold(*told)
    assert found["scored"] == best
    assert found["gain"] == pytest.approx(
        at_threshold(*told, threshold=best)["pooled"]["f1"] - chosen["metrics"]["pooled"]["f1"]
    )
    assert plots_post.gains([]).empty


def test_the_curve_marks_both_choices_and_the_reports(record):
    table = reports.table("raunet/post-processing")
    told = histogram({20: 2, 60: 3, 97: 3}, {5: 20, 70: 2})
    picture = plots_post.choices(table, [record(histogram=told)])
    of = picture.data.groupby("of").size()
    assert of["seed 0, validation's choice"] == of["seed 0, best on the scored images"] == 1
    printed = picture.data[picture.data["of"] == "reported"].set_index("threshold")["f1"]
    assert printed[0.95] == table.row("threshold-0.95").reported["f1"]
