"""A scene of any size is predicted as one pass over it would, and what is unknown stays unknown."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from torch import nn

from landslide_lib.geo import predict as module
from landslide_lib.geo.cog import join
from landslide_lib.geo.contract import Grid
from landslide_lib.geo.predict import Tiling, predict, receptive_field, scenes_of
from landslide_lib.models import MODELS
from landslide_lib.training.bundle import Bundle

UTM = CRS.from_epsg(32633)
PLACE = Affine(10, 0, 456780.5, 0, -10, 5123456.25)


class Array:
    """A scene held in memory, (C, H, W), NaN where unknown, in the place of an `Input`; counts what is read."""

    repairs, files = ("slope was in radians", "a < b & c"), ()

    def __init__(self, values, transform=PLACE, crs=UTM, scene=None):
        self.values, self.reads, self.last = np.asarray(values, np.float32), 0, None
        self.crs, self.transform = crs, transform
        self.height, self.width = self.values.shape[1:]
        self.scene = scene or Grid(crs, transform, self.width, self.height)

    def read(self, window):
        if self.reads == self.last:
            raise KeyboardInterrupt
        self.reads += 1
        found = np.full((len(self.values), window.height, window.width), np.nan, np.float32)
        top, left = window.row_off, window.col_off
        part = self.values[:, top : top + window.height, left : left + window.width]
        found[:, : part.shape[1], : part.shape[2]] = part
        known = np.isfinite(found).all(0)
        return np.where(known, found, np.float32(0)), known

    def known(self, first, end):
        return np.ones((end - first, self.scene.width), bool)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def make_bundle(network, channels, shift=0.25, **change):
    each = torch.full((channels, 1, 1), 1.0)
    fields = {"bands": tuple("RGB"[:channels]), "threshold": 0.4, "post_processing": (), "metres_per_pixel": 10.0}
    fields |= {"units": None, "about": {"record": "a-record"}, "shift": each * shift, "scale": each * 0.5}
    return Bundle(network.eval(), **(fields | change))


@pytest.fixture(scope="module")
def bundle():
    """A U-Net that sees 102 pixels around a pixel, and whose answers differ from pixel to pixel."""
    torch.manual_seed(0)
    network = MODELS["unet"](in_channels=3, width=4)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return make_bundle(network, 3)


@pytest.fixture
def lone():
    """Its probability is the sigmoid of the one band, pixel by pixel."""
    network = nn.Conv2d(1, 1, 1)
    nn.init.ones_(network.weight)
    nn.init.zeros_(network.bias)
    return make_bundle(network, 1, shift=0.0, scale=torch.ones(1, 1, 1))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Predict an array; the file that stands for the scene is empty."""
    path = tmp_path / "scene.tif"
    path.touch()

    def made(scene, bundle, name="out.tif", **options):
        monkeypatch.setattr(module, "open_input", lambda *_, **__: scene)
        monkeypatch.setattr(module, "_by_lines", lambda _: False)
        return predict(path, bundle, tmp_path / name, **options)

    return made


def noise(height, width, seed=0):
    return np.random.default_rng(seed).normal(0.25, 0.5, (3, height, width)).astype(np.float32)


def one_pass(bundle, values):
    filled = np.where(np.isfinite(values).all(0), values, bundle.shift.numpy())
    return bundle.predict(torch.from_numpy(filled)[None])[0, 0].numpy()


def content(prediction):
    with rasterio.open(getattr(prediction, "path", prediction)) as file:
        return file.read(1)


# --- Windows ------------------------------------------------------------------------------


sides = st.integers(1, 900)


@given(sides, sides, st.sampled_from([(64, 32), (96, 64), (128, 32), (256, 96), (256, 224)]))
def test_the_weights_of_windows_sum_to_1_and_are_0_along_inner_edges(height, width, shape):
    window, overlap = shape
    tiling = Tiling(height, width, window, overlap)
    high, wide = tiling.shape
    total = np.zeros((tiling.tops[-1] + high, tiling.lefts[-1] + wide))
    for row, top in enumerate(tiling.tops):
        for column, left in enumerate(tiling.lefts):
            weight = tiling.weight(row, column)
            total[top : top + high, left : left + wide] += weight
            margin = overlap * 7 // 16
            assert not weight[:margin].any() or not row
            assert not weight[high - margin :].any() or row == len(tiling.tops) - 1
            assert not weight[:, :margin].any() or not column
            assert not weight[:, wide - margin :].any() or column == len(tiling.lefts) - 1
            assert (weight >= 0).all()
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-6)
    assert 0 <= total.shape[0] - height < 32
    assert 0 <= total.shape[1] - width < 32
    assert not any(begin % 32 for begin in (*tiling.tops, *tiling.lefts))


