"""Training tiles of Landslide4Sense as RGB pictures, with boxes around the landslides."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Sample, mark_twins
from landslide_lib.data.datasets.landslide4sense import BLOCK
from landslide_lib.data.formats.boxes import list_xml, read_objects, refuse_shares, shown
from landslide_lib.data.formats.files import FileDataset
from landslide_lib.data.formats.locate import child, locate, match_truth
from landslide_lib.data.formats.pictures import list_images, read_rgb

PARTS = ("train", "valid", "test")
SIZE = 224
CLASS = "landslides"


class Landslide4SenseBoxes(FileDataset):
    """1,440 / 309 / 308 tiles, 224x224 RGB, enlarged from 128x128, with Pascal-VOC boxes.

    Reads `landslide4sense-boxes/{train,valid,test}/N.jpg` with `N.xml` beside each (see `read_boxes`). It has boxes,
    and its masks are empty. The numbers are those of the Landslide4Sense training patches and run through all three
    parts; a block of consecutive ones is a group. A tile without a box has no landslide; one without its XML is
    refused.

    Source of the imagery: Ghorbanzadeh et al. (2022), doi:10.1109/TGRS.2022.3215209.
    """

    name = "landslide4sense-boxes"
    about = "Landslide4Sense training tiles, RGB, with boxes (imagery: Ghorbanzadeh et al. 2022)"
    remedy = "put train/, valid/ and test/ into landslide4sense-boxes/ below LANDSLIDE_DATA"
    manual = (
        "no public address is known of these 224x224 tiles of the Landslide4Sense training set with Pascal-VOC boxes, "
        "the data of the detection report. Put those you have into {home}/train, valid/ and test/, as N.jpg and N.xml"
    )

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers, whatever their part."""
        home = locate(root, self.name, _tiled, "N.jpg in train/", self.remedy)
        numbered: list[tuple[int, Sample]] = []
        for part in PARTS:
            folder = child(home, part) or home / part
            for image, paths in match_truth(list_images(folder), folder, list_xml(folder), folder, ".xml"):
                known = image.stem.isascii() and image.stem.isdigit()
                number = int(image.stem) if known else 0
                name, problem = (str(number), "") if known else (image.stem, "is not called N.jpg")
                group = str((number - 1) // BLOCK)
                numbered += [(number, Sample(name, group, image, None, part, "", problem, path)) for path in paths]
        return mark_twins(sample for _, sample in sorted(numbered, key=lambda entry: entry[0]))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and an empty mask."""
        assert sample.image is not None
        image = read_rgb(sample.image)
        if image.shape[:2] != (SIZE, SIZE):
            raise BadFileError(sample.image, f"is {image.shape[0]}x{image.shape[1]}, not {SIZE}x{SIZE}")
        self.boxes(sample)
        return image, np.zeros((SIZE, SIZE), np.uint8)

    def boxes(self, sample: Sample) -> NDArray[np.float64]:
        """Read the boxes of a tile, see `read_boxes`, as shares of its sides."""
        assert sample.boxes is not None
        return read_boxes(sample.boxes).astype(np.float64) / SIZE


def _tiled(home: Path) -> bool:
    folders = [folder for folder in (child(home, part) for part in PARTS) if folder]
    return any(path.stem.isdigit() for folder in folders for path in (*list_images(folder), *list_xml(folder)))


def read_boxes(path: Path, size: int = SIZE) -> NDArray[np.float32]:
    """Read the boxes of a tile, (n, 4) float32, n at least 0: xmin, ymin, xmax, ymax, in 0..size.

    The `<size>` of these files is 128, the size of the patch before it was enlarged, while the boxes are in pixels of
    the picture beside it. Raises BadFileError: see `boxes.read_objects`; or an object of another name, or a box that is
    not wholly inside the picture: these files have none, so one that has is another dataset's.
    """
    names, boxes = read_objects(path)
    refuse_shares(boxes, path)
    for name in names:
        if name != CLASS:
            raise BadFileError(path, f"holds an object {name!r}, not {CLASS!r}")
    for box in boxes[((boxes < 0) | (boxes > size)).any(axis=1)]:
        raise BadFileError(path, f"holds the box {shown(box)}, which is not inside {size}x{size} pixels")
    return boxes.astype(np.float32)
