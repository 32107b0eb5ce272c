"""Boxes in files: XML of Pascal VOC (Everingham et al. 2010), text of YOLO and JSON of COCO (Lin et al. 2014)."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.files import IMAGES, PARTS, child, list_files, subfolders

CORNERS = ("xmin", "ymin", "xmax", "ymax")
ROUNDING = 1e-3  # how far a number may lie outside 0..1 by rounding
YOLO = (
    "Write a class and x y width height, or a class and a polygon x1 y1 x2 y2 x3 y3 …, in shares of the sides, 0 to 1"
)


def checked(boxes: Sequence[Sequence[float]], path: Path, pixels: bool = True) -> NDArray[np.float64]:
    """Return boxes as one array, (n, 4), n at least 0: xmin, ymin, xmax, ymax.

    Raises BadFileError: one is not finite, has no area (in float32 too), or should be in pixels and looks like shares.
    """
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    for box in corners:
        left, top, right, bottom = box.astype(np.float32)
        problem = ""
        if not np.isfinite(box).all():
            problem = "without numbers"
        elif not (left < right and top < bottom):
            problem = "which has no area"
        elif pixels and box.min() >= 0 and box.max() <= 1 and (box % 1).any():
            problem = "which is less than a pixel: it looks normalised to 0..1"
        if problem:
            raise BadFileError(path, f"holds the box {shown(box)}, {problem}")
    return corners


def shown(box: Sequence[float] | NDArray[np.float64]) -> str:
    """Return a box as it is printed in a message."""
    return ", ".join(f"{corner:g}" for corner in box)


def list_xml(folder: Path) -> list[Path]:
    """Return the XML files of a folder, without those of GDAL."""
    return [path for path in list_files(folder, {".xml"}) if not path.name.lower().endswith(".aux.xml")]


def read_objects(path: Path) -> NDArray[np.float64]:
    """Read the boxes in an XML of Pascal VOC, (n, 4), n at least 0: xmin, ymin, xmax, ymax as printed, taken as edges.

    Its `<size>` is ignored. Raises BadFileError: no such XML, with a DOCTYPE (it can name entities that read other
    files or grow without bound), or with a bad box.
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
    objects = list(root.iter("object"))
    try:
        boxes = [[float(item.findtext(f"bndbox/{corner}", "")) for corner in CORNERS] for item in objects]
    except ValueError as error:
        raise BadFileError(path, f"holds a box without numbers ({error})") from None
    return checked(boxes, path)


def read_labels(path: Path) -> NDArray[np.float64]:
    """Read the boxes of a picture, (n, 4), n at least 0: xmin, ymin, xmax, ymax as shares of its sides, in 0..1.

    Lines are `class x y width height` (of the middle of a box) or `class x1 y1 x2 y2 …` (a polygon, which becomes the
    box around it). Raises BadFileError: missing, no text, or a line that is neither, or has no area.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        remedy = "Add it; an empty one says that the picture has no landslide"
        raise BadFileError(path, "is missing", remedy) from None
    except (OSError, UnicodeError) as error:
        raise BadFileError(path, f"is no text that can be read ({error})") from None
    boxes = []
    for line in filter(str.strip, text.splitlines()):
        try:
            numbers = np.array(line.split(), np.float64)[1:]
        except ValueError:
            numbers = np.array([math.nan])
        inside = ((numbers >= -ROUNDING) & (numbers <= 1 + ROUNDING)).all()
        if not inside or not (len(numbers) == 4 or (len(numbers) >= 6 and len(numbers) % 2 == 0)):
            raise BadFileError(path, f"has the line {line.strip()[:40]!r}, which is no box", YOLO)
        corners = numbers.reshape(-1, 2)
        if len(numbers) == 4:
            middle, size = corners
            corners = np.stack([middle - size / 2, middle + size / 2])
        boxes.append(np.clip([*corners.min(0), *corners.max(0)], 0, 1).tolist())
    return checked(boxes, path, pixels=False)


class Annotation(BaseModel):
    """A box of a picture: left, top, width and height in pixels."""

    image_id: int | str
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
    iscrowd: bool = False


class Picture(BaseModel):
    """A picture as a JSON lists it."""

    id: int | str
    file_name: str = Field(pattern=r"[^/\\.]")
    width: int | None = None
    height: int | None = None
    boxes: list[Annotation] = []


class Content(BaseModel):
    """What is read of a JSON."""

    images: list[Picture]
    annotations: list[Annotation]


def annotation_files(folders: Iterable[Path]) -> list[Path]:
    """Return the JSON files with boxes; where any is called `instances_…`, only these. Raises BadFileError."""
    paths = {path for folder in folders for path in list_files(folder, {".json"}) if path.is_file()}
    named = [path for path in paths if path.name.startswith("instances_")]
    return sorted(path for path in named or paths if read_pictures(path) is not None)


def read_pictures(path: Path) -> list[Picture] | None:
    """Read the pictures of a JSON, each with its boxes; None where it is of something else. Raises BadFileError."""
    try:
        raw = json.loads(path.read_text("utf-8-sig"))
        if not isinstance(raw, dict) or not {"images", "annotations"} <= raw.keys():
            return None
        content = Content.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadFileError(path, f"is no JSON of COCO that can be read ({place}: {first['msg']})") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadFileError(path, f"is truncated or no JSON ({error})") from None
    of_image = defaultdict(list)
    for annotation in content.annotations:
        of_image[annotation.image_id].append(annotation)
    ids, names = ({getattr(picture, key) for picture in content.images} for key in ("id", "file_name"))
    if min(len(ids), len(names)) < len(content.images) or of_image.keys() - ids:
        raise BadFileError(path, "lists an image twice, or a box of an image that is not listed")
    return [picture.model_copy(update={"boxes": of_image[picture.id]}) for picture in content.images]


def place(path: Path, names: Iterable[str], home: Path) -> Iterator[tuple[str, Path]]:
    """Find the pictures that a JSON lists: our name of the part, and the file that is or ought to be there.

    A name is looked for below the folder of the JSON's part, beside the JSON, and in the folders of `home`, first with
    the folders in the name, then without. Folders outside `home` are never read.
    """
    word = _part(path.stem) or _part(path.parent.name)
    outer = [folder for folder in (child(home, *IMAGES), home) if folder]
    inner = [folder for above in outer for folder in subfolders(above)]
    own = [folder for part in inner if word and _part(part.name) == word for folder in (child(part, *IMAGES), part)]
    bases = [folder for folder in own if folder] + outer if own else [path.parent, *outer, *inner]
    for name in names:
        whole = PurePosixPath(name.replace("\\", "/"))
        ways = [whole.name] if whole.is_absolute() or ".." in whole.parts else [str(whole), whole.name]
        candidates = [base / way for way in ways for base in bases]
        file = next((candidate for candidate in candidates if candidate.is_file()), candidates[0])
        of_folders = map(_part, file.relative_to(home).parts[:-1])
        yield word or next(filter(None, of_folders), "train"), file


def _part(name: str) -> str:
    """Return our name of the part that the words of a name tell (`instances_val2017`); "" if none does."""
    return next((PARTS[word] for word in re.findall("[a-z]+", name.lower()) if word in PARTS), "")
