"""A folder of one's own pictures with masks: JPEG, PNG or GeoTIFF tiles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Dataset, Sample, mark_twins
from landslide_lib.data.formats.locate import MASKS, Pair, locate, match_truth, pairs, several_masks
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import list_images, open_picture

REMEDY = "name the folder of your images/ and masks/ with --data-root"


@dataclass(frozen=True)
class TileSample(Sample):
    """A picture, and how many bits all pictures have: those of the first that can be read."""

    depth: int = 8


class Folder(Dataset):
    """A folder of RGB pictures of any size, of 8 or 16 bits, each with a mask of its name.

    Reads `folder/` below the data root or the data root itself, see `locate.locate`: pictures in `images/`, masks in
    `masks/` (or as in `locate.IMAGES` and `locate.MASKS`), both with the parts `train`, `valid` and `test` in them or
    around them, see `locate.pairs`. A part without masks has no truth.

    A TIFF of three bands is taken for red, green and blue, see `pictures.colours`. Pictures of 16 bits are divided by
    65,535 whatever their values are: one scale for all tiles, so all pictures have as many bits as the first; another
    one is refused. Scenes are not known: each picture is a group of its own.
    """

    name = "folder"
    scale = "digital number / 255, of 16 bits / 65,535"
    about = "any folder of RGB pictures with masks: JPEG, PNG or GeoTIFF"
    remedy = REMEDY
    manual = f"these are pictures of your own; {REMEDY}"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the pictures part by part, each in the order of their names."""
        what = "JPEG, PNG or TIFF in images/ with masks in masks/"
        shipped = pairs(locate(root, self.name, self.fits, what, self.remedy), MASKS)
        depths = (_depth(path) for pair in shipped for path in list_images(pair.images))
        depth = next(filter(None, depths), 8)
        return mark_twins(sample for pair in shipped for sample in _samples(pair, depth))

    def fits(self, home: Path) -> bool:
        """Return whether a folder holds pictures and masks."""
        shipped = [pair for pair in pairs(home, MASKS) if pair.truth != pair.images]
        return any(list_images(pair.images) and list_images(pair.truth) for pair in shipped)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and the mask."""
        assert isinstance(sample, TileSample)
        return read_pair(sample, sample.depth)


def _samples(pair: Pair, depth: int) -> list[TileSample]:
    truth = pair.truth != pair.images
    part = pair.part if truth else f"{pair.part}, no masks"
    masks = list_images(pair.truth) if truth else []
    samples = []
    for image, named in match_truth(list_images(pair.images), pair.images, masks, pair.truth):
        name, mask = pair.id(image), named[0] if truth else None
        samples.append(TileSample(name, name, image, mask, part, problem=several_masks(named), depth=depth))
    return samples


def _depth(path: Path) -> int:
    """Return the bits of a picture's numbers; 0 where it is refused when it is read."""
    try:
        return 8 * open_picture(path).pixels.itemsize
    except BadFileError:
        return 0
