"""Training learns, repeats itself bit for bit, and goes on where it was killed."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from landslide_lib.data import augment
from landslide_lib.data.registry import Packed
from landslide_lib.losses import LOSSES
from landslide_lib.metrics import scores
from landslide_lib.models import MODELS
from landslide_lib.models.backbones import encoder_of
from landslide_lib.models.checkpoints import read_checkpoint
from landslide_lib.models.weights import start as start_of
from landslide_lib.study import recipe as recipes
from landslide_lib.study import runs
from landslide_lib.study.recipe import non_default_fields, profile, recipe
from landslide_lib.study.recipe.parts import TERMS, Optimizer
from landslide_lib.study.records import Store
from landslide_lib.study.tasks.run import Run, Setting
from landslide_lib.study.tasks.segmentation import build, load_start, loss_of, model_of, run
from landslide_lib.training.loop import OPTIMIZERS, Loop, _readable
from landslide_lib.training.segmentation import SegmentationTask

CPU = torch.device("cpu")
TINY = {
    "dataset": "bijie",
    "image_size": 16,
    "width": 4,
    "batch": 8,
    "epochs": 3,
    "optimizer": {"lr": 0.01},
    "augmentation": ["rotation"],
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def task_of(packed: Packed, **change) -> SegmentationTask:
    return build(recipe(TINY, change), Setting(packed, 0, CPU))


def trained(packed: Packed, folder: Path, seed: int = 0, **change) -> Run:
    return run(recipe(TINY, change), Setting(packed, seed, CPU, folder))


def weights(run: Run) -> dict[str, torch.Tensor]:
    return run.task.network.state_dict()


def same(one: Run, other: Run) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def history(run: Run) -> list[dict]:
    """Return the history without the clock."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in run.history]


# --- learning ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(packed, tmp_path_factory) -> Run:
    # F1 is 0.98 and more for six seeds.
    return trained(packed, tmp_path_factory.mktemp("learned"), epochs=20, width=8)


def test_the_loss_falls_and_the_f1_is_far_above_calling_everything_landslide(learned):
    losses = [line["train_loss"] for line in learned.history]
    assert losses[-1] < 0.5 * losses[0]
    counts = learned.task.count("test").images().numpy()
    f1 = scores.scores(counts)["pooled"]["f1"]
    assert f1 > 0.8 > 2 * scores.all_positive_f1(counts)


def test_the_history_has_a_line_an_epoch_with_the_f1_of_the_validation_images(learned):
    lines = learned.history
    assert len(lines) == 20
    last = scores.scores(learned.task.count("valid").images().numpy())["pooled"]["f1"]
    # While training it is computed in bfloat16.
    assert lines[-1]["valid_f1"] == pytest.approx(last, abs=0.05)
    assert all(line["seconds"] > 0 for line in lines)


def test_evaluating_twice_gives_the_same_and_counts_every_image_once(learned, packed):
    first, second = learned.task.count("test", 0.5, 0.25), learned.task.count("test", 0.5, 0.25)
    assert torch.equal(first.images(1), second.images(1))
    assert torch.equal(first.histogram(), second.histogram())
    where = learned.parts["test"]
    assert len(first.images()) == len(where)
    positive = first.images()[:, [0, 2]].sum(1).numpy()
    np.testing.assert_array_equal(positive, packed.masks[where].sum((1, 2)))


