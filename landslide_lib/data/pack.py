"""A dataset as memory-mapped arrays of one image size: made once, then read by index."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from landslide_lib.data.bands import LABELS, source
from landslide_lib.data.base import BadFileError, BoxDataset, Dataset, Sample, printable, read_sample
from landslide_lib.data.formats.duplicates import Copies, across, copies
from landslide_lib.data.formats.files import listing, new_array, say_once
from landslide_lib.data.formats.remarks import remarks
from landslide_lib.fields import REVISIONS
from landslide_lib.paths import cache_root, data_root

#: Of the layout of the packed files and of how an image is resized.
REVISION = REVISIONS.get("pack", 1)


@dataclass(frozen=True)
class Packed:
    """A packed dataset.

    Attributes:
        name: The dataset's.
        images: (N, bands, S, S) float16, memory-mapped.
        masks: (N, S, S) uint8 in {0, 1}, memory-mapped.
        bands: Their names.
        ids: Of the N images.
        groups: The scene of each.
        parts: The publisher's part of each: `train`, `valid` or `test`.
        regions: Where each scene lies; "" if that is not known.
        fingerprint: Of the source files and the exclusions.
        excluded: Files that `skip_bad` left out, each with what is wrong with it.
        folder: Where it lies; None if it was made in memory.
        copies: Ids of images whose files are the same, byte for byte, in sets of two or more.
        target: The packed images that a network learnt on these is to work on; see `domains`.
        engineered: (N, S, S) float16 by name, memory-mapped: the channels that
            `engineered.with_bands` was asked for.
    """

    name: str
    images: NDArray[np.float16]
    masks: NDArray[np.uint8]
    bands: tuple[str, ...]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    parts: tuple[str, ...]
    regions: tuple[str, ...]
    fingerprint: str
    excluded: tuple[dict[str, str], ...]
    folder: Path | None = None
    engineered: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)
    target: Packed | None = None
    copies: Copies = ()

    @property
    def positive(self) -> NDArray[np.bool_]:
        """(N,) whether an image holds a landslide pixel."""
        return np.asarray(self.masks.any(axis=(1, 2)))

    def plane(self, name: str) -> NDArray[np.float16]:
        """Return one band of all images, (N, S, S), memory-mapped.

        Raises:
            ValueError: There is none of this name; `engineered.with_bands` makes some.
        """
        if name in self.engineered:
            return self.engineered[name]
        return self.images[:, self.bands.index(source(name, self.bands))]

    def read(self, rows: NDArray[np.int64], names: Sequence[str] = ()) -> NDArray[np.float16]:
        """Read some images, (len(rows), bands, S, S).

        Args:
            rows: Their numbers.
            names: The bands, in this order; () stands for the dataset's own.

        Raises:
            ValueError: There is none of this name; `engineered.with_bands` makes some.
        """
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
    """Return a dataset packed at an image size, packing it on first use.

    Images are resized to a square (area averaging when they shrink), so the aspect of an
    oblong image changes; a pixel of the small mask is landslide where at least half of
    the area that it covers is. Metrics are those of the resized masks.

    Args:
        dataset: What to load.
        image_size: S, in pixels.
        root: The data root; by default `LANDSLIDE_DATA`.
        cache: Where packed arrays are kept; by default `LANDSLIDE_CACHE`.
        skip_bad: Leave unusable files out and list them, where otherwise the first one ends
            the packing.

    Returns:
        The packed dataset, memory-mapped.

    Raises:
        DatasetNotFoundError: It is not there.
        BadFileError: A file cannot be used and `skip_bad` is not set, no file can be used, or
            the packed copy is damaged.
    """
    samples = dataset.samples(root or data_root())
    cache = cache or cache_root()
    cache.mkdir(parents=True, exist_ok=True)
    kind = f"{dataset.name}-{image_size}px-{listing(samples)}-{revision(dataset)}{'s' * skip_bad}"
    folder = cache / kind
    if not folder.is_dir():
        with FileLock(cache / f"{kind}.lock"):
            if not folder.is_dir():
                _pack(dataset, samples, image_size, folder, skip_bad)
    try:
        packed = _open(dataset.name, folder)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        remedy = "Remove the folder; it is made anew on the next use"
        raise BadFileError(folder, f"the packed copy is damaged ({error})", remedy) from error
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    if "copies" not in about:  # packed before they were looked for
        used = set(packed.ids)
        return replace(packed, copies=copies(sample for sample in samples if sample.id in used))
    return packed


def revision(dataset: Dataset) -> str:
    """Return the revision of packing and that of a dataset's reader, such as `1.2`."""
    return f"{REVISION}.{REVISIONS.get(f'dataset/{dataset.name}', 1)}"


