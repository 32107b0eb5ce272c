"""Packing: exact, whole or not there, once, and honest about what was left out."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data.formats.files import new_array
from landslide_lib.data.pack import resize
from landslide_lib.data.registry import BadFileError, get_dataset, load_packed
from landslide_lib.data.statistics import verify_files

BIJIE = get_dataset("bijie")
SIZE = 16


def area(plane: np.ndarray, size: int) -> np.ndarray:
    """Average a plane over the area that each small pixel covers: the definition, by weights."""

    def weights(length: int) -> np.ndarray:
        edges = np.arange(size + 1) * length / size
        low, high = edges[:-1, None], edges[1:, None]
        pixel = np.arange(length)
        cover = np.minimum(high, pixel + 1) - np.maximum(low, pixel)
        return np.clip(cover, 0, None) * size / length

    rows, columns = (weights(n) for n in plane.shape)
    return rows @ plane.astype(np.float64) @ columns.T


# --- How an image is resized ----------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.integers(1, 15), st.integers(0, 99))
def test_a_smaller_image_is_the_average_over_the_area_that_a_pixel_covers(h, w, bands, seed):
    draw = np.random.default_rng(seed)
    image = draw.random((h, w, bands), np.float32)
    mask = draw.integers(0, 2, (h, w), np.uint8)
    small, small_mask = resize(image, mask, 8)
    assert (small.dtype, small_mask.dtype) == (np.float16, np.uint8)
    expected = np.stack([area(image[..., c], 8) for c in range(bands)])
    if (h, w) == (8, 8):
        expected = image.transpose(2, 0, 1)
    np.testing.assert_allclose(small, expected, atol=1e-3)
    share = area(mask, 8)
    clear = np.abs(share - 0.5) > 1e-5
    np.testing.assert_array_equal(small_mask[clear], (share >= 0.5)[clear])


def test_a_pixel_half_covered_by_a_landslide_is_landslide():
    mask = np.zeros((4, 4), np.uint8)
    mask[0, :2] = mask[2, 2] = 1
    assert resize(np.zeros((4, 4, 1), np.float32), mask, 2)[1].tolist() == [[1, 0], [0, 0]]


def test_an_image_of_the_right_size_is_left_as_it_is():
    image = np.random.default_rng(0).random((8, 8, 14), np.float32)
    mask = np.eye(8, dtype=np.uint8)
    same, same_mask = resize(image, mask, 8)
    np.testing.assert_array_equal(same, image.transpose(2, 0, 1).astype(np.float16))
    np.testing.assert_array_equal(same_mask, mask)


def test_a_larger_image_keeps_its_range_and_a_mask_of_0_and_1():
    image = np.random.default_rng(0).random((5, 7, 3), np.float32)
    mask = np.zeros((5, 7), np.uint8)
    mask[1:3, 2:5] = 1
    large, large_mask = resize(image, mask, 32)
    assert image.min() - 1e-3 <= large.min() <= large.max() <= image.max() + 1e-3
    assert set(np.unique(large_mask)) == {0, 1}
    assert large_mask.mean() == pytest.approx(mask.mean(), abs=0.03)


# --- What is packed -------------------------------------------------------------------------------


def test_packed_are_all_images_in_their_order_with_all_that_is_known_of_them(tiny_bijie, cache):
    packed = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    found = BIJIE.samples(tiny_bijie)
    assert len(packed) == len(found) == 8
    assert packed.images.shape == (8, 3, SIZE, SIZE)
    assert packed.images.dtype == np.float16
    assert isinstance(packed.images, np.memmap)
    for i, sample in enumerate(found):
        image, mask = resize(*BIJIE.read(sample), SIZE)
        np.testing.assert_array_equal(packed.images[i], image)
        np.testing.assert_array_equal(packed.masks[i], mask)
        assert (packed.ids[i], packed.groups[i]) == (sample.id, sample.group)
    assert packed.bands == ("R", "G", "B")
    assert packed.fingerprint == BIJIE.fingerprint(found)
    assert packed.excluded == ()
    assert packed.positive.tolist() == [True] * 4 + [False] * 4


def test_landslide4sense_is_packed_from_either_layout(tiny_l4s, cache):
    l4s = get_dataset("landslide4sense")
    packed = load_packed(l4s, SIZE, root=tiny_l4s, cache=cache)
    assert packed.images.shape == (3, 14, SIZE, SIZE)
    image, _ = l4s.read(l4s.samples(tiny_l4s)[0])
    np.testing.assert_allclose(packed.images[0, 9], area(image[..., 9], SIZE), rtol=2e-3)


def test_the_second_use_reads_no_source_file_and_gives_the_same(tiny_bijie, cache, monkeypatch):
    first = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    monkeypatch.setattr(type(BIJIE), "read", None)
    again = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    np.testing.assert_array_equal(first.images, again.images)
    assert again.ids == first.ids


def test_packed_arrays_cannot_be_written_to(tiny_bijie, cache):
    packed = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    with pytest.raises(ValueError, match="read-only"):
        packed.images[0] = 0


def test_environment_variables_name_data_and_cache(tiny_bijie, cache, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_DATA", str(tiny_bijie))
    monkeypatch.setenv("LANDSLIDE_CACHE", str(cache))
    assert len(load_packed(BIJIE, SIZE)) == 8
    assert any(cache.iterdir())


@pytest.mark.parametrize("change", ["bytes", "new file", "one less"])
def test_changed_data_is_packed_again(tiny_bijie, cache, make, change):
    before = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    image = BIJIE.samples(tiny_bijie)[-1].image
    assert image is not None
    if change == "one less":
        image.unlink()
    else:
        target = image if change == "bytes" else image.with_name("no_9.png")
        make["picture"](target, np.full((40, 40, 3), 9, np.uint8))
    after = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    assert after.fingerprint != before.fingerprint
    assert len(after) == len(before) + {"bytes": 0, "new file": 1, "one less": -1}[change]
    assert after.fingerprint == BIJIE.fingerprint(BIJIE.samples(tiny_bijie))


def test_changed_data_of_the_same_size_is_packed_again(tmp_path, cache, make):
    l4s = get_dataset("landslide4sense")
    root = make["landslide4sense"](tmp_path, "original", (1,))
    path = next(root.rglob("image_1.h5"))
    before, size = load_packed(l4s, SIZE, root=root, cache=cache), path.stat().st_size
    make["h5"](path, img=np.ones((128, 128, 14)))
    assert path.stat().st_size == size
    after = load_packed(l4s, SIZE, root=root, cache=cache)
    assert after.fingerprint != before.fingerprint
    assert (after.images == 1).all()


def test_the_data_is_only_read(tiny_bijie, cache):
    folders = [tiny_bijie, *(p for p in tiny_bijie.rglob("*") if p.is_dir())]
    before = sorted((p, p.stat().st_mtime_ns) for p in tiny_bijie.rglob("*"))
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert len(load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)) == 8
        assert verify_files(BIJIE, tiny_bijie).bad == ()
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert sorted((p, p.stat().st_mtime_ns) for p in tiny_bijie.rglob("*")) == before


def test_a_progress_bar_is_not_written_into_a_log(tiny_bijie, cache, capfd):
    load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    verify_files(BIJIE, tiny_bijie)
    assert capfd.readouterr() == ("", "")


# --- Whole or not there ---------------------------------------------------------------------------


def test_a_packing_that_fails_leaves_nothing_behind(tiny_bijie, cache):
    BIJIE.samples(tiny_bijie)[-1].image.write_bytes(b"")
    with pytest.raises(BadFileError):
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    assert [p for p in cache.iterdir() if p.suffix != ".lock"] == []


def test_an_array_that_is_larger_than_the_disk_is_not_begun(tmp_path):
    size = 4 * shutil.disk_usage(tmp_path).free
    with pytest.raises(OSError, match=rf"needs {size / 1e6:.1f} MB there, and \d+\.\d MB are free"):
        new_array(tmp_path / "all.npy", np.uint8, (4, size // 4))
    assert not list(tmp_path.iterdir())


CODE = """
import sys, time
from pathlib import Path
from landslide_lib.data.registry import get_dataset, load_packed
bijie = get_dataset("bijie")
read = bijie.read
def slow(sample):
    if sample.id == sys.argv[3]:
        print("stuck", flush=True)
        time.sleep(60)
    return read(sample)