def test_a_threshold_chosen_by_the_histogram_gives_the_f1_that_the_sweep_promised(learned):
    valid = learned.task.count("valid").histogram().numpy()
    best = scores.best_threshold(*valid)
    counts = learned.task.count("valid", best).images().numpy()
    curve = scores.sweep(*valid)
    assert scores.scores(counts)["pooled"]["f1"] == pytest.approx(np.nanmax(curve["f1"]))


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("first_conv", ["extended", "random"])
def test_a_recipe_says_whether_the_first_convolution_is_extended_to_its_bands_or_random(packed, first_conv, learns):
    bands = ["R", "G", "B", "gray", "gaussian", "median"]
    start = {"name": "imagenet", "first_conv": first_conv}
    chosen = {"model": "efficientnet_lite0", "bands": bands, "start": start}
    made = recipe(TINY, chosen | ({"start": {"name": "presence", "start": start}} if learns else {}))
    network = encoder_of(MODELS["efficientnet_lite0"](in_channels=6, width=4))  # every task loads it in one way
    built = {name: value.clone() for name, value in network.state_dict().items()}
    load_start(network, made.pretraining[0] if learns else made, Setting(packed, 0, CPU))
    colours = MODELS["efficientnet_lite0"](in_channels=3, width=4)
    start_of(encoder_of(colours), "imagenet")
    expected = encoder_of(colours).state_dict()
    first = expected["conv_stem.weight"]
    extended = torch.cat([first, first], 1) / 2
    expected["conv_stem.weight"] = extended if first_conv == "extended" else built["conv_stem.weight"]
    taken = network.state_dict()
    assert taken.keys() == expected.keys()
    assert all(torch.equal(taken[name], expected[name]) for name in taken)


# --- every part that a recipe can name ---------------------------------------------------


def test_the_library_builds_whatever_a_recipe_can_name():
    def choices(annotation) -> set[str]:
        return set(get_args(annotation))

    terms = TERMS.values()
    named = {name for term in terms for name in choices(term.model_fields["name"].annotation)}
    fields = recipes.Segmentation.model_fields
    assert named == set(LOSSES)
    assert choices(Optimizer.model_fields["name"].annotation) == set(OPTIMIZERS)
    adaptation = recipes.Adaptation.model_fields
    tiles = recipes.Classification.model_fields
    assert set.union(*(choices(of["model"].annotation) for of in (fields, adaptation, tiles))) == set(MODELS)
    either = [choices(get_args(of["augmentation"].annotation)[0]) for of in (fields, adaptation)]
    assert set.union(*either) == set(augment.AUGMENTATIONS)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_step_with_every_loss_moves_the_network(packed, name):
    task = task_of(packed, loss=[{"name": name}])
    before = [p.clone() for p in task.parameters()]
    optimizer = OPTIMIZERS["adam"](task.parameters(), lr=1e-3)
    loss = task.training_loss(next(iter(task.loader("train"))), 0, 0)
    assert loss.ndim == 0
    assert loss.isfinite()
    loss.backward()
    optimizer.step()
    after = list(task.parameters())
    assert all(p.isfinite().all() for p in after)
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_loss_is_the_weighted_sum_that_the_recipe_names(packed):
    terms = [{"name": "focal", "gamma": 3.0, "factor": 0.25}, {"name": "iou", "factor": 2.0}]
    loss = loss_of(recipe(TINY, {"loss": terms}), packed, np.arange(4))
    assert [type(term) for term in loss.losses] == [type(LOSSES[t["name"]]()) for t in terms]
    logits = torch.linspace(-3, 3, 64).view(1, 1, 8, 8)
    target = (torch.arange(64).view(1, 1, 8, 8) % 3 == 0).float()
    focal, iou = LOSSES["focal"](gamma=3.0), LOSSES["iou"]()
    by_hand = 0.25 * focal(logits, target) + 2.0 * iou(logits, target)
    torch.testing.assert_close(loss(logits, target), by_hand)


def test_a_weight_that_is_not_stated_is_that_of_the_training_masks(packed):
    unstated = recipe(TINY, {"loss": [{"name": "weighted_ce"}]})
    train = np.flatnonzero(packed.positive)[:3]
    masks = packed.masks[train]
    loss = loss_of(unstated, packed, train)
    logits, truth = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    expected = ((masks == 0).sum() / (masks == 1).sum() + 1) / 2 * np.log(2)
    assert loss(logits, truth).item() == pytest.approx(expected, rel=1e-5)
    empty = replace(packed, masks=np.zeros_like(packed.masks))
    with pytest.raises(ValueError, match="no landslide to train on"):
        loss_of(unstated, empty, train)


