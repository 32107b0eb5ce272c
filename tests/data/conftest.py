"""Tiny datasets on disk, made for one test each."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.generic]
SIDE = 128  # of a Landslide4Sense patch, fixed by the dataset


def write_picture(path: Path, pixels: Array) -> Path:
    """Write RGB or gray pixels as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    assert cv2.imwrite(str(path), pixels)
    return path


def write_h5(path: Path, **arrays: Array) -> Path:
    """Write an HDF5 file with one dataset a keyword."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    return path


def fill_bijie(root: Path, landslides: int = 4, rest: int = 4, name: str = "bijie") -> Path:
    """Write PNG pictures of 40 to 60 px in the publisher's layout; return the data root."""
    draw = np.random.default_rng(7)
    for i in range(landslides + rest):
        height, width = (int(n) for n in draw.integers(40, 61, 2))
        image = draw.integers(0, 256, (height, width, 3), np.uint8)
        if i < landslides:
            mask = np.zeros((height, width), np.uint8)
            mask[5 + i : 25, 8 : 20 + i] = 255
            write_picture(root / name / "landslide" / "image" / f"ls_{i}.png", image)
            write_picture(root / name / "landslide" / "mask" / f"ls_{i}.png", mask)
        else:
            write_picture(root / name / "non-landslide" / "image" / f"no_{i}.png", image)
    return root


def patch(number: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Make the bands and the mask of a Landslide4Sense patch; every other mask is empty."""
    draw = np.random.default_rng(number)
    image = draw.normal(1, 0.2, (SIDE, SIDE, 14)).round(2)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if number % 2:
        mask[10:30, 40:90] = 1
    return image, mask


def fill_landslide4sense(root: Path, layout: str, numbers: tuple[int, ...] = (1, 2, 10)) -> Path:
    """Write patches in the `original` or the `mirror` layout; return the data root."""
    home = root / "landslide4sense"
    folders = {
        "original": (home / "TrainData" / "img", home / "TrainData" / "mask"),
        "mirror": (home / "images" / "train", home / "annotations" / "train"),
    }
    images, masks = folders[layout]
    for number in numbers:
        image, mask = patch(number)
        write_h5(images / f"image_{number}.h5", img=image)
        write_h5(masks / f"mask_{number}.h5", mask=mask)
    return root


@pytest.fixture
def tiny_bijie(tmp_path: Path) -> Path:
    """A data root with 4 + 4 pictures of its own for each test."""
    return fill_bijie(tmp_path / "data")


@pytest.fixture(params=["original", "mirror"])
def tiny_l4s(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data root with 3 patches, in either layout."""
    return fill_landslide4sense(tmp_path / "data", request.param)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """An empty place for packed arrays."""
    return tmp_path / "packed"


@pytest.fixture
def make() -> dict[str, Callable[..., Path]]:
    """Hand the writers above to the tests."""
    return {"bijie": fill_bijie, "landslide4sense": fill_landslide4sense, "picture": write_picture, "h5": write_h5}


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real data, or the test is skipped."""
    named = os.environ.get("LANDSLIDE_DATA")
    shared = Path(__file__).resolve().parents[3] / "shared" / "data"
    for folder in (Path(named) if named else shared, shared):
        if (folder / "bijie" / "landslide").is_dir() or (folder / "landslide4sense").is_dir():
            return folder
    pytest.skip("no real data: set LANDSLIDE_DATA to the folder that holds bijie/")
