"""`landslide predict` as a user types it, on simulated scenes as Sentinel-2 delivers them."""

import os
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from typer.testing import CliRunner

from landslide_lib import cli
from landslide_lib.data.bands import L4S
from landslide_lib.data.simulator.scenes import REGIONS, UNITS, simulate_scene
from landslide_lib.geo.polygons import rasterize
from landslide_lib.geo.simulated import write_scene
from landslide_lib.models import MODELS
from landslide_lib.training.bundle import load_bundle, save_bundle

HOME = Path(__file__).parent.parent.parent


def landslide(*words):
    """Type a command; return exit status and all it printed."""
    done = CliRunner().invoke(cli.app, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scenes") / "hill.tif", min(REGIONS), 0, 256)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small network of 14 bands and pixels of 10 m, not trained."""
    torch.manual_seed(0)
    build = {"model": "unet", "in_channels": 14, "width": 2}
    image = torch.from_numpy(simulate_scene(min(REGIONS), 0, 256)[0]).flatten(0, 1)
    fields = {"bands": L4S, "shift": image.mean(0), "scale": image.std(0), "threshold": 0.5, "post_processing": []}
    fields |= {"metres_per_pixel": 10.0, "units": UNITS.tolist(), "about": {}, "bounds": {"0.2": 0.25}}
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return save_bundle(path, MODELS["unet"](in_channels=14, width=2).eval(), build, **fields)


def read(path):
    with rasterio.open(path) as file:
        return file.read(1)


def test_a_scene_becomes_a_map_and_polygons_and_what_was_put_right_is_said(scene, model, tmp_path):
    out, file = tmp_path / "new" / "map.tif", tmp_path / "landslides.gpkg"
    threshold = 0.0
    status, text = landslide(
        "predict", scene, "--model", model, "-o", out, "--polygons", file, "--threshold", threshold
    )
    assert status == 0, text
    found = read(out)
    with rasterio.open(out) as made, rasterio.open(scene) as given:
        assert (made.crs, made.transform, made.shape) == (given.crs, given.transform, given.shape)
        repairs = made.tags()["REPAIRS"].splitlines()
    assert repairs
    assert text.splitlines()[: len(repairs)] == [f"{scene}: put right: {one}" for one in repairs]
    assert f"{256 * 256} pixels, 0 unknown" in text
    np.testing.assert_array_equal(rasterize(geopandas.read_file(file), out), found > threshold)
    bundle = load_bundle(model)
    with rasterio.open(scene) as given:
        bands = given.read()
    bands[:12] = (bands[:12] - 1000) / 10_000
    units = np.array(bundle.units, np.float32)[:, None, None]
    truth = bundle.predict(torch.from_numpy(bands / units)[None])[0, 0].numpy()
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-4)


def test_a_folder_of_scenes_becomes_a_folder_of_maps(scene, model, tmp_path):
    folder, out = tmp_path / "scenes", tmp_path / "maps"
    folder.mkdir()
    for name in ("a.tif", "b.tiff"):
        (folder / name).write_bytes(scene.read_bytes())
    (folder / "notes.txt").write_text("no raster")
    command = ("predict", folder, "--model", model, "-o", out, "--polygons", out, "--window", 128, "--overlap", 64)
    status, text = landslide(*command)
    assert status == 0, text
    assert {path.name for path in out.iterdir()} == {"a.tif", "b.tif", "a.gpkg", "b.gpkg"}
    np.testing.assert_array_equal(read(out / "a.tif"), read(out / "b.tif"))


def test_a_scene_that_is_refused_does_not_keep_the_others_of_a_folder(scene, model, tmp_path):
    folder, out = tmp_path / "scenes", tmp_path / "maps"
    folder.mkdir()
    for name in ("a.tif", "c.tif"):
        (folder / name).write_text("no raster")
    (folder / "b.tif").write_bytes(scene.read_bytes())
    status, text = landslide("predict", folder, "--model", model, "-o", out)
    assert status == 2
    lines = [line for line in text.splitlines() if line.startswith("landslide: ")]
    assert [("a.tif" in line, "c.tif" in line) for line in lines] == [(True, False), (False, True)]
    assert {path.name for path in out.iterdir()} == {"b.tif"}


