"""Training tiles of Landslide4Sense as RGB pictures, with boxes around the landslides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import REDO, BadFileError, DownloadError, Sample, mark_twins
from landslide_lib.data.datasets.landslide4sense import BLOCK
from landslide_lib.data.formats.files import hash_files
from landslide_lib.data.formats.locate import child, locate
from landslide_lib.data.formats.pictures import read_rgb
from landslide_lib.data.formats.voc import annotated, read_objects, refuse_shares, shown

PARTS = ("train", "valid", "test")
SIZE = 224
CLASS = "landslides"


class Landslide4SenseBoxes:
    """1,440 / 309 / 308 tiles, 224x224 RGB, enlarged from 128x128, with Pascal-VOC boxes.

    Reads `landslide4sense-boxes/{train,valid,test}/N.jpg` with `N.xml` beside each (see
    `read_boxes`). Its truth is boxes, and its masks are empty. The numbers are those of the
    Landslide4Sense training patches and run through all three parts; a block of consecutive ones
    is a group. A tile without a box has no landslide; one without its XML is refused.

    Source of the imagery: Ghorbanzadeh et al. (2022), doi:10.1109/TGRS.2022.3215209.
    """

    name = "landslide4sense-boxes"
    bands: tuple[str, ...] = ("R", "G", "B")
    scale = "digital number / 255"
    about = "Landslide4Sense training tiles, RGB, with boxes (imagery: Ghorbanzadeh et al. 2022)"
    remedy = "put train/, valid/ and test/ into landslide4sense-boxes/ below LANDSLIDE_DATA"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers, whatever their part.

        An XML without its tile is listed with the tile that ought to be there.
        """
        home = locate(root, self.name, _tiled, "N.jpg in train/", self.remedy)
        found = []
        for part in PARTS:
            for path, boxes in annotated(child(home, part) or home / part):
                known = path.stem.isascii() and path.stem.isdigit()
                number = int(path.stem) if known else 0
                found.append(
                    (
                        number,
                        Sample(
                            id=str(number) if known else path.stem,
                            group=str((number - 1) // BLOCK),
                            image=path,
                            part=part,
                            boxes=boxes,
                            problem="" if known else "is not called N.jpg",
                        ),
                    )
                )
        return mark_twins(sample for _, sample in sorted(found, key=lambda pair: pair[0]))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and an empty mask: the truth is in boxes."""
        assert sample.image is not None
        image = read_rgb(sample.image)
        if image.shape[:2] != (SIZE, SIZE):
            problem = f"is {image.shape[0]}x{image.shape[1]}, not {SIZE}x{SIZE}"
            raise BadFileError(sample.image, problem, REDO)
        self.boxes(sample)
        return image, np.zeros((SIZE, SIZE), np.uint8)

    def boxes(self, sample: Sample) -> NDArray[np.float64]:
        """Read the boxes of a tile, see `read_boxes`, as shares of its sides."""
        assert sample.boxes is not None
        return read_boxes(sample.boxes).astype(np.float64) / SIZE

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of all tiles and XML."""
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


def _tiled(home: Path) -> bool:
    folders = [child(home, part) for part in PARTS]
    tiles = [path for folder in folders if folder for path, _ in annotated(folder)]
    return any(path.stem.isdigit() for path in tiles)


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
        BadFileError: See `voc.read_objects`; or an object of another name, or a box that is not
            wholly inside the picture: these files have none, so one that has is another's.
    """
    names, boxes = read_objects(path)
    refuse_shares(boxes, path)
    for name in names:
        if name != CLASS:
            raise BadFileError(path, f"holds an object {name!r}, not {CLASS!r}", REDO)
    for box in boxes[((boxes < 0) | (boxes > size)).any(axis=1)]:
        problem = f"holds the box {shown(box)}, which is not inside {size}x{size} pixels"
        raise BadFileError(path, problem, REDO)
    return boxes.astype(np.float32)
