"""Tiles of one orthophoto taken by a UAV, with masks: another sensor, another place."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from landslide_lib.data.base import Sample, mark_twins
from landslide_lib.data.datasets.folder import Folder
from landslide_lib.data.formats.locate import IMAGES, child
from landslide_lib.data.formats.pictures import list_images

#: Tiles in a row of the mosaic: `image_i` stands at row i // 48, column i % 48.
ROW = 48
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
            number = re.fullmatch(r"image_(\d+)", sample.id)
            place = divmod(int(number[1]), ROW) if number else (-1, -1)
            problem = sample.problem if number else "is not called image_N, so that its place is not known"
            group = "/".join(str(axis // BLOCK) for axis in place)
            placed.append((place, replace(sample, group=group, problem=problem)))
        return mark_twins(sample for _, sample in sorted(placed, key=lambda entry: entry[0]))
