"""Twelve faults of a scene: each is put right, so that the network reads what it would have read, or refused."""

import re

import numpy as np
import pytest
from rasterio.windows import Window

from landslide_lib.geo.contract import ContractError, open_input
from landslide_lib.geo.faults import fault_costs
from landslide_lib.geo.simulated import FAULTS, break_scene

REFUSED = {
    "missing bands": r"2 of the 14 bands that the network needs are missing: B11, B12\. The file has 12: B1, B2",
    "L2A for L1C": r"Sentinel-2 of level L2A, and the network learnt on L1C .* take the product of level L1C",
    "16 bits": r"band B1: its median is 0\.\d+, and the network learnt on 0\.117 on average; another unit",
}
#: What is said, and by how many units of a band, 1 on average, the mean of its values may differ from the scene's.
REPAIRED = {
    "pixel size": (r"pixels of 30 x 30 m: interpolated to the network's 20 m", 0.15),
    "grid in degrees": (r"in degrees: warped to EPSG:32645", 0.05),
    "band order": (r"another order than the network's: matched by their names", 0),
    "reflectance 0..1": (r"reflectances, not digital numbers", 1e-5),
    "offset of 1000": (r"1000 added since the processing baseline 04\.00: taken off", 0),
    "no data inside": (
        r"0 in every band have no data, though the file does not say so: unknown",
        2e-3,
    ),  # pixels half in a hole
    "slope on degrees": (r"a slope of 90 degrees on half of it.*computed from the heights of the band DEM", 1e-4),
    "slope in per cent": (r"slope in per cent: turned into degrees", 1e-5),
    "patches about 1": (r"about 1 in every band, as Landslide4Sense's patches", 1e-5),
}


def test_there_are_twelve():
    assert set(FAULTS) == REFUSED.keys() | REPAIRED.keys()
    assert len(FAULTS) == 12


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_put_right_is_refused_in_one_line(scene, simulated, tmp_path, fault):
    broken = break_scene(scene, fault, tmp_path / "broken.tif")
    with pytest.raises(ContractError, match=REFUSED[fault]) as error:
        open_input(broken, simulated)
    assert str(error.value).startswith(f"{broken}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fault", REPAIRED)
def test_what_is_put_right_reads_as_the_scene_without_the_fault(scene, simulated, tmp_path, fault):
    said, tolerance = REPAIRED[fault]
    whole = Window(0, 0, 128, 128)
    with (
        open_input(scene, simulated) as clean,
        open_input(break_scene(scene, fault, tmp_path / "b.tif"), simulated) as one,
    ):
        assert any(re.search(said, text) for text in one.repairs), one.repairs
        expected, _ = clean.read(whole)
        # A warped grid begins elsewhere: the window that lies where the scene's does.
        column, row = ~one.transform * (clean.transform.c, clean.transform.f)
        found, known = one.read(Window(round(column), round(row), 128, 128))
    assert known.mean() > (0.8 if fault == "no data inside" else 0.97)
    away = np.abs(found - expected)[:, known].mean(1)
    away[9] /= 10  # a unit of B10 is a hundredth of the others' light, and noise
    assert away.max() <= tolerance


def test_nothing_of_a_hole_is_read_as_ground(scene, simulated, tmp_path):
    with open_input(break_scene(scene, "no data inside", tmp_path / "b.tif"), simulated) as one:
        values, known = one.read(Window(0, 0, 128, 128))
    rows, columns = np.indices((128, 128))
    hole = (2 * (rows + columns) < 126) | ((rows >= 64) & (rows < 80) & (columns >= 64) & (columns < 80))
    assert not known[hole].any()
    assert not values[:, ~known].any()
    assert known[(2 * (rows + columns) > 130) & ~hole].all()


def test_each_fault_has_a_cost_and_a_repair_gets_it_back(scene, simulated):
    table = fault_costs(simulated, scene, scene.with_name("scene_truth.tif"))
    clean = table.attrs["clean"]
    assert list(table.index) == list(FAULTS)
    assert clean > 0.6
    np.testing.assert_allclose(table.cost, clean - table.f1)
    assert set(table.index[table.f1_after.isna()]) == set(REFUSED)
    assert table.contract[list(REFUSED)].str.startswith("refused: ").all()
    assert table.contract[list(REPAIRED)].str.startswith("repaired: ").all()
    lossless = [fault for fault in REPAIRED if fault not in ("pixel size", "no data inside")]
    np.testing.assert_allclose(table.f1_after[lossless], clean, atol=0.02)
    assert (table.cost > 0.3).sum() >= 5


def test_a_fault_that_nobody_knows_is_refused(scene, tmp_path):
    with pytest.raises(ValueError, match="fault 'rain': unknown; allowed: pixel size, "):
        break_scene(scene, "rain", tmp_path / "b.tif")
    assert not list(tmp_path.iterdir())
