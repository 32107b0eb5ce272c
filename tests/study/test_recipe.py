"""A recipe is refused with a message one can act on, and its hash outlives the code."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from landslide_lib.data.bands import LABELS, OF_DATASET, UNLABELLED, possible
from landslide_lib.data.split import Split
from landslide_lib.fields import REVISIONS, Part, field
from landslide_lib.paths import PUBLISHED
from landslide_lib.study.recipe import (
    BUDGETS,
    PROFILES,
    Adaptation,
    AnyRecipe,
    Classification,
    Detection,
    RecipeError,
    Segmentation,
    merge,
    non_default_fields,
    parts,
    profile,
    profile_of,
    recipe,
)
from landslide_lib.study.records import read

BASE = {"dataset": "bijie"}
LOSSES = parts.TERMS

# --- what is refused, and what the message says ------------------------------------------

REFUSED = [
    # change, and what the message has to name: the key, the value, what is allowed
    ({"epoch": 5}, "epoch = 5: unknown key; allowed: " + ", ".join(sorted(Segmentation.model_fields))),
    ({"focal": {"gamma": 2}}, "focal = {'gamma': 2}: unknown key; allowed: augmentation, bands"),
    ({"dataset": 5}, "dataset = 5: input should be 'synthetic', 'bijie', 'landslide4sense'"),
    ({"task": "regression"}, "task = {'dataset': 'bijie', 'task': 'regression'}: input tag 'regression'"),
    ({"model": "unett"}, "model = 'unett': input should be"),
    ({"epochs": 0}, "epochs = 0: input should be greater than or equal to 1"),
    ({"epochs": "5"}, "epochs = '5': input should be a valid integer"),
    ({"epochs": 5.0}, "epochs = 5.0: input should be a valid integer"),
    ({"epochs": True}, "epochs = True: input should be a valid integer"),
    ({"batch": 10**30}, f"batch = {10**30}: input should be less than or equal to"),
    ({"width": None}, "width = None: input should be a valid integer"),
    ({"image_size": 100}, "image_size = 100: input should be a multiple of 16"),
    ({"image_size": 2048}, "image_size = 2048: input should be less than or equal to 1024"),
    ({"subset": 3}, "subset = 3: input should be greater than or equal to 20"),
    ({"precision": 16}, "precision = 16: input should be '32-true' or 'bf16-mixed'"),
    ({"bands": "R"}, "bands = 'R': input should be a valid array"),
    ({"bands": ["R", 3]}, "bands[1] = 3: input should be a valid string"),
    ({"bands": ["R", "G", "R"]}, "bands names R twice"),
    ({"bands": ["R", "B8"]}, "bands: bijie has no B8; allowed: R, G, B, R_local"),
    ({"bands": ["NDVI"]}, "bands: bijie has no NDVI (made of B8 and B4); allowed: R, G, B, R_l"),
    ({"dataset": "synthetic", "bands": ["ndvi"]}, "bands: synthetic has no ndvi; allowed: B1, B2"),
    ({"augmentation": ["flip"]}, "augmentation[0] = 'flip': input should be 'rotation', 'flips', 'zoom', 'cutmix', "),
    ({"augmentation": ["cutmix"] * 2}, "augmentation names cutmix twice"),
    ({"split": "random"}, "split = 'random': input should be an object"),
    ({"split": {"fol": 1}}, "split.fol = 1: unknown key"),
    ({"split": {"method": "stratified"}}, "split.method = 'stratified': input should be 'blocked'"),
    ({"split": {"folds": 1}}, "split.folds = 1: input should be greater than or equal to 2"),
    ({"split": {"fold": 7}}, "split: fold 7 of 5: folds count from 0"),
    ({"split": {"validation": 0}}, "split.validation = 0: input should be greater than 0"),
    ({"split": {"test": "validated", "method": "published"}}, "test: the publisher's parts are held out; take"),
    ({"optimizer": {"name": "lion"}}, "optimizer.name = 'lion': input should be 'sgd'"),
    ({"optimizer": {"lr": 0}}, "optimizer.lr = 0: input should be greater than 0"),
    ({"optimizer": {"lr": "1e-3"}}, "optimizer.lr = '1e-3': input should be a valid number"),
    ({"optimizer": {"lr": float("nan")}}, "optimizer.lr = nan: input should be a finite number"),
    ({"optimizer": {"lr": float("inf")}}, "optimizer.lr = inf: input should be a finite number"),
    ({"optimizer": {"name": "sgd", "nesterov": True}}, "nesterov: it is a way to use momentum, which is 0"),
    ({"optimizer": {"momentum": 0.9}}, "optimizer: momentum: adam takes none; allowed: sgd"),
    ({"optimizer": {"beta": 0.9}}, "optimizer.beta = 0.9: unknown key"),
    ({"optimizer": {"lr": 1e-3, "lr_min": 0.01}}, "optimizer: lr_min: 0.01 is not below lr, 0.001"),
    ({"upsampling": "bilinear"}, "upsampling = 'bilinear': input should be 'transposed' or 'nearest'"),
    ({"loss": []}, "loss = []: tuple should have at least 1 item"),
    ({"loss": "focal"}, "loss = 'focal': input should be a valid array"),
    ({"loss": ["focal"]}, "loss[0] = 'focal': input should be an object"),
    ({"loss": [{"name": "focul"}]}, "does not match any of the expected tags: 'ce', 'weighted_ce'"),
    ({"loss": [{"gamma": 2}]}, "loss[0] = {'gamma': 2}: Unable to extract tag using discriminator 'name'"),
    ({"loss": [{"name": "ce"}, {"name": "ce"}]}, "loss names ce twice"),
    ({"loss": [{"name": "ce", "gamma": 2}]}, "loss[0].ce.gamma = 2: unknown key"),
    ({"loss": [{"name": "ce"}, {"name": "focal", "gama": 2}]}, "loss[1].focal.gama = 2: unknown key"),
    ({"loss": [{"name": "focal", "center": 1}]}, "loss[0].focal.center = 1: unknown key"),
    ({"loss": [{"name": "focal", "alpha": 3}]}, "loss[0].focal.alpha = 3: input should be less than or"),
    ({"loss": [{"name": "ce", "factor": 0}]}, "loss[0].ce.factor = 0: input should be greater than 0"),
    ({"subset": {1, 2}}, "not a recipe"),
    (
        {"start": {"name": "imagenet"}},
        "start: unet has no encoder that starts from weights; allowed: efficientnet_lite0",
    ),
    (
        {"post_processing": [{"name": "voting"}]},
        "post_processing: voting takes head multi_resolution, and the head is mono",
    ),
    (
        {"head": "dual", "post_processing": [{"name": "opening"}, {"name": "voting"}]},
        "voting takes head multi_resolution, and the head is dual",
    ),
    ({"post_processing": [{"name": "opening"}] * 2}, "post_processing names opening twice"),
    ({"post_processing": [{"name": "vote"}]}, "post_processing[0] = {'name': 'vote'}: input tag 'vote'"),
    ({"post_processing": [{"name": "opening", "kernel": 2}]}, "post_processing[0].opening.kernel = 2: input should be"),
    ({"post_processing": [{"name": "closing", "size": 3}]}, "post_processing[0].closing.size = 3: unknown key"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=[str(c)[:50] for c, _ in REFUSED])
def test_a_bad_recipe_is_refused_with_key_value_and_what_is_allowed(change, says):
    with pytest.raises(RecipeError) as caught:
        recipe(BASE, change)
    assert says in str(caught.value).replace("Input", "input").replace("Tuple", "tuple")


def test_a_recipe_without_a_dataset_says_so():
    with pytest.raises(RecipeError, match="dataset: Field required"):
        recipe({"epochs": 3})


def test_a_post_processed_recipe_knows_the_network_it_grows_from():
    whole = recipe(BASE, {"head": "multi_resolution", "post_processing": [{"name": "voting"}]})
    assert whole.trained == recipe(BASE, {"head": "multi_resolution"})
    assert whole.trained.hash != whole.hash
    assert whole.trained.trained == whole.trained


def test_every_mistake_is_told_at_once():
    with pytest.raises(RecipeError) as caught:
        recipe({"epochs": 0, "split": {"fol": 1}})
    told = str(caught.value).splitlines()
    assert [line.split(" ")[0].rstrip(":") for line in told] == ["dataset", "split.fol", "epochs"]


def test_an_unknown_profile_is_refused_with_the_names_of_all():
    with pytest.raises(RecipeError, match="profile = 'fast': unknown; allowed: smoke, quick"):
        profile("fast")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*LOSSES, "name", "folds", "lr", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(key=st.sampled_from([*Segmentation.model_fields, *LOSSES, "typo"]), value=plain)
def test_whatever_a_file_holds_it_is_a_recipe_or_a_message_that_names_the_key(key, value):
    try:
        made = recipe(BASE, {key: value})
    except RecipeError as error:
        assert key in str(error)  # noqa: PT017, a recipe that is accepted is as good
    else:
        assert key in Segmentation.model_fields
        assert recipe(made.model_dump(mode="json")) == made


def test_a_recipe_cannot_be_changed():
    made = recipe(BASE)
    with pytest.raises(ValidationError, match="frozen"):
        made.epochs = 3
    with pytest.raises(ValidationError, match="frozen"):
        made.split.fold = 3


def test_a_later_layer_wins_and_leaves_its_layers_alone():
    base = {**BASE, "split": {"folds": 4, "fold": 3}, "augmentation": ["cutmix"]}
    change = {"split": {"fold": 1}, "augmentation": ["rotation"]}
    before = json.dumps([base, change])
    made = recipe(base, change)
    assert (made.split.folds, made.split.fold) == (4, 1)
    assert made.augmentation == ("rotation",)
    assert json.dumps([base, change]) == before


TASKS = {
    "segmentation": {},
    "detection": {"task": "detection"},
    "pretraining": {"task": "pretraining", "objective": {"name": "presence"}},
    "adaptation": {"task": "adaptation", "target": {"dataset": "uav"}},
    "classification": {"task": "classification", "ensemble": {}},
}


@pytest.mark.parametrize("task", PROFILES)
@pytest.mark.parametrize("name", BUDGETS)
def test_a_recipe_knows_its_profile_until_one_number_of_the_budget_differs(name, task):
    made = recipe(BASE, TASKS[task], profile(name, task))
    assert profile_of(made) == name
    other = recipe(BASE, TASKS[task], profile(name, task), {"batch": made.batch + 1})
    assert profile_of(other) is None


# --- a detector and what its encoder starts from -------------------------------------------

BOXES = {"dataset": "landslide4sense-boxes", "task": "detection"}


def test_a_detector_grows_from_what_its_encoder_learnt_and_a_student_from_its_teacher():
    start = {"name": "distillation", "teacher": "swin_base", "on": "bijie"}
    made = recipe(BOXES, profile("cpu", "detection"), {"encoder": "swin_tiny", "start": start})
    (student,) = made.depends_on
    (teacher,) = student.depends_on
    assert (student.encoder, teacher.encoder) == ("swin_tiny", "swin_base")
    assert (student.dataset, student.epochs) == ("bijie", made.presence_epochs)
    assert (teacher.objective.name, teacher.objective.start.name) == ("presence", "imagenet")
    assert (teacher.epochs, teacher.depends_on) == (made.presence_epochs, ())
    assert student.optimizer == teacher.optimizer == made.optimizer
    assert {"objective/distillation", "objective/presence"} <= made.components.keys()


@pytest.mark.parametrize(
    ("start", "used"),
    [
        (None, set()),
        ({"name": "imagenet"}, set()),
        ({"name": "mae"}, {"masked_epochs"}),
        ({"name": "presence"}, {"presence_epochs"}),
        ({"name": "distillation"}, {"presence_epochs"}),
    ],
)
def test_epochs_of_another_start_make_no_other_run(start, used):
    made = recipe(BOXES, profile("cpu", "detection"), {"encoder": "vit_tiny", "start": start})
    for name in ("masked_epochs", "presence_epochs"):
        other = recipe(made.model_dump(), {name: 7})
        assert (other.hash == made.hash) == (name not in used)
        assert (profile_of(other) == "cpu") == (name not in used)


def test_learning_on_the_detectors_own_data_sees_its_training_images_alone():
    split = {"method": "published"}
    own = recipe(BOXES, {"encoder": "vit_tiny", "split": split, "start": {"name": "mae"}})
    (learnt,) = own.depends_on
    assert (learnt.split, learnt.epochs) == (own.split, own.masked_epochs)
    other = recipe(BOXES, {"split": split, "start": {"name": "presence", "on": "bijie"}})
    assert [one.split for one in other.depends_on] == [Split()]


@pytest.mark.parametrize("start", [None, {"name": "imagenet"}, {"name": "file", "weights": "a.pth"}])
def test_weights_of_others_are_no_run_of_the_study(start):
    assert recipe(BOXES, {"start": start}).depends_on == ()


@pytest.mark.parametrize(
    ("change", "fetches"),
    [
        ({}, False),
        ({"start": {"name": "imagenet"}}, True),
        ({"start": {"name": "file", "weights": "a.pth"}}, True),
        ({"encoder": "vit_tiny", "start": {"name": "mae"}}, False),
        ({"encoder": "vit_tiny", "start": {"name": "mae", "start": {"name": "imagenet"}}}, True),
        ({"encoder": "efficientnet_lite0", "start": {"name": "imagenet"}}, False),  # a package holds them
        ({"encoder": "efficientnet_lite0", "start": {"name": "imagenet"}, "tiny": True}, True),  # but not of a part
        ({"start": {"name": "distillation"}}, True),  # its teacher starts from ImageNet
        ({"start": {"name": "distillation", "teacher_start": "random"}}, False),
    ],
)
def test_a_recipe_knows_whether_it_needs_weights_of_others(change, fetches):
    assert recipe(BOXES, change).needs_download is fetches
    assert not recipe(BASE).needs_download
    in_a_package = recipe(BASE, {"model": "efficientnet_lite0", "start": {"name": "imagenet"}})
    assert in_a_package.standardize
    assert not in_a_package.needs_download


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start": {"name": "file", "weights": "../a.pth"}}, "start.file.weights = '../a.pth': String should match"),
        ({"start": {"name": "mae", "masks": 1}}, "start.mae.masks = 1: unknown key"),
        ({"start": {"name": "mae", "start": {"name": "x"}}}, "start.mae.start = {'name': 'x'}: Input tag 'x'"),
        (
            {"encoder": "vit_tiny", "bands": ["R", "G", "B"], "start": {"name": "mae", "on": "landslide4sense"}},
            "start: landslide4sense holds the very tiles that landslide4sense-boxes is tested on",
        ),
        (
            {"encoder": "vit_tiny", "start": {"name": "mae", "on": "synthetic"}},
            "an encoder that learns 14 bands on synthetic cannot go on with 3 of landslide4sense-b",
        ),
        ({"start": {"name": "mae", "swin": "swin_mae"}}, "start: swin_mae is for a Swin, and the encoder is resnet18"),
        ({"dataset": "fmow"}, "dataset: fmow has images alone, to learn from by start {name: mae}"),
        ({"start": {"name": "presence", "on": "fmow"}}, "dataset: fmow has images alone"),
        ({"start": {"name": "moco"}}, "start = {'name': 'moco'}: Input tag 'moco'"),
        ({"task": "segmentation"}, "has boxes, which suit no segmentation"),
        ({"head": "mono"}, "head = 'mono': unknown key; allowed: augmentation, bands, batch"),
    ],
)
def test_what_a_detector_cannot_be_is_refused(change, told):
    with pytest.raises(RecipeError) as error:
        recipe(BOXES, change)
    assert told in str(error.value)


def test_a_profile_that_one_took_can_be_edited_without_harm():
    profile("quick")["epochs"] = 1000
    assert profile("quick") == PROFILES["segmentation"]["quick"]


# --- the hash ----------------------------------------------------------------------------

#: The default that each field had when it came into the study. A published record's hash
#: leaves out a field that is at its origin, so nothing here may ever change.
ORIGINS: dict[str, Any] = {
    "Classification.augmentation": ["flips", "rotation"],
    "Classification.bands": [],
    "Classification.batch": 32,
    "Classification.encoder": "efficientnetv2_l",
    "Classification.ensemble": None,
    "Classification.epochs": 50,
    "Classification.filter": None,
    "Classification.image_size": 128,
    "Classification.loss": [{"name": "ce"}],
    "Classification.members": 5,
    "Classification.modalities": "all",
    "Classification.model": "gated",
    "Classification.optical_size": None,
    "Classification.optimizer": {},
    "Classification.passes": "own",
    "Classification.patience": None,
    "Classification.patience_on": "loss",
    "Classification.precision": "bf16-mixed",
    "Classification.sampling": "as_is",
    "Classification.split": {},
    "Classification.start": None,
    "Classification.masked_epochs": 200,
    "Classification.presence_epochs": 20,
    "Classification.subset": None,
    "Classification.tiny": False,
    "Classification.dropout": 0.3,
    "Classification.tta_views": 1,
    "Ensemble.encoders": [],
    "Ensemble.average": "probabilities",
    "Ensemble.weighting": "given",
    "Filter.folds": 5,
    "Filter.each_fold": False,
    "Filter.depth": 4,
    "Filter.trees": 120,
    "Filter.eta": 0.1,
    "Filter.min_child_weight": 1.0,
    "Filter.subsample": 0.8,
    "Filter.colsample_bytree": 0.8,
    "Member.weight": 1.0,
    "Split.valid_fold": 0,
    "weighted_ce.factor": 1.0,
    "weighted_ce.weight": None,
    "Target.dataset": "",
    "Target.part": "train",
    "Target.region": "",
    "Round.scale": 1.0,
    "Adaptation.bands": [],
    "Adaptation.split": {},
    "Adaptation.subset": None,
    "Adaptation.image_size": 128,
    "Adaptation.optimizer": {},
    "Adaptation.epochs": 50,
    "Adaptation.batch": 32,
    "Adaptation.precision": "bf16-mixed",
    "Adaptation.model": "resnet",
    "Adaptation.size": "base",
    "Adaptation.scale": 1.0,
    "Adaptation.normalization": "source",
    "Adaptation.norms": "batch",
    "Adaptation.hold_out": True,
    "Adaptation.loss": [{"name": "ce"}],
    "Adaptation.augmentation": ["rotation", "colour"],
    "Adaptation.rounds": [],
    "Adaptation.confidence": 0.7,
    "Adaptation.start": None,
    "Adaptation.pseudo_labels": True,
    "Adaptation.ensemble": [],
    "Segmentation.task": "segmentation",
    "Segmentation.bands": [],
    "Segmentation.split": {},
    "Segmentation.subset": None,
    "Segmentation.image_size": 128,
    "Segmentation.model": "unet",
    "Segmentation.head": "mono",
    "Segmentation.upsampling": "transposed",
    "Segmentation.width": 64,
    "Segmentation.loss": [{"name": "ce"}],
    "Segmentation.optimizer": {},
    "Segmentation.augmentation": ["rotation", "cutmix"],
    "Segmentation.epochs": 50,
    "Segmentation.batch": 32,
    "Segmentation.precision": "bf16-mixed",
    "Segmentation.pretrained": False,
    "Segmentation.start": None,
    "Segmentation.masked_epochs": 200,
    "Segmentation.presence_epochs": 20,
    "Segmentation.post_processing": [],
    "Split.method": "blocked",
    "Split.folds": 5,
    "Split.fold": 0,
    "Split.validation": 0.1,
    "Split.seed": 0,
    "Split.test": "held_out",
    "Optimizer.name": "adam",
    "Optimizer.lr": 1e-3,
    "Optimizer.weight_decay": 0.0,
    "Optimizer.schedule": "warmup_cosine",
    "Optimizer.warmup": 0.1,
    "Optimizer.averaging": 0.0,
    "Optimizer.lr_min": 0.0,
    "Optimizer.nesterov": False,
    "Optimizer.momentum": 0.0,
    "ce.factor": 1.0,
    "focal.factor": 1.0,
    "focal.alpha": 0.25,
    "focal.gamma": 2.0,
    "log_cosh.factor": 1.0,
    "log_cosh.power": 1.0,
    "iou.factor": 1.0,
    "iou.smooth": 1.0,
    "iou.background": 0.0,
    "tversky.factor": 1.0,
    "tversky.alpha": 0.7,
    "tversky.beta": 0.3,
    "tversky.smooth": 1.0,
    "tversky.background": 0.0,
    "lovasz.factor": 1.0,
    "lovasz_probability.factor": 1.0,
    "boundary.factor": 1.0,
    "boundary.weight": 5.0,
    "boundary.sigma": 2.0,
    "center.factor": 1.0,
    "center.weight": 5.0,
    "depth.factor": 1.0,
    "depth.rim": 0.0,
    "soft_ce.factor": 1.0,
    "soft_ce.smoothing": 0.1,
    "ohem.factor": 1.0,
    "ohem.share": 0.25,
    "ImageNet.first_conv": "extended",
    "Morphology.kernel": 3,
    "Detection.bands": [],
    "Detection.split": {},
    "Detection.subset": None,
    "Detection.image_size": 128,
    "Detection.optimizer": {},
    "Detection.epochs": 50,
    "Detection.batch": 32,
    "Detection.precision": "bf16-mixed",
    "Detection.encoder": "resnet18",
    "Detection.tiny": False,
    "Detection.width": 256,
    "Detection.start": None,
    "Detection.masked_epochs": 200,
    "Detection.presence_epochs": 20,
    "Detection.augmentation": ["rotation"],
    "Distillation.on": "",
    "Distillation.teacher": "vit_large",
    "Distillation.teacher_start": "imagenet",
    "Distillation.start": None,
    "Distillation.temperature": 2.0,
    "Distillation.alpha": 0.5,
    "Masked.on": "",
    "Masked.masked": 0.75,
    "Masked.start": None,
    "Masked.swin": "simmim",
    "Presence.on": "",
    "Presence.start": None,
    "Pretraining.bands": [],
    "Pretraining.split": {},
    "Pretraining.subset": None,
    "Pretraining.image_size": 128,
    "Pretraining.optimizer": {"name": "adamw", "lr": 0.0001, "weight_decay": 0.05},
    "Pretraining.epochs": 50,
    "Pretraining.batch": 32,
    "Pretraining.precision": "bf16-mixed",
    "Pretraining.encoder": "resnet18",
    "Pretraining.tiny": False,
    "Pretraining.augmentation": ["rotation"],
}


def parts_in(annotation: Any) -> set[type[Part]]:
    """Return the parts that a type is made of, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        inner = (field.annotation for field in annotation.model_fields.values())
        return {annotation}.union(*map(parts_in, inner))
    return set().union(*map(parts_in, get_args(annotation)))


