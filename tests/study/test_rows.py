"""Every row that can be run is run, in smoke, on files in the layout of the report's data."""

import zipfile
from pathlib import Path
from typing import get_args

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from landslide_lib.data.bands import ZINDI
from landslide_lib.data.datasets.landslide4sense import SIZE, Landslide4Sense
from landslide_lib.models.encoders import encoder
from landslide_lib.study import reports, runs, submission
from landslide_lib.study.recipe.classification import Optical
from landslide_lib.study.recipe.detection import Encoder
from landslide_lib.study.records import Store
from landslide_lib.study.submission import submit

#: Test tiles of Zindi's challenge, whose labels nobody has.
UNKNOWN = ("ID_B", "ID_A", "ID_C")

ROWS = {}
for report in reports.reports().values():
    for table in report.tables.values():
        data = "zindi" if table.task == "classification" else "landslide4sense"
        for row in table.runnable(data):
            made = reports.resolve(table, row, dataset=data, profile_name="smoke")
            ROWS.setdefault(made.hash, pytest.param(made, id=f"{table.name}/{row.id}"))


def weights(folder: Path) -> None:
    """Write what a hub would give of the tiny encoders, and a file of others."""
    folder.mkdir()
    both = [(name, encoder(name, 14, 64, tiny=True)) for name in get_args(Encoder)]
    both += [(name, encoder(name, 3, 64, tiny=True)) for name in get_args(Optical)]
    for name, seen in both:
        source = seen.pretrained_cfg["hf_hub_id"].split("/")[-1]
        save_file(seen.state_dict(), folder / f"{source}.safetensors")
        if name == "vit_large":
            torch.save({"model": seen.state_dict()}, folder / "satmae-vit-large.pth")
        if name == "vit_large_clip":
            torch.save({"state_dict": seen.state_dict()}, folder / "skyclip-vit-large.pt")


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> Path:
    """Forty-four patches of noise in which every other one has a bright square."""
    root = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(0)
    # Of many scenes, as far as numbers tell, to train on; few of the other parts.
    for folder, numbers in (
        ("TrainData", range(1, 45 * 40, 40)),
        ("ValidData", range(1, 4)),
        ("TestData", range(1, 4)),
    ):
        fill(root / "landslide4sense" / folder, numbers, draw)
    tiles(root / "zindi", draw)
    weights(root / "weights")
    return root


def tiles(home: Path, draw: np.random.Generator) -> None:
    """Write sixty tiles of noise, a third with a bright square that is new in the radar."""
    (home / "train_data").mkdir(parents=True)
    lines = ["ID,label"]
    for number in range(60):
        tile = draw.normal(0, 1, (64, 64, len(ZINDI)))
        tile[..., :4] = 2000 + 300 * tile[..., :4]
        if number % 3 == 0:
            tile[20:44, 20:44] *= 1.5
            tile[20:44, 20:44, 6:8] -= 3
        np.save(home / "train_data" / f"ID_{number:03}.npy", tile.astype(np.float32))
        lines.append(f"ID_{number:03},{int(number % 3 == 0)}")
    (home / "Train.csv").write_text("\n".join(lines) + "\n")
    (home / "test_data").mkdir()
    for name in UNKNOWN:
        tile = draw.normal(0, 1, (64, 64, len(ZINDI))).astype(np.float32)
        np.save(home / "test_data" / f"{name}.npy", tile)
    (home / "Test.csv").write_text("\n".join(["ID", *UNKNOWN]) + "\n")


def fill(home: Path, numbers: range, draw: np.random.Generator) -> None:
    """Write patches with their masks."""
    (home / "img").mkdir(parents=True)
    (home / "mask").mkdir()
    for number in numbers:
        image = draw.normal(1, 0.2, (SIZE, SIZE, len(Landslide4Sense().bands))).clip(0.01)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        if number % 80 in (1, 2):
            mask[30:80, 40:100] = 1
            image[mask == 1] *= 1.5
        for kind, key, array in (("img", "img", image), ("mask", "mask", mask)):
            name = "image" if kind == "img" else "mask"
            with h5py.File(home / kind / f"{name}_{number}.h5", "w") as file:
                file[key] = array


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """One for all rows: what several grow from is run once."""
    return Store(tmp_path_factory.mktemp("runs") / "records", more=())


