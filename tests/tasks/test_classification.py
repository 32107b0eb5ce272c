"""Classification of tiles: from files to records, folds to ensembles, and a filter."""

import numpy as np
import pytest
import torch

from landslide_lib.models.checkpoints import read_checkpoint, write_checkpoint
from landslide_lib.study import domains, runs
from landslide_lib.study.recipe import RecipeError, profile, recipe
from landslide_lib.study.records import Store
from landslide_lib.study.tasks import classification
from landslide_lib.study.tasks.run import Setting
from landslide_lib.training.classification import ClassificationTask, Members, labelled

CPU = torch.device("cpu")
SMOKE = {"task": "classification", "dataset": "bijie", **profile("smoke", "classification"), "model": "pyramid"}
FUSION = {"model": "concatenated", "encoder": "efficientnet_lite0"}
ENSEMBLE = {"ensemble": {}, "split": {"validation": 0.25}}


def wanted(**change):
    return recipe(SMOKE, change)


@pytest.fixture
def data(bijie):
    return domains.load(wanted())


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "records", more=())


def task_of(packed, **change) -> ClassificationTask:
    return classification.build(wanted(**change), Setting(packed, 0, CPU))


def test_the_label_of_a_tile_is_whether_its_mask_holds_any_landslide(data):
    made = labelled(data)
    assert made.masks.shape == (len(data), 1, 1)
    assert made.masks[:, 0, 0].tolist() == [int(mask.any()) for mask in data.masks]


def test_bands_have_mean_0_and_deviation_1_over_the_training_tiles(data):
    one = task_of(data, augmentation=[], batch=100)
    images = torch.cat([images for images, _ in one.loader("valid")])
    wide = np.sort(np.concatenate([one.filtered.parts["train"], one.filtered.parts["valid"]]))
    pixels = data.images[one.filtered.parts["train"]].astype(np.float64)
    mean, deviation = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
    valid = data.images[one.filtered.parts["valid"]].astype(np.float64)
    expected = (valid - mean[:, None, None]) / deviation[:, None, None]
    np.testing.assert_allclose(images.numpy(), expected, atol=2e-3)
    assert len(wide) + len(one.filtered.parts["test"]) == len(data)


def test_balanced_batches_hold_as_many_landslides_as_others(data):
    plain, balanced = (
        torch.cat([labels for epoch in range(30) for labels in epochs(one, epoch)])
        for one in (task_of(data), task_of(data, sampling="balanced"))
    )
    train = task_of(data).filtered.parts["train"]
    assert plain.mean().item() == pytest.approx(data.positive[train].mean(), abs=0.06)
    assert balanced.mean().item() == pytest.approx(0.5, abs=0.05)


def epochs(one, epoch):
    batches = one.loader("train")
    batches.set_epoch(epoch)
    return [labels.flatten() for _, labels in batches]


def test_a_weighted_loss_counts_the_others_to_a_landslide_in_training(data):
    one = task_of(data, loss=[{"name": "weighted_ce"}])
    labels = data.positive[one.filtered.parts["train"]]
    logits, truth = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    weight = (~labels).sum() / labels.sum()
    expected = (weight + 1) / 2 * np.log(2)
    assert one.loss(logits, truth).item() == pytest.approx(expected, rel=1e-5)
    fixed = task_of(data, loss=[{"name": "weighted_ce", "weight": 3.0}])
    assert fixed.loss(logits, truth).item() == pytest.approx(2 * np.log(2), rel=1e-5)


@pytest.mark.parametrize("model", [{}, {"model": "gated", "encoder": "resnet18"}])
def test_the_classifier_has_the_dropout_of_the_recipe(model):
    given, own = (classification.network_of(wanted(**model, **more)) for more in ({"dropout": 0.25}, {}))
    assert (given.classifier[0].p, own.classifier[0].p) == (0.25, 0.3)


def test_a_record_counts_tiles_and_keeps_what_is_said_of_each(data, store):
    record = runs.run(wanted(model="gated", encoder="resnet18"), 0, store=store, device="cpu")
    truth = data.positive[[data.ids.index(name) for name in record.test_ids]]
    said = np.array(record.tiles["probability"])
    assert np.sum(record.test_counts, 1).tolist() == [1] * len(truth)
    tp, fp, fn, tn = np.sum(record.test_counts, 0)
    called = said > 0.5
    assert (tp, fp) == ((called & truth).sum(), (called & ~truth).sum())
    assert (fn, tn) == ((~called & truth).sum(), (~called & ~truth).sum())
    assert set(record.test.metrics) == set(record.test_tuned.metrics) == {"tiles"}
    assert {"optical", "brightness"} <= set(record.tiles)
    assert all(0 < value < 1 for value in record.tiles["optical"])
    assert record.energy_method in ("measured", "estimated")
    assert record.energy_wh > 0
    assert record.precision == "bf16-mixed"
    assert store.find(record.recipe, 0)[0] == record


