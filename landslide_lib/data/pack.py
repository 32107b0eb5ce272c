"""A dataset and its engineered channels as memory-mapped arrays of one image size: made once, then read by index."""

import json
import os
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from landslide_lib.data.bands import ENGINEERED, check, engineer, source
from landslide_lib.data.base import BadFileError, Dataset, Sample, printable, read_sample
from landslide_lib.data.formats.duplicates import Copies, copies
from landslide_lib.data.formats.files import listing, new_array
from landslide_lib.fields import REVISIONS
from landslide_lib.paths import atomic_write, cache_root, data_root

Item = TypeVar("Item")
Result = TypeVar("Result")
REVISION = REVISIONS.get("pack", 1)  # of the layout of the packed files and of how an image is resized
REMOVE = "Remove the {}; it is made anew on the next use"  # the remedy for a damaged file of the cache
CHUNK = 16  # images whose channels a thread engineers at once: their planes stay in its cache


@dataclass(frozen=True)
class Packed:
    """A packed dataset of N images."""

    name: str  # the dataset's
    images: NDArray[np.float16]  # (N, bands, S, S), memory-mapped
    masks: NDArray[np.uint8]  # (N, S, S) in {0, 1}, memory-mapped
    bands: tuple[str, ...]  # their names
    ids: tuple[str, ...]  # of the N images
    groups: tuple[str, ...]  # the scene of each
    parts: tuple[str, ...]  # the publisher's part of each: `train`, `valid` or `test`
    regions: tuple[str, ...]  # where each scene lies; "" if that is not known
    fingerprint: str  # of the source files and the exclusions
    excluded: tuple[dict[str, str], ...]  # files that `skip_bad` left out, each with what is wrong with it
    folder: Path | None = None  # where it lies; None if it was made in memory
    #: (N, S, S) by name, memory-mapped: the channels that `with_bands` was asked for.
    engineered: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)
    target: "Packed | None" = None  # the images that a network learnt on these is applied to; see `study.domains`
    copies: Copies = ()  # ids of images whose files are the same, byte for byte, in sets of two or more

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(N,) whether an image holds a landslide pixel."""
        return np.asarray(self.masks.any(axis=(1, 2)))

    def plane(self, name: str) -> NDArray[np.float16]:
        """Return one band of all images, (N, S, S), memory-mapped. Raises ValueError: there is none of this name."""
        if name in self.engineered:
            return self.engineered[name]
        return self.images[:, self.bands.index(source(name, self.bands))]

    def read(self, rows: NDArray[np.int64], names: Sequence[str] = ()) -> NDArray[np.float16]:
        """Read images, (len(rows), bands, S, S), by default all own bands. Raises ValueError: there is no such band."""
        names = names or self.bands
        if any(name in self.engineered for name in names):
            return np.stack([self.plane(name)[rows] for name in names], axis=1)
        columns = [self.bands.index(source(name, self.bands)) for name in names]
        return self.images[rows][:, columns]

    def __len__(self) -> int:
        return len(self.ids)


def load_packed(
    dataset: Dataset, image_size: int, *, root: Path | None = None, cache: Path | None = None, skip_bad: bool = False
) -> Packed:
    """Return a dataset packed at an image size, S pixels, packing it on first use.

    Images are resized to a square (area averaging when they shrink); a pixel of the small mask is landslide where at
    least half of its area is. With `skip_bad` unusable files are left out and listed; otherwise the first one ends the
    packing. Raises DatasetNotFoundError: it is not there. BadFileError: a file, or all of them, or the packed copy
    cannot be used.
    """
    samples = dataset.samples(root or data_root())
    cache = cache or cache_root()
    cache.mkdir(parents=True, exist_ok=True)
    key = f"{dataset.name}-{image_size}px-{listing(samples)}-{revision(dataset)}{'s' * skip_bad}"
    folder = cache / key
    if not folder.is_dir():
        scratch = cache / f".{key}.part"
        with FileLock(cache / f"{key}.lock"):
            shutil.rmtree(scratch, ignore_errors=True)
            try:
                if not folder.is_dir():
                    scratch.mkdir()
                    _pack(dataset, samples, image_size, scratch, skip_bad)
                    scratch.rename(folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    try:
        about = json.loads((folder / "about.json").read_text("utf-8"))
        columns: dict[str, Any] = {
            name: tuple(about[name]) for name in ("bands", "ids", "groups", "parts", "regions", "excluded")
        }
        columns["copies"] = tuple(map(tuple, about["copies"]))
        images, masks = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "masks"))
        if not len(images) == len(masks) == len(columns["ids"]):
            raise ValueError(f"{len(images)} images, {len(masks)} masks, {len(columns['ids'])} names")
        return Packed(dataset.name, images, masks, fingerprint=about["fingerprint"], folder=folder, **columns)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise BadFileError(folder, f"the packed copy is damaged ({error})", REMOVE.format("folder")) from error


def revision(dataset: Dataset) -> str:
    """Return the revision of packing and that of a dataset's reader, such as `1.2`."""
    return f"{REVISION}.{REVISIONS.get(f'dataset/{dataset.name}', 1)}"


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], title: str, together: int = 1
) -> Generator[Result, None, None]:
    """Call a function for each item in threads, `together` of them in one; after an error the rest is not begun."""
    pool = ThreadPoolExecutor(os.cpu_count())
    runs = [items[start : start + together] for start in range(0, len(items), together)]
    try:
        results = chain.from_iterable(pool.map(lambda run: [function(item) for item in run], runs))
        yield from tqdm(results, title, len(items), disable=None, leave=False)
    finally:
        pool.shutdown(cancel_futures=True)