def test_what_the_overlap_covers_is_as_of_one_pass(bundle, run):
    values = noise(576, 512)
    found = content(run(Array(values), bundle, window=384, overlap=256))
    truth = one_pass(bundle, values)
    assert truth.std() > 0.1
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kernel", "dilation", "sees", "shape"), [(3, 1, 1, (768, 256)), (3, 150, 150, (1408, 640))])
def test_a_network_that_sees_far_has_larger_windows(run, kernel, dilation, sees, shape):
    network = nn.Conv2d(1, 1, kernel, padding="same", dilation=dilation)
    far = make_bundle(network, 1)
    assert receptive_field(far) == sees
    scene = Array(np.zeros((1, 32, 1500)))
    run(scene, far)
    assert scene.reads == len(Tiling(32, 1500, *shape).lefts)


def test_the_receptive_field_of_a_u_net_is_that_of_its_gradients(bundle):
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    features = bundle.network(image)[0, 0]
    reach = 0
    for at in (128, 136):
        (gradient,) = torch.autograd.grad(features[at, at], image, retain_graph=True)
        rows = gradient[0].abs().sum((0, 2)).nonzero()[:, 0]
        reach = max(reach, int((rows - at).abs().max()))
    assert 85 < reach <= receptive_field(bundle) == 102


def test_where_it_does_not_one_window_fades_into_the_next(run):
    """A network whose windows disagree by 1 as a whole: the largest step is that of the ramp, 1 / 32."""

    class Turns(nn.Module):
        def forward(self, images):
            sign = 1 - torch.arange(len(images)).view(-1, 1, 1, 1) % 2 * 2
            return torch.ones_like(images[:, :1]) * 50 * sign

    found = content(run(Array(noise(100, 768)[:1]), make_bundle(Turns(), 1), window=512, overlap=256))
    assert found.min() == pytest.approx(0)
    assert found.max() == 1
    assert np.abs(np.diff(found)).max() == pytest.approx(1 / 32)
    assert not np.diff(found, axis=0).any()


def test_a_window_or_an_overlap_that_cannot_be_is_refused(bundle, run):
    for shape in ({"window": 100}, {"overlap": 16}, {"overlap": 0}, {"window": 64, "overlap": 64}):
        with pytest.raises(ValueError, match=r"multiples of 32 are needed, the overlap the smaller"):
            run(Array(noise(64, 64)), bundle, **shape)


# --- What is written ----------------------------------------------------------------------


@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(4326), CRS()])
def test_the_file_lies_where_the_scene_does_and_is_cloud_optimized(lone, run, crs):
    values = noise(600, 70)[:1]
    made = run(Array(values, crs=crs), lone, window=256, overlap=64)
    with rasterio.open(made.path) as file:
        assert (file.crs or CRS(), file.transform) == (crs, PLACE)
        assert (file.shape, file.dtypes, file.count) == ((600, 70), ("float32",), 1)
        assert np.isnan(file.nodata)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1)
        tags = file.tags()
        np.testing.assert_allclose(file.read(1), 1 / (1 + np.exp(-values[0])), rtol=0, atol=1e-6)
    assert (tags["MODEL"], float(tags["THRESHOLD"])) == ("a-record", 0.4)
    assert tags["REPAIRS"].splitlines() == list(Array.repairs) == list(made.repairs)
    assert (made.pixels, made.unknown) == (600 * 70, 0)
    assert not [path for path in made.path.parent.iterdir() if path.name not in {"scene.tif", "out.tif"}]


def test_what_is_unknown_stays_so_and_is_the_mean_to_the_network(bundle, run):
    values = noise(320, 96)
    values[1, 40:60, 30:50] = np.nan
    values[:, 200:] = np.nan
    found = content(run(Array(values), bundle, window=96, overlap=32))
    hole = np.isnan(values).any(0)
    np.testing.assert_array_equal(np.isnan(found), hole)
    values = values[:, :128]
    whole = content(run(Array(values), bundle, window=128, overlap=32, name="top.tif"))
    np.testing.assert_allclose(whole[~hole[:128]], one_pass(bundle, values)[:, :96][~hole[:128]], rtol=0, atol=1e-5)


def test_the_mean_of_a_band_without_a_shift_is_its_scale(run):
    network = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.ones_(network.weight)
    values = np.full((1, 32, 32), 0.5, np.float32)
    values[:, :, 16:] = np.nan
    found = content(run(Array(values), make_bundle(network, 1, shift=0.0)))
    assert found[10, 15] == found[10, 10] == pytest.approx(1 / (1 + np.exp(-9)))