def complaints(top: type[Part], origins: dict[str, Any]) -> list[str]:
    """Say of each field that would change the hash of published records what to do."""
    told, seen = [], set()
    for part in parts_in(top):
        for name, info in part.model_fields.items():
            if info.is_required():
                continue
            key, extra = f"{part.__name__}.{name}", info.json_schema_extra
            seen.add(key)
            if not isinstance(extra, dict):
                told.append(f"{key} has a default without `field`: declare it as field(...)")
            elif key not in origins:
                told.append(f"{key} is new: add {extra['origin']!r} to ORIGINS, once and for all")
            elif extra["origin"] != origins[key]:
                told.append(
                    f"the default of {key} was {origins[key]!r} when it came into the study: "
                    f"write field({info.default!r}, origin={origins[key]!r}), or every "
                    "published record that relies on it passes for one of the new default"
                )
    gone = origins.keys() - seen
    told += [f"{key} is gone, and with it the records that name it" for key in gone]
    return sorted(told)


def test_no_field_has_lost_the_default_it_came_with():
    told = complaints(AnyRecipe, ORIGINS)
    assert not told, "\n".join(told)


def test_the_guard_of_the_defaults_tells_what_to_do():
    class Changed(Part):
        lr: float = field(0.5)
        kept: float = field(0.5, origin=0.1)
        new: int = field(1)
        bare: int = 3

    origins = {"Changed.lr": 0.1, "Changed.kept": 0.1, "Changed.gone": 1}
    told = "\n".join(complaints(Changed, origins))
    assert "write field(0.5, origin=0.1)" in told
    assert "Changed.new is new: add 1 to ORIGINS" in told
    assert "Changed.bare has a default without `field`" in told
    assert "Changed.gone is gone" in told
    assert "Changed.kept" not in told


