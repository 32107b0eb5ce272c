"""A folder of one's own pictures with boxes: Pascal VOC, YOLO or COCO."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.bands import OF_DATASET
from landslide_lib.data.base import BadFileError, Sample, mark_twins
from landslide_lib.data.formats import boxes as formats
from landslide_lib.data.formats import coco
from landslide_lib.data.formats.files import FileDataset, hash_files, list_files, say_once, stem
from landslide_lib.data.formats.locate import Pair, child, locate, match_truth, pairs, subfolders
from landslide_lib.data.formats.pictures import list_images, read_rgb

#: What a folder of XML or of text files beside `images` is called, in any case.
LABELS = ("Annotations", "annotation", "labels", "label")
REMEDY = "name the folder of your pictures and their boxes with --data-root"


@dataclass(frozen=True)
class BoxSample(Sample):
    """A picture with its boxes."""

    #: Of the file of boxes; `shares` are Pascal VOC's in 0..1 in place of pixels.
    form: Literal["pixels", "shares", "yolo", "coco"] = "pixels"
    listed: str = ""  # the name of the picture in a JSON of COCO


class VOC(FileDataset):
    """A folder of JPEG or PNG pictures of any size with boxes: Pascal VOC, YOLO or COCO.

    Reads `voc/` below the data root or, where there is no such folder, the data root itself; see `locate.locate`.
    Folders `train`, `valid` (or `val`) and `test`, where there are any, are the publisher's parts, and nothing beside
    them is read; without them all pictures are `train`. Pictures lie in such a folder or in `images/` (or
    `JPEGImages/`), see `locate.pairs`. Boxes are of one format, of which each picture has its file or line:

    - Pascal VOC: an XML a picture, beside it or in `Annotations/` (or `labels/`). `<size>` is ignored: boxes are in
      pixels of the picture as it is shown (turned as its EXIF says). Where all boxes lie in 0..1, and not all are of 0
      and 1, they are taken for shares of the picture's sides; a single box of this kind among others is refused.
    - YOLO: a text file a picture, beside it or in `labels/`, see `boxes.read_labels`. A picture without its file is
      refused; an empty file says that it has no landslide.
    - COCO: a JSON a folder or part, in `annotations/` or beside the pictures, see `coco`.

    All objects count as landslides, whatever their class. A box that reaches beyond the picture is clipped to it; one
    that lies wholly outside, or has no area, is refused. A file without objects is a picture without a landslide.
    Scenes are not known: each picture is a group of its own.
    """

    name = "voc"
    about = "any folder of RGB pictures with boxes: Pascal VOC, YOLO or COCO"
    remedy = REMEDY
    manual = f"these are pictures of your own; {REMEDY}"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the pictures part by part, by name; boxes without a picture are listed with the picture they need."""
        what = "JPEG or PNG with boxes (an XML or .txt each, or a JSON for all)"
        return mark_twins(_samples(locate(root, self.name, _boxed, what, self.remedy, itself=True)))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and an empty mask."""
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
        pictures = hash_files(replace(sample, boxes=None) for sample in samples)
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in shared]
        return hashlib.sha256("\n".join([pictures, *hashes]).encode()).hexdigest()[:16]


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


def _samples(home: Path) -> list[BoxSample]:
    shipped = pairs(home, LABELS)
    listed = [(pair, list_images(pair.images)) for pair in shipped]
    xml = [formats.list_xml(pair.truth) or formats.list_xml(pair.images) for pair in shipped]
    text = [_texts(pair, images) for pair, images in listed]
    folders = {home, child(home, *LABELS) or home}
    for pair in shipped:
        folders |= {pair.images, pair.truth, home if pair.images == home else pair.images.parent}
    json = coco.annotation_files(folders)
    of_form = {"Pascal VOC": list(chain(*xml)), "YOLO": list(chain(*text)), "COCO": json}
    first = [f"{form} ({paths[0].relative_to(home)})" for form, paths in of_form.items() if paths]
    if len(first) > 1:
        remedy = "It is not clear which of them is the truth: move the others away"
        raise BadFileError(home, f"holds boxes in several formats: {', '.join(first)}", remedy)
    if json:
        return _of_json(home, json)
    form: Literal["pixels", "shares", "yolo"] = "yolo" if of_form["YOLO"] else "pixels"
    if form == "pixels" and _all_shares(of_form["Pascal VOC"]):
        say_once(f"voc: all boxes of {home} lie in 0..1 and are read as shares of the pictures")
        form = "shares"
    suffix, of_pair = (".txt", text) if form == "yolo" else (".xml", xml)
    return [
        BoxSample(pair.id(image), pair.id(image), image, part=pair.part, boxes=paths[0], form=form)
        for (pair, images), files in zip(listed, of_pair, strict=True)
        for image, paths in match_truth(images, pair.images, files, pair.truth, suffix)
    ]


def _texts(pair: Pair, images: Sequence[Path]) -> list[Path]:
    """List the label files of YOLO: those of a picture, and others that look like one."""
    stems = set(map(stem, images))
    return [
        path
        for path in list_files(pair.truth, {".txt"}) or list_files(pair.images, {".txt"})
        if stem(path) in stems or (path.name.lower() not in formats.OTHER_TEXTS and formats.holds_labels(path))
    ]


def _all_shares(files: Sequence[Path]) -> bool:
    """Return whether all boxes of XML files are shares; the first that is not ends the reading."""
    boxes = [formats.stack([])]
    for path in files:
        try:
            boxes.append(formats.read_objects(path)[1])
        except BadFileError:  # refused when its picture is read
            continue
        if boxes[-1].size and (boxes[-1].min() < 0 or boxes[-1].max() > 1):
            return False
    return formats.in_shares(np.concatenate(boxes))


def _of_json(home: Path, files: Sequence[Path]) -> list[BoxSample]:
    """List the pictures of JSON files of COCO, and those beside them that stand in none."""

    def sample(image: Path, boxes: Path, problem: str, part: str = "train", listed: str = "") -> BoxSample:
        name = image.relative_to(home).with_suffix("").as_posix()
        form: Literal["pixels", "coco"] = "coco" if listed else "pixels"
        return BoxSample(name, name, image, part=part, boxes=boxes, problem=problem, form=form, listed=listed)

    samples = []
    for path in files:
        annotations = coco.read(path)
        assert annotations is not None  # so `annotation_files` chose it
        for listed, part, image in coco.place(path, annotations.pictures, home):
            samples.append(sample(image, path, annotations.pictures[listed].problem, part, listed))
    images = {sample.image for sample in samples}
    problem = f"is not among the images of {', '.join(path.name for path in files)}"
    for folder in sorted({image.parent for image in images if image and image.is_file()}):
        samples += [sample(image, files[0], problem) for image in list_images(folder) if image not in images]
    return sorted(samples, key=lambda s: (("train", "valid", "test").index(s.part), s.id))


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
        raise BadFileError(
            sample.boxes, f"holds the box {formats.shown(boxes[outside][0])}, outside its {width}x{height} pixels"
        )
    return image, clipped / sides


def _boxes(sample: BoxSample, width: int, height: int) -> NDArray[np.float64]:
    """Read the boxes of a picture of this size, (n, 4), in pixels of it."""
    assert sample.boxes is not None
    shares = sample.form != "pixels"
    if sample.form == "yolo":
        boxes = formats.read_labels(sample.boxes)
    elif sample.form == "coco":
        annotations = coco.read(sample.boxes)
        if annotations is None or sample.listed not in annotations.pictures:
            raise BadFileError(sample.boxes, f"no longer lists {sample.listed}")
        listed, shares = annotations.pictures[sample.listed], annotations.shares
        boxes = listed.boxes
        if listed.size not in (None, (width, height)):
            stated = "x".join(map(str, listed.size or ()))
            problem = f"is {width}x{height} pixels, {sample.boxes.name} says {stated}"
            raise BadFileError(sample.image or sample.boxes, problem)
    else:
        boxes = formats.read_objects(sample.boxes)[1]
    if shares:
        return boxes * np.array([width, height] * 2, np.float64)
    formats.refuse_shares(boxes, sample.boxes)
    return boxes
