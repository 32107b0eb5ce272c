"""Source and target: what is trained on, what is scored on, and what each is normalised by."""

import dataclasses

import numpy as np
import pytest
import torch

from landslide_lib.data import prepare
from landslide_lib.data.registry import get_dataset, load_packed
from landslide_lib.study import domains
from landslide_lib.study.recipe import RecipeError, recipe
from landslide_lib.study.recipe.adaptation import Adaptation, Target

BASE = {"task": "adaptation", "dataset": "bijie", "target": {"dataset": "uav"}}
LITE = {"model": "efficientnet_lite", "start": {"name": "imagenet"}}


def adapted(**change):
    """A recipe, whatever the dataset of the packed images."""
    return recipe(BASE, change)


@pytest.fixture
def two(packed):
    """The source with twelve other images, half as bright, as its target."""
    some = slice(0, 12)
    target = dataclasses.replace(
        packed,
        name="others",
        images=(packed.images[some] / 2).astype(np.float16),
        masks=packed.masks[some],
        ids=packed.ids[some],
        groups=packed.groups[some],
        parts=("train",) * 12,
        regions=("",) * 12,
    )
    return dataclasses.replace(packed, target=target)


def test_all_of_the_source_is_learnt_from_or_validated_on_and_all_of_the_target_scored(two):
    found = domains.parts(two, adapted())
    assert sorted([*found["train"], *found["valid"]]) == list(range(len(two)))
    assert found["test"].tolist() == list(range(12))


def test_a_region_that_is_the_target_is_no_part_of_the_source(packed):
    own = dataclasses.replace(packed, target=packed)
    found = domains.parts(own, adapted(target={"dataset": "", "region": "north"}))
    regions = np.array(packed.regions)
    assert set(regions[found["test"]]) == {"north"}
    assert set(regions[[*found["train"], *found["valid"]]]) == {"south"}
    assert len(found["test"]) == (regions == "north").sum()


def test_a_part_that_is_the_target_is_no_part_of_the_source(packed):
    parts = ("train",) * 30 + ("valid",) * 10
    named = dataclasses.replace(packed, parts=parts)
    own = dataclasses.replace(named, target=named)
    found = domains.parts(own, adapted(target={"dataset": "", "part": "valid"}))
    assert found["test"].tolist() == list(range(30, 40))
    assert max(*found["train"], *found["valid"]) < 30


def test_no_place_of_a_degraded_target_is_among_the_images_that_are_learnt_from(packed):
    """Nor is a copy of one, byte for byte; the rest is all learnt from."""
    where = np.arange(0, len(packed), 5)
    again = dataclasses.replace(
        packed,
        name="bijie-degraded",
        **{name: tuple(getattr(packed, name)[i] for i in where) for name in ("ids", "groups", "parts", "regions")},
        images=packed.images[where],
        masks=packed.masks[where],
    )
    copies = ((packed.ids[5], packed.ids[7]), (packed.ids[1], packed.ids[2]))
    source = dataclasses.replace(packed, name="bijie", copies=copies, target=again)
    found = domains.parts(source, adapted(target={"dataset": "bijie-degraded"}))
    assert found["test"].tolist() == list(range(len(where)))
    learnt = {*found["train"].tolist(), *found["valid"].tolist()}
    assert learnt == set(range(len(packed))) - {*where.tolist(), 7}
    with pytest.raises(ValueError, match=r"target: bijie-degraded shows the very places of bijie"):
        domains.parts(dataclasses.replace(source, ids=tuple(map(str, range(len(packed)))), copies=()), adapted())


def test_a_subset_is_drawn_from_either_domain(two):
    found = domains.parts(two, adapted(subset=30))
    assert len(found["train"]) + len(found["valid"]) == 30
    assert len(found["test"]) == 12
    larger = dataclasses.replace(two, target=dataclasses.replace(two, name="others", target=None))
    drawn = domains.parts(larger, adapted(subset=30))["test"]
    assert len(set(drawn)) == 30 < len(larger.target)


@pytest.mark.parametrize(
    ("how", "said"),
    [({"region": "mars"}, "region 'mars', only: north, south"), ({"part": "test"}, "part 'test', only: train")],
)
def test_a_target_that_is_not_there_is_refused_with_what_is(packed, how, said):
    own = dataclasses.replace(packed, target=packed)
    with pytest.raises(ValueError, match=said):
        domains.parts(own, adapted(target={"dataset": "", **how}))