@pytest.mark.parametrize(
    ("change", "pinned"),
    [
        ({}, "f4eaae203fe723d5"),
        ({"loss": [{"name": "focal", "factor": 0.5}, {"name": "iou", "factor": 0.5}]}, "45766dfcfce11a94"),
    ],
)
def test_published_hashes_are_what_they_were(change, pinned):
    """These two are in the names of published records."""
    assert recipe(BASE, change, profile("cpu")).hash == pinned


def test_every_published_record_has_the_hash_of_its_recipe():
    for record in map(read, PUBLISHED.glob("*.json")):
        assert record.recipe.hash == record.hash, record.name


def read_as(model: type[Segmentation], **fields: Any) -> Segmentation:
    return model.model_validate_json(json.dumps({**BASE, **fields}))


def test_a_new_field_with_a_default_leaves_every_hash():
    class Longer(Segmentation):
        dropout: float = field(0.0, ge=0, lt=1)

    assert read_as(Longer, epochs=3).hash == recipe(BASE, {"epochs": 3}).hash
    assert read_as(Longer, dropout=0.1).hash != recipe(BASE).hash


def test_a_changed_default_is_a_new_recipe_and_the_old_value_keeps_the_old_hash():
    first = Segmentation.model_fields["epochs"].default

    class Later(Segmentation):
        epochs: int = field(first + 30, origin=first)

    assert read_as(Later).hash != recipe(BASE).hash
    assert read_as(Later).hash == recipe(BASE, {"epochs": first + 30}).hash
    assert read_as(Later, epochs=first).hash == recipe(BASE).hash