type(bijie).read = lambda self, sample: slow(sample)
packed = load_packed(bijie, 16, root=Path(sys.argv[1]), cache=Path(sys.argv[2]))
print(packed.fingerprint, int(packed.images.astype("f8").sum() * 1e6))
"""


def start(root: Path, cache: Path, stuck_at: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(root), str(cache), stuck_at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_packing_that_is_killed_is_never_taken_for_whole_and_its_litter_goes(tiny_bijie, cache):
    process = start(tiny_bijie, cache, "non/no_7")
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (litter,) = (p for p in cache.iterdir() if p.is_dir())
    assert litter.name.startswith(".")
    packed = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    np.testing.assert_array_equal(packed.images[-1], resize(*BIJIE.read(BIJIE.samples(tiny_bijie)[-1]), SIZE)[0])
    assert not litter.exists()


def test_two_processes_that_pack_at_once_get_the_same(tiny_bijie, cache):
    both = [start(tiny_bijie, cache) for _ in range(2)]
    outputs = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""
    assert len([p for p in cache.iterdir() if p.is_dir()]) == 1


def test_other_users_may_read_what_one_packed(tiny_bijie, cache):
    umask = os.umask(0o022)
    try:
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    finally:
        os.umask(umask)
    (folder,) = (p for p in cache.iterdir() if p.is_dir())
    assert folder.stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "about.json"])
@pytest.mark.parametrize("how", ["cut", "gone", "empty"])
def test_a_damaged_packed_copy_is_refused_with_the_remedy(tiny_bijie, cache, name, how):
    load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    (folder,) = (p for p in cache.iterdir() if p.is_dir())
    data = (folder / name).read_bytes()
    (folder / name).write_bytes({"cut": data[: len(data) // 2]}.get(how, b""))
    if how == "gone":
        (folder / name).unlink()
    with pytest.raises(BadFileError, match=r"damaged.*Remove the folder") as error:
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    assert error.value.path == folder


def test_a_pickle_is_not_unpickled(tiny_bijie, cache):
    load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    (folder,) = (p for p in cache.iterdir() if p.is_dir())
    np.save(folder / "masks.npy", np.array([{}] * 8, object), allow_pickle=True)
    with pytest.raises(BadFileError, match="damaged"):
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)


# --- Files that are wrong -------------------------------------------------------------------------


def spoil(root: Path) -> dict[str, str]:
    """Cut an image, remove a mask; return what is to be said of them."""
    found = BIJIE.samples(root)
    found[0].image.write_bytes(found[0].image.read_bytes()[:100])
    found[2].mask.unlink()
    return {"image/ls_0.png": "is truncated", "mask/ls_2.png": "is missing"}


def agree(said: dict[str, str], problems: dict[str, str]) -> bool:
    return said.keys() == problems.keys() and all(problems[name].startswith(said[name]) for name in said)


def test_the_first_bad_file_ends_the_packing_with_its_name_and_the_remedy(tiny_bijie, cache):
    spoil(tiny_bijie)
    with pytest.raises(BadFileError, match=r"image/ls_0.png: is truncated .*--skip-bad"):
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)


def test_skip_bad_leaves_bad_files_out_and_lists_them(tiny_bijie, cache):
    whole = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    whole_images = np.array(whole.images)
    said = spoil(tiny_bijie)
    packed = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache, skip_bad=True)
    assert agree(said, {one["file"]: one["problem"] for one in packed.excluded})
    keep = [1, 3, 4, 5, 6, 7]
    assert packed.ids == tuple(whole.ids[i] for i in keep)
    np.testing.assert_array_equal(packed.images, whole_images[keep])
    np.testing.assert_array_equal(packed.masks, whole.masks[keep])
    kept = [sample for sample in BIJIE.samples(tiny_bijie) if sample.id in packed.ids]
    assert packed.fingerprint == BIJIE.fingerprint(kept) != whole.fingerprint
    again = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache, skip_bad=True)
    assert again.excluded == packed.excluded
    json.dumps(again.excluded)


def test_what_skip_bad_packed_does_not_serve_a_run_without_it(tiny_bijie, cache):
    spoil(tiny_bijie)
    load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache, skip_bad=True)
    with pytest.raises(BadFileError):
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)


def test_a_mended_file_is_taken_in_again(tiny_bijie, cache):
    mask = BIJIE.samples(tiny_bijie)[2].mask
    data = mask.read_bytes()
    mask.unlink()
    assert len(load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache, skip_bad=True)) == 7
    mask.write_bytes(data)
    packed = load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache, skip_bad=True)
    assert (len(packed), packed.excluded) == (8, ())


def test_nothing_usable_is_an_error_with_skip_bad_too(tiny_bijie, cache):
    for sample in BIJIE.samples(tiny_bijie):
        sample.image.write_bytes(b"")
    with pytest.raises(BadFileError, match=r"none of the 8 images.*data download") as error:
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache, skip_bad=True)
    assert error.value.path.name == "ls_0.png"


def test_after_a_bad_file_the_rest_is_not_read(tiny_bijie, cache, monkeypatch):
    read: list[str] = []

    def slow(self, sample):
        read.append(sample.id)
        if sample.id == "ls_0":
            raise BadFileError(sample.image, "is bad", "")
        time.sleep(0.2)
        return np.zeros((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE), np.uint8)

    monkeypatch.setattr(type(BIJIE), "read", slow)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(BadFileError, match="is bad"):
        load_packed(BIJIE, SIZE, root=tiny_bijie, cache=cache)
    assert len(read) < 8


# --- verify ---------------------------------------------------------------------------------------


def test_verify_counts_what_numpy_counts(tiny_bijie):
    verdict = verify_files(BIJIE, tiny_bijie)
    pairs = [BIJIE.read(sample) for sample in BIJIE.samples(tiny_bijie)]
    pixels = np.concatenate([image.reshape(-1, 3) for image, _ in pairs]).astype(np.float64)
    masks = np.concatenate([mask.ravel() for _, mask in pairs])
    assert (verdict.images, verdict.with_landslide) == (8, 4)
    assert verdict.parts == {"train": 8}
    assert verdict.landslide_share == masks.mean()
    for i, name in enumerate("RGB"):
        expected = {
            "min": pixels[:, i].min(),
            "max": pixels[:, i].max(),
            "mean": pixels[:, i].mean(),
            "std": pixels[:, i].std(),
        }
        assert verdict.bands[name] == pytest.approx(expected, rel=1e-9)
    sizes = sorted({image.shape[:2] for image, _ in pairs})
    assert verdict.sizes == tuple(f"{h}x{w}" for h, w in (sizes[0], sizes[-1]))
    assert verdict.bad == ()
    assert json.loads(json.dumps(asdict(verdict)))["images"] == 8


def test_verify_goes_on_after_a_bad_file_and_names_each(tiny_bijie):
    said = spoil(tiny_bijie)
    verdict = verify_files(BIJIE, tiny_bijie)
    assert verdict.images == 6
    assert agree(said, {"/".join(Path(p.file).parts[-2:]): p.problem for p in verdict.bad})


def test_verify_of_nothing_but_bad_files_has_no_numbers_to_show(tiny_bijie):
    for sample in BIJIE.samples(tiny_bijie):
        sample.image.write_bytes(b"")
    verdict = verify_files(BIJIE, tiny_bijie)
    assert (verdict.images, verdict.landslide_share, verdict.bands) == (0, 0.0, {})
    assert len(verdict.bad) == 8
