"""Training tiles of Landslide4Sense as RGB pictures, with boxes around the landslides."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from landslide_lib.datasets.base import (
    REDO,
    BadFileError,
    DatasetNotFoundError,
    DownloadError,
    Sample,
    mark_twins,
    read_picture,
)
from landslide_lib.datasets.bijie import pictures, unit
from landslide_lib.datasets.files import hash_files
from landslide_lib.datasets.landslide4sense import BLOCK

PARTS = ("train", "valid", "test")
SIZE = 224
CLASS = "landslides"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class Landslide4SenseBoxes:
    """1,440 / 309 / 308 tiles, 224x224 RGB, enlarged from 128x128, with Pascal-VOC boxes.

    Reads `landslide4sense-boxes/{train,valid,test}/N.jpg` with `N.xml` beside each (see
    `read_boxes`). There are no masks, so no part of it is trained on as a segmentation. The
    numbers are those of the Landslide4Sense training patches and run through all three parts;
    a block of consecutive ones is a group.

    Source of the imagery: Ghorbanzadeh et al. (2022), doi:10.1109/TGRS.2022.3215209.
    """

    name = "landslide4sense-boxes"
    bands: tuple[str, ...] = ("R", "G", "B")
    scale = "digital number / 255"
    about = "Landslide4Sense training tiles, RGB, with boxes (imagery: Ghorbanzadeh et al. 2022)"
    remedy = "put train/, valid/ and test/ into landslide4sense-boxes/ below LANDSLIDE_DATA"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers, whatever their part."""
        home = root / self.name
        found = []
        for part in PARTS:
            for path in pictures(home / part):
                known = path.stem.isascii() and path.stem.isdigit()
                number = int(path.stem) if known else 0
                found.append((number, Sample(
                    id=str(number) if known else path.stem,
                    group=str((number - 1) // BLOCK),
                    image=path,
                    part=f"{part}, no masks",
                    problem="" if known else "is not called N.jpg",
                )))  # fmt: skip
        if not found:
            raise DatasetNotFoundError(
                f"{self.name}: no N.jpg in {home / 'train'}. Set LANDSLIDE_DATA to the folder that "
                f"holds {self.name}/, or {self.remedy}"
            )
        return mark_twins(sample for _, sample in sorted(found, key=lambda pair: pair[0]))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and an empty mask: the truth is in boxes."""
        assert sample.image is not None
        image = read_picture(sample.image, cv2.IMREAD_COLOR_RGB)
        if image.shape[:2] != (SIZE, SIZE):
            problem = f"is {image.shape[0]}x{image.shape[1]}, not {SIZE}x{SIZE}"
            raise BadFileError(sample.image, problem, REDO)
        return unit(image), np.zeros((SIZE, SIZE), np.uint8)

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of the pictures; the boxes are no part of the packed arrays."""
        return hash_files(samples)

    def download(self, root: Path) -> Path:
        """Say where the tiles have to be put: no public address of them is known.

        Raises:
            DownloadError: Always.
        """
        home = root / self.name
        raise DownloadError(
            f"{self.name}: no public address is known of these 224x224 tiles of the "
            f"Landslide4Sense training set with Pascal-VOC boxes, the data of the detection "
            f"report. Put those you have into {home / 'train'}, valid/ and test/, as N.jpg and "
            f"N.xml"
        )


def read_boxes(path: Path, size: int = SIZE) -> NDArray[np.float32]:
    """Read the boxes of a tile.

    The `<size>` of these files says 128, the size of the patch before it was enlarged, while
    the boxes are in pixels of the picture beside it: `<size>` is not looked at.

    Args:
        path: The XML, in the format of Pascal VOC.
        size: Height and width of the picture, in pixels.

    Returns:
        (n, 4) float32, n at least 0: xmin, ymin, xmax, ymax, in 0..size.

    Raises:
        BadFileError: Missing, no such XML, another class, or a box that is empty or not
            inside the picture.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})", REDO) from None
    except ElementTree.ParseError as error:
        raise BadFileError(path, f"is truncated or no XML ({error})", REDO) from None
    if root.tag != "annotation":
        raise BadFileError(path, f"holds <{root.tag}>, not <annotation>", REDO)
    boxes = []
    for thing in root.iter("object"):
        name = thing.findtext("name", "").strip()
        if name != CLASS:
            raise BadFileError(path, f"holds an object {name!r}, not {CLASS!r}", REDO)
        corners = [thing.findtext(f"bndbox/{corner}", "") for corner in CORNERS]
        try:
            box = [float(corner) for corner in corners]
        except ValueError:
            problem = f"holds a box without numbers: {', '.join(map(repr, corners))}"
            raise BadFileError(path, problem, REDO) from None
        if not (0 <= box[0] < box[2] <= size and 0 <= box[1] < box[3] <= size):
            shown = ", ".join(f"{corner:g}" for corner in box)
            problem = f"holds the box {shown}, which is empty or not inside {size}x{size} pixels"
            raise BadFileError(path, problem, REDO)
        boxes.append(box)
    return np.array(boxes, np.float32).reshape(-1, 4)
