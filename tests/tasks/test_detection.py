"""Detectors and what their encoders learn first: from files to records that grow from another."""

import itertools
import zipfile

import cv2
import numpy as np
import pytest
import torch

from landslide_lib.data.batches import Batches, BoxTarget, turn
from landslide_lib.study import domains, runs
from landslide_lib.study.recipe import profile, recipe
from landslide_lib.study.records import Store
from landslide_lib.study.submission import submit
from landslide_lib.study.tasks import detection, pretraining
from landslide_lib.study.tasks.run import Run, Setting
from landslide_lib.training.detection import DetectionTask
from landslide_lib.training.pretraining import PresenceTask

SMOKE = recipe({"task": "detection", "dataset": "bijie"}, profile("smoke", "detection"))
SIDE = 8


def start(name: str, encoder: str = "vit_tiny", **more):
    return recipe(SMOKE.model_dump(), {"encoder": encoder, "start": {"name": name, **more}})


# --- what weights of others ask for ----------------------------------------------------------


@pytest.mark.parametrize("how", [{"name": "imagenet"}, {"name": "presence"}])
def test_images_are_centred_for_weights_of_others_and_divided_by_the_mean_for_ours(bijie, how):
    wanted = recipe(SMOKE.model_dump(), {"start": how, "augmentation": [], "batch": 40})
    packed = domains.load(wanted)
    task = detection.build(wanted, Setting(packed, 0, torch.device("cpu")))
    seen = torch.cat([images for images, _ in task.loader("train")])
    mean, deviation = seen.mean((0, 2, 3)), seen.std((0, 2, 3))
    assert wanted.standardize is (how["name"] == "imagenet")
    if wanted.standardize:
        torch.testing.assert_close(mean, torch.zeros(3), atol=1e-2, rtol=0)
        torch.testing.assert_close(deviation, torch.ones(3), atol=1e-2, rtol=0)
    else:
        torch.testing.assert_close(mean, torch.ones(3), atol=1e-2, rtol=0)


def test_a_run_on_another_file_of_weights_is_another_run(bijie, tmp_path):
    for folder in ("bijie", "uav"):
        (tmp_path / folder).symlink_to(bijie / folder)
    wanted = start("file", weights="some.pth")
    without = domains.load(wanted, root=tmp_path).fingerprint
    assert without == domains.load(SMOKE, root=tmp_path).fingerprint
    (tmp_path / "weights").mkdir()
    seen = set()
    for content in (b"one", b"other"):
        (tmp_path / "weights" / "some.pth").write_bytes(content)
        seen.add(domains.load(wanted, root=tmp_path).fingerprint)
    assert len(seen | {without}) == 3
    assert domains.load(SMOKE, root=tmp_path).fingerprint == without


# --- boxes turn with their image -------------------------------------------------------------


@pytest.mark.parametrize("way", list(itertools.product(range(4), range(2))))
def test_a_box_stays_around_what_it_is_around(way):
    image = torch.zeros(3, SIDE, SIDE)
    image[:, 1:3, 2:7] = 1
    turned, boxes = turn(image, torch.tensor([[2.0, 1.0, 7.0, 3.0]]), *way)
    left, top, right, bottom = boxes[0].int().tolist()
    assert turned[:, top:bottom, left:right].min() == 1
    assert turned.sum() == image.sum() == 3 * (right - left) * (bottom - top)


def test_the_eight_ways_are_all_different():
    image = torch.arange(SIDE**2.0).view(1, SIDE, SIDE)
    none = torch.zeros(0, 4)
    seen = {tuple(turn(image, none, *way)[0].flatten().tolist()) for way in itertools.product(range(4), range(2))}
    assert len(seen) == 8


class Around:
    """A box around all of each image but its border."""

    def of(self, _: int) -> np.ndarray:
        return np.array([[1, 1, 15, 15]], np.float32)


def test_training_batches_are_turned_alike_and_others_not(packed):
    given = (packed, np.arange(12), 4, torch.ones(3, 1, 1))
    plain = Batches(*given, target=BoxTarget(Around()))
    turned = Batches(*given, target=BoxTarget(Around(), turned=True), seed=0)
    images, targets = next(iter(plain))
    assert images.shape == (4, 3, 16, 16)
    assert [one["labels"].tolist() for one in targets] == [[1]] * 4
    once, again = (next(iter(turned))[0] for _ in range(2))
    assert torch.equal(once, again)
    turned.set_epoch(1)
    assert not torch.equal(next(iter(turned))[0], once)


# --- whole runs ----------------------------------------------------------------------------


def test_a_detector_runs_and_its_record_holds_its_boxes(bijie, tmp_path):
    store = Store(tmp_path / "runs" / "records", more=())
    made = runs.run(SMOKE, 0, device="cpu", store=store)
    assert len(made.detections.truth) == made.images["test"] == len(made.test_ids)
    assert made.test_counts == made.histogram == []
    assert set(made.test.metrics["boxes"]) == {"map", "map_50", "f1", "precision", "recall"}
    assert made.test.metrics["boxes"]["map_50"] == made.test_tuned.metrics["boxes"]["map_50"]
    assert [line.valid_map_50 is not None for line in made.history] == [True] * SMOKE.epochs
    assert (made.start, made.depends_on) == (None, ())
    assert store.find(SMOKE, 0) == [made]


