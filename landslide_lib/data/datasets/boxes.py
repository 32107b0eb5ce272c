"""A folder of one's own pictures with boxes, Pascal VOC, YOLO or COCO; among them tiles of Landslide4Sense."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, BoxDataset, Sample, hash_files, mark_twins, plain_name
from landslide_lib.data.datasets.landslide4sense import BLOCK
from landslide_lib.data.formats import boxes as formats
from landslide_lib.data.formats.files import Pair, child, list_files, locate, match_truth, pairs
from landslide_lib.data.formats.pictures import list_images, read_rgb

#: What a folder of XML or of text files beside `images` is called, in any case.
LABELS = ("Annotations", "annotation", "labels", "label")
#: What the authors of the detection report have learnt on.
REPORT = "https://github.com/subawocit/cs291k: faster_rcnn_pipeline/training_pipeline"
CROWD = "has a crowd (iscrowd 1), a region of many objects: draw a box around each, or set iscrowd to 0"


class VOC(BoxDataset):
    """A folder of RGB pictures of any size with boxes: Pascal VOC, YOLO or COCO.

    Reads `voc/` below the data root or the data root itself, see `files.locate`. Folders `train`, `valid` and `test`,
    where there are any, are the publisher's parts, see `files.pairs`. Boxes are of one format:

    - Pascal VOC: an XML a picture, beside it or in `Annotations/` (or `labels/`). `<size>` is ignored: boxes are in
      pixels of the picture as it is shown (turned as its EXIF says).
    - YOLO: a text file a picture, beside it or in `labels/`, see `boxes.read_labels`. A picture without its file is
      refused; an empty file says that it has no landslide.
    - COCO: a JSON a folder or part, in `annotations/` or beside the pictures, see `boxes.place`.

    All objects count as landslides. A box that reaches beyond the picture is clipped to it; one that lies outside, or
    has no area, is refused. Scenes are not known: each picture is a group of its own.
    """

    name = "voc"
    about = "any folder of RGB pictures with boxes: Pascal VOC, YOLO or COCO"
    remedy = "name the folder of your pictures and their boxes with --data-root"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the pictures part by part, by name; boxes without a picture are listed with the picture they need."""
        what = "JPEG or PNG with boxes (an XML or .txt each, or a JSON for all)"
        return mark_twins(_samples(locate(root, self.name, _boxed, what, self.remedy)))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image, _ = _read(sample)
        return image, np.zeros(image.shape[:2], np.uint8)

    def boxes(self, sample: Sample) -> NDArray[np.float64]:
        return _read(sample)[1]

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        shared = sorted({s.boxes for s in samples if s.boxes and s.boxes.suffix.lower() == ".json"})
        if not shared:
            return hash_files(samples)
        # A JSON is of many pictures, and hashed once.
        pictures = hash_files(replace(sample, boxes=None) for sample in samples)
        hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in shared]
        return hashlib.sha256("\n".join([pictures, *hashes]).encode()).hexdigest()[:16]


def _boxed(home: Path) -> bool:
    return any(sample.image and sample.image.is_file() for sample in _samples(home))


def _samples(home: Path) -> list[Sample]:
    shipped = pairs(home, LABELS)
    listed = [(pair, list_images(pair.images)) for pair in shipped]
    xml = [formats.list_xml(pair.truth) or formats.list_xml(pair.images) for pair in shipped]
    text = [_texts(pair, images) for pair, images in listed]
    folders = {home, child(home, *LABELS) or home}
    for pair in shipped:
        folders |= {pair.images, pair.truth, home if pair.images == home else pair.images.parent}
    json = formats.annotation_files(folders)
    of_form = {"Pascal VOC": list(chain(*xml)), "YOLO": list(chain(*text)), "COCO": json}
    first = [f"{form} ({paths[0].relative_to(home)})" for form, paths in of_form.items() if paths]
    if len(first) > 1:
        remedy = "It is not clear which of them is the truth: move the others away"
        raise BadFileError(home, f"holds boxes in several formats: {', '.join(first)}", remedy)
    if json or not first:
        return _of_json(home, json)
    suffix, of_pair = (".txt", text) if of_form["YOLO"] else (".xml", xml)
    return [
        Sample(pair.id(image), pair.id(image), image, part=pair.part, boxes=paths[0])
        for (pair, images), files in zip(listed, of_pair, strict=True)
        for image, paths in match_truth(images, pair.images, files, pair.truth, suffix)
    ]


def _texts(pair: Pair, images: Sequence[Path]) -> list[Path]:
    stems = {plain_name(image.stem) for image in images}
    files = list_files(pair.truth, {".txt"}) or list_files(pair.images, {".txt"})
    return [path for path in files if plain_name(path.stem) in stems]


