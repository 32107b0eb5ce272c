"""Tiles of one orthophoto taken by a UAV, with masks: another sensor, another place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import REDO, BadFileError, DownloadError, Sample, mark_twins
from landslide_lib.data.formats.files import by_stem, hash_files, stem
from landslide_lib.data.formats.locate import IMAGES, MASKS, child, locate
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import list_images, read_rgb

#: Tiles a row of the mosaic: `image_i` stands at row i // 48, column i % 48.
ROW = 48
#: Side of a block in tiles. Square blocks have the fewest tiles at the border of another block.
#: With larger ones a fold of the split by scenes can be left without a landslide.
BLOCK = 10
SIZE = 128
NAME = re.compile(r"image_(\d+)")


class UAV:
    """2,137 tiles of one scene, 128x128 RGB, 659 of them with a landslide.

    Reads `uav/image/image_N` and `uav/mask/image_N`, pictures of any kind that is read, or folders
    named like them (`locate.IMAGES`, `locate.MASKS`). All tiles are of one
    orthophoto, so a group is a square block of neighbouring ones: `blocked` is a split by
    position. A target domain for networks trained on Bijie. Without the folder of masks there
    is no truth. The source of the orthophoto is not stated where these tiles come from.
    """

    name = "uav"
    bands: tuple[str, ...] = ("R", "G", "B")
    scale = "digital number / 255"
    about = "tiles of one UAV orthophoto, RGB (source not stated)"
    remedy = "put image/ and mask/ into uav/ below LANDSLIDE_DATA"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers: row by row of the mosaic.

        A mask without its image is listed with the image that ought to be there.
        """
        home = locate(root, self.name, _tiled, "image_N.jpg in image/", self.remedy)
        folder, truth = child(home, *IMAGES) or home, child(home, *MASKS)
        images, masks = list_images(folder), by_stem(list_images(truth)) if truth else {}
        orphans = masks.keys() - set(map(stem, images))
        images += [folder / f"{name}.jpg" for name in orphans]
        found = []
        for image in images:
            number = NAME.fullmatch(image.stem)
            # A missing mask is named by the file that ought to be there, when it is read.
            there = masks.get(stem(image), [(truth or home) / f"{image.stem}.png"])
            problem = "" if number else "is not called image_N, so that its place is not known"
            if len(there) > 1:
                problem = f"has {len(there)} masks: {', '.join(mask.name for mask in there)}"
            place = divmod(int(number[1]), ROW) if number else (-1, -1)
            sample = Sample(
                id=image.stem,
                group="/".join(str(axis // BLOCK) for axis in place),
                image=image,
                mask=there[0] if truth else None,
                part="train" if truth else "train, no masks",
                problem=problem,
            )
            found.append((place, sample))
        return mark_twins(sample for _, sample in sorted(found, key=_place))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and the mask."""
        assert sample.image is not None
        if sample.mask is None:
            image, mask = read_rgb(sample.image), np.zeros((SIZE, SIZE), np.uint8)
        else:
            image, mask = read_pair(sample)
        if image.shape[:2] != (SIZE, SIZE):
            problem = f"is {image.shape[0]}x{image.shape[1]}, not {SIZE}x{SIZE}"
            raise BadFileError(sample.image, problem, REDO)
        return image, mask

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of all files."""
        return hash_files(samples)

    def download(self, root: Path) -> Path:
        """Say where the tiles have to be put: no public address of them is known.

        Raises:
            DownloadError: Always.
        """
        home = root / self.name
        raise DownloadError(
            f"uav: no public address is known of these 128x128 tiles of one UAV orthophoto. Put "
            f"those you have into {home / 'image'} (image_N.jpg) and {home / 'mask'} "
            f"(image_N.png), N counted row by row, {ROW} a row"
        )


def _tiled(home: Path) -> bool:
    folder = child(home, *IMAGES)
    return bool(folder and any(NAME.fullmatch(path.stem) for path in list_images(folder)))


def _place(found: tuple[tuple[int, int], Sample]) -> tuple[tuple[int, int], str]:
    return found[0], str(found[1].image)
