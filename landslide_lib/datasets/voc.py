"""Pictures with boxes in the XML of Pascal VOC (Everingham et al. 2010): any folder of them."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.datasets.base import (
    REDO,
    BadFileError,
    DatasetNotFoundError,
    DownloadError,
    Sample,
    mark_twins,
)
from landslide_lib.datasets.files import by_stem, hash_files, list_files, stem
from landslide_lib.datasets.pictures import list_images, read_rgb

#: A publisher's folders, each with our name of the part.
PARTS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
#: What GIS programs write beside a picture.
GDAL = ".aux.xml"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VOC:
    """A folder of JPEG or PNG pictures of any size, each with an XML of its boxes.

    Reads `voc/` below the data root or, where there is no such folder, the data root itself. An
    XML lies beside its picture, or in `Annotations/` with the pictures in `JPEGImages/`. Folders
    `train`, `valid` (or `val`) and `test`, where there are any, are the publisher's parts, and
    nothing beside them is read; without them all pictures are `train`.

    All objects of an XML count as landslides, whatever they are called: datasets name them
    differently. `<size>` is not looked at: boxes are in pixels of the picture beside it, as it is
    shown (turned as its EXIF says). A box that reaches beyond the picture is clipped to it, and
    one that lies wholly outside is refused, as is one without area. An XML without objects is a
    picture without a landslide. Scenes are not known: each picture is a group of its own.
    """

    name = "voc"
    bands: tuple[str, ...] = ("R", "G", "B")
    scale = "digital number / 255"
    about = "any folder of RGB pictures with Pascal-VOC boxes"
    remedy = "name the folder of your pictures and their XML with --data-root"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the pictures part by part, each in the order of their names.

        An XML without its picture is listed with the picture that ought to be there.
        """
        home = root / self.name if (root / self.name).is_dir() else root
        parts = [folder for folder in PARTS if (home / folder).is_dir()]
        found = [
            Sample(
                id=f"{folder}/{image.stem}" if folder else image.stem,
                group=f"{folder}/{image.stem}" if folder else image.stem,
                image=image,
                part=PARTS.get(folder, "train"),
                boxes=boxes,
            )
            for folder in parts or [""]
            for image, boxes in annotated(home / folder)
        ]
        if not any(sample.image and sample.image.is_file() for sample in found):
            raise DatasetNotFoundError(
                f"voc: no JPEG or PNG in {home}, nor in JPEGImages/, train/, valid/ or test/ of "
                f"it. To use it, {self.remedy}"
            )
        return mark_twins(found)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and an empty mask: the truth is in boxes."""
        image, _ = _read(sample)
        return image, np.zeros(image.shape[:2], np.uint8)

    def boxes(self, sample: Sample) -> NDArray[np.float64]:
        """Read the boxes of a picture, clipped to it, as shares of its sides."""
        return _read(sample)[1]

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of all pictures and XML."""
        return hash_files(samples)

    def download(self, root: Path) -> Path:
        """Say where the pictures have to be put: they are the user's own.

        Raises:
            DownloadError: Always.
        """
        raise DownloadError(f"voc: these are pictures of your own; {self.remedy}")


def annotated(folder: Path) -> list[tuple[Path, Path]]:
    """List the pictures of a folder, or of its `JPEGImages`, each with the XML of its boxes.

    Args:
        folder: Pictures and XML side by side, or `JPEGImages/` and `Annotations/`.

    Returns:
        Picture and XML, in the order of the pictures' names; one of the two may be missing. An
        XML without a picture comes last, with the one that ought to be there.
    """
    apart = (folder / "JPEGImages").is_dir()
    images = list_images(folder / "JPEGImages" if apart else folder)
    home = folder / "Annotations" if apart else folder
    written = list_files(home, {".xml"})
    xml = by_stem(path for path in written if not path.name.lower().endswith(GDAL))
    pairs = [
        (image, path)
        for image in images
        for path in xml.pop(stem(image), [home / f"{image.stem}.xml"])
    ]
    missing = folder / "JPEGImages" if apart else folder
    return pairs + [
        (missing / f"{name}.jpg", path) for name, paths in xml.items() for path in paths
    ]


def read_objects(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Read the objects of an XML in the format of Pascal VOC.

    No DOCTYPE is let through to the parser: an annotation needs none, and one can name entities
    that read other files or that grow without bound.

    Args:
        path: The XML. Its `<size>` is not looked at.

    Returns:
        Their names, and (n, 4), n at least 0: xmin, ymin, xmax, ymax as they are printed. The
        corners are taken as edges: a box from 5 to 6 is one pixel wide.

    Raises:
        BadFileError: Missing, no such XML, with a DOCTYPE, or with a box that has no numbers or
            no area (xmax not above xmin, or ymax not above ymin).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})", REDO) from None
    # In UTF-16 a zero byte stands beside each letter; the parser knows no other such encoding.
    if b"<!DOCTYPE" in data.replace(b"\0", b""):
        raise BadFileError(path, "holds a DOCTYPE, which is never read", REDO)
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # two: of its encoding
        raise BadFileError(path, f"is truncated or no XML ({error})", REDO) from None
    if root.tag != "annotation":
        raise BadFileError(path, f"holds <{root.tag}>, not <annotation>", REDO)
    names, boxes = [], []
    for thing in root.iter("object"):
        corners = [thing.findtext(f"bndbox/{corner}", "") for corner in CORNERS]
        try:
            box = [float(corner) for corner in corners]
        except ValueError:
            box = [math.nan]
        if not all(map(math.isfinite, box)):
            problem = f"holds a box without numbers: {', '.join(map(repr, corners))}"
            raise BadFileError(path, problem, REDO)
        # In float32 as well, in which a network is given it.
        small = np.array(box, np.float32)
        if not (small[0] < small[2] and small[1] < small[3]):
            raise BadFileError(path, f"holds the box {shown(box)}, which has no area", REDO)
        names.append(thing.findtext("name", "").strip())
        boxes.append(box)
    return names, np.array(boxes, np.float64).reshape(-1, 4)


def shown(box: Sequence[float] | NDArray[np.float64]) -> str:
    """Return a box as it is printed in a message.

    >>> shown([0.0, 0.0, 22.5, 10.0])
    '0, 0, 22.5, 10'
    """
    return ", ".join(f"{corner:g}" for corner in box)


def _read(sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a picture and its boxes, clipped to it, as shares of its sides."""
    assert sample.image is not None
    assert sample.boxes is not None
    image = read_rgb(sample.image)
    height, width = image.shape[:2]
    sides = np.array([width, height] * 2, np.float64)
    _, boxes = read_objects(sample.boxes)
    clipped = np.clip(boxes, 0, sides)
    outside = (clipped[:, :2] >= clipped[:, 2:]).any(axis=1)
    if outside.any():
        problem = f"holds the box {shown(boxes[outside][0])}, outside its {width}x{height} pixels"
        raise BadFileError(sample.boxes, problem, REDO)
    return image, clipped / sides