def test_the_network_sees_the_bands_that_the_recipe_names(packed):
    task = task_of(packed, bands=["B", "R"])
    images, _ = next(iter(task.loader("valid")))
    first = packed.images[task.data.parts["valid"][0]].astype(np.float32)[[2, 0]]
    np.testing.assert_allclose(images[0].numpy(), first / task.data.scale.numpy(), rtol=1e-6)
    with pytest.raises(ValueError, match="bijie has no NIR; allowed: R, G, B"):
        task_of(packed, bands=["NIR"])


def test_only_training_batches_are_augmented_and_shuffled(packed):
    task = task_of(packed)
    for part in ("valid", "test"):
        masks = torch.cat([masks for _, masks in task.loader(part)])[:, 0]
        np.testing.assert_array_equal(masks.numpy(), packed.masks[task.data.parts[part]])


# --- repeating and resuming --------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(packed, tmp_path_factory) -> Run:
    """A run of three epochs that nothing interrupts."""
    return trained(packed, tmp_path_factory.mktemp("whole"))


def test_the_same_seed_gives_the_same_run_bit_for_bit(whole, packed, tmp_path):
    torch.manual_seed(99)  # what was drawn before does not matter
    np.random.seed(99)  # noqa: NPY002
    again = trained(packed, tmp_path)
    assert same(whole, again)
    assert history(whole) == history(again)
    assert torch.equal(whole.task.count("test").images(), again.task.count("test").images())
    assert torch.equal(whole.task.count("test").histogram(), again.task.count("test").histogram())


def test_another_seed_is_another_run_on_the_same_split(whole, packed, tmp_path):
    other = trained(packed, tmp_path, seed=1)
    assert not same(whole, other)
    for part, places in whole.parts.items():
        np.testing.assert_array_equal(places, other.parts[part])


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_been(whole, packed, tmp_path, monkeypatch, epoch):
    start = SegmentationTask.start_epoch

    def interrupted(self, number):
        if number == epoch:
            raise ConnectionError("the machine is gone")
        start(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTask, "start_epoch", interrupted)
        with pytest.raises(ConnectionError):
            trained(packed, tmp_path)
    resumed = trained(packed, tmp_path)
    assert resumed.resumed
    assert not whole.resumed
    assert same(whole, resumed)
    assert history(whole) == history(resumed)


def test_a_run_that_ended_before_its_record_was_written_is_not_trained_again(whole, packed, tmp_path, monkeypatch):
    trained(packed, tmp_path)

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(SegmentationTask, "training_loss", refuse)
    again = trained(packed, tmp_path)
    assert again.resumed
    assert same(whole, again)
    assert history(whole) == history(again)


def test_a_checkpoint_is_read_without_running_code(whole, tmp_path, packed):
    trained(packed, tmp_path)
    [path] = tmp_path.glob("*.ckpt")
    content = read_checkpoint(path)
    assert content["recipe"] == non_default_fields(recipe(TINY))
    assert [line["train_loss"] for line in content["history"]] == [line["train_loss"] for line in history(whole)]
    for name, value in weights(whole).items():
        assert torch.equal(content["state_dict"][f"task.network.{name}"], value)


# --- what goes wrong ---------------------------------------------------------------------


def test_a_loss_that_is_not_finite_is_one_clear_error(packed, tmp_path):
    images = packed.images.copy()
    images[:, 0, 0, 0] = np.nan
    wanted = recipe(TINY, {"epochs": 1})
    with pytest.raises(FloatingPointError) as caught:
        run(wanted, Setting(replace(packed, images=images), 3, CPU, tmp_path))
    for words in (wanted.hash, "seed 3", "training loss is nan", "epoch 0", "optimizer.lr"):
        assert words in str(caught.value)
    assert not list(tmp_path.rglob("*.ckpt"))


