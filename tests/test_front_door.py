"""The front door: data, any network, any loss, a run, a table, and claims, as the design says."""

import functools
import os
import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import optimize
from torch import nn
from torch.nn import functional as F

import landslide_lib as ll
from landslide_lib.losses import WeightedSum
from landslide_lib.metrics import scores
from landslide_lib.study import runs, teaching
from landslide_lib.study.recipe import non_default_fields, recipe
from landslide_lib.study.records import Store
from landslide_lib.study.reports import resolve
from landslide_lib.study.tasks import segmentation
from landslide_lib.study.tasks.run import Setting, seeded
from landslide_lib.training.fit import Run

SMALL = {"batch": 8, "epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def data():
    return ll.load("synthetic", size=32, subset=40)


def network(data, **options) -> nn.Module:
    seeded(0)
    return ll.models.UNet(in_channels=len(data.bands), width=4, **options)


@pytest.fixture(scope="module")
def run(data) -> Run:
    loss = ll.losses.FocalLoss(gamma=2)
    return ll.fit(network(data), data, loss=loss, epochs=2, seed=0, batch=8, device="cpu")


# --- importing ---------------------------------------------------------------------------


def test_importing_the_library_imports_nothing_heavy():
    heavy = "{'torch', 'lightning', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)"
    code = f"import sys, landslide_lib; print(sorted({heavy}), 'fit' in dir(landslide_lib))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] True"


def test_the_front_door_has_the_names_it_says_and_no_others():
    assert all(getattr(ll, name) is not None for name in ll.__all__)
    with pytest.raises(AttributeError, match="'landslide_lib' has no attribute 'learn'"):
        ll.learn  # noqa: B018


# --- data --------------------------------------------------------------------------------


def test_data_has_bands_parts_and_batches(data):
    assert len(data.bands) == 14
    assert len(data.train) + len(data.valid) + len(data.test) == 40
    image, mask = data.test[0]
    images, masks = next(iter(data.loader("test", batch=3)))
    assert images.shape == (3, 14, 32, 32)
    assert masks.shape == (3, 1, 32, 32)
    assert torch.equal(images[0], image)
    assert torch.equal(masks[0], mask)
    train = torch.cat([images for images, _ in data.loader("train")])
    torch.testing.assert_close(train.mean((0, 2, 3)), torch.ones(14), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "venus"}, "venus"),
        ({"size": 40}, "size 40: it has to be a multiple of 16"),
        ({"subset": 5}, "subset 5: at least 20 images are split"),
        ({"split": "shuffled"}, "split 'shuffled': unknown; allowed: blocked, region, random, contiguous, published"),
        ({"bands": ["B99"]}, "synthetic has no B99"),
        ({"name": "fmow"}, "fmow: it has images and no masks"),
        ({"name": "zindi"}, "zindi: it has labels and no masks"),
    ],
)
def test_data_that_there_is_not_is_refused_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        ll.load(**{"name": "synthetic", "size": 32, **options})
    assert "\n" not in str(caught.value)


def test_a_part_that_there_is_not_is_refused(data, run):
    with pytest.raises(ValueError, match="part 'tests': unknown; allowed: train, valid, test"):
        data.part("tests")
    with pytest.raises(ValueError, match="part 'tests': unknown"):
        run.show(part="tests")


# --- a run -------------------------------------------------------------------------------


def test_a_run_has_scores_of_validation_and_test_images(run, data):
    frame = run.scores()
    assert list(frame.index) == ["valid", "test"]
    assert list(frame.columns) == ["precision", "recall", "f1", "iou", "threshold"]
    counts = run.task.count("test", 0.5).images().numpy()
    pooled = scores.scores(counts)["pooled"]
    np.testing.assert_array_equal(
        frame.loc["test", ["precision", "recall", "f1", "iou"]].astype(float),
        [np.nan if pooled[key] is None else pooled[key] for key in ("precision", "recall", "f1", "iou")],
    )
    assert (frame.threshold == 0.5).all()
    assert counts[:, [0, 2]].sum() == data.packed.masks[data.parts["test"]].sum()
    best = run.scores(threshold=None)
    assert best.threshold.nunique() == 1
    assert best.f1["valid"] >= np.nan_to_num(frame.f1["valid"])