def _of_json(home: Path, files: Sequence[Path]) -> list[Sample]:
    """List the pictures of JSON files of COCO, and those beside them that stand in none."""
    samples = []

    def add(image: Path, boxes: Path, problem: str, part: str = "train", listed: formats.Picture | None = None) -> None:
        name = image.relative_to(home).with_suffix("").as_posix()
        samples.append(Sample(name, name, image, part=part, boxes=boxes, problem=problem, truth=listed))

    for path in files:
        pictures = formats.read_pictures(path) or []
        places = formats.place(path, [picture.file_name for picture in pictures], home)
        for picture, (part, image) in zip(pictures, places, strict=True):
            add(image, path, CROWD if any(box.iscrowd for box in picture.boxes) else "", part, picture)
    images = {sample.image for sample in samples}
    problem = f"is not among the images of {', '.join(path.name for path in files)}"
    for folder in sorted({image.parent for image in images if image and image.is_file()}):
        for image in list_images(folder):
            if image not in images:
                add(image, files[0], problem)
    return sorted(samples, key=lambda s: (("train", "valid", "test").index(s.part), s.id))


def _read(sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    assert sample.image is not None
    assert sample.boxes is not None
    image = read_rgb(sample.image)
    height, width = image.shape[:2]
    sides = np.array([width, height] * 2, np.float64)
    if sample.truth is not None:
        stated = sample.truth.width, sample.truth.height
        if all(stated) and stated != (width, height):
            problem = f"is {width}x{height} pixels, {sample.boxes.name} says {stated[0]}x{stated[1]}"
            raise BadFileError(sample.image, problem)
        given = [box.bbox for box in sample.truth.boxes]
        boxes = formats.checked([(x, y, x + w, y + h) for x, y, w, h in given], sample.image)
    elif sample.boxes.suffix.lower() == ".txt":
        boxes = formats.read_labels(sample.boxes) * sides
    else:
        boxes = formats.read_objects(sample.boxes)
    clipped = np.clip(boxes, 0, sides)
    for box in boxes[(clipped[:, :2] >= clipped[:, 2:]).any(axis=1)]:
        problem = f"holds the box {formats.shown(box)}, outside its {width}x{height} pixels"
        raise BadFileError(sample.boxes, problem)
    return image, clipped / sides


class Dynahead(VOC):
    """Pictures of 512x512 pixels, RGB, with Pascal-VOC boxes: the detection report's second dataset.

    Read as `VOC`: `dynahead-yolo/{train,valid,test}/NAME.jpg` and `NAME.xml`, as the report's repository has them, or
    the authors' two folders, without parts. Source: Han and others (2023), doi:10.3389/feart.2022.1077153.
    """

    name = "dynahead-yolo"
    about = "landslides, RGB, with boxes (Han et al. 2023, Dynahead-YOLO)"
    remedy = "put its pictures and XML into dynahead-yolo/ below LANDSLIDE_DATA"
    manual = f"copy {REPORT}/data_paper, or unpack https://github.com/Abbott-max/dataset, into {{home}}"


class Landslide4SenseBoxes(VOC):
    """1,440 / 309 / 308 tiles, 224x224 RGB, enlarged from 128x128, with Pascal-VOC boxes.

    Reads `landslide4sense-boxes/{train,valid,test}/N.jpg` with `N.xml` beside each, whose `<size>` is 128, the size of
    the patch before it was enlarged, while the boxes are in pixels of the picture. The numbers are those of the
    Landslide4Sense training patches and run through all three parts; a block of consecutive ones is a group. A tile
    without a box has no landslide; one without its XML is refused.

    Source of the imagery: Ghorbanzadeh et al. (2022), doi:10.1109/TGRS.2022.3215209.
    """

    name = "landslide4sense-boxes"
    about = "Landslide4Sense training tiles, RGB, with boxes (imagery: Ghorbanzadeh et al. 2022)"
    remedy = "put train/, valid/ and test/ into landslide4sense-boxes/ below LANDSLIDE_DATA"
    manual = f"copy train/, valid/ and test/ of {REPORT}/data_land4sensor, with N.jpg and N.xml in each, into {{home}}"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers, whatever their part."""
        numbered: list[tuple[int, Sample]] = []
        for sample in super().samples(root):
            stem = sample.id.rpartition("/")[2]
            known = stem.isascii() and stem.isdigit()
            number, problem = (int(stem), sample.problem) if known else (0, "is not called N.jpg")
            name, group = str(number) if known else stem, str((number - 1) // BLOCK)
            numbered.append((number, replace(sample, id=name, group=group, problem=problem)))
        return mark_twins(sample for _, sample in sorted(numbered, key=lambda entry: entry[0]))
