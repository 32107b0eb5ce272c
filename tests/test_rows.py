"""Every row that can be run is run, in smoke, on files in the layout of the report's data."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from landslide_lib import reports, study
from landslide_lib.datasets.landslide4sense import SIZE, Landslide4Sense
from landslide_lib.models.encoders import ENCODERS, encoder
from landslide_lib.records import Store

ROWS = {}
for report in reports.reports().values():
    for table in report.tables.values():
        for row in table.runnable("landslide4sense"):
            made = reports.resolve(table, row, dataset="landslide4sense", profile_name="smoke")
            ROWS.setdefault(made.hash, pytest.param(made, id=f"{table.name}/{row.id}"))


def weights(folder: Path) -> None:
    """Write what a hub would give of the tiny encoders, and a file of others."""
    folder.mkdir()
    for name in ENCODERS:
        seen = encoder(name, 14, 64, tiny=True)
        source = seen.pretrained_cfg["hf_hub_id"].split("/")[-1]
        save_file(seen.state_dict(), folder / f"{source}.safetensors")
        if name == "vit_large":
            torch.save({"model": seen.state_dict()}, folder / "satmae-vit-large.pth")


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> Path:
    """Forty-four patches of noise in which every other one has a bright square."""
    root = tmp_path_factory.mktemp("rows")
    draw = np.random.default_rng(0)
    # Of many scenes, as far as numbers tell, to train on; few of the other parts.
    for folder, last in (("TrainData", 45 * 40), ("ValidData", 3 * 40), ("TestData", 3 * 40)):
        fill(root / "landslide4sense" / folder, range(1, last, 40), draw)
    weights(root / "weights")
    return root


def fill(home: Path, numbers: range, draw: np.random.Generator) -> None:
    """Write patches with their masks."""
    (home / "img").mkdir(parents=True)
    (home / "mask").mkdir()
    for number in numbers:
        image = draw.normal(1, 0.2, (SIZE, SIZE, len(Landslide4Sense.bands))).clip(0.01)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        if number % 80 == 1:
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
    record = study.run(made, 0, store=store, device="cpu", data_root=patches)
    assert store.find(made, 0)[0].name == record.name
    assert record.parameters > 0
    assert np.isfinite([line.train_loss for line in record.history]).all()
    if made.task in ("segmentation", "adaptation"):
        assert np.sum(record.test_counts) == record.images["test"] * made.image_size**2
    else:
        assert len(record.detections.truth) == record.images["test"]
        assert (record.start is None) == (made.start is None)
    assert record.revisions == made.components


@pytest.mark.parametrize(
    "name",
    [
        *(f"raunet/{name}" for name in (
            "baseline", "losses", "losses-combined", "bands", "heads", "backbones",
            "improved-unet", "rau-net", "small-models", "optimizers", "sentinel-only",
        )),
        "detection/backbones", "detection/pretraining", "refinement/validation", "refinement/test",
    ],
)  # fmt: skip
def test_no_row_to_run_of_a_table_whose_parts_exist_is_left_out(name):
    table = reports.table(name)
    runnable = {row.id for row in table.runnable("landslide4sense")}
    assert {row.id for row in table.rows if row.kind == "run" and not row.ours} <= runnable
