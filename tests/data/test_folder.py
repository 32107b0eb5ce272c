"""One's own pictures with masks, TIFF tiles among them."""

import warnings

import numpy as np
import pytest
import rasterio

from landslide_lib.data.registry import get_dataset, load_packed
from landslide_lib.data.split import Split, split
from landslide_lib.data.statistics import verify_files

FOLDER = get_dataset("folder")
DRAW = np.random.default_rng(3)


def write_tiff(path, pixels, **how):
    """Write (H, W, C) pixels as a GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, count = pixels.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=count, dtype=pixels.dtype, **how
        ) as file:
            file.write(pixels.transpose(2, 0, 1))
    return path


def tile(dtype=np.uint8, bands=3, size=20):
    return DRAW.integers(1, np.iinfo(dtype).max, (size, size, bands), dtype)


def mask(size=20, value=255):
    pixels = np.zeros((size, size), np.uint8)
    pixels[2:12, 3:9] = value
    return pixels


def problems(root):
    return {p.file.rpartition("/")[2]: p.problem for p in verify_files(FOLDER, root).bad}


@pytest.mark.parametrize(
    ("images", "masks", "part"),
    [
        ("images", "masks", "train"),
        ("images", "annotations", "train"),
        ("Images", "Labels", "train"),
        ("TRAIN/images", "TRAIN/masks", "train"),
        ("images/val", "masks/val", "valid"),
        ("test/img", "test/annotations", "test"),
    ],
)
def test_layouts_are_read_by_value(tmp_path, make, images, masks, part):
    home, pixels = tmp_path / "folder", tile()
    make["picture"](home / images / "a.png", pixels)
    make["picture"](home / masks / "a.png", mask())
    write_tiff(home / images / "b.tif", pixels)
    write_tiff(home / masks / "b.tif", mask(value=1)[..., None])
    found = FOLDER.samples(tmp_path)
    assert [s.part for s in found] == [part] * 2
    for sample in found:
        image, truth = FOLDER.read(sample)
        np.testing.assert_array_equal(image, pixels.astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(truth, mask(value=1))
    assert verify_files(FOLDER, tmp_path).bad == ()


def test_tiles_of_16_bits_have_one_scale_whatever_their_values(tmp_path):
    for name, most in (("a", 3_000), ("b", 65_535)):
        pixels = np.full((8, 8, 3), most, np.uint16)
        write_tiff(tmp_path / "images" / f"{name}.tif", pixels)
        write_tiff(tmp_path / "masks" / f"{name}.tif", mask(8)[..., None])
    values = [FOLDER.read(sample)[0].max() for sample in FOLDER.samples(tmp_path)]
    assert values == [np.float32(3_000) / np.float32(65_535), 1]


def test_verify_says_what_is_wrong_with_each_file(tmp_path, make):
    good = write_tiff(tmp_path / "images" / "a.tif", tile())
    for name, pixels in [
        ("bands4", tile(bands=4)),
        ("bits16", tile(np.uint16)),
        ("float", tile().astype(np.float32)),
        ("lonely", tile()),
    ]:
        write_tiff(tmp_path / "images" / f"{name}.tif", pixels)
    write_tiff(tmp_path / "images" / "nodata.tif", np.full((20, 20, 3), 9, np.uint8), nodata=9)
    (tmp_path / "images" / "cut.tif").write_bytes(good.read_bytes()[:700])
    (tmp_path / "images" / "text.tif").write_text("no picture")
    for name in ("a", "bands4", "bits16", "float", "nodata", "cut", "text", "orphan"):
        make["picture"](tmp_path / "masks" / f"{name}.png", mask())
    make["picture"](tmp_path / "masks" / "a.jpg", mask())
    write_tiff(tmp_path / "images" / "small.tif", tile(size=10))
    make["picture"](tmp_path / "masks" / "small.png", mask())
    expected = {
        "a.tif": "has 2 masks: a.jpg, a.png",
        "float.tif": "holds 3 bands (gray, undefined, undefined) of float32, not RGB of 8 or 16 bits",
        "nodata.tif": "holds pixels without data (9)",
        "cut.tif": "is truncated or no picture that can be read",
        "text.tif": "is truncated or no JPEG, PNG, TIFF, BMP or WebP",
        "lonely.png": "is missing",
        "orphan.png": "is missing",
        "small.png": "mask is (20, 20), its image (10, 10)",
    }
    bad = problems(tmp_path)
    assert bad.keys() == expected.keys()  # of four bands, alpha is left out
    for name, problem in expected.items():
        assert bad[name].startswith(problem), name


def test_parts_of_ones_own_are_used_and_without_them_all_images_are_split(tmp_path, make, cache):
    for part in ("train", "valid", "test"):
        for i in range(12 if part == "train" else 2):
            make["picture"](tmp_path / part / "images" / f"{i}.png", tile())
            make["picture"](tmp_path / part / "masks" / f"{i}.png", mask() * (i % 2))
    packed = load_packed(FOLDER, 16, root=tmp_path, cache=cache)
    published = split(packed, Split(method="published"))
    assert {part: len(some) for part, some in published.items()} == {"train": 12, "valid": 2, "test": 2}
    assert sum(map(len, split(packed, Split(folds=2, validation=0.5)).values())) == 16