def test_an_ensemble_leaves_another_fold_for_validation_to_each_and_none_sees_its_own(data, store):
    record = runs.run(wanted(**ENSEMBLE), 0, store=store, device="cpu")
    members = {one.name: one for one in store.all() if one.name in record.depends_on}
    assert len(members) == record.recipe.members == 2
    tasks = [classification.build(one.recipe, Setting(data, 0, CPU)) for one in members.values()]
    seen = [set(one.filtered.parts["valid"].tolist()) for one in tasks]
    assert not seen[0] & seen[1]
    assert all(not set(one.filtered.parts["train"].tolist()) & own for one, own in zip(tasks, seen, strict=True))
    assert tasks[0].filtered.parts["test"].tolist() == tasks[1].filtered.parts["test"].tolist()
    assert record.images["valid"] == len(seen[0] | seen[1])
    # The mean, and how far they lie apart, computed from the members' own records.
    each = np.array([one.tiles["probability"] for one in members.values()])
    np.testing.assert_allclose(record.tiles["probability"], each.mean(0), atol=2e-4)
    np.testing.assert_allclose(record.tiles["apart"], each.std(0), atol=2e-4)
    assert record.networks == {"weights": [1.0, 1.0], "thresholds": []}
    assert record.precision == ""  # nothing was trained
    assert record.parameters == sum(one.parameters for one in members.values())


def test_an_ensemble_of_encoders_is_their_weighted_mean(data, store):
    two = {"encoders": [{"encoder": "resnet18", "weight": 0.7}, {"encoder": "efficientnet_b0", "weight": 0.3}]}
    whole = wanted(model="gated", **{**ENSEMBLE, "ensemble": two})
    record = runs.run(whole, 0, store=store, device="cpu")
    each = {name: [] for name in ("resnet18", "efficientnet_b0")}
    for one in store.all():
        if one.name in record.depends_on:
            each[one.recipe.encoder].append(one.tiles["probability"])
    assert [len(some) for some in each.values()] == [2, 2]
    expected = sum(weight * np.mean(each[name], 0) for name, weight in (("resnet18", 0.7), ("efficientnet_b0", 0.3)))
    np.testing.assert_allclose(record.tiles["probability"], expected, atol=2e-4)


def fixed(data, said):
    """Return networks, two an encoder, that say the same of every tile: a number, or numbers by its label."""
    tasks = []
    for each in said:
        for fold in range(2):
            one = task_of(data, split={"validation": 0.5, "valid_fold": fold})
            labels = one.data.packed.masks[:, 0, 0]
            by_label = np.broadcast_to(np.asarray(each, np.float32), 2)
            one.predict = lambda part, one=one, by=by_label, labels=labels: by[labels[one.filtered.parts[part]]]
            tasks.append(one)
    return tasks


def test_an_ensemble_for_a_submission_learns_all_labels_and_is_scored_out_of_fold(data, store):
    whole = {"ensemble": {}, "members": 3, "split": {"folds": 3, "test": "validated"}, "model": "gated"}
    record = runs.run(wanted(**whole, encoder="resnet18"), 0, store=store, device="cpu")
    by_name = {one.name: one for one in store.all()}
    members = [by_name[name] for name in record.depends_on]
    parts = [classification.build(one.recipe, Setting(data, 0, CPU)).filtered.parts for one in members]
    everything = np.sort(np.concatenate([part["test"] for part in parts]))
    assert [data.ids[i] for i in everything] == record.test_ids
    assert len(everything) == len(data) == record.images["train"]
    said = {name: p for one in members for name, p in zip(one.test_ids, one.tiles["probability"], strict=True)}
    np.testing.assert_allclose(record.tiles["probability"], [said[name] for name in record.test_ids], atol=2e-4)
    assert "optical" not in record.tiles  # the gates of one network are of its own fold alone