@pytest.mark.parametrize(
    "wanted",
    [
        start("mae"),
        start("mae", "swin_tiny"),
        start("mae", "swin_tiny", swin="swin_mae"),
        start("presence", "resnet18"),
        start("distillation", "resnet18", teacher="vit_tiny", teacher_start="random"),
    ],
    ids=["mae", "simmim", "swin_mae", "presence", "distillation"],
)
def test_a_detector_grows_from_what_its_encoder_learnt(bijie, tmp_path, wanted):
    store = Store(tmp_path / "runs" / "records", more=())
    made = runs.run(wanted, 0, device="cpu", store=store)
    (learnt,) = wanted.depends_on
    (base,) = store.find(learnt, 0)
    assert made.depends_on == (base.name,)
    assert made.start["share"] == 1.0
    assert not made.start["missing"]
    assert base.recipe == learnt
    if wanted.start.name == "distillation":
        (teacher,) = store.find(learnt.depends_on[0], 0)
        assert base.depends_on == (teacher.name,)
        assert teacher.recipe.encoder == "vit_tiny"
    before = len(store.all())
    again = runs.run(wanted, 0, device="cpu", store=store, rerun=True)
    assert again.test == made.test
    assert len(store.all()) == before + 1  # the start was not learnt again


def test_a_pretraining_counts_examples_and_not_images(bijie, tmp_path):
    store = Store(tmp_path / "runs" / "records", more=())
    record = runs.run(start("presence", "resnet18").depends_on[0], 0, device="cpu", store=store)
    # An epoch of presence may take several crops of an image.
    assert record.samples_per_second == pytest.approx(record.images["train"] / record.seconds_per_epoch, rel=0.05)


def test_the_teacher_stays_as_it_was(bijie, tmp_path, monkeypatch):
    seen = {}
    begin, save = PresenceTask.start_epoch, Run.save

    def note_before(self, epoch):
        if self.teacher is not None and epoch == 0:
            seen["before"] = {k: v.clone() for k, v in self.teacher_network.state_dict().items()}
        begin(self, epoch)

    def note_after(self, path, record):
        if getattr(self.task, "teacher", None) is not None:
            seen["after"] = self.task.teacher_network.state_dict()
        save(self, path, record)

    monkeypatch.setattr(PresenceTask, "start_epoch", note_before)
    monkeypatch.setattr(Run, "save", note_after)
    wanted = start("distillation", "resnet18", teacher="resnet18", teacher_start="random")
    runs.run(wanted, 0, device="cpu", store=Store(tmp_path / "runs" / "records", more=()))
    assert all(torch.equal(v.cpu(), seen["after"][k].cpu()) for k, v in seen["before"].items())


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(bijie, tmp_path, monkeypatch):
    wanted = recipe(SMOKE.model_dump(), {"epochs": 2})
    whole = runs.run(wanted, 0, device="cpu", store=Store(tmp_path / "a" / "records", more=()))
    store = Store(tmp_path / "b" / "records", more=())
    begin = DetectionTask.start_epoch

    def stop(self, epoch):
        if epoch == 1:
            raise RuntimeError("stopped")
        begin(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(DetectionTask, "start_epoch", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            runs.run(wanted, 0, device="cpu", store=store)
    resumed = runs.run(wanted, 0, device="cpu", store=store)
    assert resumed.resumed == 1
    assert resumed.detections == whole.detections
    assert [line.train_loss for line in resumed.history] == [line.train_loss for line in whole.history]


def test_images_of_one_kind_alone_have_no_presence_to_learn(bijie, tmp_path, monkeypatch):
    from landslide_lib.data import boxes

    every = boxes.examples

    def positive(*given, **more):
        made = every(*given, **more)
        return boxes.Crops(made.image, made.corner, made.side, np.ones_like(made.label))

    monkeypatch.setattr(pretraining, "examples", positive)
    with pytest.raises(ValueError, match="bijie has no train images of both kinds"):
        runs.run(start("presence", "resnet18"), 0, device="cpu", store=Store(tmp_path / "records", more=()))


# --- what a detector predicts, as a file ------------------------------------------------------


def test_boxes_of_a_part_become_lines_of_yolo(tmp_path, monkeypatch):
    """The middle and the sides of a box in shares of the image, and its score; an image without a box too."""
    draw = np.random.default_rng(0)
    for part, some in (("train", range(30)), ("valid", range(30, 36)), ("test", range(36, 40))):
        (tmp_path / "voc" / part).mkdir(parents=True)
        for i in some:
            picture = draw.integers(20, 100, (32, 32, 3), np.uint8)
            picture[8:24, 4:20] += 120 * (i % 2 == 0)
            cv2.imwrite(str(tmp_path / "voc" / part / f"{i}.png"), picture)
            (tmp_path / "voc" / part / f"{i}.txt").write_text("0 0.375 0.5 0.5 0.5" * (i % 2 == 0))
    store = Store(tmp_path / "runs" / "records", more=())
    wanted = recipe(SMOKE.model_dump(), {"dataset": "voc", "split": {"method": "published"}})
    record = runs.run(wanted, 0, store=store, device="cpu", data_root=tmp_path)
    found = [(np.array([[4.0, 8, 20, 16], [0, 0, 64, 64]]), np.array([0.75, 0.5])), (np.zeros((0, 4)), np.zeros(0))]
    monkeypatch.setattr(DetectionTask, "predictions", lambda self, part: found * 2)
    path = submit(record, "test", tmp_path / "boxes.zip", store=store, data_root=tmp_path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    lines = "0 0.187500 0.187500 0.250000 0.125000 0.750000\n0 0.500000 0.500000 1.000000 1.000000 0.500000\n"
    assert files == {"test/36.txt": lines, "test/37.txt": "", "test/38.txt": lines, "test/39.txt": ""}
    other = record.model_copy(update={"recipe": SMOKE})
    with pytest.raises(ValueError, match="is of detection on bijie; a submission is of class"):
        submit(other, "test", tmp_path / "no.zip", store=store, data_root=tmp_path)
