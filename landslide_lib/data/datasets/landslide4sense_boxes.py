"""Training tiles of Landslide4Sense as RGB pictures, with boxes around the landslides."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from landslide_lib.data.base import Sample, mark_twins
from landslide_lib.data.datasets.landslide4sense import BLOCK
from landslide_lib.data.datasets.own_boxes import VOC


class Landslide4SenseBoxes(VOC):
    """1,440 / 309 / 308 tiles, 224x224 RGB, enlarged from 128x128, with Pascal-VOC boxes.

    Reads `landslide4sense-boxes/{train,valid,test}/N.jpg` with `N.xml` beside each, whose `<size>` is 128, the size of
    the patch before it was enlarged, while the boxes are in pixels of the picture. The numbers are those of the
    Landslide4Sense training patches and run through all three parts; a block of consecutive ones is a group. A tile
    without a box has no landslide; one without its XML is refused.

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
        numbered: list[tuple[int, Sample]] = []
        for sample in super().samples(root):
            stem = sample.id.rpartition("/")[2]
            known = stem.isascii() and stem.isdigit()
            number, problem = (int(stem), sample.problem) if known else (0, "is not called N.jpg")
            name, group = str(number) if known else stem, str((number - 1) // BLOCK)
            numbered.append((number, replace(sample, id=name, group=group, problem=problem)))
        return mark_twins(sample for _, sample in sorted(numbered, key=lambda entry: entry[0]))