def test_moments_are_those_of_numpy(two):
    chosen = np.array([1, 4, 7])
    mean, spread = prepare.moments(two, chosen)
    pixels = two.images[chosen].astype(np.float64)
    np.testing.assert_allclose(mean[:, 0, 0], pixels.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(spread[:, 0, 0], pixels.std((0, 2, 3)), rtol=1e-5)
    (blue,), _ = prepare.moments(two, chosen, ("B",))
    assert torch.equal(blue, mean[2])


def test_a_band_that_never_differs_is_not_divided_by_nothing(packed):
    flat = dataclasses.replace(packed, images=np.full_like(packed.images, 0.5))
    mean, spread = prepare.moments(flat, np.arange(10))
    assert mean.flatten().tolist() == [0.5] * 3
    assert spread.flatten().tolist() == [1.0] * 3


# --- which copy of the data is here ------------------------------------------------------------


def test_the_fingerprint_of_the_data_is_that_of_its_packed_copy_or_else_of_its_files(tiny_bijie, cache, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_CACHE", str(cache))
    wanted, bijie = recipe({"task": "segmentation", "dataset": "bijie"}), get_dataset("bijie")

    def here():
        return domains.configured_data(tiny_bijie)(wanted)

    assert domains.configured_data(tiny_bijie / "elsewhere")(wanted) == []
    every = bijie.fingerprint(bijie.samples(tiny_bijie))
    assert here() == [every]
    (tiny_bijie / "bijie" / "landslide" / "image" / "ls_0.png").write_bytes(b"")
    assert here() != [every]
    rest = [load_packed(bijie, size, root=tiny_bijie, skip_bad=True).fingerprint for size in (16, 32)]
    monkeypatch.setattr(type(bijie), "fingerprint", None)  # no file is read again
    assert here() == rest[:1] == rest[1:]
    (about,) = cache.glob("bijie-16px-*/about.json")
    about.write_text("")
    assert here() == rest[:1]


# --- recipes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": {"dataset": "bijie"}}, "it is the source itself, bijie"),
        ({"target": {"dataset": "landslide4sense"}}, "name bands that both have"),
        ({"dataset": "voc", "target": {"dataset": "uav"}}, "has boxes, which suit no adaptation"),
        ({"rounds": [{"models": []}]}, "rounds[0].models = []: Tuple should have at least 1 item"),
        ({"rounds": [{"models": ["swin", "swin"]}]}, "names swin twice"),
        ({"ensemble": ["swin", "swin"]}, "ensemble names swin twice"),
        (
            {"loss": [{"name": "boundary"}], "rounds": [{"models": ["swin"]}]},
            "boundary measures distances in a whole mask",
        ),
        ({"confidence": 0}, "greater than 0"),
        ({"loss": []}, "loss = []: Tuple should have at least 1 item"),
        ({"scale": 1.3, "image_size": 32}, "images would have 41.6 pixels"),
        ({"image_size": 16}, "images would have 16 pixels"),
        ({"rounds": [{"models": ["swin"], "scale": 2.2}]}, "images would have 281.6 pixels"),
        ({"start": {"name": "imagenet"}, "model": "segformer"}, "start: timm has no ImageNet weights of mit_b2"),
        ({"start": {"name": "imagenet"}, "model": "swin", "size": "small"}, "no ImageNet weights of swin_narrow"),
        ({**LITE, "rounds": [{"models": ["efficientnet_lite", "segformer"]}]}, "no ImageNet weights of mit_b2"),
        ({"pseudo_labels": False}, "a control trains as long as rounds; name those"),
        ({"batch": 1}, "one image has no batch statistics"),
        ({"target": {"dataset": "mars"}}, "target.dataset = 'mars'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(change, said):
    with pytest.raises(RecipeError) as told:
        adapted(**change)
    assert said in str(told.value)


def test_bands_that_both_domains_have_join_them():
    made = recipe(BASE, {"dataset": "landslide4sense", "bands": ["R", "G", "B"]})
    assert (made.channels, made.target) == (3, Target(dataset="uav"))


def test_a_round_is_labelled_by_the_networks_of_the_round_before():
    first, second = ({"models": ["resnet"], "scale": 1.0}, {"models": ["swin", "resnet"], "scale": 2.5})
    made = adapted(model="segformer", scale=4.0, rounds=[first, second])
    teachers = made.depends_on
    assert [(one.model, one.scale, len(one.rounds)) for one in teachers] == [("swin", 2.5, 1), ("resnet", 2.5, 1)]
    (of_the_first,) = {one.depends_on for one in teachers}
    assert [(one.model, one.scale, one.rounds) for one in of_the_first] == [("resnet", 1.0, ())]
    # Whoever runs the first round alone finds the same record.
    assert of_the_first[0].hash == adapted().hash
    assert len(made.ancestors) == 3
    assert {"adapted/segformer", "adapted/swin", "adapted/resnet"} <= made.components.keys()


def test_an_ensemble_is_of_its_members_and_its_own_model_does_not_count():
    both = adapted(ensemble=["resnet", "swin"])
    assert [one.model for one in both.depends_on] == ["resnet", "swin"]
    assert not both.trains
    assert both.hash == adapted(ensemble=["resnet", "swin"], model="swin").hash
    assert adapted(confidence=0.9).hash == adapted().hash
    rounds = [{"models": ["resnet"]}]
    assert adapted(confidence=0.9, rounds=rounds).hash != adapted(rounds=rounds).hash
    assert isinstance(both, Adaptation)


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_imagenets_weights_of_the_reports_encoders_are_on_a_hub(size):
    made = adapted(model="hrnet_ocr", size=size, start={"name": "imagenet"}, rounds=[{"models": ["resnet"]}])
    assert made.needs_download
    assert all(one.weights == "imagenet" and one.needs_download for one in made.depends_on)
    assert not adapted(**LITE, size=size, norms="cross_sensor").needs_download


def test_a_teacher_has_the_start_of_its_pupil_and_a_control_has_no_teacher():
    rounds = [{"models": ["efficientnet_lite"]}]
    made = adapted(**LITE, rounds=rounds)
    (teacher,) = made.depends_on
    assert (teacher.hash, teacher.weights) == (adapted(**LITE).hash, "imagenet")
    assert not made.needs_download
    assert made.components["start/imagenet"] == 2
    control = adapted(**LITE, rounds=rounds, pseudo_labels=False)
    assert control.depends_on == ()
    assert len({made.hash, control.hash, teacher.hash, adapted(model="efficientnet_lite").hash}) == 4
    assert control.hash == adapted(**LITE, rounds=rounds, pseudo_labels=False, confidence=0.9).hash