def _open(name: str, folder: Path) -> Packed:
    about: dict[str, Any] = json.loads((folder / "about.json").read_text("utf-8"))
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    masks = np.load(folder / "masks.npy", mmap_mode="r", allow_pickle=False)
    if not len(images) == len(masks) == len(about["ids"]):
        raise ValueError(f"{len(images)} images, {len(masks)} masks, {len(about['ids'])} names")
    return Packed(
        name=name,
        images=images,
        masks=masks,
        bands=tuple(about["bands"]),
        ids=tuple(about["ids"]),
        groups=tuple(about["groups"]),
        parts=tuple(about["parts"]),
        regions=tuple(about["regions"]),
        fingerprint=about["fingerprint"],
        excluded=tuple(about["excluded"]),
        folder=folder,
        copies=tuple(map(tuple, about.get("copies", ()))),
    )


def _pack(dataset: Dataset, samples: Sequence[Sample], size: int, folder: Path, skip_bad: bool) -> None:
    """Write into a folder beside the final one and rename it: complete or not there.

    The caller holds the lock, so a folder that is there already was left by a killed process.
    """
    scratch = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for remark in remarks(samples):
        say_once(f"{dataset.name}: {remark}")
    try:
        # Space for both is reserved before anything is read: that takes minutes.
        count, bands = len(samples), len(dataset.bands)
        images = new_array(scratch / "images.npy", np.float16, (count, bands, size, size))
        masks = new_array(scratch / "masks.npy", np.uint8, (count, size, size))
        kept: list[Sample] = []
        excluded: list[dict[str, str]] = []
        bad: BadFileError | None = None
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            results = pool.map(lambda s: _read(dataset, s, size), samples)
            title = f"packing {dataset.name}"
            bar = tqdm(results, title, total=len(samples), disable=None, leave=False)
            for sample, result in zip(samples, bar, strict=True):
                if isinstance(result, BadFileError):
                    if not skip_bad:
                        raise result
                    bad = bad or result
                    path = result.path
                    where = printable(f"{path.parent.name}/{path.name}")
                    excluded.append({"file": where, "problem": result.problem})
                    continue
                images[len(kept)], masks[len(kept)] = result
                kept.append(sample)
        finally:
            # On the first bad file the rest is not read.
            pool.shutdown(cancel_futures=True)
        if bad and not kept:
            problem = f"{bad.problem}; none of the {len(samples)} images can be used"
            raise BadFileError(bad.path, problem, f"Get the dataset again: {dataset.remedy}")
        for name, array in (("images", images), ("masks", masks)):
            array.flush()
            if excluded:
                some = new_array(scratch / "some.npy", array.dtype, (len(kept), *array.shape[1:]))
                some[:] = array[: len(kept)]
                (scratch / "some.npy").replace(scratch / f"{name}.npy")
        about = {
            "bands": dataset.bands,
            "ids": [sample.id for sample in kept],
            "groups": [sample.group for sample in kept],
            "parts": [sample.part for sample in kept],
            "regions": [sample.region for sample in kept],
            "fingerprint": dataset.fingerprint(kept),
            "excluded": excluded,
            "copies": copies(kept),
        }
        (scratch / "about.json").write_text(json.dumps(about), "utf-8")
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _read(dataset: Dataset, sample: Sample, size: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]] | BadFileError:
    try:
        image, mask = read_sample(dataset, sample)
    except BadFileError as error:
        return error
    return resize(image, mask, size)