def test_a_run_has_a_history_of_one_row_an_epoch(run):
    history = run.history
    assert list(history.index) == [1, 2]
    assert {"train_loss", "valid_loss", "valid_f1", "seconds"} <= set(history.columns)
    assert history.train_loss[2] < history.train_loss[1]


def test_a_run_predicts_and_shows_the_images_that_hold_most_landslide(run, data):
    images, _ = next(iter(data.loader("test", batch=2)))
    assert run.predict(images).shape == (2, 1, 32, 32)
    assert ((run.predict(images) >= 0) & (run.predict(images) <= 1)).all()
    figure = run.show(3)
    assert len(figure.axes) == 3 * 4
    where = data.parts["test"]
    most = where[np.argmax(data.packed.masks[where].sum((1, 2)))]
    assert figure.axes[0].get_ylabel() == data.packed.ids[most]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), data.packed.masks[most])
    assert not plt.get_fignums()  # a notebook would show it twice


def test_fit_and_the_recipe_of_the_same_run_give_the_same_to_the_last_digit(data, tmp_path):
    """There is one training path."""
    run = ll.fit(network(data), data, epochs=2, seed=0, batch=8, lr=0.003, device="cpu")
    wanted = recipe(
        {
            "dataset": "synthetic",
            "image_size": 32,
            "subset": 40,
            "width": 4,
            "upsampling": "nearest",
            "epochs": 2,
            "batch": 8,
            "optimizer": {"lr": 0.003},
        }
    )
    setting = Setting(data.packed, 0, torch.device("cpu"), tmp_path)
    by_recipe = segmentation.run(wanted, setting)
    evaluated = by_recipe.evaluate()
    assert run.task.count("test", 0.5).images().tolist() == evaluated["test_counts"]
    own, weights = run.network.state_dict(), by_recipe.task.network.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in own.items())
    lines = run.history.drop(columns="seconds").to_dict("records")
    assert lines == [{k: v for k, v in line.items() if k != "seconds"} for line in by_recipe.history]
    for threshold, name in ((0.5, "test"), (None, "test_tuned")):
        frame, outcome = run.scores(threshold), evaluated[name]
        assert frame.threshold["test"] == outcome["threshold"]
        for key in ("precision", "recall", "f1", "iou"):
            expected = outcome["metrics"]["pooled"][key]
            assert frame.loc["test", key] == (pytest.approx(np.nan, nan_ok=True) if expected is None else expected)


class Mine(nn.Module):
    """A user's own network."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(bands, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))

    def forward(self, images):
        return self.layers(images)


def dice(logits, masks):
    """A user's own loss."""
    p = logits.float().sigmoid()
    return 1 - 2 * (p * masks).sum() / (p.sum() + masks.sum() + 1)


def test_fit_takes_any_network_and_any_loss_and_trains_it_in_place(data):
    seeded(0)
    mine = Mine(len(data.bands))
    before = mine.layers[0].weight.clone()
    run = ll.fit(mine, data, loss=dice, augment=(), optimizer="sgd", precision="32-true", **SMALL)
    assert run.network is mine
    assert not torch.equal(mine.layers[0].weight, before)
    assert len(run.history) == 1
    assert run.scores().shape == (2, 5)


def test_fit_draws_nothing_that_it_does_not_seed(data):
    scored = []
    for draw in (1, 2):
        torch.manual_seed(draw)
        torch.rand(draw)
        net = network(data)
        torch.manual_seed(draw)
        scored.append(ll.fit(net, data, loss=F.binary_cross_entropy_with_logits, **SMALL))
    assert scored[0].history.train_loss.equals(scored[1].history.train_loss)


