"""A folder of one's own pictures with masks: JPEG, PNG or GeoTIFF tiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, DownloadError, Sample, mark_twins
from landslide_lib.data.formats.files import by_stem, hash_files, stem
from landslide_lib.data.formats.locate import MASKS, Pair, locate, pairs
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import decode, depth, list_images, open_picture

TO_8_BITS = "Bring it to 8 bits with `gdal_translate -ot Byte -scale`, all files by one range"


@dataclass(frozen=True)
class TileSample(Sample):
    """A picture, and how many bits all pictures have: those of the first that can be read."""

    depth: int = 8


class Folder:
    """A folder of RGB pictures of any size, of 8 or 16 bits, each with a mask of its name.

    Reads `folder/` below the data root or, where there is no such folder, the data root itself;
    see `locate.locate`. Pictures lie in `images/` (or a folder named like it, `locate.IMAGES`),
    masks in `masks/`, `annotations/` or `labels/`, both with folders `train`, `valid` (or `val`)
    and `test` in them or around them where there are parts: see `locate.pairs`. Masks hold 0 and
    1, or 0 and 255. A part without masks has no truth.

    A picture is of any kind that `pictures.decode` reads; a TIFF of three bands is taken for red,
    green and blue. Those of 16 bits are divided by 65,535 whatever their values are: one
    scale for all tiles, which a network's normalisation by the band means takes out again. So all
    pictures have as many bits as the first; another one is refused. Scenes are not known: each
    picture is a group of its own.
    """

    name = "folder"
    bands: tuple[str, ...] = ("R", "G", "B")
    scale = "digital number / 255, of 16 bits / 65,535"
    about = "any folder of RGB pictures with masks: JPEG, PNG or GeoTIFF"
    remedy = "name the folder of your images/ and masks/ with --data-root"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the pictures part by part, each in the order of their names.

        A mask without its picture is listed with the picture that ought to be there.

        Raises:
            DatasetNotFoundError: There are none, or the root is no folder.
            BadFileError: Two folders have the same meaning.
        """
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

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of all files."""
        return hash_files(samples)

    def download(self, root: Path) -> Path:
        """Say where the pictures have to be put: they are the user's own.

        Raises:
            DownloadError: Always.
        """
        raise DownloadError(f"folder: these are pictures of your own; {self.remedy}")


def _masked(home: Path) -> bool:
    return any(
        pair.truth != pair.images and list_images(pair.images) and list_images(pair.truth)
        for pair in pairs(home, MASKS)
    )


def _samples(pair: Pair, bits: int) -> list[TileSample]:
    images, truth = list_images(pair.images), pair.truth if pair.truth != pair.images else None
    masks = by_stem(list_images(truth)) if truth else {}
    found = [(i, masks.pop(stem(i), [pair.truth / f"{i.stem}.png"])) for i in images]
    found += [(pair.images / there[0].name, there) for there in masks.values()]
    return [
        TileSample(
            id=f"{pair.name}/{image.stem}" if pair.name else image.stem,
            group=f"{pair.name}/{image.stem}" if pair.name else image.stem,
            image=image,
            mask=there[0] if truth else None,
            part=pair.part if truth else f"{pair.part}, no masks",
            problem=f"has {len(there)} masks: {', '.join(path.name for path in there)}" if len(there) > 1 else "",
            depth=bits,
        )
        for image, there in found
    ]


def _depth(paths: Iterable[Path]) -> int:
    for path in paths:
        try:
            return depth(open_picture(path))
        except BadFileError:  # said when it is its turn
            continue
    return 8