def test_stacked_weights_go_to_the_encoder_that_is_right_on_tiles_it_did_not_learn(data):
    right, blind = (0.1, 0.9), 0.5
    members = Members(fixed(data, [blind, right]), [0.7, 0.7, 0.3, 0.3])
    members.stack(2)
    labels = members.tasks[0].data.packed.masks[members.tiles("valid"), 0, 0]
    # Least squares of two columns: by the normal equations, where both are positive.
    columns = np.stack([np.full(len(labels), 0.5), np.where(labels, 0.9, 0.1)], 1)
    expected = np.clip(np.linalg.lstsq(columns, labels.astype(float), rcond=None)[0], 0, None)
    if (expected == 0).any():  # then all weight lies on the other
        expected = (expected > 0).astype(float)
    np.testing.assert_allclose(members.weights, np.repeat(expected / expected.sum(), 2), atol=1e-6)
    assert members.weights[2] == members.weights[3] > 0.9


def test_where_no_encoder_says_anything_stacked_weights_are_equal(data):
    members = Members(fixed(data, [0.0, 0.0]), [0.7, 0.7, 0.3, 0.3])
    members.stack(2)
    assert members.weights == [0.5] * 4


def test_an_ensemble_finds_its_weights_out_of_fold_and_says_them(data, store):
    two = {"encoders": [{"encoder": "resnet18"}, {"encoder": "efficientnet_b0"}], "weighting": "stacked"}
    record = runs.run(wanted(model="gated", **{**ENSEMBLE, "ensemble": two}), 0, store=store, device="cpu")
    weights = record.networks["weights"]
    assert sum(weights) == pytest.approx(2)  # of two encoders with two networks each, which share their encoder's
    by_name = {one.name: one.tiles["probability"] for one in store.all()}
    each = np.array([by_name[name] for name in record.depends_on])
    np.testing.assert_allclose(record.tiles["probability"], np.average(each, 0, weights), atol=2e-4)


def test_networks_vote_each_at_the_threshold_of_its_own_validation_tiles(data, store):
    whole = {**ENSEMBLE, "members": 3, "ensemble": {"average": "votes"}}
    record = runs.run(wanted(**whole), 0, store=store, device="cpu")
    by_name = {one.name: one for one in store.all()}
    members = [by_name[name] for name in record.depends_on]
    assert record.networks["thresholds"] == [one.test_tuned.threshold for one in members]
    votes = np.array([np.array(one.tiles["probability"]) > one.test_tuned.threshold for one in members])
    np.testing.assert_allclose(record.tiles["probability"], votes.mean(0), atol=1e-4)
    np.testing.assert_allclose(record.tiles["apart"], votes.std(0), atol=1e-4)
    called = np.array(record.test_counts)[:, :2].any(1)
    assert called.tolist() == (votes.sum(0) >= 2).tolist()
    assert record.test_tuned == record.test


def test_turned_predictions_grow_from_the_network_and_do_not_depend_on_how_a_tile_lies(data):
    one = task_of(data, tta_views=8)
    said = one.predict("test")
    for turned in (np.flip(data.images, 2), np.rot90(data.images, axes=(2, 3))):
        data_ = type(data)(**{**data.__dict__, "images": np.ascontiguousarray(turned), "folder": None})
        other = task_of(data_, tta_views=8)
        other.network.load_state_dict(one.network.state_dict())
        np.testing.assert_allclose(other.predict("test"), said, atol=1e-5)
    assert wanted(tta_views=8).depends_on == (wanted(),)
    assert not wanted(tta_views=8).trains


class Half:
    """A filter that leaves out every other tile."""

    threshold = 0.5

    def __init__(self, count):
        self.keep = np.arange(count) % 2 == 0

    def keeps(self, table):
        return np.arange(len(table)) % 2 == 0


