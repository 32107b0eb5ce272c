"""What a dataset is, and how it reports that a file is wrong."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.bands import OF_DATASET

REDO = "Replace the file, or leave it out with --skip-bad"  # the remedy for most bad files


class DatasetNotFoundError(FileNotFoundError):
    """The files of a dataset are not there; the message says how to get them."""


class DownloadError(DatasetNotFoundError):
    """A dataset could not be downloaded; the message says why and what to do."""


class BadFileError(ValueError):
    """A file that cannot be used, what is wrong with it, and what to do: one line."""

    def __init__(self, path: Path, problem: str, remedy: str = REDO) -> None:
        self.path, self.problem = path, printable(" ".join(problem.split()))
        super().__init__(printable(f"{path}: {self.problem}. {remedy}"))


def printable(text: str) -> str:
    r"""Return a text as it can be printed: bytes of a name that are not UTF-8 are written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def plain_name(name: str) -> str:
    """Return a name in the form in which names are compared: printable, accents as Unicode's NFC (macOS has NFD)."""
    return printable(unicodedata.normalize("NFC", name))


@dataclass(frozen=True)
class Sample:
    """One image of a dataset, not yet read."""

    id: str  # unique in its dataset; stored as `plain_name`
    group: str  # the scene it was cut from: images of one group are neighbours; stored as `plain_name`
    image: Path | None = None  # its file; None for a simulated image
    mask: Path | None = None  # the file of its mask; None where it has none
    part: str = "train"  # `train`, `valid` or `test` where the publisher splits the dataset
    region: str = ""  # where the scene lies, if that is known
    problem: str = ""  # what is wrong with its files, where their names alone tell; it is refused when it is read
    boxes: Path | None = None  # the file of its boxes, in a dataset that has boxes instead of masks
    truth: Any = None  # what the dataset has read of a file of many images: a label, or a picture with its boxes

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", plain_name(self.id))
        object.__setattr__(self, "group", plain_name(self.group))

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.image, self.mask, self.boxes) if path is not None)


class Dataset:
    """A dataset of images and masks; by default pictures in files that cannot be downloaded."""

    name: str  # its key in `DATASETS`, and the name of its folder under the data root
    scale = "digital number / 255"  # one unit of the packed image, for the caption of a figure
    metres_per_pixel: float | None = None  # of the ground, in the publisher's images; None where nobody says
    #: What one unit of a band is: digital numbers of 8 bits, or by band reflectance, degrees and metres; None: unknown.
    units: float | Mapping[str, float] | None = 255.0
    places_of: str = ""  # the dataset whose very places these images show
    about: str  # one sentence with the source
    remedy: str  # what to type, or to do, when it is not there
    together: int = 1  # samples that one thread reads, one after the other
    manual = "these are pictures of your own; {remedy}"  # how files are put in place; `{home}` is the dataset's folder

    @property
    def bands(self) -> tuple[str, ...]:
        """The names of its bands, in the order of the file."""
        return OF_DATASET[self.name]

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the images below the data root, in the dataset's own order. Raises DatasetNotFoundError."""
        raise NotImplementedError

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read one image, (H, W, bands) float32, and its mask, (H, W) uint8 in {0, 1}. Raises BadFileError."""
        raise NotImplementedError

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """16 hexadecimal digits that change when any byte of the data changes."""
        return hash_files(samples)

    def download(self, root: Path) -> Path:
        """Download the dataset as a whole, unless it is there, and return its folder. Raises DownloadError."""
        raise DownloadError(f"{self.name}: {self.manual.format(home=root / self.name, remedy=self.remedy)}")


class BoxDataset(Dataset):
    """A dataset with boxes, one of `bands.BOXES`; its masks are empty, `read` and `fingerprint` cover the boxes."""

    def boxes(self, sample: Sample) -> NDArray[np.float64]:
        """Read the boxes of one image, (n, 4), n at least 0: xmin, ymin, xmax, ymax as shares of width and height."""
        raise NotImplementedError


def hash_files(samples: Iterable[Sample]) -> str:
    """Hash names and bytes of the files of samples, 16 hexadecimal digits; a copy elsewhere has the same hash."""
    digest = hashlib.sha256()
    for sample in samples:
        for path in sample.files:
            digest.update(os.fsencode(f"{path.parent.name}/{path.name}\0"))
            if path.is_file():
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def mark_twins(samples: Iterable[Sample]) -> list[Sample]:
    """Give each sample whose id an earlier one has a problem that says so."""
    first: dict[str, Sample] = {}
    marked = []
    for sample in samples:
        twin = first.setdefault(sample.id, sample)
        problem = sample.problem if twin is sample else f"has the id {sample.id!r} of {twin.files[0]} too"
        marked.append(replace(sample, problem=problem))
    return marked


def read_sample(dataset: Dataset, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read a sample to be packed. Raises BadFileError: also where a file is missing or a value is no float16."""
    if sample.problem:
        raise BadFileError(sample.files[0], sample.problem)
    for path in (sample.image, sample.mask):
        if path is not None and not path.exists():
            raise BadFileError(path, "is missing")
    image, mask = dataset.read(sample)
    low, high = float(image.min()), float(image.max())
    limit = float(np.finfo(np.float16).max)
    if not (low >= -limit and high <= limit):
        problem = f"holds values from {low:g} to {high:g}; packed are numbers within ±{limit:g}"
        raise BadFileError(sample.image or Path(sample.id), problem)
    return image, mask