def test_fit_goes_on_in_its_folder_and_refuses_that_of_another_training(data, tmp_path):
    first = ll.fit(network(data), data, folder=tmp_path, **SMALL)
    again = ll.fit(network(data), data, folder=tmp_path, **SMALL)
    assert again.history.equals(first.history)  # to the seconds: nothing was trained again
    with pytest.raises(ValueError, match="its checkpoint is of a training with another loss; take"):
        ll.fit(network(data), data, folder=tmp_path, loss=ll.losses.IoULoss(), **SMALL)
    with pytest.raises(ValueError, match="with another plan; take"):
        ll.fit(network(data), data, folder=tmp_path, **{**SMALL, "epochs": 2})


def test_fit_tells_trainings_on_other_parts_and_with_other_numbers_in_a_loss_apart(data, tmp_path):
    def both(gamma):
        return WeightedSum([(1, ll.losses.FocalLoss(gamma=gamma)), (1, ll.losses.IoULoss())])

    ll.fit(network(data), data, folder=str(tmp_path), loss=both(2), **SMALL)
    with pytest.raises(ValueError, match="with another loss; take"):
        ll.fit(network(data), data, folder=tmp_path, loss=both(5), **SMALL)
    with pytest.raises(ValueError, match="with another data; take"):
        ll.fit(network(data), ll.load("synthetic", size=32, subset=32), folder=tmp_path, loss=both(2), **SMALL)
    for _ in range(2):  # the second time at another address
        loss = functools.partial(F.binary_cross_entropy_with_logits, pos_weight=torch.ones(1))
        ll.fit(network(data), data, folder=tmp_path / "partial", loss=loss, **SMALL)


def without_gradient(logits, masks):
    return ((logits > 0).float() - masks).abs().mean()


