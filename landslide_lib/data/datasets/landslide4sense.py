"""Landslide4Sense: 128x128 patches of Sentinel-2 with slope and DEM (Ghorbanzadeh et al. 2022)."""

import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, Dataset, DownloadError, Sample, mark_twins
from landslide_lib.data.formats.files import IMAGES, MASKS, child, deliver, list_files, locate, pairs, several_masks
from landslide_lib.data.formats.pictures import as_mask

#: Said to carry the masks of all three parts; no checksum of it is known.
REPOSITORY = "ibm-nasa-geospatial/Landslide4sense"
FILE = re.compile(r"(images/\w+/image|annotations/\w+/mask)_\d+\.h5")  # what is wanted of it
SIZE = 128
PARTS = {"TrainData": "train", "ValidData": "valid", "TestData": "test"}  # the publisher's, and our names of them
#: Consecutive patches that count as one scene, as the scenes are not known. Patch n and n + 1 are neighbours, n and n +
#: 41 too (rows of 41), so a block of some rows keeps most of them together; the book measures what is left.
BLOCK = 164


class Landslide4Sense(Dataset):
    """3,799 / 245 / 800 patches of 14 bands, rescaled to about 1 per band.

    Reads both layouts in use: `TrainData/{img,mask}/image_N.h5, mask_N.h5` and `images/train/image_N.h5,
    annotations/train/mask_N.h5`, and folders named like them (`files.pairs`). HDF5 keys `img` and `mask`. A part whose
    folder of masks is missing has no truth: its images are never trained or tested on.

    Source: Ghorbanzadeh et al. (2022), doi:10.1109/TGRS.2022.3215209.
    """

    name = "landslide4sense"
    scale = "rescaled, about 1 per band"
    units = None  # the publisher does not say what it divided by
    metres_per_pixel = 10  # of Sentinel-2, to which slope and elevation were resampled
    about = "Landslide4Sense, 12 Sentinel-2 bands, slope, DEM (Ghorbanzadeh et al. 2022)"
    remedy = "landslide data download landslide4sense"

    def samples(self, root: Path) -> Sequence[Sample]:
        """List the patches of all parts by number; a block of consecutive numbers, which are neighbours, is a group."""
        expected, remedy = "image_N.h5 in TrainData/img/ or images/train/", f"get it with `{self.remedy}`"
        return mark_twins(_patches(locate(root, self.name, lambda home: any(_patches(home)), expected, remedy)))

    def read(self, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        assert sample.image is not None
        image = read_array(sample.image, "img", (SIZE, SIZE, len(self.bands))).astype(np.float32)
        if sample.mask is None:
            return image, np.zeros((SIZE, SIZE), np.uint8)
        return image, as_mask(read_array(sample.mask, "mask", (SIZE, SIZE)), sample.mask)

    def download(self, root: Path, repository: str = REPOSITORY, endpoint: str | None = None) -> Path:
        """Download the mirror on the Hugging Face hub (about 7 GB), or go on with it. Raises DownloadError."""
        from huggingface_hub import HfApi, snapshot_download

        def fetch(scratch: Path) -> tuple[Path, dict[str, str]]:
            folder = scratch / "files"
            try:
                about = HfApi(endpoint=endpoint).dataset_info(repository)
                patterns = ["images/*.h5", "annotations/*.h5"]
                fetch_all = partial(snapshot_download, repo_type="dataset", revision=about.sha, endpoint=endpoint)
                fetch_all(repository, local_dir=folder, allow_patterns=patterns)
                wanted = [file.rfilename for file in about.siblings or () if FILE.fullmatch(file.rfilename)]
                # Without a connection snapshot_download returns what an earlier call got.
                missing = [name for name in wanted if not (folder / name).is_file()]
                if missing or not wanted:
                    raise OSError(f"{len(missing)} files of {len(wanted)} are missing, such as {missing[:1]}")
            except Exception as error:  # the client raises its HTTP library's, which it changes
                problem = f"landslide4sense: {repository} cannot be fetched ({error})"
                raise DownloadError(f"{problem}. Try again: what has arrived is not fetched twice") from error
            shutil.rmtree(folder / ".cache", ignore_errors=True)
            return folder, {"repository": repository, "revision": str(about.sha)}

        return deliver(root / self.name, fetch)


def read_array(path: Path, key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Read an array from an HDF5 file. Raises BadFileError: also for another key or shape."""
    try:
        with h5py.File(path, "r") as file:
            node = file.get(key)
            if isinstance(node, h5py.Dataset) and node.dtype.kind in "fiub" and node.shape == shape:
                return np.asarray(node[()], np.float64)
            problem = f"{key} is {node}, not numbers of shape {shape}"
            if node is None:
                keys = ", ".join(map(str, file)) or "none"  # bytes where a name is damaged
                problem = f"has no key {key!r}; it has: {keys}"
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        problem = f"is truncated or no HDF5 file ({error})"
    raise BadFileError(path, problem)


def _patches(home: Path) -> list[Sample]:
    samples = []
    for original, part in PARTS.items():
        if folder := child(home, original):
            samples += _part(child(folder, *IMAGES) or folder / "img", child(folder, *MASKS), part)
    for pair in pairs(home, MASKS):
        samples += _part(pair.images, pair.truth if pair.truth != pair.images else None, pair.part)
    return samples


def _part(images: Path, truth: Path | None, part: str) -> list[Sample]:
    patches, masks = _numbered(images, "image"), _numbered(truth, "mask") if truth else {}
    samples = []
    for number in sorted(patches.keys() | masks.keys()):
        # What is missing is named by the file that ought to be there, when it is read.
        digits = (patches.get(number) or masks[number])[0].stem.split("_")[1]
        paths = masks.get(number, [truth / f"mask_{digits}.h5"] if truth else [])
        mask, named = (paths[0], part) if truth else (None, f"{part}, no masks")
        group = f"{part}/{(number - 1) // BLOCK}"
        samples += [
            Sample(f"{part}/{number}", group, image, mask, named, problem=several_masks(paths))
            for image in patches.get(number, [images / f"image_{digits}.h5"])
        ]
    return samples


def _numbered(folder: Path, word: str) -> dict[int, list[Path]]:
    numbered = defaultdict(list)
    for path in list_files(folder, {".h5"}):
        if match := re.fullmatch(rf"{word}_([0-9]+)", path.stem):
            numbered[int(match[1])].append(path)
    return dict(numbered)
