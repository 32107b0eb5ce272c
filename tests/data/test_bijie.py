"""Bijie: both layouts are read, and every file that can be wrong is named with a remedy."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from landslide_lib.data.base import read_sample
from landslide_lib.data.formats.pictures import open_picture, read_mask
from landslide_lib.data.registry import BadFileError, DatasetNotFoundError, get_dataset
from landslide_lib.data.statistics import verify_files

BIJIE = get_dataset("bijie")


def landslide(root: Path, part: str = "image", number: int = 1) -> Path:
    return root / "bijie" / "landslide" / part / f"ls_{number}.png"


def bad(root: Path) -> dict[str, str]:
    """What `verify` says of each bad file, by its name."""
    return {f"{Path(p.file).parent.name}/{Path(p.file).name}": p.problem for p in verify_files(BIJIE, root).bad}


def test_landslides_come_first_each_part_in_the_order_of_its_names(tiny_bijie):
    found = BIJIE.samples(tiny_bijie)
    assert [s.id for s in found] == [f"ls_{i}" for i in range(4)] + [f"non/no_{i}" for i in range(4, 8)]
    assert len({s.group for s in found}) == len(found)
    assert {s.part for s in found} == {"train"}


def test_an_image_is_read_as_rgb_in_0_to_1_and_its_mask_as_0_and_1(tiny_bijie):
    sample = BIJIE.samples(tiny_bijie)[1]
    image, mask = BIJIE.read(sample)
    stored = cv2.imread(str(sample.image))[..., ::-1]
    assert image.dtype == np.float32
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(image, stored.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(mask, cv2.imread(str(sample.mask), 0) // 255)
    assert 0 < mask.sum() < mask.size


def test_an_image_without_a_landslide_has_an_empty_mask(tiny_bijie):
    image, mask = BIJIE.read(BIJIE.samples(tiny_bijie)[-1])
    assert mask.shape == image.shape[:2]
    assert not mask.any()


def test_the_publishers_folder_name_is_found_too(tmp_path, make):
    root = make["bijie"](tmp_path, name="Bijie-landslide-dataset")
    assert len(BIJIE.samples(root)) == 8


def test_jpeg_images_with_png_masks_are_one_dataset_with_png_images(tmp_path, tiny_bijie, make):
    for sample in BIJIE.samples(tiny_bijie):
        image = cv2.imread(str(sample.image))[..., ::-1]
        assert sample.image is not None
        make["picture"](sample.image.with_suffix(".JPG"), image)
        sample.image.unlink()
    found = BIJIE.samples(tiny_bijie)
    assert [s.image.suffix for s in found] == [".JPG"] * 8
    assert verify_files(BIJIE, tiny_bijie).bad == ()


@pytest.mark.parametrize("there", [(), ("bijie",), ("bijie/landslide/image", "bijie/landslide")])
def test_a_missing_or_empty_folder_is_refused_with_the_command_that_gets_it(tmp_path, there):
    for folder in there:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(DatasetNotFoundError, match="landslide data download bijie") as error:
        BIJIE.samples(tmp_path)
    assert str(tmp_path / "bijie") in str(error.value)


def test_hidden_files_of_a_mac_are_no_images(tiny_bijie):
    (landslide(tiny_bijie).parent / "._ls_1.png").write_bytes(b"\0\5\26\7")
    assert len(BIJIE.samples(tiny_bijie)) == 8


def test_a_missing_mask_is_named_by_the_file_that_ought_to_be_there(tiny_bijie):
    landslide(tiny_bijie, "mask").unlink()
    sample = BIJIE.samples(tiny_bijie)[1]
    with pytest.raises(BadFileError, match=r"is missing.*--skip-bad") as error:
        read_sample(BIJIE, sample)
    assert error.value.path == landslide(tiny_bijie, "mask")


def test_a_mask_whose_image_is_gone_is_not_passed_over(tiny_bijie):
    landslide(tiny_bijie).unlink()
    assert bad(tiny_bijie) == {"image/ls_1.png": "is missing"}


def test_two_images_of_one_name_are_not_taken_for_two(tiny_bijie, make):
    pixels = cv2.imread(str(landslide(tiny_bijie)))
    twin = make["picture"](landslide(tiny_bijie).with_suffix(".jpg"), pixels)
    assert bad(tiny_bijie) == {"image/ls_1.png": f"has the id 'ls_1' of {twin} too"}


def test_an_image_with_two_masks_is_refused(tiny_bijie, make):
    mask = np.zeros((40, 40), np.uint8)
    make["picture"](landslide(tiny_bijie, "mask").with_suffix(".jpg"), mask)
    assert bad(tiny_bijie) == {"image/ls_1.png": "has 2 masks: ls_1.jpg, ls_1.png"}


@pytest.mark.parametrize("cut", [(1, 0), (0, 1)])
def test_a_mask_that_is_one_pixel_smaller_than_its_image_is_refused(tiny_bijie, make, cut):
    mask = cv2.imread(str(landslide(tiny_bijie, "mask")), 0)
    make["picture"](landslide(tiny_bijie, "mask"), mask[: mask.shape[0] - cut[0], : mask.shape[1] - cut[1]])
    assert "its image" in bad(tiny_bijie)["mask/ls_1.png"]


def test_the_fingerprint_is_of_names_and_bytes_and_not_of_the_place(tmp_path, tiny_bijie, make):
    def fingerprint(root: Path) -> str:
        return BIJIE.fingerprint(BIJIE.samples(root))

    before = fingerprint(tiny_bijie)
    assert len(before) == 16
    assert before == fingerprint(make["bijie"](tmp_path / "copy"))
    data = bytearray(landslide(tiny_bijie, "mask").read_bytes())
    data[-1] ^= 1
    landslide(tiny_bijie, "mask").write_bytes(bytes(data))
    assert fingerprint(tiny_bijie) != before


def test_the_real_images_are_those_that_the_readme_counts(real):
    """/work/shared/data/README.md: 770 + 2,003, masks 0/255, 10.8 % and 3.1 % of the pixels."""
    if not (real / "bijie").is_dir():
        pytest.skip(f"no bijie/ below {real}")
    found = BIJIE.samples(real)
    with_mask = [s for s in found if s.mask is not None]
    assert (len(with_mask), len(found) - len(with_mask)) == (770, 2003)
    landslide_pixels = pixels = 0
    for sample in with_mask:
        mask = read_mask(open_picture(sample.mask))
        assert mask.any()
        landslide_pixels += int(mask.sum())
        pixels += mask.size
    rest = 0
    for sample in found:
        if sample.mask is None:
            rest += int(np.prod(cv2.imread(str(sample.image), cv2.IMREAD_REDUCED_GRAYSCALE_8).shape))
    # Reduced by 8 when read: an estimate of the size, good to a percent.
    share = landslide_pixels / (pixels + 64 * rest)
    floor = 2 * share / (share + 1)
    assert landslide_pixels / pixels == pytest.approx(0.108, abs=0.0005)
    assert share == pytest.approx(0.031, abs=0.0015)
    assert floor == pytest.approx(0.060, abs=0.003)
    for sample in (found[0], found[-1]):
        image, mask = read_sample(BIJIE, sample)
        assert image.shape[:2] == mask.shape
        assert min(mask.shape) >= 61
