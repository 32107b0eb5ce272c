"""A folder of one's own pictures with masks: JPEG, PNG or GeoTIFF tiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from landslide_lib.datasets.base import (
    REDO,
    BadFileError,
    DownloadError,
    Sample,
    as_mask,
    mark_twins,
    read_picture,
    same_size,
)
from landslide_lib.datasets.files import hash_files
from landslide_lib.datasets.locate import MASKS, Pair, locate, pairs
from landslide_lib.datasets.tiff import SUFFIXES, read_tiff, tiles

#: What a digital number is divided by, of each type that is read.
FULL = {"uint8": 255, "uint16": 65_535}
TO_8_BITS = "Bring it to 8 bits with `gdal_translate -ot Byte -scale`, all files by one range"
TO_RGB = "Choose red, green and blue with `gdal_translate -b 1 -b 2 -b 3`"


@dataclass(frozen=True)
class TileSample(Sample):
    """A picture, and of which type all pictures are: that of the first that can be read."""

    kind: str = "uint8"


class Folder:
    """A folder of RGB pictures of any size, of 8 or 16 bits, each with a mask of its name.

    Reads `folder/` below the data root or, where there is no such folder, the data root itself;
    see `locate.locate`. Pictures lie in `images/` (or a folder named like it, `locate.IMAGES`),
    masks in `masks/`, `annotations/` or `labels/`, both with folders `train`, `valid` (or `val`)
    and `test` in them or around them where there are parts: see `locate.pairs`. Masks hold 0 and
    1, or 0 and 255. A part without masks has no truth.

    A picture is a JPEG or PNG of 8 bits, or a TIFF with the bands red, green and blue, in this
    order, of 8 or 16 bits. Those of 16 bits are divided by 65,535 whatever their values are: one
    scale for all tiles, which a network's normalisation by the band means takes out again. So all
    pictures are of the type of the first; another one is refused. Scenes are not known: each
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
        kind = _kind(path for pair in shipped for path in tiles(pair.images))
        return mark_twins(sample for pair in shipped for sample in _samples(pair, kind))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and the mask."""
        assert isinstance(sample, TileSample)
        assert sample.image is not None
        image = _pixels(sample.image, cv2.IMREAD_COLOR_RGB)
        if image.shape[2] != len(self.bands):
            problem = f"has {image.shape[2]} bands, not red, green and blue"
            raise BadFileError(sample.image, problem, TO_RGB)
        kind = str(image.dtype)
        if kind not in FULL:
            raise BadFileError(sample.image, f"holds {kind}, not 8 or 16 bits", TO_8_BITS)
        if kind != sample.kind:
            problem = f"holds {kind}, others here hold {sample.kind}: their scales differ"
            raise BadFileError(sample.image, problem, TO_8_BITS)
        unit = np.asarray(image, np.float32) / np.float32(FULL[kind])
        if sample.mask is None:
            return unit, np.zeros(image.shape[:2], np.uint8)
        if not sample.mask.is_file():
            raise BadFileError(sample.mask, "mask is missing", REDO)
        raw = _pixels(sample.mask, cv2.IMREAD_GRAYSCALE)
        mask = as_mask(raw[..., 0] if raw.ndim == 3 and raw.shape[2] == 1 else raw, sample.mask)
        same_size(image, mask, sample)
        return unit, mask

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
    return any(pair.truth != pair.images and tiles(pair.images) and tiles(pair.truth)
               for pair in pairs(home, MASKS))  # fmt: skip


def _samples(pair: Pair, kind: str) -> list[TileSample]:
    images, truth = tiles(pair.images), pair.truth if pair.truth != pair.images else None
    masks = defaultdict(list)
    for path in tiles(truth) if truth else ():
        masks[path.stem].append(path)
    found = [(i, masks.pop(i.stem, [pair.truth / f"{i.stem}.png"])) for i in images]
    found += [(pair.images / there[0].name, there) for there in masks.values()]
    return [
        TileSample(
            id=f"{pair.name}/{image.stem}" if pair.name else image.stem,
            group=f"{pair.name}/{image.stem}" if pair.name else image.stem,
            image=image,
            mask=there[0] if truth else None,
            part=pair.part if truth else f"{pair.part}, no masks",
            problem=f"has {len(there)} masks: {', '.join(path.name for path in there)}"
            if len(there) > 1
            else "",
            kind=kind,
        )
        for image, there in found
    ]


def _pixels(path: Path, flags: int) -> NDArray[Any]:
    return read_tiff(path) if path.suffix.lower() in SUFFIXES else read_picture(path, flags)


def _kind(paths: Iterable[Path]) -> str:
    for path in paths:
        try:
            return str(_pixels(path, cv2.IMREAD_COLOR_RGB).dtype)
        except BadFileError:  # said when it is its turn
            continue
    return "uint8"
