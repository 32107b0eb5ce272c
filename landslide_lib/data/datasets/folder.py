"""A folder of one's own pictures with masks: JPEG, PNG or GeoTIFF tiles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Sample, mark_twins
from landslide_lib.data.formats.files import FileDataset
from landslide_lib.data.formats.locate import MASKS, Pair, locate, match_truth, pairs, several_masks
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import decode, depth, list_images, open_picture

TO_8_BITS = "Bring it to 8 bits with `gdal_translate -ot Byte -scale`, all files by one range"
REMEDY = "name the folder of your images/ and masks/ with --data-root"


@dataclass(frozen=True)
class TileSample(Sample):
    """A picture, and how many bits all pictures have: those of the first that can be read."""

    depth: int = 8


class Folder(FileDataset):
    """A folder of RGB pictures of any size, of 8 or 16 bits, each with a mask of its name.

    Reads `folder/` below the data root or, where there is no such folder, the data root itself; see `locate.locate`.
    Pictures lie in `images/` (or a folder named like it, `locate.IMAGES`), masks in `masks/`, `annotations/` or
    `labels/`, both with folders `train`, `valid` (or `val`) and `test` in them or around them where there are parts:
    see `locate.pairs`. Masks hold 0 and 1, or 0 and 255. A part without masks has no truth.

    A picture is of any kind that `pictures.decode` reads; a TIFF of three bands is taken for red, green and blue. Those
    of 16 bits are divided by 65,535 whatever their values are: one scale for all tiles, which the band_scale of a
    network takes out again. So all pictures have as many bits as the first; another one is refused. Scenes are not
    known: each picture is a group of its own.
    """

    name = "folder"
    scale = "digital number / 255, of 16 bits / 65,535"
    about = "any folder of RGB pictures with masks: JPEG, PNG or GeoTIFF"
    remedy = REMEDY
    manual = f"these are pictures of your own; {REMEDY}"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the pictures part by part, each in the order of their names."""
        what = "JPEG, PNG or TIFF in images/ with masks in masks/"
        shipped = pairs(locate(root, self.name, _masked, what, self.remedy, itself=True), MASKS)
        bits = _depth(path for pair in shipped for path in list_images(pair.images))
        return mark_twins(sample for pair in shipped for sample in _samples(pair, bits))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and the mask."""
        assert isinstance(sample, TileSample)
        assert sample.image is not None
        picture = open_picture(sample.image)
        if (bits := depth(picture)) != sample.depth:
            problem = f"has {bits} bits, others here have {sample.depth}: their scales differ"
            raise BadFileError(sample.image, problem, TO_8_BITS)
        if sample.mask is not None:
            return read_pair(sample, sensor=True)
        image = decode(picture, sensor=True)
        return image, np.zeros(image.shape[:2], np.uint8)


def _masked(home: Path) -> bool:
    shipped = [pair for pair in pairs(home, MASKS) if pair.truth != pair.images]
    return any(list_images(pair.images) and list_images(pair.truth) for pair in shipped)


def _samples(pair: Pair, bits: int) -> list[TileSample]:
    truth = pair.truth != pair.images
    masked = match_truth(list_images(pair.images), pair.images, list_images(pair.truth) if truth else [], pair.truth)
    part = pair.part if truth else f"{pair.part}, no masks"
    return [
        TileSample(name, name, image, masks[0] if truth else None, part, problem=several_masks(masks), depth=bits)
        for image, masks in masked
        for name in [pair.id(image)]
    ]


def _depth(paths: Iterable[Path]) -> int:
    for path in paths:
        try:
            return depth(open_picture(path))
        except BadFileError:  # refused when it is read
            continue
    return 8