def test_polygons_are_cut_where_no_more_than_a_share_is_missed_and_small_ones_left_out(scene, model, tmp_path):
    out, every, large = tmp_path / "map.tif", tmp_path / "every.gpkg", tmp_path / "large.gpkg"
    words = ("predict", scene, "--model", model, "-o", out, "--missed", "0.2")
    assert landslide(*words, "--polygons", every)[0] == 0
    assert landslide(*words, "--polygons", large, "--minimum-area", "1000")[0] == 0
    every, large = geopandas.read_file(every), geopandas.read_file(large)
    np.testing.assert_array_equal(rasterize(every, out), read(out) > 0.25)
    assert sorted(large.area_m2) == sorted(every.area_m2[every.area_m2 >= 1000])


def test_polygons_of_a_picture_without_a_place_are_refused_before_it_is_mapped(tmp_path):
    picture, out = tmp_path / "picture.tif", tmp_path / "map.tif"
    how = {"driver": "GTiff", "width": 64, "height": 64, "count": 3, "dtype": "uint8", "photometric": "RGB"}
    with rasterio.open(picture, "w", **how) as file:
        file.write(np.random.default_rng(0).integers(60, 160, (3, 64, 64)).astype("uint8"))
    status, text = landslide("predict", picture, "-o", out, "--polygons", tmp_path / "a.gpkg")
    assert status == 2
    assert f"{picture}: has no CRS" in text
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.tif"], "absent.tif: is not there"),
        (["{scene}", "--rows", "7"], "--rows 7: has to be A:B, such as 0:2048"),
        (["{scene}", "--rows", "0:257"], "has rows 0:256"),
        (["{scene}", "--window", "100"], "multiples of 32"),
        (["{scene}", "--threshold", "0.5"], "--threshold, --missed and --minimum-area are of --polygons"),
        (["{scene}", "--minimum-area", "5"], "--threshold, --missed and --minimum-area are of --polygons"),
        (["{scene}", "--polygons", "a.gpkg", "--missed", "0.1", "--threshold", "0.5"], "give one of them"),
        (["{scene}", "--polygons", "a.gpkg", "--missed", "0.3"], "has 0.2"),
        (["{scene}", "--polygons", "a.gpkg", "--threshold", "5"], "--threshold 5: has to be from 0 to 1"),
        (["{scene}", "--polygons", "a.shp"], "a.shp: polygons are written to .gpkg or .geojson"),
        (["{scene}", "--no-repair"], "nothing is to be put right"),
        (["{scene}", "{scene}"], "has the name of"),
        (["{empty}"], "no raster in it"),
        (["{scene}", "-o", "{scene}"], "is the scene itself"),
    ],
)
def test_what_cannot_be_is_one_line(scene, model, tmp_path, words, message):
    (tmp_path / "empty").mkdir()
    given = [word.format(scene=scene, empty=tmp_path / "empty") for word in words]
    out = () if "-o" in given else ("-o", tmp_path / "map.tif")
    before = scene.read_bytes()
    status, text = landslide("predict", *given, "--model", model, *out)
    assert (status, len(text.splitlines())) == (2, 1)
    assert message in text
    assert not (tmp_path / "map.tif").exists()
    assert scene.read_bytes() == before


@pytest.mark.slow
def test_jobs_by_rows_write_what_one_run_writes(scene, model, tmp_path):
    whole, joined = tmp_path / "whole.tif", tmp_path / "joined.tif"
    shape = ("--window", 128, "--overlap", 64)
    status, text = landslide("predict", scene, "--model", model, "-o", whole, *shape)
    assert status == 0, text
    options = " ".join(map(str, ("--model", model, *shape)))
    command = [sys.executable, "-m", "snakemake", "-s", HOME / "workflow" / "predict.smk", "--cores", "1", "--nolock"]
    command += ["--config", f"scene={scene}", f"out={joined}", "rows=150", f"options={options}"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert joined.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("joined.tif.parts/*.tif"))
