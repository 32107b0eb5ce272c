"""Pictures with masks: a folder of one's own, tiles of one UAV orthophoto, and Bijie (Ji et al. 2020)."""

import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
from numpy.typing import NDArray

from landslide_lib.data.base import Dataset, DownloadError, Sample, mark_twins
from landslide_lib.data.formats.files import (
    IMAGES,
    MASKS,
    Pair,
    child,
    deliver,
    locate,
    match_truth,
    pairs,
    several_masks,
)
from landslide_lib.data.formats.pictures import list_images, read_pair

#: Where Bijie's publisher serves it; Ji et al. give no checksum, so none is invented here.
ADDRESS = "http://gpcv.whu.edu.cn/data/Bijie-landslide-dataset.zip"


class Folder(Dataset):
    """A folder of RGB pictures of any size, of 8 or 16 bits, each with a mask of its name.

    Reads `folder/` below the data root or the data root itself, see `files.locate`: pictures in `images/`, masks in
    `masks/` (or as in `files.IMAGES` and `files.MASKS`), both with the parts `train`, `valid` and `test` in them or
    around them, see `files.pairs`. A part without masks has no truth.

    A TIFF of three bands is taken for red, green and blue, see `pictures.colours`. Pictures of 16 bits are divided by
    65,535 whatever their values are. Scenes are not known: each picture is a group of its own.
    """

    name = "folder"
    scale = "digital number / 255, of 16 bits / 65,535"
    about = "any folder of RGB pictures with masks: JPEG, PNG or GeoTIFF"
    remedy = "name the folder of your images/ and masks/ with --data-root"

    def samples(self, root: Path) -> Sequence[Sample]:
        what = "JPEG, PNG or TIFF in images/ with masks in masks/"
        shipped = pairs(locate(root, self.name, self.fits, what, self.remedy), MASKS)
        return mark_twins(sample for pair in shipped for sample in _samples(pair))

    def fits(self, home: Path) -> bool:
        shipped = [pair for pair in pairs(home, MASKS) if pair.truth != pair.images]
        return any(list_images(pair.images) and list_images(pair.truth) for pair in shipped)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return read_pair(sample, sensor=True)


def _samples(pair: Pair) -> list[Sample]:
    truth = pair.truth != pair.images
    part = pair.part if truth else f"{pair.part}, no masks"
    masks = list_images(pair.truth) if truth else []
    samples = []
    for image, named in match_truth(list_images(pair.images), pair.images, masks, pair.truth):
        name, mask = pair.id(image), named[0] if truth else None
        samples.append(Sample(name, name, image, mask, part, problem=several_masks(named)))
    return samples


TILE = 128  # pixels
ROWS, ROW = 60, 48  # of the mosaic, and tiles in each: `image_i` stands at row i // 48, column i % 48
#: Side of a block in tiles. Square blocks have the fewest tiles at the border of another block. With larger ones a fold
#: of the split by scenes can be left without a landslide.
BLOCK = 10


