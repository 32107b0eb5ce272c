"""The boxes around the landslides of a packed dataset: read, or derived from its masks."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.base import BadFileError, BoxDataset, Dataset
from landslide_lib.data.pack import REMOVE, Packed
from landslide_lib.fields import REVISIONS
from landslide_lib.paths import atomic_write, data_root

Corners = NDArray[np.float32]

#: Of a landslide that gets a box, in pixels of the packed mask: fewer are no more than a speck.
MIN_AREA = 4


@dataclass(frozen=True)
class Boxes:
    """The boxes of all images of a packed dataset: image i has `corners[starts[i]:starts[i + 1]]`."""

    corners: Corners  # (M, 4): xmin, ymin, xmax, ymax in pixels of the packed images, edges in 0..S, image by image
    starts: NDArray[np.int64]  # (N + 1,)

    def of(self, i: int) -> Corners:
        """Return a copy of the boxes of one image, (n, 4), n at least 0. Raises IndexError: there is no such image."""
        if not 0 <= i < len(self):
            raise IndexError(f"image {i} of {len(self)}")
        return self.corners[self.starts[i] : self.starts[i + 1]].copy()

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when a box does, or the image that it is of."""
        return sha256(self.starts.tobytes() + self.corners.tobytes()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.starts) - 1


def load_boxes(dataset: Dataset, packed: Packed, root: Path | None = None) -> Boxes:
    """Return the boxes of a packed dataset, made on first use and stored beside its arrays.

    Those of a `BoxDataset` are read from the data root that was packed and scaled like its pictures; those of another
    are derived from the packed masks, see `around`. Raises ValueError: the files at the root are not those that were
    packed. BadFileError: the file in which they are stored is damaged.
    """
    if packed.folder is None:
        return _make(dataset, packed, root)
    path = packed.folder / f"boxes-{REVISIONS.get('boxes', 1)}.npz"
    if not path.exists():
        boxes = _make(dataset, packed, root)
        # Into an open file: numpy would add .npz to a name.
        with atomic_write(path) as scratch, scratch.open("wb") as file:
            np.savez(file, corners=boxes.corners, starts=boxes.starts)
    try:
        with np.load(path) as stored:
            boxes = Boxes(stored["corners"], stored["starts"])
        if len(boxes) != len(packed) or boxes.corners.shape != (boxes.starts[-1], 4):
            raise ValueError(f"{boxes.corners.shape} corners of {len(boxes)} images")
    except (OSError, EOFError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise BadFileError(path, f"the boxes are damaged ({error})", REMOVE.format("file")) from error
    return boxes


def around(mask: NDArray[np.uint8], least: int = MIN_AREA) -> Corners:
    """Return the boxes around the landslides of a mask, (n, 4) float32: the outer edges of their outermost pixels.

    Pixels that touch at a side or a corner are one landslide; one of fewer than `least` pixels gets no box.

    >>> around(np.eye(4, 6, dtype=np.uint8))
    array([[0., 0., 4., 4.]], dtype=float32)
    """
    # The first line is that of the background.
    areas = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:]
    left, top, width, height = areas[areas[:, cv2.CC_STAT_AREA] >= least, : cv2.CC_STAT_AREA].T
    return np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)


def _make(dataset: Dataset, packed: Packed, root: Path | None) -> Boxes:
    if not isinstance(dataset, BoxDataset):
        return _joined(around(np.ascontiguousarray(mask)) for mask in packed.masks)
    root = root or data_root()
    named = {sample.id: sample for sample in dataset.samples(root) if not sample.problem}
    samples = [named[name] for name in packed.ids if name in named]
    if len(samples) < len(packed) or dataset.fingerprint(samples) != packed.fingerprint:
        raise ValueError(f"{packed.name}: the files below {root} are not those that were packed; load the dataset anew")
    size = packed.masks.shape[-1]
    return _joined((dataset.boxes(sample) * size).astype(np.float32) for sample in samples)


def _joined(boxes: Iterable[Corners]) -> Boxes:
    of_images = list(boxes)
    starts = np.cumsum([0, *map(len, of_images)], dtype=np.int64)
    return Boxes(np.concatenate([np.zeros((0, 4), np.float32), *of_images]), starts)
