"""A folder of one's own pictures with masks, JPEG, PNG or GeoTIFF tiles; among them those of one UAV orthophoto."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Dataset, DatasetNotFoundError, Sample, mark_twins, read_sample
from landslide_lib.data.datasets.bijie import Bijie
from landslide_lib.data.formats.locate import IMAGES, MASKS, Pair, child, locate, match_truth, pairs, several_masks
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import list_images
from landslide_lib.data.pack import resize

REMEDY = "name the folder of your images/ and masks/ with --data-root"


class Folder(Dataset):
    """A folder of RGB pictures of any size, of 8 or 16 bits, each with a mask of its name.

    Reads `folder/` below the data root or the data root itself, see `locate.locate`: pictures in `images/`, masks in
    `masks/` (or as in `locate.IMAGES` and `locate.MASKS`), both with the parts `train`, `valid` and `test` in them or
    around them, see `locate.pairs`. A part without masks has no truth.

    A TIFF of three bands is taken for red, green and blue, see `pictures.colours`. Pictures of 16 bits are divided by
    65,535 whatever their values are. Scenes are not known: each picture is a group of its own.
    """

    name = "folder"
    scale = "digital number / 255, of 16 bits / 65,535"
    about = "any folder of RGB pictures with masks: JPEG, PNG or GeoTIFF"
    remedy = REMEDY
    manual = f"these are pictures of your own; {REMEDY}"

    def samples(self, root: Path) -> Sequence[Sample]:
        what = "JPEG, PNG or TIFF in images/ with masks in masks/"
        shipped = pairs(locate(root, self.name, self.fits, what, self.remedy), MASKS)
        return mark_twins(sample for pair in shipped for sample in _samples(pair))

    def fits(self, home: Path) -> bool:
        shipped = [pair for pair in pairs(home, MASKS) if pair.truth != pair.images]
        return any(list_images(pair.images) and list_images(pair.truth) for pair in shipped)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return read_pair(sample, sensor=True)


def _samples(pair: Pair) -> list[Sample]:
    truth = pair.truth != pair.images
    part = pair.part if truth else f"{pair.part}, no masks"
    masks = list_images(pair.truth) if truth else []
    samples = []
    for image, named in match_truth(list_images(pair.images), pair.images, masks, pair.truth):
        name, mask = pair.id(image), named[0] if truth else None
        samples.append(Sample(name, name, image, mask, part, problem=several_masks(named)))
    return samples


TILE = 128  # pixels
ROWS, ROW = 60, 48  # of the mosaic, and tiles in each: `image_i` stands at row i // 48, column i % 48
#: Side of a block in tiles. Square blocks have the fewest tiles at the border of another block. With larger ones a fold
#: of the split by scenes can be left without a landslide.
BLOCK = 10


class UAV(Folder):
    """2,137 tiles of one scene, 128x128 RGB, 659 of them with a landslide.

    Reads `uav/image/image_N` and `uav/mask/image_N`. A group is a square block of neighbouring tiles: `blocked` is a
    split by position. A target domain for networks trained on Bijie. The source of the orthophoto is not known.
    """

    name = "uav"
    scale = "digital number / 255"
    metres_per_pixel = 3.5 / 70  # our estimate: a lane of road is some 70 pixels wide, and lanes are 3 to 3.75 m
    about = "tiles of one UAV orthophoto, RGB (source not stated)"
    remedy = "put image/ and mask/ into uav/ below LANDSLIDE_DATA"
    manual = (
        "no public address is known of these 128x128 tiles of one UAV orthophoto. Put those you have into "
        f"{{home}}/image (image_N.jpg) and {{home}}/mask (image_N.png), N counted row by row, {ROW} a row"
    )

    def fits(self, home: Path) -> bool:
        folder = child(home, *IMAGES)
        return bool(folder and any(path.stem.startswith("image_") for path in list_images(folder)))

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers: row by row of the mosaic."""
        placed: list[tuple[tuple[int, int], Sample]] = []
        for sample in super().samples(root):
            place = place_of(sample.id)
            unknown = f"is not called image_N with N below {ROWS * ROW}, so that its place is not known"
            problem = unknown if place == NOWHERE else sample.problem
            group = "/".join(str(axis // BLOCK) for axis in place)
            placed.append((place, replace(sample, group=group, problem=problem)))
        return mark_twins(sample for _, sample in sorted(placed, key=lambda entry: entry[0]))


NOWHERE = (-1, -1)


def place_of(name: str) -> tuple[int, int]:
    """Return row and column of the tile `image_N` in the mosaic, `NOWHERE` of any other name."""
    number = re.fullmatch(r"image_(\d+)", name)
    place = divmod(int(number[1]), ROW) if number else NOWHERE
    return place if place[0] < ROWS else NOWHERE


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
            problem = f"no {FACTOR} x {FACTOR} tiles of the mosaic lie side by side without a gap"
            raise DatasetNotFoundError(f"{self.name}: {problem} below {root}; {self.remedy}")
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
