"""Datasets made of others: the UAV mosaic at the scale of Bijie, and Bijie as another sensor might see it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from landslide_lib.data.datasets.derived import COARSER, FACTOR, HAZE, MIXTURE, STEP, degrade
from landslide_lib.data.datasets.folder import ROW, ROWS
from landslide_lib.data.registry import BadFileError, DatasetNotFoundError, get_dataset, load_packed
from landslide_lib.data.statistics import verify_files

BIJIE, DEGRADED, UAV, SCALED = map(get_dataset, ("bijie", "bijie-degraded", "uav", "uav-0.8m"))
TILE = 128


@pytest.fixture(scope="module")
def mosaic():
    """Pixels and mask of FACTOR rows of tiles, in columns of a square and a step: a smooth scene and a disc."""
    height, width = FACTOR * TILE, (FACTOR + STEP) * TILE
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 255 // width, y * 255 // height, (x // 16 + y // 16) % 2 * 255], axis=-1).astype(np.uint8)
    mask = (((x - 900) ** 2 + (y - 1200) ** 2 < 500**2) * 255).astype(np.uint8)
    return image, mask


@pytest.fixture
def root(tmp_path, make, mosaic):
    for row in range(FACTOR):
        for column in range(FACTOR + STEP):
            place = slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE)
            for kind, whole in zip(("image", "mask"), mosaic, strict=True):
                make["picture"](tmp_path / "uav" / kind / f"image_{row * ROW + column}.png", whole[place])
    return tmp_path


def squares(root):
    return {sample.id: sample for sample in SCALED.samples(root)}


def test_the_scale_follows_from_the_ground_sampling_distances():
    assert FACTOR == 16 == TILE // 8
    assert pytest.approx(BIJIE.metres_per_pixel) == SCALED.metres_per_pixel == UAV.metres_per_pixel * FACTOR
    assert (get_dataset("synthetic").metres_per_pixel, get_dataset("landslide4sense").metres_per_pixel) == (10, 10)


def test_a_square_is_the_mosaic_put_together_and_shrunk(root, mosaic):
    """Against the means of blocks of the whole mosaic, which the reader never holds."""
    found = squares(root)
    assert list(found) == ["0/0", f"0/{STEP}"]
    for number, sample in enumerate(found.values()):
        image, mask = SCALED.read(sample)
        left = number * STEP * TILE
        whole, truth = (each[:, left : left + FACTOR * TILE] for each in mosaic)
        means = whole.reshape(TILE, FACTOR, TILE, FACTOR, 3).mean((1, 3)) / 255
        np.testing.assert_allclose(image, means, atol=1e-3)  # packed as float16
        share = (truth > 0).reshape(TILE, FACTOR, TILE, FACTOR).mean((1, 3))
        assert np.array_equal(mask, share >= 0.5)
        assert (image.dtype, mask.dtype, mask.any()) == (np.float32, np.uint8, True)
    assert {sample.group for sample in found.values()} == {"mosaic"}


def test_a_square_with_a_missing_tile_is_left_out(root):
    (root / "uav" / "image" / "image_0.png").unlink()
    (root / "uav" / "mask" / "image_0.png").unlink()
    assert list(squares(root)) == [f"0/{STEP}"]
    (root / "uav" / "image" / f"image_{STEP}.png").unlink()
    (root / "uav" / "mask" / f"image_{STEP}.png").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"^uav-0.8m: no 16 x 16 tiles of the mosaic without a gap") as error:
        SCALED.samples(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [f"image_{ROWS * ROW}", f"image_{10**40}", "overview"])
def test_a_tile_that_has_no_place_in_the_mosaic_is_one_clear_error(root, make, cache, name):
    make["picture"](root / "uav" / "image" / f"{name}.png", np.zeros((TILE, TILE, 3), np.uint8))
    make["picture"](root / "uav" / "mask" / f"{name}.png", np.zeros((TILE, TILE), np.uint8))
    for dataset in (UAV, SCALED):
        (bad,) = verify_files(dataset, root).bad
        assert bad.problem == "is not called image_N with N below 2880, so that its place is not known"
    with pytest.raises(BadFileError, match=f"{name}.png: is not called image_N"):
        load_packed(SCALED, 32, root=root, cache=cache)
    assert len(load_packed(SCALED, 32, root=root, cache=cache, skip_bad=True)) == 2


def test_a_bad_tile_is_named_and_its_squares_are_refused(root, make):
    make["picture"](root / "uav" / "image" / "image_1.png", np.zeros((64, 64, 3), np.uint8))
    make["picture"](root / "uav" / "mask" / "image_1.png", np.zeros((64, 64), np.uint8))
    (bad,) = verify_files(SCALED, root).bad  # the second square begins further right
    assert bad.file.endswith("image_1.png")
    assert bad.problem == "has (64, 64) pixels, a tile of the mosaic has 128x128"


def test_the_fingerprint_changes_with_a_byte_of_a_tile(root):
    before = SCALED.fingerprint(SCALED.samples(root))
    path = root / "uav" / "mask" / f"image_{FACTOR + STEP - 1}.png"
    path.write_bytes(path.read_bytes() + b"\0")
    assert SCALED.fingerprint(SCALED.samples(root)) != before


def test_the_real_mosaic_has_its_squares(real):
    """Counted from the numbers of the files alone."""
    if not (real / "uav").is_dir():
        pytest.skip(f"no uav/ below {real}")
    there = np.zeros((ROWS, ROW), bool)
    for path in (real / "uav" / "image").iterdir():
        there[divmod(int(path.stem.split("_")[1]), ROW)] = True
    whole = np.lib.stride_tricks.sliding_window_view(there, (FACTOR, FACTOR)).all((2, 3))[::STEP, ::STEP]
    assert len(SCALED.samples(real)) == whole.sum() == 48


# --- Bijie degraded --------------------------------------------------------------------------


def test_every_fifth_image_is_degraded_and_its_mask_is_not(tiny_bijie):
    every = BIJIE.samples(tiny_bijie)
    some = DEGRADED.samples(tiny_bijie)
    assert some == every[::5]
    for sample in some:
        (sharp, truth), (image, mask) = BIJIE.read(sample), DEGRADED.read(sample)
        assert np.array_equal(mask, truth)
        assert image.shape == sharp.shape
        assert 0 <= image.min() < image.max() <= 1
        assert np.abs(image - sharp).mean() > 0.05


def test_a_plain_image_shows_the_colours_alone():
    colour = np.array([0.9, 0.5, 0.2], np.float32)
    image = degrade(np.broadcast_to(colour, (40, 64, 3)).copy())
    expected = [0.6 * 0.9 + 0.2 * 0.5 + 0.1, 0.1 * 0.9 + 0.5 * 0.5 + 0.1 * 0.2 + 0.15, 0.2 * 0.5 + 0.4 * 0.2 + 0.25]
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), atol=1e-6)
    assert (MIXTURE.sum(1) + HAZE <= 1).all()  # so that nothing is cut


def test_blur_and_new_pixels_are_those_of_scipy_and_numpy():
    """A Gaussian of half a new pixel, the means of blocks, and straight lines between their centres."""
    image = np.random.default_rng(0).random((96, 64, 3)).astype(np.float32)
    seen = image.astype(np.float64) @ MIXTURE.T + HAZE
    for axis, side in enumerate(seen.shape[:2]):
        seen = gaussian_filter1d(seen, COARSER / 2, axis, mode="mirror")
        seen = np.moveaxis(seen, axis, 0)
        means = seen.reshape(side // COARSER, COARSER, *seen.shape[1:]).mean(1)
        centres = (np.arange(side // COARSER) + 0.5) * COARSER - 0.5
        lines = [np.interp(np.arange(side), centres, line) for line in means.reshape(len(means), -1).T]
        seen = np.moveaxis(np.transpose(lines).reshape(side, *means.shape[1:]), 0, axis)
    np.testing.assert_allclose(degrade(image), seen, atol=1e-5)


def test_a_picture_smaller_than_a_new_pixel_stays_a_picture():
    assert degrade(np.full((3, 5, 3), 0.5, np.float32)).shape == (3, 5, 3)