def resize(
    image: NDArray[np.float32], mask: NDArray[np.uint8], size: int
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Resize (H, W, C) and (H, W) to (C, size, size) float16 and (size, size) uint8."""
    if image.shape[:2] != (size, size):
        smaller = image.shape[0] * image.shape[1] > size * size
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        # Band by band: OpenCV resizes four channels at most by area.
        bands = [cv2.resize(image[..., c], (size, size), interpolation=how) for c in range(image.shape[2])]
        image = np.stack(bands, axis=-1)
        share = cv2.resize(mask.astype(np.float32), (size, size), interpolation=how)
        mask = (share >= 0.5).astype(np.uint8)
    return image.transpose(2, 0, 1).astype(np.float16), mask


@dataclass(frozen=True)
class Problem:
    """A file that `verify` found unusable."""

    file: str
    problem: str


@dataclass(frozen=True)
class Verdict:
    """What `verify` found of a dataset.

    Attributes:
        name: The dataset's.
        images: How many can be used.
        with_landslide: How many of them hold a landslide pixel, or a box.
        landslide_share: Of the pixels of the images whose truth is known; None where it is boxes
            or labels.
        boxes: How many there are; None where the truth is masks or labels.
        sizes: Heights and widths, all of up to three, else the smallest and the largest.
        bands: Minimum, maximum, mean and standard deviation of each.
        bad: Each file that cannot be used, and why.
        parts: How many usable images each part has, such as `train` or `test, no masks`.
        copies: Ids of usable images whose files are the same, byte for byte.
        leaks: Those of them that lie in more than one part.
        remarks: What is usable and yet worth a word, see `remarks.remarks`.
    """

    name: str
    images: int
    with_landslide: int
    landslide_share: float | None
    boxes: int | None
    sizes: tuple[str, ...]
    bands: dict[str, dict[str, float]]
    bad: tuple[Problem, ...]
    parts: dict[str, int]
    copies: Copies = ()
    leaks: Copies = ()
    remarks: tuple[str, ...] = ()

    def asdict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def verify_files(dataset: Dataset, root: Path | None = None) -> Verdict:
    """Read every file of a dataset and say what is there and what is wrong.

    Args:
        dataset: What to verify.
        root: The data root; by default `LANDSLIDE_DATA`.

    Returns:
        The verdict; `bad` is empty where every file can be used.

    Raises:
        DatasetNotFoundError: It is not there.
    """
    bad, sizes, stats = [], set(), []
    usable: list[Sample] = []
    counts: Counter[str] = Counter()
    positive = pixels = landslide = boxes = 0
    boxed = isinstance(dataset, BoxDataset)
    samples = dataset.samples(root or data_root())
    for sample in tqdm(samples, desc=f"verifying {dataset.name}", disable=None, leave=False):
        try:
            image, mask = read_sample(dataset, sample)
        except BadFileError as error:
            bad.append(Problem(printable(str(error.path)), error.problem))
            continue
        counts[sample.part] += 1
        usable.append(sample)
        sizes.add(image.shape[:2])
        drawn = len(dataset.boxes(sample)) if isinstance(dataset, BoxDataset) else 0
        boxes += drawn
        positive += bool(mask.any() or drawn)
        if not sample.part.endswith("no masks"):
            pixels += mask.size
        landslide += int(mask.sum())
        flat = image.reshape(-1, image.shape[2]).astype(np.float64)
        stats.append((flat.min(0), flat.max(0), flat.sum(0), (flat**2).sum(0), len(flat)))
    bands = {}
    if stats:
        low, high, total, square, count = (np.array(column) for column in zip(*stats, strict=True))
        mean = total.sum(0) / count.sum()
        std = np.sqrt(np.maximum(square.sum(0) / count.sum() - mean**2, 0))
        for i, name in enumerate(dataset.bands):
            bands[name] = {
                "min": float(low.min(0)[i]),
                "max": float(high.max(0)[i]),
                "mean": float(mean[i]),
                "std": float(std[i]),
            }
    masked = not boxed and dataset.name not in LABELS
    same = copies(usable)
    ordered = sorted(sizes)
    shown = [f"{h}x{w}" for h, w in (ordered if len(ordered) < 4 else (ordered[0], ordered[-1]))]
    return Verdict(
        dataset.name,
        counts.total(),
        positive,
        (landslide / pixels if pixels else 0.0) if masked else None,
        boxes if boxed else None,
        tuple(shown),
        bands,
        tuple(bad),
        dict(counts),
        same,
        across(same, {sample.id: sample.part for sample in usable}),
        tuple(remarks(samples)),
    )
