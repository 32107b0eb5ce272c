"""Boxes in the JSON of COCO (Lin et al. 2014): one file for a folder of pictures."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from landslide_lib.data.base import BadFileError
from landslide_lib.data.formats.files import list_files
from landslide_lib.data.formats.locate import IMAGES, PARTS, child, subfolders


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
    return sorted(path for path in named or paths if read(path) is not None)


def read(path: Path) -> list[Picture] | None:
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