def test_a_batch_of_one_that_batch_normalisation_cannot_train_on_is_refused(packed, tmp_path):
    with pytest.raises(ValueError, match=r"batch of one image.*at least two images"):
        trained(packed, tmp_path, batch=1, model="deeplab_v3")
    assert not list(tmp_path.rglob("*.ckpt"))


def test_too_few_images_for_the_split_are_refused_before_training(packed):
    few: Packed = replace(packed, parts=("train",) * 4 + ("test",) * (len(packed) - 4))
    with pytest.raises(ValueError, match=r"split\.method = 'blocked': squares has 4 groups of 4 images"):
        task_of(few)


# --- a whole run, from the files to the record -------------------------------------------

SMOKE = recipe({"dataset": "bijie"}, profile("smoke"), {"epochs": 3})

#: A process that kills itself, as a cluster would, when the third epoch begins.
KILLED = """
import json, os, signal, sys
import torch
from torch import nn
torch.set_num_threads(1)
from landslide_lib.study import runs
from landslide_lib.study.recipe import recipe
from landslide_lib.training.segmentation import SegmentationTask

def kill(self, epoch, start=SegmentationTask.start_epoch):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    start(self, epoch)

SegmentationTask.start_epoch = kill
runs.run(recipe(json.loads(sys.argv[1])), 0, device="cpu")
"""


def test_a_run_that_was_killed_ends_with_the_record_of_one_that_was_not(bijie, tmp_path, monkeypatch):
    command = [sys.executable, "-c", KILLED, SMOKE.model_dump_json()]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    here = Path(os.environ["LANDSLIDE_RUNS"])
    assert [path.name for path in here.glob("unfinished/*/*.ckpt")] == ["last.ckpt"]

    resumed = runs.run(SMOKE, 0, device="cpu")
    assert resumed.resumed == 1
    assert list(here.glob("unfinished/*")) == []

    whole = runs.run(SMOKE, 0, device="cpu", store=Store(tmp_path / "other" / "records", more=()))
    assert whole.resumed == 0
    for field in (
        "recipe",
        "hash",
        "fingerprint",
        "images",
        "test",
        "test_tuned",
        "valid",
        "test_ids",
        "test_counts",
        "histogram",
        "parameters",
    ):
        assert getattr(resumed, field) == getattr(whole, field), field
    assert [line.train_loss for line in resumed.history] == [line.train_loss for line in whole.history]
    assert resumed.started < whole.started


def test_what_has_been_run_is_not_run_again_unless_one_asks(bijie, monkeypatch):
    wanted = recipe({"dataset": "bijie"}, profile("smoke"))
    store = Store(more=())
    first = runs.run(wanted, 0, device="cpu", store=store)
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_make", None)
        assert runs.run(wanted, 0, device="cpu", store=store) == first
    again = runs.run(wanted, 0, device="cpu", store=store, rerun=True)
    assert again.name != first.name
    assert again.test == first.test
    assert again.test_counts == first.test_counts
    assert len(store.all()) == 2


def test_a_record_tells_what_was_run_and_on_what(bijie):
    wanted = recipe({"dataset": "bijie"}, profile("smoke"))
    made = runs.run(wanted, 5, device="cpu")
    assert (made.recipe, made.hash, made.seed) == (wanted, wanted.hash, 5)
    assert sum(made.images.values()) == wanted.subset
    assert made.images["test"] == len(made.test_ids) == len(made.test_counts)
    pixels = made.images["test"] * wanted.image_size**2
    assert np.sum(made.test_counts) == np.sum(made.histogram) == pixels
    assert made.test.metrics == scores.scores(made.test_counts)
    assert len(made.history) == wanted.epochs
    assert made.seconds_per_epoch > 0
    assert math.isfinite(made.peak_memory_mb)
    assert not made.stale
    assert json.loads(made.to_json())["threads"] == torch.get_num_threads()


