"""Splits: disjoint, whole scenes on one side, the same every time."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data.registry import Packed
from landslide_lib.data.split import Split, split


def packed(positive, groups=None, regions=None, parts=None) -> Packed:
    """A dataset of images of 2 pixels, with a landslide or not."""
    count = len(positive)
    masks = np.zeros((count, 1, 2), np.uint8)
    masks[:, 0, 0] = positive
    names = tuple(f"i{i}" for i in range(count))
    return Packed(
        "made",
        np.zeros((count, 1, 1, 2), np.float16),
        masks,
        ("B",),
        names,
        tuple(groups or names),
        tuple(parts or ["train"] * count),
        tuple(regions or [""] * count),
        "0" * 16,
        (),
    )


def scenes(count=40, size=5, seed=0) -> Packed:
    """Scenes of some neighbouring images, in four regions, a third with a landslide."""
    draw = np.random.default_rng(seed)
    return packed(
        draw.random(count * size) < 1 / 3,
        [f"scene{i // size}" for i in range(count * size)],
        [f"region{i // size % 4}" for i in range(count * size)],
    )


METHODS = ["blocked", "region", "random", "contiguous"]


@settings(max_examples=60, deadline=None)
@given(
    positive=st.lists(st.booleans(), min_size=1, max_size=60),
    scene=st.integers(1, 6),
    method=st.sampled_from(METHODS),
    folds=st.integers(2, 6),
    validation=st.sampled_from([0.05, 0.1, 0.3, 0.5]),
    subset=st.none() | st.integers(2, 60),
    data=st.data(),
)
def test_a_split_is_whole_and_disjoint_or_refused(positive, scene, method, folds, validation, subset, data):
    count = len(positive)
    made = packed(positive, [f"s{i // scene}" for i in range(count)], [f"r{i // scene % 5}" for i in range(count)])
    fold = data.draw(st.integers(0, folds - 1))
    how = Split(method=method, folds=folds, fold=fold, validation=validation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of classes with few members
        try:
            parts = split(made, how, subset)
        except ValueError as error:
            assert str(error).startswith(f"split.method = {method!r}: made has ")  # noqa: PT017
            return
    assert list(parts) == ["train", "valid", "test"]
    together = np.concatenate(list(parts.values()))
    assert len(set(together.tolist())) == len(together) == min(subset or count, count)
    assert all(len(part) and (np.diff(part) > 0).all() for part in parts.values())
    names = {"blocked": made.groups, "region": made.regions}.get(method)
    if names:
        sides = [{names[i] for i in part} for part in parts.values()]
        assert sum(map(len, sides)) == len(set.union(*sides))


@pytest.mark.parametrize("method", ["blocked", "random", "contiguous"])
def test_every_image_is_tested_once_over_the_folds(method):
    made = scenes()
    tests = [split(made, Split(method=method, fold=fold))["test"] for fold in range(5)]
    assert sorted(np.concatenate(tests)) == list(range(len(made)))


@pytest.mark.parametrize("method", METHODS)
def test_the_same_split_comes_again_and_another_seed_gives_another(method):
    made = scenes()
    how = Split(method=method, folds=3)
    first, again = split(made, how), split(made, how)
    for part in first:
        np.testing.assert_array_equal(first[part], again[part])
    other = split(made, how.model_copy(update={"seed": 1}))
    changed = any(not np.array_equal(first[part], other[part]) for part in first)
    assert changed == (method != "contiguous") or method == "region"


@pytest.mark.parametrize("method", ["blocked", "random"])
def test_shares_are_those_asked_for_and_landslides_are_spread_evenly(method):
    made = packed(np.arange(1000) % 10 == 0)
    parts = split(made, Split(method=method, folds=5, validation=0.1))
    assert {name: len(part) for name, part in parts.items()} == pytest.approx(
        {"train": 720, "valid": 80, "test": 200}, abs=3
    )
    for part in parts.values():
        assert made.positive[part].mean() == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize("method", METHODS)
def test_where_the_test_fold_is_validated_all_other_images_are_trained_on(method):
    made, folds = scenes(), 3
    for fold in range(folds):
        held = split(made, Split(method=method, folds=folds, fold=fold))
        parts = split(made, Split(method=method, folds=folds, fold=fold, test="validated"))
        assert parts["test"].tolist() == parts["valid"].tolist() == held["test"].tolist()
        assert np.union1d(parts["train"], parts["test"]).tolist() == list(range(len(made)))
        assert not np.intersect1d(parts["train"], parts["test"]).size


def test_contiguous_tests_on_a_run_of_neighbours():
    for fold, first in enumerate((80, 60, 40, 20, 0)):  # the first fold is the last fifth
        parts = split(packed([0, 1] * 50), Split(method="contiguous", folds=5, fold=fold))
        assert parts["test"].tolist() == list(range(first, first + 20))
        assert (np.diff(parts["valid"]) == 1).all()


def test_contiguous_cuts_where_the_report_s_code_does():
    sizes = [
        len(split(packed([0, 1] * 1899 + [1]), Split(method="contiguous", fold=fold))["test"]) for fold in range(5)
    ]
    assert sizes == [760] * 4 + [759]  # int(0.8 * 3799) is 3039, of which its log says that they are trained on


def test_random_puts_scenes_on_both_sides_which_blocked_is_there_to_prevent():
    made = scenes()
    parts = split(made, Split(method="random"))
    assert {made.groups[i] for i in parts["train"]} & {made.groups[i] for i in parts["test"]}


def test_only_the_publishers_training_part_is_split():
    made = packed([0, 1] * 50, parts=["train"] * 60 + ["valid"] * 20 + ["test, no masks"] * 20)
    assert np.concatenate(list(split(made, Split()).values())).max() == 59


def test_all_parts_of_a_dataset_with_boxes_are_split():
    made = packed([0] * 100, parts=["train"] * 60 + ["valid"] * 20 + ["test"] * 20)
    boxes = replace(made, name="voc")
    for method in ("blocked", "random", "contiguous"):
        parts = split(boxes, Split(method=method))
        assert sorted(np.concatenate(list(parts.values()))) == list(range(100))
        assert {name: len(part) for name, part in parts.items()} == pytest.approx(
            {"train": 72, "valid": 8, "test": 20}, abs=2
        )


def shipped(train, valid, test) -> Packed:
    """A dataset with the publisher's parts, in the wrong order."""
    parts = ["test"] * test + ["train"] * train + ["valid"] * valid + ["test, no masks"] * 3
    return packed([0, 1] * (len(parts) // 2) + [0] * (len(parts) % 2), parts=parts)


def test_published_takes_the_parts_with_truth_as_they_are():
    made = shipped(14, 3, 4)
    for fold in range(5):
        parts = split(made, Split(method="published", fold=fold))
        assert {name: part.tolist() for name, part in parts.items()} == {
            "train": list(range(4, 18)),
            "valid": [18, 19, 20],
            "test": [0, 1, 2, 3],
        }


@given(*[st.integers(1, 60)] * 3, st.integers(3, 200), st.integers(0, 3))
def test_a_subset_of_published_parts_is_in_proportion(train, valid, test, subset, seed):
    made = shipped(train, valid, test)
    total = train + valid + test
    how = Split(method="published", seed=seed)
    whole, parts = split(made, how), split(made, how, subset)
    assert sum(map(len, parts.values())) == min(subset, total)
    for name, part in parts.items():
        assert len(part) >= 1
        assert set(part.tolist()) <= set(whole[name].tolist())
        assert (np.diff(part) > 0).all()
        assert abs(len(part) - min(subset, total) * len(whole[name]) / total) < 2
        np.testing.assert_array_equal(part, split(made, how, subset)[name])


def test_another_seed_draws_another_subset_of_published_parts():
    made = shipped(50, 20, 20)
    first, other = (split(made, Split(method="published", seed=seed), 45) for seed in (0, 1))
    assert set(first["train"]) != set(other["train"])


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (["train"] * 9, "no valid and no test part with truth, only: train;"),
        (["train"] * 5 + ["valid"] * 4, "no test part with truth, only: train, valid;"),
        (["train"] * 5 + ["valid"] * 2 + ["test, no masks"] * 2, "no test part with truth"),
        (["valid"] * 5 + ["test"] * 4, "no train part with truth"),
    ],
)
def test_published_is_refused_where_a_part_has_no_truth(parts, problem):
    with pytest.raises(ValueError, match=rf"'published': made has {problem}"):
        split(packed([0] * 9, parts=parts), Split(method="published"))


