"""UAV tiles: read, placed in their mosaic, split by position, refused where something is wrong."""

import numpy as np
import pytest

from landslide_lib.data.datasets.folder import BLOCK, ROW
from landslide_lib.data.registry import DatasetNotFoundError, DownloadError, get_dataset, load_packed
from landslide_lib.data.split import Split, split
from landslide_lib.data.statistics import verify_files

UAV = get_dataset("uav")


@pytest.fixture
def root(tmp_path, make):
    """Tiles 0, 1, 47, 48 and one further down; those with even numbers have a landslide."""
    draw = np.random.default_rng(0)
    for number in (0, 1, 47, 48, 48 * 30 + 20):
        image = draw.integers(0, 256, (128, 128, 3), np.uint8)
        mask = np.zeros((128, 128), np.uint8)
        if number % 2 == 0:
            mask[10:40, 20:60] = 255
        make["picture"](tmp_path / "uav" / "image" / f"image_{number}.jpg", image)
        make["picture"](tmp_path / "uav" / "mask" / f"image_{number}.png", mask)
    return tmp_path


def problems(root):
    return {p.file.removeprefix(f"{root}/uav/"): p.problem for p in verify_files(UAV, root).bad}


def test_tiles_are_listed_in_the_order_of_their_numbers_with_a_block_as_group(root):
    found = UAV.samples(root)
    assert [s.id for s in found] == [f"image_{n}" for n in (0, 1, 47, 48, 1460)]
    assert found[0].group == found[1].group == found[3].group != found[2].group
    assert found[4].group == f"{30 // BLOCK}/{20 // BLOCK}"
    assert {s.part for s in found} == {"train"}


def test_a_tile_is_rgb_in_0_to_1_with_its_mask(root):
    image, mask = UAV.read(UAV.samples(root)[0])
    assert (image.shape, image.dtype) == ((128, 128, 3), np.float32)
    assert 0 <= image.min() < image.max() <= 1
    assert (mask.dtype, int(mask.sum())) == (np.uint8, 30 * 40)


def test_without_the_folder_of_masks_there_is_no_truth(root):
    (root / "uav" / "mask").rename(root / "uav" / "elsewhere")
    samples = UAV.samples(root)
    assert {s.part for s in samples} == {"train, no masks"}
    assert not UAV.read(samples[0])[1].any()


def test_what_is_wrong_with_a_file_is_said(root, make):
    home = root / "uav"
    (home / "mask" / "image_0.png").unlink()
    (home / "image" / "image_1.jpg").unlink()
    make["picture"](home / "mask" / "image_47.png", np.full((128, 128), 7, np.uint8))
    whole = (home / "image" / "image_48.jpg").read_bytes()
    (home / "image" / "image_48.jpg").write_bytes(whole[:900])
    make["picture"](home / "image" / "image_1460.jpg", np.zeros((64, 128, 3), np.uint8))
    make["picture"](home / "image" / "somewhere.jpg", np.zeros((128, 128, 3), np.uint8))
    found = problems(root)
    assert found.pop("image/image_1.png") == "is missing"
    assert found.pop("image/image_48.jpg").startswith("is truncated")
    assert found == {
        "mask/image_0.png": "is missing",
        "mask/image_47.png": "mask holds 7; only 0, 1 and 255 are allowed",
        "mask/image_1460.png": "mask is (128, 128), its image (64, 128)",
        "image/somewhere.jpg": "is not called image_N with N below 2880, so that its place is not known",
    }


def test_a_mask_of_another_size_two_masks_and_two_images_of_a_name_are_refused(root, make):
    home = root / "uav"
    make["picture"](home / "mask" / "image_0.png", np.zeros((127, 128), np.uint8))
    make["picture"](home / "mask" / "image_1.jpg", np.zeros((128, 128), np.uint8))
    make["picture"](home / "image" / "image_47.png", np.zeros((128, 128, 3), np.uint8))
    found = problems(root)
    assert found["mask/image_0.png"] == "mask is (127, 128), its image (128, 128)"
    assert found["image/image_1.jpg"] == "has 2 masks: image_1.jpg, image_1.png"
    assert "has the id 'image_47' of" in found["image/image_47.png"]


@pytest.mark.parametrize("there", ["", "uav", "uav/image"])
def test_nothing_there_is_refused_with_what_to_do(tmp_path, there):
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    with pytest.raises(DatasetNotFoundError, match=r"LANDSLIDE_DATA.*put image/ and mask/ into uav"):
        UAV.samples(tmp_path)


def test_download_says_where_to_put_the_files(tmp_path):
    with pytest.raises(DownloadError, match="no public address") as error:
        UAV.download(tmp_path)
    assert str(tmp_path / "uav" / "image") in str(error.value)
    assert not (tmp_path / "uav").exists()


def test_the_fingerprint_changes_with_a_byte_of_a_mask(root):
    before = UAV.fingerprint(UAV.samples(root))
    path = root / "uav" / "mask" / "image_0.png"
    path.write_bytes(path.read_bytes() + b"\0")
    assert UAV.fingerprint(UAV.samples(root)) != before


def test_the_real_tiles_are_those_that_the_readme_counts(real, cache):
    """/work/shared/data/README.md: 2,137 tiles, 659 with landslide, 21.8 % of the pixels."""
    if not (real / "uav").is_dir():
        pytest.skip(f"no uav/ below {real}")
    packed = load_packed(UAV, 16, root=real, cache=cache)
    assert (len(packed), packed.parts.count("train")) == (2137, 2137)
    masks = [UAV.read(s)[1] for s in UAV.samples(real) if s.id.endswith("7")]
    assert np.mean(masks) == pytest.approx(0.218, abs=0.03)
    # At 16 px a few slivers of landslide are lost.
    assert 640 <= int(packed.positive.sum()) <= 659
    assert packed.masks.mean() == pytest.approx(0.218, abs=0.001)
    # Split by position, every part has landslides, and a tile has few neighbours in another.
    for fold in range(5):
        parts = split(packed, Split(fold=fold))
        assert all(packed.positive[indices].mean() > 0.15 for indices in parts.values())
        side = {int(packed.ids[i][6:]): name for name, some in parts.items() for i in some}
        pairs = [(side[n], side[n + step]) for n in side for step in (1, ROW) if n + step in side]
        assert np.mean([one != other for one, other in pairs]) < 0.1