def each_pixel(logits, masks):
    return F.binary_cross_entropy_with_logits(logits, masks, reduction="none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs 0: not allowed; possible: 1 or more"),
        ({"batch": 0}, "batch 0: not allowed"),
        ({"lr": 0.0}, "lr 0.0: not allowed; possible: above 0"),
        ({"seed": -1}, "seed -1: not allowed"),
        ({"precision": "16"}, "precision '16': not allowed; possible: bf16-mixed, 32-true"),
        ({"optimizer": "lion"}, "optimizer 'lion': not allowed; possible: sgd, adagrad"),
        ({"augment": ("mosaic",)}, "augment 'mosaic': not allowed; possible: rotation, flips, zoom, cutmix, paste"),
        ({"device": "tpu"}, "device 'tpu': not here; possible: auto, cpu"),
        ({"loss": each_pixel}, r"loss: .*gives no scalar with a gradient \(grad can be .* only for scalar outputs"),
        ({"loss": lambda logits, masks: 0.5}, "loss: of logits and masks"),
        ({"loss": lambda logits: logits.mean()}, r"loss: of logits and masks \(2, 1, 32"),
        ({"loss": nn.BCELoss()}, "loss: of logits and masks"),
        ({"loss": without_gradient}, "loss: .*does not require grad"),
        ({"network": ll.models.UNet}, "not allowed; possible: an nn.Module"),
        ({"network": ll.models.UNet(in_channels=3, width=4)}, "build it with in_channels=14"),
        ({"network": nn.Conv2d(14, 2, 1)}, r"it gives \(2, 2, 32, 32\), not logits of shape"),
        ({"network": nn.Conv2d(14, 1, 1, stride=2)}, r"it gives \(2, 1, 16, 16\), not logits"),
        ({"network": nn.MaxPool2d(1, return_indices=True)}, "network: .*not logits"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line_before_anything_trains(data, options, message):
    given = {"network": network(data), "data": data, **SMALL, **options}
    with pytest.raises(ValueError, match=message) as caught:
        ll.fit(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["train", "test"])
def test_masks_with_a_third_value_are_refused(data, part):
    masks = np.array(data.packed.masks)
    masks[data.parts[part][0], 0, 0] = 2
    with pytest.raises(ValueError, match="labels: masks of synthetic hold 2; landslide is 1"):
        ll.fit(network(data), replace(data, packed=replace(data.packed, masks=masks)), **SMALL)


def test_training_says_nothing_where_there_is_no_terminal():
    code = (
        "import landslide_lib as ll\n"
        "data = ll.load('synthetic', size=32, subset=40)\n"
        "net = ll.models.UNet(in_channels=14, width=4)\n"
        "print(len(ll.fit(net, data, epochs=1, batch=8, device='cpu').history))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert (done.stdout, done.stderr) == ("1\n", "")


# --- a table -----------------------------------------------------------------------------

SMOKE = {"dataset": "synthetic", "profile": "smoke", "seeds": [0]}


def test_a_table_runs_what_is_missing_and_nothing_twice(monkeypatch):
    table = ll.table("raunet/losses", **SMOKE)
    table.store = Store(more=())
    assert table.frame().ours.isna().all()
    assert table.run(rows=["ce", "focal"], device="cpu") is table
    frame = table.frame().set_index(["row", "column"])
    assert frame.loc[("focal", "f1"), ["reported", "seeds"]].tolist() == [0.6828, 1]
    assert frame.loc["focal"].ours.notna().all()
    assert frame.loc["iou"].ours.isna().all()
    monkeypatch.setattr(runs, "_make", None)  # so that anything that trains fails
    table.run(rows=["ce", "focal"], device="cpu")
    effects = table.effects()
    assert effects.index.tolist() == ["focal"]
    assert effects.verdict["focal"] == "too few seeds"
    # The landslide F1 a in printed means F and M over both classes: a + b = 2 F, a / (2 - a) + b / (2 - b) = 2 M.
    a = {}
    for row, (f, m) in {"focal": (0.6828, 0.6037), "ce": (0.6783, 0.6001)}.items():
        a[row] = optimize.brentq(lambda x: x / (2 - x) + (2 * f - x) / (2 - 2 * f + x) - 2 * m, 0, f - 0.01)  # noqa: B023
    assert effects.reported["focal"] == pytest.approx(a["focal"] - a["ce"], abs=2e-4)


def test_a_table_without_a_dataset_runs_the_one_that_it_shows(monkeypatch):
    table = ll.table("raunet/losses")
    table.store = Store(more=())
    ll.table("raunet/losses", **SMOKE).run(rows=["ce"], device="cpu")
    monkeypatch.setattr(runs, "ensure", lambda *_, **options: seen.update(options))
    seen = {}
    replace(table, profile="smoke").run(rows=["ce"])
    assert (seen["dataset"], seen["profile_name"]) == ("synthetic", "smoke")


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("post-processing", ["threshold-0.95", "opening"], ["none", "opening"]),  # derived: what it comes from
        ("k-fold-thresholds", ["fold-2-0.5-again", "random-1"], ["fold-2-0.5"]),  # random: data with scenes
        ("k-fold-thresholds", ["random-1"], None),
        ("k-fold", ["no"], [f"fold-{number}-0.5" for number in range(1, 6)]),  # those of another table
    ],
)
def test_a_table_runs_what_the_named_rows_come_from_on_this_data(name, rows, expected, monkeypatch):
    seen = {}
    monkeypatch.setattr(runs, "ensure", lambda *_, **options: seen.update(options))
    table = ll.table(f"raunet/{name}", dataset="bijie", profile="smoke")
    table.run(rows=rows)
    assert seen.get("rows") == expected


@pytest.fixture
def published(monkeypatch):
    monkeypatch.setenv("LANDSLIDE_TRAIN", "no")
    return ll.table("raunet/losses", dataset="bijie", profile="cpu", seeds=[0, 1, 2])