def test_a_subset_smaller_than_the_published_parts_is_refused():
    with pytest.raises(ValueError, match=r"subset = 2: .* needs an image of each"):
        split(shipped(9, 3, 3), Split(method="published"), 2)


def test_a_subset_is_drawn_before_the_split_and_is_the_same_every_time():
    made = scenes()
    first = np.concatenate(list(split(made, Split(), 60).values()))
    again = np.concatenate(list(split(made, Split(), 60).values()))
    assert len(first) == 60
    np.testing.assert_array_equal(first, again)
    other = np.concatenate(list(split(made, Split(seed=1), 60).values()))
    assert set(first) != set(other)


def test_a_subset_larger_than_the_dataset_is_the_dataset():
    made = scenes()
    assert sum(map(len, split(made, Split(), 10_000).values())) == len(made)


@pytest.mark.parametrize(
    ("made", "method"),
    [
        (packed([0, 1] * 2), "random"),
        (packed([0, 1] * 20, ["one"] * 40), "blocked"),
        (packed([0, 1] * 20), "region"),
        (packed([0, 1] * 20, regions=["a", "b", "c", "d"] * 10), "region"),
    ],
)
def test_too_few_groups_are_refused_with_how_many_there_are(made, method):
    with pytest.raises(ValueError, match=f"'{method}': made has .*[14] groups of .* fewer folds"):
        split(made, Split(method=method, folds=5))


