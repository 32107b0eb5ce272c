"""The Bijie landslide dataset: RGB of TripleSat with masks (Ji et al. 2020)."""

import shutil
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pooch
from numpy.typing import NDArray

from landslide_lib.data.base import Dataset, DownloadError, Sample, mark_twins
from landslide_lib.data.formats.files import deliver
from landslide_lib.data.formats.locate import IMAGES, MASKS, child, locate, match_truth, several_masks
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import list_images

#: Where the publisher serves it; Ji et al. give no checksum, so none is invented here.
ADDRESS = "http://gpcv.whu.edu.cn/data/Bijie-landslide-dataset.zip"


class Bijie(Dataset):
    """770 landslides and 2,003 images without one, Bijie, Guizhou, 0.8 m.

    Reads the original (PNG at native size, with a DEM that is ignored) and reduced JPEG copies of the same layout:
    `landslide/{image,mask}` and `non-landslide/image`, or folders named like them (`locate.IMAGES`, `locate.MASKS`). An
    image of `non-landslide` has an empty mask.

    Source: Ji, Yu, Shen, Li, Xu (2020), Landslides 17, doi:10.1007/s10346-020-01353-2.
    """

    name = "bijie"
    about = "Bijie landslides, RGB, 0.8 m (Ji et al. 2020)"
    remedy = "landslide data download bijie"
    metres_per_pixel = 0.8  # of TripleSat (Ji et al. 2020); coarser where a copy is reduced

    def samples(self, root: Path) -> Sequence[Sample]:
        """List landslides first, then the rest, by file name; each image is a scene, as none are published."""
        remedy, aliases = f"get it with `{self.remedy}`", ["Bijie-landslide-dataset"]
        home = locate(root, Bijie.name, _holds_images, "picture in landslide/image/", remedy, aliases)
        images, others = _images(home, "landslide"), _images(home, "non-landslide")
        truth = child(images.parent, *MASKS) or images.parent / "mask"
        samples = [
            Sample(image.stem, image.stem, image, masks[0], problem=several_masks(masks))
            for image, masks in match_truth(list_images(images), images, list_images(truth), truth)
        ]
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


class BijieDegraded(Bijie):
    """Every fifth image of `Bijie` as another sensor might see it; masks are unchanged.

    Its pixels are `COARSER` times as wide, blurred by a Gaussian of half a new pixel, and brought back to the old size
    bilinearly; its red, green and blue are mixtures of the old ones, see `MIXTURE`, under haze that is bluest. All of
    it is fixed and ours. Who learns from `Bijie` for it leaves these places out, see `study.domains.parts`.
    """

    name = "bijie-degraded"
    about = "every fifth image of Bijie, blurred, coarser and hazy (this study)"
    places_of = Bijie.name

    def samples(self, root: Path) -> Sequence[Sample]:
        return super().samples(root)[::5]

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        image, mask = super().read(sample)
        return degrade(image), mask


COARSER = 8  # 6.4 m from 0.8 m, about the pixel of RapidEye
MIXTURE = np.array([[0.6, 0.2, 0.0], [0.1, 0.5, 0.1], [0.0, 0.2, 0.4]], np.float32)  # new red, green, blue of old ones
HAZE = np.array([0.1, 0.15, 0.25], np.float32)  # what is added to each


def degrade(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image (H, W, 3) in 0..1 as `BijieDegraded` describes it, in 0..1."""
    height, width = image.shape[:2]
    image = cv2.GaussianBlur(image @ MIXTURE.T + HAZE, (0, 0), COARSER / 2)
    small = max(1, round(width / COARSER)), max(1, round(height / COARSER))
    coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))


def _images(home: Path, category: str) -> Path:
    folder = child(home, category) or home / category
    return child(folder, *IMAGES) or folder / "image"


def _holds_images(home: Path) -> bool:
    categories = ("landslide", "non-landslide")
    return child(home, "landslide") is not None and any(list_images(_images(home, name)) for name in categories)
