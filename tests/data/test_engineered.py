"""Engineered channels are made once, beside the packed images, and whole or not there."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from landslide_lib.data import bands, pack
from landslide_lib.data.pack import with_bands
from landslide_lib.data.registry import BadFileError, get_dataset, load_packed
from landslide_lib.fields import REVISIONS

BIJIE = get_dataset("bijie")
SIZE = 16
NINE = ("R", "G", "B", *(f"{name}_{how}" for how in ("local", "global") for name in "RGB"))


@pytest.fixture
def packed(tiny_bijie, cache):
    return load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)


def expected(packed, name):
    """A channel of all images at once, which a packing in pieces has to agree with."""
    images = packed.images.astype(np.float32)
    planes = {band: images[:, i] for i, band in enumerate(packed.bands)}
    whole = {band: (float(plane.min()), float(plane.max())) for band, plane in planes.items()}
    return bands.engineer([name], planes, whole)[name].astype(np.float16)


def test_a_channel_is_that_of_the_packed_images(packed, monkeypatch):
    monkeypatch.setattr(pack, "CHUNK", 3)
    names = bands.possible(packed.bands)
    made = with_bands(packed, names)
    assert set(made.engineered) == set(names) - set("RGB")
    for name, plane in made.engineered.items():
        np.testing.assert_array_equal(plane, expected(packed, name), err_msg=name)
        assert plane.dtype == np.float16
        assert isinstance(plane, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            plane[0] = 0


def test_a_full_disk_leaves_no_channel(packed, cache, monkeypatch):
    before = sorted(cache.rglob("*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 999, 1))
    with pytest.raises(OSError, match=r"needs 0\.0 MB there"):
        with_bands(packed, NINE)
    assert sorted(cache.rglob("*")) == before


def test_global_normalisation_is_of_all_images(packed):
    made = with_bands(packed, NINE)
    for i, name in enumerate("RGB"):
        x = packed.images[:, i].astype(float)
        scaled = (x - x.min()) / (x.max() - x.min())
        np.testing.assert_allclose(made.engineered[f"{name}_global"], scaled, atol=1e-3)


def test_images_are_read_with_the_bands_in_the_order_asked_for(packed):
    rows = np.array([5, 0, 3])
    names = ("gray", "B", "canny", "R")
    made = with_bands(packed, names)
    read = made.read(rows, names)
    assert read.shape == (3, 4, SIZE, SIZE)
    assert read.dtype == np.float16
    np.testing.assert_array_equal(read[:, 1], packed.images[rows][:, 2])
    np.testing.assert_array_equal(read[:, 3], packed.images[rows][:, 0])
    np.testing.assert_array_equal(read[:, 0], expected(packed, "gray")[rows])
    np.testing.assert_array_equal(made.read(rows), packed.images[rows])


def test_the_colours_of_sentinel_2_go_by_either_name(tmp_path, cache, make):
    root = make["landslide4sense"](tmp_path, "original", (1, 2))
    packed = load_packed(get_dataset("landslide4sense"), SIZE, root=root, cache=cache)
    rows = np.arange(2)
    np.testing.assert_array_equal(packed.read(rows, ("R", "G", "B")), packed.read(rows, ("B4", "B3", "B2")))
    made = with_bands(packed, bands.possible(packed.bands))
    assert set(made.engineered) == set(bands.ENGINEERED) & set(bands.possible(packed.bands))
    red, near = (packed.images[:, i].astype(float) for i in (3, 7))
    np.testing.assert_allclose(made.plane("NDVI"), (near - red) / (near + red), atol=1e-3)


def test_who_asks_for_no_channel_pays_nothing(packed):
    before = sorted(packed.folder.iterdir())
    assert with_bands(packed, ()) is packed
    assert with_bands(packed, ("B", "R")) is packed
    assert sorted(packed.folder.iterdir()) == before


def test_a_channel_is_computed_once(packed, monkeypatch):
    first = with_bands(packed, ("gray", "R_global"))
    monkeypatch.setattr(pack, "engineer", None)
    assert with_bands(first, ("gray",)) is first
    again = with_bands(packed, ("R", "R_global", "gray"))
    np.testing.assert_array_equal(again.plane("gray"), first.plane("gray"))


def test_of_several_channels_only_those_that_are_missing_are_computed(packed, monkeypatch):
    with_bands(packed, ("gray",))
    asked = []

    def spy(names, *rest):
        asked.extend(names)
        return bands.engineer(names, *rest)

    monkeypatch.setattr(pack, "engineer", spy)
    with_bands(packed, ("gray", "canny"))
    assert set(asked) == {"canny"}


def test_a_raised_revision_is_never_served_by_the_file_of_the_old_one(packed, monkeypatch):
    old = with_bands(packed, ("gray",)).plane("gray")
    monkeypatch.setitem(REVISIONS, "bands/gray", 2)
    monkeypatch.setitem(bands.ENGINEERED, "gray", bands.Channel(("R",), lambda red: red))
    new = with_bands(packed, ("gray",)).plane("gray")
    np.testing.assert_array_equal(new, packed.images[:, 0])
    assert not np.array_equal(old, new)


def test_channels_leave_the_packed_images_as_they_are(packed, tiny_bijie, cache):
    files = {path: path.stat().st_mtime_ns for path in packed.folder.iterdir()}
    with_bands(packed, NINE)
    assert files.items() <= {p: p.stat().st_mtime_ns for p in packed.folder.iterdir()}.items()
    again = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    assert (again.folder, again.fingerprint) == (packed.folder, packed.fingerprint)


# --- Whole or not there ---------------------------------------------------------------------------


def test_a_failure_leaves_nothing_behind(packed, monkeypatch):
    def fail(*_):
        raise MemoryError

    before = sorted(packed.folder.iterdir())
    monkeypatch.setattr(pack, "engineer", fail)
    with pytest.raises(MemoryError):
        with_bands(packed, ("gray", "canny"))
    assert sorted(packed.folder.iterdir()) == before


CODE = """
import sys, time
from pathlib import Path
from landslide_lib.data.registry import get_dataset, load_packed
from landslide_lib.data import bands
from landslide_lib.data import pack
pack.CHUNK = 4
def slow(names, planes, extremes):
    if sys.argv[3] and (planes["R"] == stuck).all():
        print("stuck", flush=True)
        time.sleep(60)
    return bands.engineer(names, planes, extremes)