@pytest.mark.parametrize("made", ROWS.values())
def test_a_row_runs_and_leaves_a_whole_record(made, patches, store):
    record = runs.run(made, 0, store=store, device="cpu", data_root=patches)
    assert store.find(made, 0)[0].name == record.name
    assert record.parameters > 0
    assert np.isfinite([line.train_loss for line in record.history]).all()
    if made.task == "classification":
        assert np.sum(record.test_counts) == record.images["test"] == len(record.test_ids)
        # Those that an ensemble or turned predictions are made of have taken the weights.
        assert (record.start is None) == (not made.trains or made.start is None)
        assert (record.filtered is None) == (made.filter is None)
    elif made.task in ("segmentation", "adaptation"):
        assert np.sum(record.test_counts) == record.images["test"] * made.image_size**2
    else:
        assert len(record.detections.truth) == record.images["test"]
        assert (record.start is None) == (made.start is None)
    assert record.revisions == made.components


@pytest.mark.parametrize(
    "row",
    [
        "refinement/validation/round-1-resnet-x1",
        "refinement/test/round-1-two",
        "raunet/losses/focal",
        "raunet/post-processing/voting",
    ],
)
def test_a_network_or_an_ensemble_becomes_a_submission(patches, store, tmp_path, row):
    name, _, identifier = row.rpartition("/")
    table = reports.table(name)
    made = reports.resolve(table, table.row(identifier), dataset="landslide4sense", profile_name="smoke")
    record = runs.run(made, 0, store=store, device="cpu", data_root=patches)
    path = submit(record, "test", tmp_path / "it.zip", store=store, data_root=patches)
    submission.validate(path, 3)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["mask_1.h5", "mask_2.h5", "mask_3.h5"]
    with pytest.raises(ValueError, match="the train part lacks 1716 patches, such as 2"):
        submit(record, "train", tmp_path / "no.zip", store=store, data_root=patches)
    assert not (tmp_path / "no.zip").exists()
    lacking = record.model_copy(update={"depends_on": ("a-record",)})
    if not made.trains:
        with pytest.raises(FileNotFoundError, match="a-record: not here, or no weights"):
            submit(lacking, "test", tmp_path / "no.zip", store=store, data_root=patches)
    with pytest.raises(ValueError, match="part 'other': landslide4sense has none here"):
        submit(record, "other", tmp_path / "no.zip", store=store, data_root=patches)


@pytest.mark.parametrize(
    "row",
    ["fusion/test/small", "fusion/test/small-submission", "filter/curves/one-network", "filter/result/submission"],
)
def test_a_network_or_an_ensemble_of_tiles_becomes_a_list_of_labels(patches, store, tmp_path, row):
    name, _, identifier = row.rpartition("/")
    table = reports.table(name)
    made = reports.resolve(table, table.row(identifier), profile_name="smoke")
    record = runs.run(made, 0, store=store, device="cpu", data_root=patches)
    path = submit(record, "test", tmp_path / "submission.csv", store=store, data_root=patches)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    assert lines[0] == ["ID", "label"]
    assert [name for name, _ in lines[1:]] == list(UNKNOWN)
    assert {label for _, label in lines[1:]} <= {"0", "1"}
    sure = pd.read_csv(tmp_path / "submission.tiles.csv")
    assert list(sure) == ["ID", "label", "probability", "apart", "left_out"]
    assert sure.label.tolist() == [int(label) for _, label in lines[1:]]
    assert sure.label.tolist() == (sure.probability > record.test_tuned.threshold).astype(int).tolist()
    assert made.ensemble or (sure.apart == 0).all()
    with pytest.raises(ValueError, match="part 'other': zindi has none here, only: test, train"):
        submit(record, "other", tmp_path / "no.csv", store=store, data_root=patches)


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"raunet/{name}"
            for name in (
                "baseline",
                "losses",
                "losses-combined",
                "bands",
                "heads",
                "backbones",
                "improved-unet",
                "rau-net",
                "small-models",
                "optimizers",
                "sentinel-only",
            )
        ),
        "detection/backbones",
        "detection/pretraining",
        "refinement/validation",
        "refinement/test",
        "fusion/cross-validation",
        "fusion/test",
        "fusion/confusion",
        "fusion/what-did-not-work",
        "filter/result",
        "filter/curves",
        "filter/energy",
    ],
)
def test_no_row_to_run_of_a_table_whose_parts_exist_is_left_out(name):
    table = reports.table(name)
    data = "zindi" if table.task == "classification" else "landslide4sense"
    runnable = {row.id for row in table.runnable(data)}
    assert {row.id for row in table.rows if row.kind == "run" and not row.ours} <= runnable
