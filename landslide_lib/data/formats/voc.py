"""Boxes in the XML of Pascal VOC (Everingham et al. 2010)."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import REDO, BadFileError
from landslide_lib.data.formats.files import by_stem, list_files, stem
from landslide_lib.data.formats.pictures import list_images

#: What GIS programs write beside a picture.
GDAL = ".aux.xml"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


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
    pairs = [(image, path) for image in images for path in xml.pop(stem(image), [home / f"{image.stem}.xml"])]
    missing = folder / "JPEGImages" if apart else folder
    return pairs + [(missing / f"{name}.jpg", path) for name, paths in xml.items() for path in paths]


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


def in_shares(boxes: NDArray[np.float64]) -> bool:
    """Return whether boxes are shares of a picture's sides: all in 0..1, and not all of 0 and 1.

    >>> in_shares(np.array([[0, 0, 1, 0.5]])), in_shares(np.array([[0, 0, 1, 1]]))
    (True, False)
    """
    inside = len(boxes) and boxes.min() >= 0 and boxes.max() <= 1
    return bool(inside and (boxes % 1 != 0).any())


def refuse_shares(boxes: NDArray[np.float64], path: Path) -> None:
    """Refuse boxes that are to be in pixels, and one of which is smaller than one at the origin.

    Raises:
        BadFileError: There is one.
    """
    for box in boxes:
        if in_shares(box[None]):
            problem = (
                f"holds the box {shown(box)}, which is less than a pixel: it looks normalised to "
                "0..1, and other boxes here are in pixels"
            )
            raise BadFileError(path, problem, REDO)


def shown(box: Sequence[float] | NDArray[np.float64]) -> str:
    """Return a box as it is printed in a message.

    >>> shown([0.0, 0.0, 22.5, 10.0])
    '0, 0, 22.5, 10'
    """
    return ", ".join(f"{corner:g}" for corner in box)