def test_a_published_table_is_read_compared_and_drawn(published):
    published.run(rows=["focal"])
    frame, effects = published.frame(), published.effects()
    assert list(frame.columns)[:8] == ["row", "label", "column", "reported", "ours", "low", "high", "seeds"]
    assert list(frame.row.unique()) == [row.id for row in published.report.rows]
    assert "ce" not in effects.index
    assert len(effects) == len([row for row in published.rows if row["ours"]]) - 1
    by_id = {row["id"]: row["ours"]["metrics"]["pooled"]["f1"]["mean"] for row in published.rows if row["ours"]}
    # The F1 of the counts of all seeds together, and not the mean over seeds.
    assert effects.difference["focal"] == pytest.approx(by_id["focal"] - by_id["ce"], abs=0.02)
    for _, line in effects.iterrows():
        assert line.low <= line.difference <= line.high
        if line.seeds < 2:
            assert line.verdict == "too few seeds"
            continue
        verdict = "better" if line.low > 0 else "worse" if line.high < 0 else "no significant difference"
        assert line.verdict == verdict
    assert "<table" in published._repr_html_()
    assert "Cross Entropy" in str(published)
    picture = published.plot()
    pd.testing.assert_frame_equal(picture.data, effects.reset_index())
    (axes,) = picture.figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == effects.label[::-1].tolist()


def test_the_verdicts_are_the_words_of_the_field(record):
    """Sixteen scenes; what differs by much in every scene differs, what hardly does not."""
    table = ll.table("raunet/losses", dataset="bijie", profile="cpu")
    table.store = Store(more=())
    hits = {"ce": (50, 51), "focal": (80, 81), "iou": (20, 21), "tversky": (50, 52), "lovasz": (80,)}
    for row, by_seed in hits.items():
        wanted = resolve(table.report, table.report.row(row), dataset="bijie", profile_name="cpu")
        for seed, tp in enumerate(by_seed):
            counts = [[tp + i % 2, 10, 100 - tp - i % 2, 1000] for i in range(16)]
            table.store.add(record(non_default_fields(wanted), counts, seed=seed))
    effects = table.effects()
    assert effects.verdict.to_dict() == {
        "focal": "better",
        "iou": "worse",
        "tversky": "no significant difference",
        "lovasz": "too few seeds",
    }
    assert effects.seeds.to_dict() == {"focal": 2, "iou": 2, "tversky": 2, "lovasz": 1}
    # F1 of the counts of all images and seeds: 81 hits of 100 with 10 false alarms, 51 of 100.
    assert effects.difference["focal"] == pytest.approx(162 / 191 - 102 / 161)


def test_a_table_that_there_is_not_or_that_compares_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'raunet/loss': unknown; allowed: .*raunet/losses,"):
        ll.table("raunet/loss")
    table = ll.table("raunet/losses", dataset="bijie", profile="cpu")
    table.store = Store(tmp_path, more=())
    assert table.effects().empty
    with pytest.raises(ValueError, match="raunet/losses: no two rows of it have been run"):
        table.plot()


# --- chapters ----------------------------------------------------------------------------


def test_the_source_is_shown_as_it_is():
    assert ll.show(ll.losses.FocalLoss.forward).data.startswith("def forward(self, logits")


def test_a_claim_holds_or_says_that_it_does_not_and_fails_the_published_book(monkeypatch):
    shown = []
    monkeypatch.setattr(teaching, "display", lambda markdown: shown.append(markdown.data))
    ll.claim("Focal is better.", True)
    ll.claim("Focal is better.", False)
    monkeypatch.setenv("LANDSLIDE_TRAIN", "no")
    ll.claim("Focal is better.", np.bool_(True))
    with pytest.raises(teaching.ClaimError, match="do not support this claim: Focal is better"):
        ll.claim("Focal is better.", False)
    holds, fails, published = shown
    assert holds == published == "- **Focal is better.**"
    assert "Does not hold" in fails


@pytest.mark.parametrize(
    ("runs", "words"), [([1, 0, 1], " (one run each)"), ([3.0, 1], " (1 to 3 runs each)"), ([2], " (2 runs)"), ([], "")]
)
def test_a_claim_says_how_many_runs_stand_behind_it(monkeypatch, runs, words):
    shown = []
    monkeypatch.setattr(teaching, "display", lambda markdown: shown.append(markdown.data))
    ll.claim("Focal is better.", True, runs)
    assert shown == [f"- **Focal is better{words}.**"]