def test_windows_of_which_all_is_unknown_are_not_computed(run):
    seen = []

    class Counts(nn.Conv2d):
        def forward(self, images):
            seen.extend(images)
            return super().forward(images)

    network = Counts(3, 1, 1)
    values = np.full((3, 256, 256), np.nan)
    values[:, 70:80, 10:20] = 0
    made = run(Array(values), make_bundle(network, 3), window=64, overlap=32)
    assert len(seen) == 2  # those that begin at rows 32 and 64
    assert (made.pixels, made.unknown) == (256 * 256, 256 * 256 - 100)


@pytest.mark.parametrize("factor", [2, 0.8])
def test_where_the_pixels_are_not_those_of_the_scene_the_answer_is_brought_back(lone, run, factor):
    """A probability that is linear in the place stays so; so do the corner and the edge of what is unknown."""
    across, down = np.meshgrid(np.arange(80) + 0.5, np.arange(70) + 0.5)
    level = 0.2 + (0.003 * across + 0.005 * down)
    logits = np.log(level / (1 - level))
    logits[:20, :30] = np.nan
    scene = Grid(UTM, PLACE * Affine.scale(1 / factor), round(80 * factor), round(70 * factor))
    found = content(run(Array(logits[None], scene=scene), lone, window=64, overlap=32))
    rows, columns = (np.indices(found.shape) + 0.5) / factor
    unknown = (rows < 20) & (columns < 30)
    assert found.shape == (scene.height, scene.width)
    np.testing.assert_array_equal(np.isnan(found), unknown)
    inner = ~unknown & (rows > 1) & (rows < 69) & (columns > 1) & (columns < 79)
    inner &= ~((rows < 22) & (columns < 32))
    truth = 0.2 + 0.003 * columns + 0.005 * rows
    np.testing.assert_allclose(found[inner], truth[inner], rtol=0, atol=1e-5 if factor > 1 else 1e-3)


def test_unknown_pixels_of_the_scene_stay_unknown_where_their_neighbours_are_averaged(lone, tmp_path):
    """Of the 16 pixels in one of the network's, one is known: the map knows that one, in parts of rows too."""
    values = np.full((64, 64), -9.0, np.float32)
    values[::4, 1::4] = 0.3
    how = {"driver": "GTiff", "dtype": "float32", "crs": UTM, "transform": PLACE * Affine.scale(0.25), "nodata": -9}
    with rasterio.open(tmp_path / "fine.tif", "w", count=1, height=64, width=64, **how) as file:
        file.write(values[None])
    for rows in ((0, 64), (30, 50)):
        made = predict(tmp_path / "fine.tif", lone, tmp_path / f"{rows[0]}.tif", bands=["R"], rows=rows)
        np.testing.assert_array_equal(np.isfinite(content(made)), values[slice(*rows)] > 0)


# --- Stopped, in parts, again -------------------------------------------------------------


def test_a_run_that_was_stopped_goes_on_at_its_last_row_of_windows(bundle, run, tmp_path):
    values = noise(500, 200)
    whole = Array(values)
    truth = content(run(whole, bundle, "whole.tif", window=128, overlap=64))
    stopped = Array(values)
    stopped.last = whole.reads * 2 // 3
    with pytest.raises(KeyboardInterrupt):
        run(stopped, bundle, window=128, overlap=64)
    assert not (tmp_path / "out.tif").exists()
    rest = Array(values)
    found = content(run(rest, bundle, window=128, overlap=64))
    np.testing.assert_array_equal(found, truth)
    assert 0 < rest.reads < whole.reads * 2 // 3
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "whole.tif", "out.tif"}


def test_what_is_left_of_a_run_that_was_killed_is_no_scene_and_goes(bundle, run, tmp_path):
    values = noise(64, 64)
    run(Array(values), bundle)
    for suffix in ("raw", "json", "vrt"):
        (tmp_path / f".out.tif.{suffix}").write_text("left")
    assert [path.name for path in scenes_of([tmp_path])] == ["out.tif", "scene.tif"]
    again = Array(values)
    run(again, bundle)
    assert not again.reads
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "out.tif"}


