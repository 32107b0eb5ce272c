"""What is said of detectors is what their records hold."""

import re

import numpy as np
import pytest

from landslide_lib.metrics import detection
from landslide_lib.study import comparison, detected, findings, reports
from landslide_lib.study.records import Epoch, Outcome, Record, Store

TABLE = reports.table("detection/backbones")
SIDE = 64


def found(hits: int, seed: int = 0) -> detection.Detections:
    """Eight images of two landslides; `hits` of the boxes are right, as many are false."""
    draw = np.random.default_rng(seed)
    truth = [np.array([[4, 4, 20, 20], [30, 30, 50, 44]], np.float32) for _ in range(8)]
    predicted = []
    for k in range(8):
        right = truth[k][: max(0, min(2, hits - 2 * k))]
        false = np.array([[50, 2, 60, 12]], np.float32)
        boxes = np.concatenate([right, false])
        predicted.append((boxes, draw.uniform(0.45, 0.99, len(boxes))))
    return detection.match(predicted, truth, examples=range(2))


def record(row: str, hits: int, *, seed: int = 0, curve=(0.1, 0.2, 0.3, 0.3)) -> Record:
    wanted = reports.resolve(TABLE, TABLE.row(row), profile_name="quick")
    made = found(hits, seed)
    outcome = Outcome(threshold=0.4, metrics=detection.scores(made, 0.4))
    names = [str(k) for k in range(8)]
    return Record(
        recipe=wanted,
        hash=wanted.hash,
        seed=seed,
        fingerprint="a" * 16,
        revisions=wanted.components,
        excluded=[],
        images={"train": 8, "valid": 8, "test": 8},
        test=outcome,
        test_tuned=outcome,
        valid=outcome,
        valid_tuned=outcome,
        test_ids=names,
        test_groups=names,
        test_counts=[],
        histogram=[],
        detections=made,
        history=[Epoch(train_loss=1, valid_loss=None, valid_map_50=v, seconds=1) for v in curve],
        parameters=1000,
        seconds_per_epoch=1.0,
        samples_per_second=8.0,
        peak_memory_mb=1.0,
        energy_wh=None,
        device="none",
        threads=1,
        versions={},
        commit="0" * 40,
        dirty=False,
        started="2026-01-01T00:00:00+00:00",
        finished=f"2026-01-01T00:00:0{seed}.{hits:06d}+00:00",
        resumed=0,
    )


def shown(*records: Record, tmp_path):
    store = Store(tmp_path / "records", more=())
    for one in records:
        store.add(one)
    how = {"dataset": "landslide4sense-boxes", "profile_name": "quick"}
    return comparison.compare(TABLE, store, **how), comparison.records_of(TABLE, store, **how)


def test_a_record_of_boxes_comes_back_as_it_was_and_stays_small(tmp_path):
    store = Store(tmp_path / "records", more=())
    one = record("resnet-18-random", 12)
    store.add(one)
    assert store.all() == [one]
    assert len(one.to_json()) < 10_000


def test_rows_of_boxes_stand_beside_the_report_with_their_own_scores(tmp_path):
    rows, _ = shown(record("resnet-18-random", 16), record("vit-tiny-random", 4), tmp_path=tmp_path)
    there = {row["id"]: row["ours"] for row in rows if row["ours"]}
    assert set(there) == {"resnet-18-random", "vit-tiny-random"}
    best = there["resnet-18-random"]
    assert best["metrics"]["boxes"]["recall"]["mean"] == 1.0
    assert best["floor"] is None
    against = there["vit-tiny-random"]["versus"]
    assert against["low"] <= against["difference"] <= against["high"]
    assert against["difference"] < 0