pack.engineer = slow
packed = load_packed(get_dataset("bijie"), 16, root=Path(sys.argv[1]), cache=Path(sys.argv[2]))
stuck = packed.images[4:, 0]
made = pack.with_bands(packed, ["gray", "canny"])
print(int(made.plane("gray").astype("f8").sum() * 1e6))
"""


def start(root, cache, stuck=""):
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(root), str(cache), stuck], stdout=subprocess.PIPE, text=True
    )


def test_what_a_killed_process_left_never_passes_for_whole(packed, tiny_bijie, cache):
    process = start(tiny_bijie, cache, "stuck")
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(packed.folder.glob("gray*"))
    made = with_bands(packed, ("gray", "canny"))
    np.testing.assert_array_equal(made.plane("gray"), expected(packed, "gray"))


@pytest.mark.parametrize("damage", ["truncated", "empty", "of another shape", "of another dtype"])
def test_a_damaged_channel_is_refused_by_name(packed, damage):
    with_bands(packed, ("gray",))
    (path,) = packed.folder.glob("gray-*.npy")
    data = path.read_bytes()
    if damage.startswith("of"):
        kind, count = (np.float16, 7) if damage == "of another shape" else (np.float32, 8)
        np.save(path, np.zeros((count, SIZE, SIZE), kind))
    else:
        path.write_bytes(b"" if damage == "empty" else data[:-100])
    with pytest.raises(BadFileError, match=r"gray-\d+\.npy: the channel is damaged.*Remove the file"):
        with_bands(packed, ("gray",))
    path.unlink()
    np.testing.assert_array_equal(with_bands(packed, ("gray",)).plane("gray"), expected(packed, "gray"))


# --- What is refused ------------------------------------------------------------------------------


def test_a_channel_of_bands_that_are_not_there_is_refused_before_anything_is_made(packed):
    before = sorted(packed.folder.iterdir())
    with pytest.raises(ValueError, match=r"bijie has no NDVI \(made of B8 and B4\); allowed: R,"):
        with_bands(packed, ("gray", "NDVI"))
    assert sorted(packed.folder.iterdir()) == before


def test_images_in_memory_alone_have_no_place_for_channels(packed):
    with pytest.raises(ValueError, match=r"bijie lies in no folder"):
        with_bands(replace(packed, folder=None), ("gray",))