def test_a_published_record_does_not_stand_in_for_training_without_the_data(bijie, monkeypatch, tmp_path):
    wanted = recipe({"dataset": "bijie"}, profile("smoke"))
    runs.run(wanted, 0, device="cpu")
    monkeypatch.setenv("LANDSLIDE_DATA", str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError, match="landslide data download bijie"):
        runs.run(wanted, 0, device="cpu")


DIVERGING = recipe(
    {"dataset": "bijie", "model": "small_v_net"},
    {**profile("smoke"), "epochs": 2},
    {"optimizer": {"name": "sgd", "lr": 10.0, "schedule": "constant"}},
)


def test_a_network_that_diverged_leaves_no_record(bijie, tmp_path):
    """Its training loss may be finite to the end; then validation or the weights tell."""
    store = Store(tmp_path / "records", more=())
    with pytest.raises(FloatingPointError, match=r"lower the learning rate \(optimizer\.lr\)"):
        runs.run(DIVERGING, 0, device="cpu", store=store)
    assert store.all() == []


def test_a_weight_that_is_not_finite_is_no_record_though_all_losses_are(bijie, tmp_path, monkeypatch):
    def end(self):
        next(self.task.network.parameters()).data.fill_(math.nan)

    monkeypatch.setattr(Loop, "on_train_end", end)
    store = Store(tmp_path / "records", more=())
    with pytest.raises(FloatingPointError, match="is not finite: it has diverged"):
        runs.run(SMOKE, 0, device="cpu", store=store)
    assert store.all() == []


def start_and_stop(monkeypatch, store, threads=1):
    """Stop a run before its third epoch; return the folder of its checkpoint."""

    def stop(self, epoch, start=SegmentationTask.start_epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        start(self, epoch)

    torch.set_num_threads(threads)
    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTask, "start_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            runs.run(SMOKE, 0, device="cpu", store=store)
    torch.set_num_threads(1)
    return next((store.home.parent / "unfinished").iterdir())


def test_a_damaged_note_of_starts_is_named(bijie, tmp_path, monkeypatch):
    store = Store(tmp_path / "runs" / "records", more=())
    work = start_and_stop(monkeypatch, store)
    (work / "starts").write_text((work / "starts").read_text()[:20])
    with pytest.raises(ValueError, match="starts: damaged; remove its folder"):
        runs.run(SMOKE, 0, device="cpu", store=store)


def test_every_flip_in_the_directory_of_a_checkpoint_is_survived(bijie, tmp_path, monkeypatch, capsys):
    store = Store(tmp_path / "runs" / "records", more=())
    last = start_and_stop(monkeypatch, store) / "last.ckpt"
    whole = last.read_bytes()
    directory = whole.rindex(b"PK\x01\x02")
    for place in range(directory, len(whole), 7):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        last.write_bytes(flipped)
        if _readable(last):  # a flip where nobody looks
            assert read_checkpoint(last)["epoch"] == 1
        else:
            assert "is broken" in capsys.readouterr().err
            assert not last.exists()


def test_a_run_that_went_on_with_other_threads_names_both_counts(bijie, tmp_path, monkeypatch):
    store = Store(tmp_path / "runs" / "records", more=())
    start_and_stop(monkeypatch, store, threads=2)
    made = runs.run(SMOKE, 0, device="cpu", store=store)
    assert made.threads_of_starts == (2, 1)
    assert made.threads == 1


def test_a_recipe_says_how_a_u_net_upsamples():
    plain, resized = ({"dataset": "bijie", "width": 4, **how} for how in ({}, {"upsampling": "nearest"}))
    transposed = [
        sum(isinstance(layer, nn.ConvTranspose2d) for layer in model_of(recipe(how), 3).modules())
        for how in (plain, resized)
    ]
    assert transposed == [4, 0]
    assert recipe(plain).hash != recipe(resized).hash
    other = {"model": "small_v_net"}  # which has convolutions of its own
    assert recipe({**plain, **other}).hash == recipe({**resized, **other}).hash
