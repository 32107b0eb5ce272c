"""The Bijie landslide dataset: RGB of TripleSat with masks (Ji et al. 2020)."""

from __future__ import annotations

import shutil
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pooch
from numpy.typing import NDArray

from landslide_lib.data.base import DownloadError, Sample, mark_twins
from landslide_lib.data.formats.files import by_stem, deliver, hash_files, stem
from landslide_lib.data.formats.locate import IMAGES, MASKS, child, locate
from landslide_lib.data.formats.masks import read_pair
from landslide_lib.data.formats.pictures import list_images, read_rgb

#: Where the publisher serves it; Ji et al. give no checksum, so none is invented here.
ADDRESS = "http://gpcv.whu.edu.cn/data/Bijie-landslide-dataset.zip"


class Bijie:
    """770 landslides and 2,003 images without one, Bijie, Guizhou, 0.8 m.

    Reads the original (PNG at native size, with a DEM that is left alone) and reduced JPEG
    copies of the same layout: `landslide/{image,mask}` and `non-landslide/image`, in
    `bijie/` or `Bijie-landslide-dataset/`, or folders named like them (`locate.IMAGES`,
    `locate.MASKS`). An image of `non-landslide` has an empty mask.

    Source: Ji, Yu, Shen, Li, Xu (2020), Landslides 17, doi:10.1007/s10346-020-01353-2.
    """

    name = "bijie"
    bands: tuple[str, ...] = ("R", "G", "B")
    scale = "digital number / 255"
    about = "Bijie landslides, RGB, 0.8 m (Ji et al. 2020)"
    remedy = "landslide data download bijie"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List landslides first, then the rest, each in the order of its file names.

        Scenes are not published: each image is a group of its own. A mask without its image
        is listed behind the landslides, with the image that ought to be there.
        """
        home = locate(
            root,
            self.name,
            _holds_images,
            "picture in landslide/image/",
            f"get it with `{self.remedy}`",
            aliases=["Bijie-landslide-dataset"],
        )
        landslide, rest = _images(home, "landslide"), _images(home, "non-landslide")
        truth = child(landslide.parent, *MASKS) or landslide.parent / "mask"
        masks = by_stem(list_images(truth))
        found = []
        images = list_images(landslide)
        for image in images:
            # A missing mask is named by the file that ought to be there, when it is read.
            mask = masks.get(stem(image), [truth / f"{image.stem}.png"])
            problem = f"has {len(mask)} masks: {', '.join(m.name for m in mask)}"
            found.append(Sample(image.stem, image.stem, image, mask[0], problem=problem if len(mask) > 1 else ""))
        for alone in sorted(masks.keys() - set(map(stem, images))):
            image = landslide / masks[alone][0].name
            found.append(Sample(alone, alone, image, masks[alone][0]))
        for image in list_images(rest):
            found.append(Sample(f"non/{image.stem}", f"non/{image.stem}", image))
        return mark_twins(found)

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read RGB in 0..1 and the mask."""
        assert sample.image is not None
        if sample.mask is not None:
            return read_pair(sample)
        image = read_rgb(sample.image)
        return image, np.zeros(image.shape[:2], np.uint8)

    def fingerprint(self, samples: Sequence[Sample]) -> str:
        """Hash names and bytes of all files."""
        return hash_files(samples)

    def download(self, root: Path, address: str = ADDRESS) -> Path:
        """Fetch and unpack the publisher's archive (about 1.2 GB) to `bijie/`.

        Whatever its top folder is called, the folder that holds `landslide/image` is taken.

        Raises:
            DownloadError: The server, or the archive, is not what it should be.
        """

        def fetch(work: Path) -> tuple[Path, dict[str, str]]:
            try:
                archive = pooch.retrieve(
                    address, known_hash=None, path=work, fname="archive.zip", progressbar=sys.stderr.isatty()
                )
            except OSError as error:
                raise DownloadError(f"bijie: {address} cannot be fetched ({error}). {again}") from error
            checksum = pooch.file_hash(archive)
            unpacked = work / "unpacked"
            shutil.rmtree(unpacked, ignore_errors=True)
            try:
                # Checks the sum of each file, and writes below this folder whatever the
                # names in the archive say.
                pooch.Unzip(extract_dir=unpacked.name)(archive, "download", None)
            except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
                Path(archive).unlink()
                raise DownloadError(
                    f"bijie: what {address} sent is truncated or no zip archive ({error}). {again}"
                ) from error
            for folder in sorted(unpacked.rglob("landslide/image")):
                if list_images(folder):
                    return folder.parent.parent, {"address": address, "sha256": checksum}
            Path(archive).unlink()
            raise DownloadError(f"bijie: the archive of {address} has no image in a landslide/image/. {again}")

        again = f"Try again, or unpack it by hand so that {root / self.name / 'landslide'} is there"
        return deliver(root / self.name, fetch)


def _images(home: Path, kind: str) -> Path:
    """Return the folder of the images with landslides, or of those without."""
    folder = child(home, kind) or home / kind
    return child(folder, *IMAGES) or folder / "image"


def _holds_images(home: Path) -> bool:
    kinds = ("landslide", "non-landslide")
    return child(home, kinds[0]) is not None and any(list_images(_images(home, k)) for k in kinds)
