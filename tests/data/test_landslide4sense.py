"""Landslide4Sense: both layouts, every way in which an HDF5 file is wrong, the real patches."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from landslide_lib.data.base import read_sample
from landslide_lib.data.datasets.landslide4sense import BLOCK, read_array
from landslide_lib.data.registry import BadFileError, DatasetNotFoundError, get_dataset, load_packed
from landslide_lib.data.statistics import verify_files

L4S = get_dataset("landslide4sense")
SHAPE = (128, 128, 14)


def file(root: Path, stem: str, number: int = 2) -> Path:
    """Find a file of the fixture in whichever layout it has."""
    return next(root.rglob(f"{stem}_{number}.h5"))


def only_problem(root: Path) -> str:
    (problem,) = verify_files(L4S, root).bad
    return f"{Path(problem.file).name}: {problem.problem}"


def test_both_layouts_are_read_alike_in_the_order_of_the_numbers(tiny_l4s):
    found = L4S.samples(tiny_l4s)
    assert [s.id for s in found] == ["train/1", "train/2", "train/10"]
    assert {s.part for s in found} == {"train"}
    for sample in found:
        image, mask = L4S.read(sample)
        with h5py.File(sample.image) as stored:
            np.testing.assert_array_equal(image, stored["img"][()].astype(np.float32))
        with h5py.File(sample.mask) as stored:
            np.testing.assert_array_equal(mask, stored["mask"][()])
        assert (image.dtype, mask.dtype) == (np.float32, np.uint8)


def test_a_copy_in_another_folder_has_the_same_fingerprint(tmp_path, make):
    roots = [make["landslide4sense"](tmp_path / str(i), "original") for i in range(2)]
    first, second = (L4S.fingerprint(L4S.samples(root)) for root in roots)
    assert first == second


def test_neighbouring_numbers_are_one_group(tmp_path):
    folder = tmp_path / "landslide4sense" / "TrainData" / "img"
    folder.mkdir(parents=True)
    for number in (1, BLOCK, BLOCK + 1):
        (folder / f"image_{number}.h5").touch()
    a, b, c = (s.group for s in L4S.samples(tmp_path))
    assert a == b != c


def test_the_parts_of_the_publisher_are_kept_apart(tmp_path, make):
    root = make["landslide4sense"](tmp_path, "mirror", (1,))
    home = root / "landslide4sense"
    for part in ("validation", "test"):
        for kind, stem in (("images", "image"), ("annotations", "mask")):
            (home / kind / part).mkdir()
            source = home / kind / "train" / f"{stem}_1.h5"
            (home / kind / part / source.name).write_bytes(source.read_bytes())
    assert [(s.id, s.part) for s in L4S.samples(root)] == [
        ("train/1", "train"),
        ("valid/1", "valid"),
        ("test/1", "test"),
    ]
    assert verify_files(L4S, root).parts == {"train": 1, "valid": 1, "test": 1}


def test_a_part_without_masks_is_read_but_not_counted_as_truth(tiny_l4s):
    before = verify_files(L4S, tiny_l4s)
    masks = file(tiny_l4s, "mask").parent
    home = tiny_l4s / "landslide4sense"
    blind = home / "TestData" / "img" / "image_1.h5"
    blind.parent.mkdir(parents=True)
    blind.write_bytes(file(tiny_l4s, "image").read_bytes())
    verdict = verify_files(L4S, tiny_l4s)
    assert masks.is_dir()
    assert verdict.parts == {"train": 3, "test, no masks": 1}
    assert verdict.landslide_share == before.landslide_share > 0


def test_nothing_there_is_refused_with_the_command_that_gets_it(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="landslide data download landslide4sense"):
        L4S.samples(tmp_path)


def test_a_patch_that_stands_in_both_layouts_is_not_taken_for_two(tmp_path, make):
    root = make["landslide4sense"](tmp_path, "original", (1,))
    make["landslide4sense"](tmp_path, "mirror", (1,))
    assert "has the id 'train/1' of" in only_problem(root)


@pytest.mark.parametrize("stem", ["image", "mask"])
def test_a_missing_file_of_a_pair_is_named(tiny_l4s, stem):
    file(tiny_l4s, stem).unlink()
    assert only_problem(tiny_l4s) == f"{stem}_2.h5: is missing"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999])
@pytest.mark.parametrize("stem", ["image", "mask"])
def test_a_file_that_was_cut_off_anywhere_is_named(tmp_path, make, stem, share):
    root = make["landslide4sense"](tmp_path, "original", (2,))
    path = file(root, stem)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert f"{stem}_2.h5: is truncated or no HDF5 file" in only_problem(root)


def test_a_web_page_is_no_patch(tiny_l4s):
    file(tiny_l4s, "image").write_text("<html>Not found</html>")
    assert "no HDF5 file" in only_problem(tiny_l4s)


WRONG_IMAGES = {
    "has no key 'img'; it has: image": {"image": np.zeros(SHAPE)},
    "has no key 'img'; it has: none": {},
    "shape (128, 128, 13)": {"img": np.zeros((128, 128, 13))},
    "shape (14, 128, 128)": {"img": np.zeros((14, 128, 128))},
    "shape (64, 64, 14)": {"img": np.zeros((64, 64, 14))},
    "shape ()": {"img": np.float64(1)},
    'type "|S3"': {"img": np.full(SHAPE, b"abc")},
    'type "<c16"': {"img": np.zeros(SHAPE, complex)},
    "holds values from nan to nan": {"img": np.where(np.arange(14) == 9, np.nan, np.ones(SHAPE))},
    "holds values from -inf to -inf": {"img": np.full(SHAPE, -np.inf)},
    "holds values from 0 to 70000": {"img": np.arange(14) // 13 * np.full(SHAPE, 7e4)},
}


@pytest.mark.parametrize("problem", WRONG_IMAGES)
def test_a_wrong_image_is_named_with_what_is_wrong(tiny_l4s, make, problem):
    make["h5"](file(tiny_l4s, "image"), **WRONG_IMAGES[problem])
    assert problem in only_problem(tiny_l4s)


WRONG_MASKS = {
    "has no key 'mask'; it has: img": {"img": np.zeros((128, 128), np.uint8)},
    "shape (64, 64)": {"mask": np.zeros((64, 64), np.uint8)},
    "shape (128, 128, 1)": {"mask": np.zeros((128, 128, 1), np.uint8)},
    "mask holds 2, 3; only 0, 1 and 255": {"mask": np.resize([0, 1, 2, 3], (128, 128))},
    "mask holds 0.5; only": {"mask": np.full((128, 128), 0.5)},
    "mask holds nan; only": {"mask": np.full((128, 128), np.nan)},
    "mask holds both 1 and 255": {"mask": np.resize([0, 1, 255], (128, 128))},
}


@pytest.mark.parametrize("problem", WRONG_MASKS)
def test_a_wrong_mask_is_named_with_what_is_wrong(tiny_l4s, make, problem):
    make["h5"](file(tiny_l4s, "mask"), **WRONG_MASKS[problem])
    assert problem in only_problem(tiny_l4s)


@pytest.mark.parametrize("form", ["{:03d}", "{}"])
def test_numbers_may_have_zeros_before_them(tiny_l4s, form):
    for path in tiny_l4s.rglob("*.h5"):
        word, number = path.stem.split("_")
        if word == "image" or number != "2":
            path.rename(path.with_name(f"{word}_{form.format(int(number))}.h5"))
    verdict = verify_files(L4S, tiny_l4s)
    assert [s.id for s in L4S.samples(tiny_l4s)] == ["train/1", "train/2", "train/10"]
    assert (verdict.images, verdict.bad) == (3, ())
    mask = next(tiny_l4s.rglob("mask_*1.h5"))
    mask.unlink()
    (problem,) = verify_files(L4S, tiny_l4s).bad
    assert (problem.file, problem.problem) == (str(mask), "is missing")


def test_two_files_of_one_number_are_refused(tiny_l4s):
    image, mask = (next(tiny_l4s.rglob(f"{word}_1.h5")) for word in ("image", "mask"))
    shutil.copy(image, image.with_name("image_001.h5"))
    shutil.copy(mask, mask.with_name("mask_01.h5"))
    said = [p.problem for p in verify_files(L4S, tiny_l4s).bad]
    assert sorted(said) == [
        "has 2 masks: mask_01.h5, mask_1.h5",
        f"has the id 'train/1' of {image.with_name('image_001.h5')} too",
    ]


def test_a_group_in_place_of_an_array_is_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as made:
        made.create_group("img")
    with pytest.raises(BadFileError, match="img is <HDF5 group"):
        read_array(tmp_path / "x.h5", "img", SHAPE)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.bool_])
def test_a_mask_of_any_type_of_number_is_read(tiny_l4s, make, dtype):
    mask = np.zeros((128, 128), dtype)
    mask[3:9, 5:7] = 1
    make["h5"](file(tiny_l4s, "mask"), mask=mask)
    np.testing.assert_array_equal(L4S.read(L4S.samples(tiny_l4s)[1])[1], mask.astype(np.uint8))


def test_the_genuine_patches_are_read_with_the_bands_of_the_readme(real):
    """/work/shared/data/README.md: 8 patches of TestData, no masks, no NaN, about 1 per band."""
    if not (real / "landslide4sense" / "TestData" / "img").is_dir():
        pytest.skip(f"no landslide4sense/TestData/img below {real}")
    found = [s for s in L4S.samples(real) if s.part == "test, no masks"]
    assert len(found) == 8
    images = np.stack([read_sample(L4S, sample)[0] for sample in found])
    assert images.shape == (8, *SHAPE)
    # "Mean over 14 such patches (8 of them are here, so yours will differ)".
    stated = [0.988, 1.023, 1.104, 1.229, 1.321, 1.118, 1.045, 1.067, 1.671, 4.055, 1.284, 1.414, 1.133, 1.641]
    np.testing.assert_allclose(images.mean((0, 1, 2)), stated, rtol=0.35)
    slope_and_dem = [L4S.bands.index(name) for name in ("slope", "DEM")]
    assert images[..., slope_and_dem].min() >= 0
    verdict = verify_files(L4S, real)
    assert verdict.bad == ()
    assert verdict.landslide_share == 0
    assert verdict.sizes == ("128x128",)


def test_the_genuine_patches_are_packed_but_cannot_be_trained_on(real, cache):
    if not (real / "landslide4sense" / "TestData" / "img").is_dir():
        pytest.skip(f"no landslide4sense/TestData/img below {real}")
    from landslide_lib.data.split import Split, split

    packed = load_packed(L4S, 128, root=real, cache=cache)
    image, _ = L4S.read(L4S.samples(real)[0])
    np.testing.assert_array_equal(packed.images[0], image.transpose(2, 0, 1).astype(np.float16))
    with pytest.raises(ValueError, match="no image with a mask to train on, only: test, no masks"):
        split(packed, Split())