class UAV(Folder):
    """2,137 tiles of one scene, 128x128 RGB, 659 of them with a landslide.

    Reads `uav/image/image_N` and `uav/mask/image_N`. A group is a square block of neighbouring tiles: `blocked` is a
    split by position. A target domain for networks trained on Bijie. The source of the orthophoto is not known.
    """

    name = "uav"
    scale = "digital number / 255"
    metres_per_pixel = 3.5 / 70  # our estimate: a lane of road is some 70 pixels wide, and lanes are 3 to 3.75 m
    about = "tiles of one UAV orthophoto, RGB (source not stated)"
    remedy = "put image/ and mask/ into uav/ below LANDSLIDE_DATA"
    manual = (
        "no public address is known of these 128x128 tiles of one UAV orthophoto. Put those you have into "
        f"{{home}}/image (image_N.jpg) and {{home}}/mask (image_N.png), N counted row by row, {ROW} a row"
    )

    def fits(self, home: Path) -> bool:
        folder = child(home, *IMAGES)
        return bool(folder and any(path.stem.startswith("image_") for path in list_images(folder)))

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the tiles in the order of their numbers: row by row of the mosaic."""
        placed: list[tuple[tuple[int, int], Sample]] = []
        for sample in super().samples(root):
            place = place_of(sample.id)
            unknown = f"is not called image_N with N below {ROWS * ROW}, so that its place is not known"
            problem = unknown if place == NOWHERE else sample.problem
            group = "/".join(str(axis // BLOCK) for axis in place)
            placed.append((place, replace(sample, group=group, problem=problem)))
        return mark_twins(sample for _, sample in sorted(placed, key=lambda entry: entry[0]))


NOWHERE = (-1, -1)


def place_of(name: str) -> tuple[int, int]:
    """Return row and column of the tile `image_N` in the mosaic, `NOWHERE` of any other name."""
    number = re.fullmatch(r"image_(\d+)", name)
    place = divmod(int(number[1]), ROW) if number else NOWHERE
    return place if place[0] < ROWS else NOWHERE


class FMoW(Dataset):
    """The training images of fMoW-rgb, 363,572 RGB pictures of any size, or some of them; their classes are not read.

    Reads `fmow/train/CLASS/PLACE/PLACE_N_rgb.jpg` and nothing else of it; the images of a place are a group. Source:
    Christie and others (2018), arXiv:1711.07846.
    """

    name = "fmow"
    about = "Functional Map of the World, RGB, images alone (Christie et al. 2018)"
    remedy = (
        "get it into fmow/train below LANDSLIDE_DATA (200 GB): aws s3 sync --no-sign-request "
        "s3://spacenet-dataset/Hosted-Datasets/fmow/fmow-rgb/train fmow/train"
    )
    manual = remedy

    def samples(self, root: Path) -> Sequence[Sample]:
        files, layout = "train/*/*/*_rgb.jpg", "train/CLASS/PLACE/PLACE_N_rgb.jpg"
        home = locate(root, self.name, lambda folder: any(folder.glob(files)), layout, self.remedy)
        placed = [(path, path.parent.name) for path in sorted(home.glob(files))]
        wrong = f"lies in another folder than {layout}"
        return mark_twins(Sample(p.stem, of, p, problem=wrong * (not p.name.startswith(f"{of}_"))) for p, of in placed)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return read_pair(sample)


class Bijie(Dataset):
    """770 landslides and 2,003 images without one, Bijie, Guizhou, 0.8 m.

    Reads the original (PNG at native size, with a DEM that is ignored) and reduced JPEG copies of the same layout:
    `landslide/{image,mask}` and `non-landslide/image`, or folders named like them (`files.IMAGES`, `files.MASKS`). An
    image of `non-landslide` has an empty mask.

    Source: Ji, Yu, Shen, Li, Xu (2020), Landslides 17, doi:10.1007/s10346-020-01353-2.
    """

    name = "bijie"
    about = "Bijie landslides, RGB, 0.8 m (Ji et al. 2020)"
    remedy = "landslide data download bijie"
    metres_per_pixel = 0.8  # of TripleSat (Ji et al. 2020); coarser where a copy is reduced

    def samples(self, root: Path) -> Sequence[Sample]:
        """List landslides first, then the rest, by file name; each image is a scene, as none are published."""
        expected, remedy = "picture in landslide/image/", f"get it with `{self.remedy}`"
        home = locate(root, Bijie.name, _holds_images, expected, remedy, ["Bijie-landslide-dataset"])
        images, others = _images(home, "landslide"), _images(home, "non-landslide")
        samples = _samples(Pair("", "train", images, child(images.parent, *MASKS) or images.parent / "mask"))
        samples += [Sample(f"non/{image.stem}", f"non/{image.stem}", image) for image in list_images(others)]
        return mark_twins(samples)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return read_pair(sample)

    def download(self, root: Path, address: str = ADDRESS) -> Path:
        """Download and unpack the publisher's archive (about 1.2 GB). Raises DownloadError."""
        again = f"Try again, or unpack it by hand so that {root / Bijie.name / 'landslide'} is there"

        def fetch(scratch: Path) -> tuple[Path, dict[str, str]]:
            progress = sys.stderr.isatty()
            try:
                archive = Path(pooch.retrieve(address, None, path=scratch, fname="archive.zip", progressbar=progress))
            except OSError as error:
                raise DownloadError(f"bijie: {address} cannot be fetched ({error}). {again}") from error
            source = {"address": address, "sha256": pooch.file_hash(archive)}
            shutil.rmtree(scratch / "unpacked", ignore_errors=True)
            try:
                # Checks the sum of each file, and writes below this folder whatever the names in the archive are.
                pooch.Unzip(extract_dir="unpacked")(str(archive), "download", None)
                problem = "has no image in a landslide/image/"
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
                problem = f"is truncated or no zip archive ({error})"
            for folder in sorted(scratch.glob("unpacked/**/landslide/image")):
                if list_images(folder) and not problem.startswith("is"):
                    return folder.parent.parent, source
            archive.unlink()
            raise DownloadError(f"bijie: what {address} sent {problem}. {again}")

        return deliver(root / Bijie.name, fetch)


def _images(home: Path, category: str) -> Path:
    folder = child(home, category) or home / category
    return child(folder, *IMAGES) or folder / "image"


def _holds_images(home: Path) -> bool:
    categories = ("landslide", "non-landslide")
    return child(home, "landslide") is not None and any(list_images(_images(home, name)) for name in categories)