def test_what_was_stopped_of_another_network_or_scene_is_not_taken_up(bundle, lone, run, tmp_path):
    values = noise(300, 60)
    truth = content(run(Array(values), bundle, "whole.tif", window=64, overlap=32))
    for change in ("network", "scene", "options"):
        stopped = Array(values[:1] if change == "network" else values)
        stopped.last = 3
        options = {"window": 96 if change == "options" else 64, "overlap": 32}
        with pytest.raises(KeyboardInterrupt):
            run(stopped, lone if change == "network" else bundle, **options)
        if change == "scene":
            (tmp_path / "scene.tif").write_bytes(b"another")
        found = content(run(Array(values), bundle, window=64, overlap=32))
        np.testing.assert_array_equal(found, truth)
        (tmp_path / "out.tif").unlink()


def test_what_is_there_is_not_computed_again_but_for_another_scene(bundle, run, tmp_path):
    values = noise(64, 64)
    first = run(Array(values), bundle)
    written = first.path.stat().st_mtime_ns
    again = Array(values)
    assert run(again, bundle).path.stat().st_mtime_ns == written
    assert not again.reads
    (tmp_path / "scene.tif").write_bytes(b"another")
    other = Array(values + 1)
    assert content(run(other, bundle)).mean() != content(run(Array(values), bundle, "values.tif")).mean()
    assert other.reads
    first.path.write_bytes(b"no picture")
    assert run(Array(values), bundle).path.stat().st_size > 100


def test_a_map_is_made_anew_where_a_file_behind_the_scene_or_what_its_tags_say_has_changed(lone, run, tmp_path):
    values = noise(64, 64)[:1]

    def computed(bundle=lone, **fields):
        scene = Array(values)
        vars(scene).update(fields)
        run(scene, bundle)
        return bool(scene.reads)

    beside = tmp_path / "scene.json"
    beside.write_text("{}")
    how = {"files": (beside,)}
    assert (computed(**how), computed(**how)) == (True, False)
    beside.write_text("{ }")
    assert computed(**how)
    assert computed(repairs=("another",), **how)
    assert computed(replace(lone, threshold=0.6), **how)
    assert computed(replace(lone, about={"record": "another"}), **how)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.tags()["MODEL"] == "another"


def test_parts_by_rows_are_joined_to_what_one_run_writes(bundle, run, tmp_path):
    values = noise(333, 100)
    values[:, 50:60, 50:60] = np.nan
    options = {"window": 96, "overlap": 64}
    whole = run(Array(values), bundle, "whole.tif", **options)
    cuts = [0, 1, 100, 222, 333]
    parts = [run(Array(values), bundle, f"{a}.tif", rows=(a, b), **options).path for a, b in pairwise(cuts)]
    with rasterio.open(parts[2]) as file:
        assert file.transform.almost_equals(PLACE * Affine.translation(0, 100))
        assert file.shape == (122, 100)
    joined = join(parts, tmp_path / "joined.tif")
    assert joined.read_bytes() == whole.path.read_bytes()
    again = Array(values)
    run(again, bundle, "joined.tif", **options)
    assert not again.reads


def test_parts_of_a_scene_with_other_pixels_are_joined_too(lone, run, tmp_path):
    values = noise(90, 60)[:1]
    scene = Grid(UTM, PLACE * Affine.scale(0.5), 120, 180)
    whole = content(run(Array(values, scene=scene), lone, "whole.tif", window=64, overlap=32))
    parts = [
        run(Array(values, scene=scene), lone, f"{a}.tif", rows=(a, b), window=64, overlap=32).path
        for a, b in ((0, 75), (75, 180))
    ]
    np.testing.assert_allclose(content(join(parts, tmp_path / "joined.tif")), whole, rtol=0, atol=1e-6)


def test_parts_that_do_not_follow_each_other_are_not_joined(bundle, lone, run, tmp_path):
    values = noise(64, 64)
    top, rest = (run(Array(values), bundle, f"{a}.tif", rows=(a, b)).path for a, b in ((0, 30), (30, 64)))
    other = run(Array(values[:1]), lone, "other.tif", rows=(30, 64)).path
    out = tmp_path / "joined.tif"
    with pytest.raises(ValueError, match=r"0\.tif: does not begin where the part before it ends"):
        join([rest, top], out)
    with pytest.raises(ValueError, match=r"other\.tif: is of another scene or network than .*0\.tif"):
        join([top, other], out)
    with pytest.raises(ValueError, match="there are no parts"):
        join([], out)
    assert not out.exists()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("rows", [(-1, 5), (5, 5), (0, 65)])
def test_rows_that_the_scene_has_not_are_refused(bundle, run, rows):
    with pytest.raises(ValueError, match=rf"rows {rows[0]}:{rows[1]}: .*scene\.tif has rows 0:64"):
        run(Array(noise(64, 64)), bundle, rows=rows)