def test_a_submission_says_of_each_tile_how_sure_it_is_and_whether_a_filter_left_it_out(data, monkeypatch):
    tasks = fixed(data, [0.9, 0.5])
    for one in tasks[:2]:  # of four; each calls no landslide what its own filter leaves out
        one.filtered.fitted = Half(0)
        one.predict = lambda part, one=one: 0.9 * one.filtered.keep[part].astype(np.float32)
    monkeypatch.setattr(classification, "_members", lambda recipe, setting: Members(tasks, [1.0] * 4))
    made = classification.predict(wanted(), Setting(data, 0, CPU), "train", 0.5)
    assert made.index.tolist() == list(data.ids)
    assert made.left_out.tolist() == [0, 0.5] * (len(data) // 2)
    assert made.probability.tolist() == pytest.approx([0.7, 0.25] * (len(data) // 2))
    assert made.apart.tolist() == pytest.approx([0.2, 0.25] * (len(data) // 2))
    assert made.label.tolist() == [1, 0] * (len(data) // 2)


def test_what_the_filter_leaves_out_is_not_trained_on_and_called_no_landslide(data, monkeypatch):
    plain = task_of(data)
    keep = dict.fromkeys(("valid", "test"))
    monkeypatch.setattr(classification.boosting, "fit_filter", lambda table, labels, **how: Half(len(table)))
    one = task_of(data, filter={"folds": 2})
    assert one.filtered.parts["train"].tolist() == plain.filtered.parts["train"][::2].tolist()
    for part in keep:
        said = one.predict(part)
        assert (said[1::2] == 0).all()
        assert (said[::2] > 0).all()


def test_a_filter_says_what_it_left_out(data, store):
    record = runs.run(wanted(filter={"folds": 3}), 0, store=store, device="cpu")
    found, whole = record.filtered, task_of(data)
    assert found["lost"] == 0
    assert found["tiles"] == len(whole.filtered.parts["train"])
    assert record.images["train"] == round(found["tiles"] * (1 - found["removed"]))
    assert found["positive_after"] >= found["positive_before"]
    for part in ("valid", "test"):
        assert found["parts"][part]["tiles"] == len(whole.filtered.parts[part])
        assert found["parts"][part]["lost"] <= found["parts"][part]["landslides"]


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(data, tmp_path, monkeypatch):
    how = wanted(model="gated", encoder="resnet18", epochs=3, augmentation=["flips", "noise", "mixup", "cutmix"])
    whole = classification.run(how, Setting(data, 0, CPU, tmp_path / "whole"))
    stopped, begin = Setting(data, 0, CPU, tmp_path / "stopped"), ClassificationTask.start_epoch

    def killed(self, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        begin(self, epoch)

    monkeypatch.setattr(ClassificationTask, "start_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        classification.run(how, stopped)
    monkeypatch.setattr(ClassificationTask, "start_epoch", begin)
    resumed = classification.run(how, stopped)
    assert resumed.resumed
    for key, value in whole.task.network.state_dict().items():
        assert torch.equal(value, resumed.task.network.state_dict()[key]), key


def test_training_ends_where_the_validation_loss_no_longer_falls(data, tmp_path, monkeypatch):
    losses = iter([1.0, 0.5, 0.7, 0.6, 0.8, 0.4, 0.3])
    start, validate = ClassificationTask.start_epoch, ClassificationTask.validate

    def begin(self, epoch):
        start(self, epoch)
        self.chosen = torch.tensor(next(losses))

    def chosen_loss(self, batch, step):
        return self.chosen, validate(self, batch, step)[1]

    monkeypatch.setattr(ClassificationTask, "start_epoch", begin)
    monkeypatch.setattr(ClassificationTask, "validate", chosen_loss)
    made = classification.run(wanted(epochs=7, patience=3), Setting(data, 0, CPU, tmp_path))
    assert [line["valid_loss"] for line in made.history] == pytest.approx([1.0, 0.5, 0.7, 0.6, 0.8])


def test_training_ends_where_the_validation_f1_no_longer_rises(data, tmp_path, monkeypatch):
    scores = iter([None, 0.5, 0.6, 0.6, 0.4, 0.9])
    monkeypatch.setattr(ClassificationTask, "scores", lambda self, kept: {"valid_f1": next(scores)})
    made = classification.run(wanted(epochs=6, patience=2, patience_on="f1"), Setting(data, 0, CPU, tmp_path))
    assert [line["valid_f1"] for line in made.history] == [None, 0.5, 0.6, 0.6, 0.4]


def test_a_run_that_patience_ended_trains_no_further_when_it_is_taken_up(data, tmp_path, monkeypatch):
    scores = iter([0.5, 0.4, 0.4, 0.9])
    monkeypatch.setattr(ClassificationTask, "scores", lambda self, kept: {"valid_f1": next(scores)})
    how, setting = wanted(epochs=4, patience=2, patience_on="f1"), Setting(data, 0, CPU, tmp_path)
    classification.run(how, setting)
    again = classification.run(how, setting)
    assert again.resumed
    assert [line["valid_f1"] for line in again.history] == [0.5, 0.4, 0.4]


def test_tiles_of_one_kind_that_a_filter_leaves_cannot_be_drawn_in_balance(data, store):
    with pytest.raises(ValueError, match="the filter keeps no tile of bijie without a landslide"):
        runs.run(wanted(filter={"folds": 3}, sampling="balanced"), 0, store=store, device="cpu")


def test_tiles_of_one_kind_are_refused(data):
    one = type(data)(**{**data.__dict__, "masks": np.zeros_like(data.masks)})
    with pytest.raises(ValueError, match="all of one kind; take more of them"):
        task_of(one)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": []}, "should have at least 1 item"),
        ({"loss": [{"name": "boundary"}]}, "boundary looks at the pixels of a mask"),
        (
            {"loss": [{"name": "log_cosh"}], "augmentation": ["flips", "mixup"]},
            "labels 0 and 1, and mixup makes others",
        ),
        ({"modalities": "radar"}, "modalities: bijie has no radar band"),
        ({"dataset": "landslide4sense-boxes"}, "has boxes, which suit no classification"),
        ({"ensemble": {}, "members": 20}, "members: 20 need as many folds, and split leaves 10 to valid_fold"),
        ({"ensemble": {}, "members": 6, "split": {"test": "validated"}}, "and split leaves 5 to fold"),
        ({"ensemble": {"weighting": "stacked"}}, "stacked weighs encoders against each other; name at least two"),
        ({"split": {"validation": 0.5, "valid_fold": 2}}, "valid_fold 2 of 2"),
        ({**FUSION, "encoder": "resnet18", "start": {"name": "mae"}}, "optical bands alone, for efficientnet_lite0"),
        ({**FUSION, "encoder": "efficientnet_b5", "start": {"name": "mae"}}, "encoder: Input should be 'resnet18'"),
        ({**FUSION, "dataset": "synthetic-zindi", "start": {"name": "mae"}}, "optical bands alone"),
        ({**FUSION, "start": {"name": "mae"}, "ensemble": {"encoders": [{"encoder": "resnet18"}]}}, "optical bands"),
        ({"dataset": "zindi", "task": "segmentation"}, None),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(change, said):
    if said is None:
        with pytest.raises(RecipeError, match="take task classification"):
            recipe({"dataset": "zindi"})
        return
    with pytest.raises(RecipeError, match=said):
        wanted(**change)


@pytest.mark.parametrize(
    "start", [{"name": "mae"}, {"name": "distillation", "teacher": "resnet18", "teacher_start": "random"}], ids=str
)
def test_the_encoder_of_tiles_takes_every_tensor_of_the_run_that_it_starts_from(data, store, start, monkeypatch):
    epoch = {"seconds": 1.0, "train_loss": 1.0, "valid_loss": 1.0}
    monkeypatch.setattr(classification, "train", lambda *_: ([epoch], False))  # the encoder stays as it was taken over
    made = wanted(**FUSION, start=start)
    record = runs.run(made, 0, store=store, device="cpu")
    (learnt,) = (one for one in store.all() if one.name in record.depends_on)
    own = read_checkpoint(store.weights(record))["weights"]
    theirs = read_checkpoint(store.weights(learnt))["weights"]
    encoder = {name: value for name, value in own.items() if name.startswith("encoder.")}
    assert encoder
    assert all(torch.equal(value, theirs[name]) for name, value in encoder.items())
    assert (learnt.recipe, record.start["share"]) == (made.pretraining[0], 1)
    assert wanted(**FUSION, start=start, ensemble={}, split={"validation": 0.25}).depends_on[0].depends_on


def test_a_restored_network_takes_the_filter_that_was_kept_with_it(data, store, monkeypatch):
    filtered = wanted(filter={"folds": 3})
    record = runs.run(filtered, 0, store=store, device="cpu")
    weights = store.weights(record)
    monkeypatch.setattr(classification.boosting, "fit_filter", None)  # not fitted again
    again = classification.member(record, weights, Setting(data, 0, CPU), views=1)
    assert again.filtered.fitted is not None
    said = again.predict("test")
    np.testing.assert_allclose(said, record.tiles["probability"], atol=1e-3)
    classification.filter_path(weights).unlink()
    missing = r"filter\.json: no negative filter that can be read"
    with pytest.raises(ValueError, match=missing):
        classification.member(record, weights, Setting(data, 0, CPU), views=1)


def test_weights_of_another_run_are_refused(data, store):
    record = runs.run(wanted(), 0, store=store, device="cpu")
    weights = store.weights(record)
    write_checkpoint(weights, {**read_checkpoint(weights), "seed": 1})
    with pytest.raises(ValueError, match="the weights are of another seed"):
        classification.restore(wanted(tta_views=8), Setting(data, 0, CPU, dependencies=[(record, weights)]))
