"""Datasets made of others, to carry a network over: the UAV mosaic at the scale of Bijie, and Bijie degraded."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Dataset, DatasetNotFoundError, Sample, read_sample
from landslide_lib.data.datasets.folder import NOWHERE, ROW, ROWS, TILE, UAV, Bijie, place_of
from landslide_lib.data.pack import resize


@dataclass(frozen=True)
class Square(Sample):
    """A square of the mosaic with its tiles, row by row."""

    tiles: tuple[Sample, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for tile in self.tiles for path in tile.files)


#: How many times a pixel of Bijie is as wide as one of the mosaic: also the tiles in a row of a square.
FACTOR = round(Bijie.metres_per_pixel / UAV.metres_per_pixel)
STEP = FACTOR // 4  # tiles from one square to the next


class UAVAtBijieScale(Dataset):
    """The mosaic of `UAV` put together, shrunk to the pixels of `Bijie` and cut anew into squares of 128x128.

    Shrunk by area averaging; a pixel is landslide where at least half of its area is. Squares overlap, as few fit into
    the mosaic side by side. One with a missing tile is left out: nobody knows what is there. The id is `row/column` of
    its first tile. All are of one scene, and one group.
    """

    name = "uav-0.8m"
    about = "the UAV orthophoto at the scale of Bijie, in overlapping squares (estimated scale)"
    remedy, manual = UAV.remedy, UAV.manual
    metres_per_pixel = UAV.metres_per_pixel * FACTOR
    places_of = UAV.name

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the squares row by row, then files that are no tile. Raises DatasetNotFoundError: none is complete."""
        samples = UAV().samples(root)
        tiles = {place_of(tile.id): tile for tile in samples}
        squares: list[Sample] = []
        for row, column in product(range(0, ROWS - FACTOR + 1, STEP), range(0, ROW - FACTOR + 1, STEP)):
            places = product(range(row, row + FACTOR), range(column, column + FACTOR))
            inside = tuple(tiles[place] for place in places if place in tiles)
            if len(inside) == FACTOR**2:
                squares.append(Square(f"{row}/{column}", "mosaic", part=inside[0].part, tiles=inside))
        if not squares:
            problem = f"no {FACTOR} x {FACTOR} tiles of the mosaic without a gap below {root}"
            raise DatasetNotFoundError(f"{self.name}: {problem}; {self.remedy}")
        return squares + [tile for tile in samples if place_of(tile.id) == NOWHERE]

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        assert isinstance(sample, Square)
        side = TILE // FACTOR
        image, mask = np.empty((3, TILE, TILE), np.float32), np.empty((TILE, TILE), np.uint8)
        for (row, column), tile in zip(product(range(0, TILE, side), repeat=2), sample.tiles, strict=True):
            pixels, truth = read_sample(UAV(), tile)
            if truth.shape != (TILE, TILE):
                raise BadFileError(tile.files[0], f"has {truth.shape} pixels, a tile of the mosaic has {TILE}x{TILE}")
            place = slice(row, row + side), slice(column, column + side)
            image[:, *place], mask[place] = resize(pixels, truth, side)
        return image.transpose(1, 2, 0), mask


class BijieDegraded(Bijie):
    """Every fifth image of `Bijie` as another sensor might see it; masks are unchanged.

    Its red, green and blue are a `MIXTURE` of the old ones under `HAZE`, blurred by a Gaussian of half a new pixel,
    which is `COARSER` times as wide, and enlarged bilinearly. Networks for it never learn from its places.
    """

    name = "bijie-degraded"
    about = "every fifth image of Bijie, blurred, coarser and hazy (this study)"
    places_of = Bijie.name

    def samples(self, root: Path) -> Sequence[Sample]:
        return super().samples(root)[::5]

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image, mask = super().read(sample)
        return degrade(image), mask


COARSER = 8  # 6.4 m from 0.8 m, about the pixel of RapidEye
MIXTURE = np.array([[0.6, 0.2, 0.0], [0.1, 0.5, 0.1], [0.0, 0.2, 0.4]], np.float32)  # new red, green, blue of old ones
HAZE = np.array([0.1, 0.15, 0.25], np.float32)  # what is added to each


def degrade(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image (H, W, 3) in 0..1 as `BijieDegraded` describes it, in 0..1."""
    height, width = image.shape[:2]
    image = cv2.GaussianBlur(image @ MIXTURE.T + HAZE, (0, 0), COARSER / 2)
    small = max(1, round(width / COARSER)), max(1, round(height / COARSER))
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