def test_a_default_that_was_none_can_change_too():
    class Later(Segmentation):
        subset: int | None = field(400, origin=None)

    assert read_as(Later).hash == recipe(BASE, {"subset": 400}).hash
    assert read_as(Later, subset=None).hash == recipe(BASE).hash


def test_a_changed_default_inside_a_part_is_a_new_recipe_too():
    first = Split.model_fields["folds"].default

    class LaterSplit(Split):
        folds: int = field(2 * first, origin=first)

    class Later(Segmentation):
        split: LaterSplit = field(LaterSplit())

    assert read_as(Later).hash == recipe(BASE, {"split": {"folds": 2 * first}}).hash
    assert read_as(Later, split={"folds": first}).hash == recipe(BASE).hash


def test_a_changed_default_inside_the_default_loss_is_a_new_recipe_too():
    class LaterEntropy(LOSSES["ce"]):
        factor: float = field(2.0, origin=1.0)

    class Later(Segmentation):
        loss: tuple[LaterEntropy, ...] = field((LaterEntropy(name="ce"),))

    assert read_as(Later).hash == recipe(BASE, {"loss": [{"name": "ce", "factor": 2.0}]}).hash
    assert read_as(Later, loss=[{"name": "ce", "factor": 1.0}]).hash == recipe(BASE).hash


