"""Tiles of one orthophoto taken by a UAV, with masks: another sensor, another place."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Sample, mark_twins
from landslide_lib.data.formats.files import FileDataset
from landslide_lib.data.formats.locate import IMAGES, MASKS, child, locate, match_truth, several_masks
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import list_images

#: Tiles in a row of the mosaic: `image_i` stands at row i // 48, column i % 48.
ROW = 48
#: Side of a block in tiles. Square blocks have the fewest tiles at the border of another block. With larger ones a fold
#: of the split by scenes can be left without a landslide.
BLOCK = 10
SIZE = 128
NAME = re.compile(r"image_(\d+)")


class UAV(FileDataset):
    """2,137 tiles of one scene, 128x128 RGB, 659 of them with a landslide.

    Reads `uav/image/image_N` and `uav/mask/image_N`, pictures of any kind that is read, or folders named like them
    (`locate.IMAGES`, `locate.MASKS`). All tiles are of one orthophoto, so a group is a square block of neighbouring
    ones: `blocked` is a split by position. A target domain for networks trained on Bijie. Without the folder of masks
    there is no truth. The source of the orthophoto is not stated where these tiles come from.
    """

    name = "uav"
    about = "tiles of one UAV orthophoto, RGB (source not stated)"
    remedy = "put image/ and mask/ into uav/ below LANDSLIDE_DATA"
    manual = (
        "no public address is known of these 128x128 tiles of one UAV orthophoto. Put those you have into "
        f"{{home}}/image (image_N.jpg) and {{home}}/mask (image_N.png), N counted row by row, {ROW} a row"
    )

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers: row by row of the mosaic."""
        home = locate(root, self.name, _tiled, "image_N.jpg in image/", self.remedy)
        folder, truth = child(home, *IMAGES) or home, child(home, *MASKS)
        placed = []
        masked = match_truth(list_images(folder), folder, list_images(truth) if truth else [], truth or home)
        for image, masks in masked:
            number = NAME.fullmatch(image.stem)
            place = divmod(int(number[1]), ROW) if number else (-1, -1)
            unnamed = "" if number else "is not called image_N, so that its place is not known"
            group = "/".join(str(axis // BLOCK) for axis in place)
            mask, part = (masks[0], "train") if truth else (None, "train, no masks")
            sample = Sample(image.stem, group, image, mask, part, problem=several_masks(masks) or unnamed)
            placed.append((place, str(image), sample))
        return mark_twins(sample for *_, sample in sorted(placed, key=lambda entry: entry[:2]))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and the mask."""
        image, mask = read_pair(sample)
        if image.shape[:2] != (SIZE, SIZE):
            raise BadFileError(sample.files[0], f"is {image.shape[0]}x{image.shape[1]}, not {SIZE}x{SIZE}")
        return image, mask


def _tiled(home: Path) -> bool:
    folder = child(home, *IMAGES)
    return bool(folder and any(NAME.fullmatch(path.stem) for path in list_images(folder)))
