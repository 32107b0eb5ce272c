"""Boxes in the XML of Pascal VOC (Everingham et al. 2010)."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.boxes import stack, without_area
from landslide_lib.data.formats.files import list_files

#: What GIS programs write beside a picture.
GDAL = ".aux.xml"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def list_xml(folder: Path) -> list[Path]:
    """Return the XML files of a folder, without those of GIS programs."""
    return [path for path in list_files(folder, {".xml"}) if not path.name.lower().endswith(GDAL)]


def read_objects(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Read the objects of an XML in the format of Pascal VOC; its `<size>` is ignored.

    A DOCTYPE is refused: an annotation needs none, and it can name entities that read other files or grow without
    bound. Returns their names, and (n, 4), n at least 0: xmin, ymin, xmax, ymax as they are printed. The corners are
    taken as edges: a box from 5 to 6 is one pixel wide. Raises BadFileError: missing, no such XML, with a DOCTYPE, or
    with a box that has no numbers or no area (xmax not above xmin, or ymax not above ymin).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFileError(path, f"cannot be read ({error.strerror})") from None
    # In UTF-16 a zero byte stands beside each letter; the parser knows no other such encoding.
    if b"<!DOCTYPE" in data.replace(b"\0", b""):
        raise BadFileError(path, "holds a DOCTYPE, which is never read")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # two: of its encoding
        raise BadFileError(path, f"is truncated or no XML ({error})") from None
    if root.tag != "annotation":
        raise BadFileError(path, f"holds <{root.tag}>, not <annotation>")
    names, boxes = [], []
    for item in root.iter("object"):
        corners = [item.findtext(f"bndbox/{corner}", "") for corner in CORNERS]
        try:
            box = [float(corner) for corner in corners]
        except ValueError:
            box = [math.nan]
        if not all(map(math.isfinite, box)):
            raise BadFileError(path, f"holds a box without numbers: {', '.join(map(repr, corners))}")
        if problem := without_area(box):
            raise BadFileError(path, problem)
        names.append(item.findtext("name", "").strip())
        boxes.append(box)
    return names, stack(boxes)
