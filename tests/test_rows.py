"""Every row that can be run is run, in smoke, on files in the layout of the report's data."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from landslide_lib import reports, study
from landslide_lib.datasets.landslide4sense import SIZE, Landslide4Sense
from landslide_lib.records import Store

ROWS = {}
for report in reports.reports().values():
    for table in report.tables.values():
        for row in table.runnable("landslide4sense"):
            made = reports.resolve(table, row, dataset="landslide4sense", profile_name="smoke")
            ROWS.setdefault(made.hash, pytest.param(made, id=f"{table.name}/{row.id}"))


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> Path:
    """Forty-four patches of noise in which every other one has a bright square."""
    root = tmp_path_factory.mktemp("rows")
    home = root / "landslide4sense" / "TrainData"
    (home / "img").mkdir(parents=True)
    (home / "mask").mkdir()
    draw = np.random.default_rng(0)
    for number in range(1, 45 * 40, 40):  # of many scenes, as far as numbers tell
        image = draw.normal(1, 0.2, (SIZE, SIZE, len(Landslide4Sense.bands))).clip(0.01)
        mask = np.zeros((SIZE, SIZE), np.uint8)
        if number % 80 == 1:
            mask[30:80, 40:100] = 1
            image[mask == 1] *= 1.5
        for kind, key, array in (("img", "img", image), ("mask", "mask", mask)):
            name = "image" if kind == "img" else "mask"
            with h5py.File(home / kind / f"{name}_{number}.h5", "w") as file:
                file[key] = array
    return root


@pytest.mark.parametrize("made", ROWS.values())
def test_a_row_runs_and_leaves_a_whole_record(made, patches, tmp_path):
    store = Store(tmp_path / "records", more=())
    record = study.run(made, 0, store=store, device="cpu", data_root=patches)
    assert store.find(made, 0)[0].name == record.name
    assert record.parameters > 0
    assert np.isfinite([line.train_loss for line in record.history]).all()
    assert np.sum(record.test_counts) == record.images["test"] * made.image_size**2
    assert record.revisions == made.components


@pytest.mark.parametrize(
    "name", ["baseline", "losses", "losses-combined", "bands", "heads", "backbones",
             "improved-unet", "rau-net", "small-models", "optimizers", "sentinel-only"],
)  # fmt: skip
def test_no_row_to_run_of_a_table_whose_parts_exist_is_left_out(name):
    table = reports.table(f"raunet/{name}")
    runnable = {row.id for row in table.runnable("landslide4sense")}
    assert {row.id for row in table.rows if row.kind == "run" and not row.ours} <= runnable
