"""A folder of one's own pictures with boxes: Pascal VOC, YOLO or COCO."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.bands import OF_DATASET
from landslide_lib.data.base import REDO, BadFileError, DownloadError, Sample, mark_twins
from landslide_lib.data.formats import coco, yolo
from landslide_lib.data.formats.files import by_stem, hash_files, list_files, say_once, stem
from landslide_lib.data.formats.locate import Pair, child, locate, pairs, subfolders
from landslide_lib.data.formats.pictures import list_images, read_rgb
from landslide_lib.data.formats.voc import GDAL, in_shares, read_objects, refuse_shares, shown

#: What a folder of XML or of text files beside `images` is called, in any case.
LABELS = ("Annotations", "annotation", "labels", "label")


@dataclass(frozen=True)
class BoxSample(Sample):
    """A picture with its boxes.

    Attributes:
        form: Of the file of boxes; `shares` are Pascal VOC's in 0..1 in place of pixels.
        listed: What a JSON of COCO calls the picture.
    """

    form: Literal["pixels", "shares", "yolo", "coco"] = "pixels"
    listed: str = ""


class VOC:
    """A folder of JPEG or PNG pictures of any size with boxes: Pascal VOC, YOLO or COCO.

    Reads `voc/` below the data root or, where there is no such folder, the data root itself; see
    `locate.locate`. Folders `train`, `valid` (or `val`) and `test`, where there are any, are the
    publisher's parts, and nothing beside them is read; without them all pictures are `train`.
    Pictures lie in such a folder or in `images/` (or `JPEGImages/`), see `locate.pairs`. Boxes
    are of one format, of which each picture has its file or line:

    - Pascal VOC: an XML a picture, beside it or in `Annotations/` (or `labels/`). `<size>` is not
      looked at: boxes are in pixels of the picture beside it, as it is shown (turned as its EXIF
      says). Where all boxes lie in 0..1, and not all are of 0 and 1, they are taken for shares of
      the picture's sides; a single box of this kind among others is refused.
    - YOLO: a text file a picture, beside it or in `labels/`, see `yolo.read_labels`. A picture
      without its file is refused; an empty file says that it has no landslide.
    - COCO: a JSON a folder or part, in `annotations/` or beside the pictures, see `coco`.

    All objects count as landslides, whatever their class: datasets name them differently. A box
    that reaches beyond the picture is clipped to it, and one that lies wholly outside is refused,
    as is one without area. A file without objects is a picture without a landslide. Scenes are
    not known: each picture is a group of its own.
    """

    name = "voc"
    bands: tuple[str, ...] = ("R", "G", "B")
    scale = "digital number / 255"
    about = "any folder of RGB pictures with boxes: Pascal VOC, YOLO or COCO"
    remedy = "name the folder of your pictures and their boxes with --data-root"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the pictures part by part, each in the order of their names.

        Boxes without their picture are listed with the picture that ought to be there.

        Raises:
            DatasetNotFoundError: There are none, or the root is no folder.
            BadFileError: Boxes are there in several formats, or a JSON cannot be read.
        """
        what = "JPEG or PNG with boxes (an XML or .txt each, or a JSON for all)"
        return mark_twins(_samples(locate(root, self.name, _boxed, what, self.remedy, itself=True)))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and an empty mask: the truth is in boxes."""
        image, _ = _read(sample)
        return image, np.zeros(image.shape[:2], np.uint8)

    def boxes(self, sample: Sample) -> NDArray[np.float64]:
        """Read the boxes of a picture, clipped to it, as shares of its sides."""
        return _read(sample)[1]

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of all pictures and files of boxes."""
        shared = sorted({s.boxes for s in samples if s.boxes and s.boxes.suffix.lower() == ".json"})
        if not shared:
            return hash_files(samples)
        # A JSON is of many pictures, and hashed once.
        own = hash_files(replace(sample, boxes=None) for sample in samples)
        each = [hashlib.sha256(path.read_bytes()).hexdigest() for path in shared]
        return hashlib.sha256("\n".join([own, *each]).encode()).hexdigest()[:16]

    def download(self, root: Path) -> Path:
        """Say where the pictures have to be put: they are the user's own.

        Raises:
            DownloadError: Always.
        """
        raise DownloadError(f"voc: these are pictures of your own; {self.remedy}")


def _boxed(home: Path) -> bool:
    """Return whether a folder has pictures, and files that may be of their boxes."""
    shipped = pairs(home, LABELS)
    images = [pair.images for pair in shipped]
    boxes = {home, *images, *(pair.truth for pair in shipped)}
    apart = child(home, *LABELS)
    boxes |= {apart} if apart else set()
    if apart or any(home.glob("*.json")):  # which may name folders of any name
        inner = [inner for outer in (home, *images) for inner in subfolders(outer)]
        images += [folder for folder in inner if folder.name not in OF_DATASET]
    kinds = {path.suffix.lower() for folder in boxes if folder.is_dir() for path in folder.iterdir()}
    return bool(kinds & {".xml", ".txt", ".json"}) and any(map(list_images, images))


def _json(home: Path) -> list[Path]:
    """List the JSON files of COCO of a dataset."""
    folders = {home, child(home, *LABELS) or home}
    for pair in pairs(home, LABELS):
        folders |= {pair.images, pair.truth, home if pair.images == home else pair.images.parent}
    return coco.annotation_files(folders)


