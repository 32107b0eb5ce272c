"""Functional Map of the World (Christie et al. 2018): images of places, for restoring what is masked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import Dataset, Sample, mark_twins
from landslide_lib.data.formats.files import locate
from landslide_lib.data.formats.pictures import read_rgb

LAYOUT = "train/CLASS/PLACE/PLACE_N_rgb.jpg"


class FMoW(Dataset):
    """The training images of fMoW-rgb, 363,572 RGB pictures of any size, or some of them; their classes are not read.

    Reads `fmow/train/CLASS/PLACE/PLACE_N_rgb.jpg`; `PLACE_N_msrgb.jpg` and JSON beside them are left alone. The images
    of a place are a group. Source: Christie and others (2018), arXiv:1711.07846.
    """

    name = "fmow"
    about = "Functional Map of the World, RGB, images alone (Christie et al. 2018)"
    remedy = (
        "aws s3 sync --no-sign-request s3://spacenet-dataset/Hosted-Datasets/fmow/fmow-rgb/train fmow/train below "
        "LANDSLIDE_DATA (about 200 GB; https://github.com/fMoW/dataset)"
    )
    manual = f"{remedy}, as {{home}}/train"

    def samples(self, root: Path) -> Sequence[Sample]:
        home = locate(root, self.name, lambda folder: any(folder.glob("train/*/*/*_rgb.jpg")), LAYOUT, self.remedy)
        return mark_twins(_sample(path) for path in sorted(home.glob("train/*/*/*_rgb.jpg")))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        assert sample.image is not None
        image = read_rgb(sample.image)
        return image, np.zeros(image.shape[:2], np.uint8)


def _sample(path: Path) -> Sample:
    place = path.parent.name
    fits = path.name.startswith(f"{place}_") and place.startswith(f"{path.parent.parent.name}_")
    return Sample(path.stem, place, path, problem="" if fits else f"lies in another folder than {LAYOUT}")