def test_the_best_is_chosen_on_validation_and_drawn_without_the_imagery(tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_DATA", str(tmp_path / "nothing"))
    _, runs = shown(record("resnet-18-random", 16), record("vit-tiny-random", 4), tmp_path=tmp_path)
    best = detected.best_on_validation(runs)
    assert best[0] == "resnet-18-random"
    picture = detected.picture_of(best)
    assert set(picture.data["boxes"]) == {"true", "found"}
    assert "100% of the landslides" in detected.said(best, TABLE)
    assert detected.best_on_validation({"a": []}) is None


@pytest.mark.parametrize(("curve", "said"), [((0.1, 0.2, 0.3, 0.5), "still rising"), ((0.1, 0.3, 0.3, 0.3), "flat")])
def test_a_curve_has_flattened_or_not(curve, said):
    assert said in detected.flattened({"row": [record("resnet-18-random", 4, curve=curve)]})


def test_rows_that_were_not_run_are_named_with_what_they_need():
    runs = {"resnet-18-random": [record("resnet-18-random", 16)], "vit-tiny-random": []}
    fetching, rest = detected.not_run([(TABLE, runs)], "landslide4sense-boxes").splitlines()
    assert "weights of others" in fetching
    assert {"ViT-Large", "ResNet-18"} <= set(fetching.split(": ")[1].rstrip(".").split("; "))
    assert "need only time" in rest
    assert TABLE.row("vit-tiny-random").label in rest
    assert TABLE.row("resnet-18-random").label not in rest.split("; ")
    whole = {row.id: [1] for row in TABLE.rows}
    assert detected.not_run([(TABLE, whole)], "synthetic") == "Every row that can be run has been."
    both = detected.not_run([(TABLE, whole), (TABLE, runs)], "landslide4sense-boxes")
    assert both.splitlines() == [fetching, rest]


def test_what_the_split_is_worth_needs_both_rows(tmp_path):
    names = ("resnet-18-random", "resnet-18-blocks")
    one = record("resnet-18-random", 16)
    assert "Not both rows" in detected.leak({names[0]: [one], names[1]: []}, *names)
    runs = {names[0]: [one], names[1]: [record("resnet-18-blocks", 4)]}
    cut = {"shipped": {"right": [3, 4]}, "blocked": {"right": [1, 4], "below": [1, 5]}}
    said = detected.leak(runs, *names, cut)
    assert "set apart 3 of 4 (75%) right, blocks of neighbours 1 of 4 (25%) right and 1 of 5" in said
    assert "So few blocks do not tell" not in said
    assert "set apart" not in detected.leak(runs, *names, {"blocked": {"right": [1, 4]}})
    assert "the same run" in detected.leak({names[0]: [one], names[1]: [one]}, *names)
    # Of two equal scores nothing is known, and the interval is wider than that of either.
    same = detected.leak({names[0]: [record(names[0], 9)], names[1]: [record(names[1], 9)]}, *names)
    low, high = (float(x) for x in re.findall(r"% ([+-][\d.]+) to ([+-][\d.]+)", same)[0])
    alone = detection.bootstrap([found(9)], [str(k) for k in range(8)])
    assert low == pytest.approx(-high, abs=1e-3)
    down, up = (abs(alone[end] - alone["difference"]) for end in ("low", "high"))
    assert high == pytest.approx(np.hypot(down, up), abs=1e-3)
    assert "So few blocks do not tell" in same
    few = [
        one.model_copy(update={"test_groups": ["a"] * 4 + ["b"] * 4})
        for one in (record(names[0], 16), record(names[1], 4))
    ]
    assert "(too few scenes for an interval)." in detected.leak({names[0]: few[:1], names[1]: few[1:]}, *names)


def test_rows_that_were_tested_on_other_images_are_left_out_of_the_order(tmp_path):
    elsewhere = record("resnet-18-blocks", 16)
    elsewhere = elsewhere.model_copy(update={"test_ids": [f"other {k}" for k in range(8)]})
    rows, runs = shown(record("resnet-18-random", 9), record("vit-tiny-random", 4), elsewhere, tmp_path=tmp_path)
    assert set(detected.alike(runs, "resnet-18-random")) == {"resnet-18-random", "vit-tiny-random"}
    assert detected.alike(runs, "swin-tiny-random") == {}
    said = findings.summary(TABLE, rows)
    assert f"**{TABLE.row('resnet-18-random').label}" in said
    assert f"out of this order: {TABLE.row('resnet-18-blocks').label}" in said


def test_a_cell_that_is_a_bound_stands_beside_a_sound_run(tmp_path):
    rows, _ = shown(record("resnet-18-random", 16), tmp_path=tmp_path)
    said = detected.nearly_nothing(TABLE, rows)
    assert TABLE.row("resnet-18").reported["map"] in said
    assert "speak of a training, not of the encoder" in said


def test_a_start_is_worth_what_the_bootstrap_says(tmp_path):
    table = reports.table("detection/pretraining")
    runs = {"vit-tiny-mae": [record("vit-tiny-random", 16)], "vit-tiny-random": [record("vit-tiny-random", 4)]}
    said = detected.worth(table, runs, {"vit-tiny-mae": "vit-tiny-random", "resnet-18-kd": "resnet-18-random"})
    first, second = said.splitlines()
    assert "ViT-Tiny, MAE against ViT-Tiny, random start: +" in first
    assert "not run yet together with" in second