def _samples(home: Path) -> list[BoxSample]:
    shipped = pairs(home, LABELS)
    listed = [(pair, list_images(pair.images)) for pair in shipped]
    xml = [_files(pair, ".xml") for pair in shipped]
    text = [_texts(pair, images) for pair, images in listed]
    json = _json(home)
    formats = {
        "Pascal VOC": [path for files in xml for path in files],
        "YOLO": [path for files in text for path in files],
        "COCO": json,
    }
    there = {form: paths[0].relative_to(home) for form, paths in formats.items() if paths}
    if len(there) > 1:
        shown = ", ".join(f"{form} ({path})" for form, path in there.items())
        remedy = "It is not clear which of them is the truth: move the others away"
        raise BadFileError(home, f"holds boxes in several formats: {shown}", remedy)
    if json:
        return _of_json(home, json)
    form: Literal["pixels", "shares", "yolo"] = "yolo" if formats["YOLO"] else "pixels"
    if form == "pixels" and _all_shares(formats["Pascal VOC"]):
        say_once(f"voc: all boxes of {home} lie in 0..1 and are read as shares of the pictures")
        form = "shares"
    suffix = ".txt" if form == "yolo" else ".xml"
    return [
        BoxSample(
            id=f"{pair.name}/{image.stem}" if pair.name else image.stem,
            group=f"{pair.name}/{image.stem}" if pair.name else image.stem,
            image=image,
            part=pair.part,
            boxes=boxes,
            form=form,
        )
        for (pair, images), files in zip(listed, text if form == "yolo" else xml, strict=True)
        for image, boxes in _paired(pair, images, files, suffix)
    ]


def _files(pair: Pair, suffix: str) -> list[Path]:
    """List the files of boxes of a folder, beside its pictures only where it has no other."""
    for folder in (pair.truth, pair.images):
        there = list_files(folder, {suffix})
        if own := [path for path in there if not path.name.lower().endswith(GDAL)]:
            return own
    return []


def _texts(pair: Pair, images: Sequence[Path]) -> list[Path]:
    """List the label files of YOLO: those of a picture, and others that look like one."""
    stems = set(map(stem, images))
    return [
        path
        for path in _files(pair, ".txt")
        if stem(path) in stems or (path.name.lower() not in yolo.OTHER and yolo.holds_labels(path))
    ]


def _paired(pair: Pair, images: Sequence[Path], files: Sequence[Path], suffix: str) -> list[tuple[Path, Path]]:
    """Return each picture with its file of boxes; one of the two may be missing."""
    named = by_stem(files)
    rows = [(image, named.pop(stem(image), [pair.truth / f"{image.stem}{suffix}"])[0]) for image in images]
    return rows + [(pair.images / f"{p.stem}.jpg", p) for paths in named.values() for p in paths]


def _all_shares(files: Sequence[Path]) -> bool:
    """Return whether all boxes of XML files are shares; the first that is not ends the reading."""
    every = [np.zeros((0, 4))]
    for path in files:
        try:
            every.append(read_objects(path)[1])
        except BadFileError:  # refused when its picture is read
            continue
        if every[-1].size and (every[-1].min() < 0 or every[-1].max() > 1):
            return False
    return in_shares(np.concatenate(every))


def _of_json(home: Path, files: Sequence[Path]) -> list[BoxSample]:
    """List the pictures of JSON files of COCO, and those beside them that stand in none."""
    found = []
    for path in files:
        read = coco.read(path)
        assert read is not None  # so it was found
        for listed, part, image in coco.place(path, read.pictures, home):
            found.append(
                BoxSample(
                    id=_name(image, home),
                    group=_name(image, home),
                    image=image,
                    part=part,
                    boxes=path,
                    problem=read.pictures[listed].problem,
                    form="coco",
                    listed=listed,
                )
            )
    there = {sample.image for sample in found}
    names = ", ".join(path.name for path in files)
    for folder in sorted({image.parent for image in there if image and image.is_file()}):
        for image in list_images(folder):
            if image not in there:
                name, problem = _name(image, home), f"is not among the images of {names}"
                found.append(BoxSample(name, name, image, boxes=files[0], problem=problem))
    return sorted(found, key=lambda s: (("train", "valid", "test").index(s.part), s.id))


def _name(image: Path, home: Path) -> str:
    return image.relative_to(home).with_suffix("").as_posix()


def _read(sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a picture and its boxes, clipped to it, as shares of its sides."""
    assert isinstance(sample, BoxSample)
    assert sample.image is not None
    assert sample.boxes is not None
    image = read_rgb(sample.image)
    height, width = image.shape[:2]
    sides = np.array([width, height] * 2, np.float64)
    boxes = _boxes(sample, width, height)
    clipped = np.clip(boxes, 0, sides)
    outside = (clipped[:, :2] >= clipped[:, 2:]).any(axis=1)
    if outside.any():
        problem = f"holds the box {shown(boxes[outside][0])}, outside its {width}x{height} pixels"
        raise BadFileError(sample.boxes, problem, REDO)
    return image, clipped / sides


def _boxes(sample: BoxSample, width: int, height: int) -> NDArray[np.float64]:
    """Read the boxes of a picture of this size, (n, 4), in pixels of it."""
    assert sample.boxes is not None
    shares, sides = sample.form != "pixels", np.array([width, height] * 2, np.float64)
    if sample.form == "yolo":
        boxes = yolo.read_labels(sample.boxes)
    elif sample.form == "coco":
        read = coco.read(sample.boxes)
        if read is None or sample.listed not in read.pictures:
            raise BadFileError(sample.boxes, f"no longer lists {sample.listed}", REDO)
        listed, shares = read.pictures[sample.listed], read.shares
        boxes = listed.boxes
        if listed.size not in (None, (width, height)):
            assert sample.image is not None
            stated = "x".join(map(str, listed.size or ()))
            problem = f"is {width}x{height} pixels, {sample.boxes.name} says {stated}"
            raise BadFileError(sample.image, problem, REDO)
    else:
        boxes = read_objects(sample.boxes)[1]
    if not shares:
        refuse_shares(boxes, sample.boxes)
    return boxes * sides if shares else boxes