@pytest.mark.parametrize(
    ("positive", "negative", "why"),
    [
        (10, 10, "too few for 5 folds and 10 of the rest"),
        (6, 6, "too few for 5 folds and 9 of the rest"),
        (0, 5, "too few for 5 folds"),
        (2, 2, "too few for 5 folds"),
    ],
)
def test_too_few_images_are_refused_with_the_reason(positive, negative, why):
    with pytest.raises(ValueError, match=f"made has .* {positive + negative} images.*{why}"):
        split(packed([1] * positive + [0] * negative), Split())


def test_a_subset_that_is_too_small_is_named():
    with pytest.raises(ValueError, match=r"has 4 groups.*Take more images, a larger subset"):
        split(packed([0, 1] * 100), Split(), 4)


@pytest.mark.parametrize("method", ["blocked", "random", "region"])
def test_images_that_are_the_same_are_on_one_side(method):
    made = scenes()
    pairs = [(f"i{i}", f"i{i + 75}") for i in range(0, 60, 5)]
    whole = split(made, Split(method=method, folds=3))
    side = {f"i{i}": part for part, some in whole.items() for i in some}
    assert any(side[one] != side[other] for one, other in pairs)
    if method == "region":  # two regions become one, so that three are left
        pairs = pairs[:1]
    doubled = replace(made, copies=tuple(pairs))
    parts = split(doubled, Split(method=method, folds=2))
    side = {f"i{i}": part for part, some in parts.items() for i in some}
    assert len(side) == len(made)
    assert all(side[one] == side[other] for one, other in pairs)


def test_without_copies_a_split_is_what_it_was():
    made = scenes()
    names = {part: some.tolist() for part, some in split(made, Split()).items()}
    one_scene = replace(made, copies=(("i0", "i1"),))
    assert {part: some.tolist() for part, some in split(one_scene, Split()).items()} == names


def test_a_publishers_split_that_leaks_says_so(capsys):
    made = shipped(4, 2, 2)  # i0 and i1 are test, i2 to i5 train, i6 and i7 valid
    for copies, said in [
        (
            (("i0", "i2"), ("i3", "i4")),
            "made: 1 set of images that are the same, byte for byte "
            "(i0 = i2), in more than one part of this split, so that its scores are too good\n",
        ),
        ((("i3", "i4"),), ""),
    ]:
        split(replace(made, copies=copies), Split(method="published"))
        assert capsys.readouterr().err == said


def test_a_dataset_without_masks_is_refused_with_what_it_has():
    with pytest.raises(ValueError, match=r"made has no image with a mask .*: test, no masks"):
        split(packed([0] * 9, parts=["test, no masks"] * 9), Split())


def test_no_warning_is_raised_by_an_ordinary_split():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in METHODS:
            split(scenes(), Split(method=method, folds=3))


def test_the_real_bijie_split_is_balanced(real, tmp_path):
    """/work/shared/data/README.md: 770 of 2,773 images have a landslide."""
    if not (real / "bijie").is_dir():
        pytest.skip(f"no bijie/ below {real}")
    parts = split(packed([1] * 770 + [0] * 2003), Split())
    made = packed([1] * 770 + [0] * 2003)
    for part in parts.values():
        assert made.positive[part].mean() == pytest.approx(770 / 2773, abs=0.01)