def _pack(dataset: Dataset, samples: Sequence[Sample], size: int, folder: Path, skip_bad: bool) -> None:
    images = new_array(folder / "images.npy", np.float16, (len(samples), len(dataset.bands), size, size))
    masks = new_array(folder / "masks.npy", np.uint8, (len(samples), size, size))
    usable: list[Sample] = []
    bad: list[BadFileError] = []

    def read(sample: Sample) -> tuple[NDArray[np.float16], NDArray[np.uint8]] | BadFileError:
        try:
            return resize(*read_sample(dataset, sample), size)
        except BadFileError as error:
            return error

    with closing(in_threads(read, samples, f"packing {dataset.name}", dataset.together)) as results:
        for sample, result in zip(samples, results, strict=True):
            if not isinstance(result, BadFileError):
                images[len(usable)], masks[len(usable)] = result
                usable.append(sample)
            elif skip_bad:
                bad.append(result)
            else:
                raise result
    if bad and not usable:
        problem = f"{bad[0].problem}; none of the {len(samples)} images can be used"
        raise BadFileError(bad[0].path, problem, f"Get the dataset again: {dataset.remedy}")
    for name, array in (("images", images), ("masks", masks)):
        array.flush()
        if bad:
            shorter = new_array(folder / "some.npy", array.dtype, (len(usable), *array.shape[1:]))
            shorter[:] = array[: len(usable)]
            (folder / "some.npy").replace(folder / f"{name}.npy")
    about = {
        "bands": dataset.bands,
        **{f"{name}s": [getattr(sample, name) for sample in usable] for name in ("id", "group", "part", "region")},
        "fingerprint": dataset.fingerprint(usable),
        "excluded": [
            {"file": printable(f"{error.path.parent.name}/{error.path.name}"), "problem": error.problem}
            for error in bad
        ],
        "copies": copies(usable),
    }
    (folder / "about.json").write_text(json.dumps(about), "utf-8")


def resize(
    image: NDArray[np.float32], mask: NDArray[np.uint8], size: int
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Resize (H, W, C) and (H, W) to (C, size, size) float16 and (size, size) uint8."""
    if image.shape[:2] != (size, size):
        smaller = image.shape[0] * image.shape[1] > size * size
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        # Band by band: OpenCV resizes four channels at most by area.
        bands = [cv2.resize(image[..., c], (size, size), interpolation=method) for c in range(image.shape[2])]
        image = np.stack(bands, axis=-1)
        share = cv2.resize(mask.astype(np.float32), (size, size), interpolation=method)
        mask = (share >= 0.5).astype(np.uint8)
    return image.transpose(2, 0, 1).astype(np.float16), mask


def with_bands(packed: Packed, names: Sequence[str]) -> Packed:
    """Return a packed dataset of which these bands can be read, engineered ones in its `engineered`.

    An engineered channel is computed from the packed images and stored beside them, a file each. Raises ValueError: the
    dataset has no such band and none to make it of, or lies nowhere. BadFileError: a file is damaged.
    """
    check(names, packed.bands, packed.name)
    wanted = [name for name in names if name in ENGINEERED and name not in packed.engineered]
    if not wanted:
        return packed
    if packed.folder is None:
        raise ValueError(f"bands: {packed.name} lies in no folder, beside which {', '.join(wanted)} could be kept")
    paths = {name: packed.folder / f"{name}-{REVISIONS.get(f'bands/{name}', 1)}.npy" for name in wanted}
    if not all(path.exists() for path in paths.values()):
        # The lock that packed the folder.
        with FileLock(packed.folder.with_name(f"{packed.folder.name}.lock")):
            _engineer(packed, {name: path for name, path in paths.items() if not path.exists()})
    opened = {name: _open_channel(path, packed) for name, path in paths.items()}
    return replace(packed, engineered={**packed.engineered, **opened})


def _engineer(packed: Packed, paths: Mapping[str, Path]) -> None:
    planes = {band: packed.plane(band) for name in paths for band in ENGINEERED[name].of}
    whole = {band for name in paths if ENGINEERED[name].whole for band in ENGINEERED[name].of}
    extremes = {band: (float(planes[band].min()), float(planes[band].max())) for band in whole}

    def fill(start: int) -> None:
        part = slice(start, start + CHUNK)
        inputs = {band: plane[part].astype(np.float32) for band, plane in planes.items()}
        for name, values in engineer(paths, inputs, extremes).items():
            files[name][part] = values

    with ExitStack() as stack:
        scratch = {name: stack.enter_context(atomic_write(path)) for name, path in paths.items()}
        files = {name: new_array(path, np.float16, packed.images[:, 0].shape) for name, path in scratch.items()}
        for _ in in_threads(fill, range(0, len(packed), CHUNK), f"engineering {packed.name}"):
            pass
        for file in files.values():
            file.flush()


def _open_channel(path: Path, packed: Packed) -> NDArray[np.float16]:
    try:
        plane: NDArray[np.float16] = np.load(path, mmap_mode="r")
        if plane.shape != packed.images[:, 0].shape or plane.dtype != np.float16:
            raise ValueError(f"{plane.dtype} of {plane.shape}, not float16 of {packed.images[:, 0].shape}")
    except (OSError, EOFError, ValueError) as error:
        raise BadFileError(path, f"the channel is damaged ({error})", REMOVE.format("file")) from error
    return plane