def some(model: type[Part], **strategies: st.SearchStrategy) -> st.SearchStrategy:
    assert strategies.keys() <= model.model_fields.keys()
    return st.fixed_dictionaries({}, optional=strategies)


share = st.floats(0.05, 0.5)
changes = some(
    Segmentation,
    bands=st.lists(st.sampled_from("RGB"), unique=True),
    subset=st.none() | st.integers(20, 30),
    width=st.sampled_from([16, 64]),
    epochs=st.sampled_from([1, 50]),
    split=some(Split, folds=st.integers(4, 6), fold=st.integers(0, 3), validation=share),
    optimizer=some(
        parts.Optimizer,
        lr=st.sampled_from([1, 1.0, 1e-3, 0.001]),
        schedule=st.sampled_from(["constant", "warmup_cosine"]),
    ),
    augmentation=st.lists(st.sampled_from(["rotation", "cutmix"]), unique=True),
    loss=st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(sorted(LOSSES))}, optional={"factor": st.sampled_from([0.5, 1, 1.0])}
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda term: term["name"],
    ),
)


def turned(value: Any) -> Any:
    """Return the same with the keys of every dict the other way round."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(changes)
def test_neither_the_order_of_keys_nor_spelling_a_default_out_changes_a_hash(change):
    made = recipe(BASE, change)
    assert recipe(turned({**BASE, **change})).hash == made.hash
    spelled = recipe(made.model_dump(mode="json"))
    assert spelled == made
    assert spelled.hash == made.hash
    assert recipe(non_default_fields(made)) == made


@given(changes, changes)
def test_two_recipes_share_a_hash_only_if_they_are_the_same(one, other):
    first, second = recipe(BASE, one), recipe(BASE, other)
    assert (first.hash == second.hash) == (first == second)


@given(changes, changes, changes)
def test_laying_changes_over_one_another_can_be_done_in_any_grouping(one, two, three):
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


def test_the_order_of_bands_is_part_of_a_recipe():
    assert recipe(BASE, {"bands": ["R", "G"]}).hash != recipe(BASE, {"bands": ["G", "R"]}).hash


# --- components --------------------------------------------------------------------------


def test_a_recipe_names_each_component_that_it_uses():
    made = recipe(
        BASE,
        {
            "split": {"method": "random"},
            "optimizer": {"schedule": "constant"},
            "augmentation": ["cutmix"],
            "loss": [{"name": "iou"}, {"name": "center"}],
        },
    )
    used = {
        "dataset/bijie",
        "model/unet",
        "split/random",
        "schedule/constant",
        "pack",
        "augmentation/cutmix",
        "loss/iou",
        "loss/center",
        "task/segmentation",
    }
    assert used <= made.components.keys()
    assert not {"augmentation/rotation", "loss/ce", "split/blocked"} & made.components.keys()


def test_a_recipe_names_a_band_as_a_component_only_where_it_is_engineered():
    def named(*bands):
        made = recipe({"dataset": "landslide4sense"}, {"bands": bands})
        return {name for name in made.components if name.startswith("bands")}

    assert named() == named("B4", "R") == set()
    assert named("B4", "NDVI", "gray") == {"bands/NDVI", "bands/gray"}


def test_a_raised_revision_is_of_a_component_that_some_recipe_uses():
    """A name in REVISIONS with a typing error would raise nothing."""
    from landslide_lib.data.registry import DATASETS

    def choices(part: type[Part], field: str) -> tuple[str, ...]:
        return get_args(part.model_fields[field].annotation)

    fit = [name for name in DATASETS if name not in UNLABELLED]  # fMoW, of images alone, is learnt on before
    some_of_all = [{"dataset": name, "task": "classification" if name in LABELS else "detection"} for name in fit]
    some_of_all += [{**BOXES, "encoder": "vit_tiny", "start": {"name": "mae", "on": name}} for name in UNLABELLED]
    some_of_all += [{**BOXES, "encoder": name} for name in choices(Detection, "encoder")]
    some_of_all += [
        {**BOXES, "encoder": "vit_tiny", "start": {"name": name}}
        for name in ("imagenet", "presence", "distillation", "mae")
    ]
    some_of_all += [{**BOXES, "start": {"name": "file", "weights": "some.pth"}}]
    some_of_all += [{}]
    some_of_all += [{"loss": [{"name": name}]} for name in LOSSES]
    some_of_all += [
        {"dataset": name, "bands": [*possible(OF_DATASET[name])]} for name in ("synthetic", "synthetic-zindi")
    ]
    some_of_all += [{"split": {"method": name}} for name in choices(Split, "method")]
    some_of_all += [{"optimizer": {"schedule": name}} for name in choices(parts.Optimizer, "schedule")]
    some_of_all += [{field: name} for field in ("model", "head") for name in choices(Segmentation, field)]
    some_of_all += [{"optimizer": {"name": name}} for name in choices(parts.Optimizer, "name")]
    some_of_all += [{"post_processing": [{"name": name}]} for name in ("opening", "closing", "multi_angles")]
    some_of_all += [{"head": "multi_resolution", "post_processing": [{"name": "voting"}]}]
    tiles = {"task": "classification", "filter": {}}
    some_of_all += [{**tiles, "model": name} for name in choices(Classification, "model")]
    some_of_all += [{**tiles, "encoder": name} for name in choices(Classification, "encoder")]
    domains = {"task": "adaptation", "dataset": "bijie", "target": {"dataset": "uav"}}
    some_of_all += [{**domains, "model": name} for name in choices(Adaptation, "model")]
    known = set().union(*(recipe(BASE, change).components for change in some_of_all))
    assert REVISIONS.keys() <= known
