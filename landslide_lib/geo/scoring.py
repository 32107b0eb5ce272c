"""Scores of a folder of predicted masks beside a folder of true ones, whoever made them. No torch."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError
from landslide_lib.data.datasets.landslide4sense import SIZE, read_array
from landslide_lib.data.formats.files import list_files
from landslide_lib.data.formats.pictures import SUFFIXES, as_mask, open_picture, read_mask, turn
from landslide_lib.geo.objects import mask_counts
from landslide_lib.metrics.scores import CONVENTIONS, SCORES, scores


def counts(predicted: Path, truth: Path, threshold: float | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return tp, fp, fn, tn of each pair of masks, (N, 4), by name; and of all landslides, as `objects.mask_counts`.

    Files are paired by stem; `image_7` and `mask_007` are patch 7. HDF5 is as in Landslide4Sense. Raises ValueError: a
    mask has no partner or two, two differ in size, a value is not 0, 1 or 255, or a file cannot be read.

    With a threshold the predicted are maps of `predict`, GeoTIFFs with the probability of landslide, which is called
    above it; pixels that are unknown there (NaN) are counted nowhere.
    """
    ours, theirs = _named(predicted), _named(truth)
    for one, other, folder in ((theirs, ours, predicted), (ours, theirs, truth)):
        if alone := [path.name for key, path in one.items() if key not in other]:
            raise ValueError(f"{folder}: no mask for {len(alone)} of {len(one)}, such as {alone[0]}")
    pixels, objects = [], []
    for key, path in ours.items():
        called, real = _read(path) if threshold is None else _read_map(path, threshold), _read(theirs[key])
        if called.shape != real.shape:
            raise ValueError(f"{path}: is {called.shape}, {theirs[key]} is {real.shape}; both have to be of one size")
        known = np.ones(real.shape, bool)
        if isinstance(called, np.ma.MaskedArray):
            called, known = called.filled(False), ~np.ma.getmaskarray(called)
            real = real & known
        kinds = (called & real, called & ~real, ~called & real, ~called & ~real & known)
        pixels.append([int(kind.sum()) for kind in kinds])
        objects.append(mask_counts(called, real))
    return np.array(pixels, np.int64), np.sum(objects, 0)


def table(images: NDArray[np.int64]) -> pd.DataFrame:
    """Return the scores under every convention: a row each; of `two_class` the IoU is the mean IoU."""
    found = pd.DataFrame(scores(images)).T.reindex(index=CONVENTIONS, columns=["precision", "recall", *SCORES[:2]])
    return found.astype(float).assign(miou=lambda t: t.iou.where(t.index == "two_class"))


def _named(folder: Path) -> dict[str, Path]:
    """Return the masks of a folder by what they are paired by."""
    found: dict[str, Path] = {}
    for path in list_files(folder, {*SUFFIXES, ".h5"}):
        key = re.sub(r"^(?:image|mask)_0*(?=\d+$)", "", path.stem)
        if found.setdefault(key, path) is not path:
            raise ValueError(f"{path}: {found[key].name} is of the same image; leave one of the two out")
    if not found:
        raise ValueError(f"{folder}: holds no mask; PNG, TIFF or HDF5 (key mask) are read")
    return found


def _read(path: Path) -> NDArray[np.bool_]:
    try:
        if path.suffix.lower() == ".h5":
            return as_mask(read_array(path, "mask", (SIZE, SIZE)), path).astype(bool)
        picture = open_picture(path)
        return turn(read_mask(picture), picture.orientation).astype(bool)
    except BadFileError as error:  # whose remedy is for those who pack a dataset
        raise ValueError(f"{path}: {error.problem}") from None


def _read_map(path: Path, threshold: float) -> Any:
    """Return where a probability is above the threshold, masked where it is unknown."""
    import rasterio

    try:
        with rasterio.open(path) as file:
            probability = file.read(1, masked=True)
    except rasterio.RasterioIOError as error:
        raise ValueError(f"{path}: no map that can be read ({error})") from None
    if probability.count() and not 0 <= probability.min() <= probability.max() <= 1:
        raise ValueError(f"{path}: {probability.min():g} to {probability.max():g} are no probabilities, 0 to 1")
    return np.ma.array(probability.data > threshold, mask=np.ma.getmaskarray(probability) | np.isnan(probability.data))
