"""The boxes around the landslides of a packed dataset, read or derived from its masks, and crops with and without."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms  # type: ignore[import-untyped, unused-ignore]

from landslide_lib.data.base import BoxDataset, Dataset
from landslide_lib.data.pack import Packed
from landslide_lib.data.split import Indices
from landslide_lib.paths import data_root

Corners = NDArray[np.float32]

MIN_AREA = 4  # of a landslide that gets a box, in pixels of the packed mask: fewer are no more than a speck
EMPTY = 0.1  # a dataset of which at least this share of the images has no landslide gives whole images
STEPS = 4  # steps between the first and the last corner of the candidates, in a row and in a column of them
#: A crop is positive if it holds this share of a box's area. With less, what is seen may be the background in the box's
#: corner.
INSIDE = 0.5
#: Or if boxes cover this share of it: a piece of a landslide that is larger than the crop. The median box covers about
#: a thirtieth of a crop, so a tenth is more than an ordinary one shows.
COVERED = 0.1


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

    def __len__(self) -> int:
        return len(self.starts) - 1


def load_boxes(dataset: Dataset, packed: Packed, root: Path | None = None) -> Boxes:
    """Return the boxes of a packed dataset.

    Those of a `BoxDataset` are read from the data root that was packed and scaled like its pictures; those of another
    are derived from the packed masks, see `around`. Raises ValueError: the files at the root are not those that were
    packed.
    """
    if not isinstance(dataset, BoxDataset):
        return _joined(around(np.ascontiguousarray(mask)) for mask in packed.masks)
    root = root or data_root()
    named = {sample.id: sample for sample in dataset.samples(root) if not sample.problem}
    samples = [named[name] for name in packed.ids if name in named]
    # The fingerprint of a run covers its weights, too; that of the files alone lies beside the arrays.
    about = json.loads((packed.folder / "about.json").read_text("utf-8")) if packed.folder else vars(packed)
    if len(samples) < len(packed) or dataset.fingerprint(samples) != about["fingerprint"]:
        raise ValueError(f"{packed.name}: the files below {root} are not those that were packed; load the dataset anew")
    size = packed.masks.shape[-1]
    return _joined((dataset.boxes(sample) * size).astype(np.float32) for sample in samples)


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


def _joined(boxes: Iterable[Corners]) -> Boxes:
    of_images = list(boxes)
    starts = np.cumsum([0, *map(len, of_images)], dtype=np.int64)
    return Boxes(np.concatenate([np.zeros((0, 4), np.float32), *of_images]), starts)


class Crops(NamedTuple):
    """M square parts of images, each of which shows a landslide or shows none; all int64."""

    image: NDArray[np.int64]  # (M,), the number of the image in the packed dataset
    corner: NDArray[np.int64]  # (M, 2), left and top in pixels of the packed image
    side: NDArray[np.int64]  # (M,), in pixels
    label: NDArray[np.int64]  # (M,), 1 with a landslide and 0 without one


def examples(packed: Packed, indices: Indices, boxes: Boxes, per_image: int = 2, seed: int = 0) -> Crops:
    """Return examples for learning whether there is a landslide, in the order of `indices`, their kinds not balanced.

    Where at least a tenth of the dataset's images has no landslide they are the images themselves.
    Else they are crops of half the side, with corners on a regular grid, of each image at most `per_image` of each
    kind, whose draw depends on the seed and that image alone: positive with half of some box's area inside, or a tenth
    of the crop covered by boxes; negative without a pixel of a box or of the mask. All others are left out.
    """
    positives = packed.positive | np.array([len(boxes.of(i)) > 0 for i in range(len(packed))], dtype=bool)
    size = packed.masks.shape[-1]
    if np.mean(~positives) >= EMPTY:
        nothing = np.zeros((len(indices), 2), np.int64)
        return Crops(indices, nothing, np.full(len(indices), size), positives[indices].astype(np.int64))

    side = max(1, size // 2)
    rows: list[tuple[int, int, int, int]] = []
    for i in indices.tolist():
        draw = np.random.default_rng((seed, i))
        corners, positive, negative = _candidates(boxes.of(i), packed.masks[i], side)
        for label, candidates in ((1, positive), (0, negative)):
            for k in draw.permutation(np.flatnonzero(candidates))[:per_image]:
                rows.append((i, *corners[k].tolist(), label))
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Crops(table[:, 0], table[:, 1:3], np.full(len(table), side), table[:, 3])


def _candidates(
    boxes: NDArray[np.floating], mask: NDArray[np.uint8], side: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    boxes, size = boxes.astype(np.float64), mask.shape[-1]
    step = max(1, (size - side) // STEPS)
    places = np.arange(0, size - side + 1, step)
    corners = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)

    # Every pixel that a box touches, so that an edge between two pixels counts as met.
    touched = np.zeros(mask.shape, bool)
    outward = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1).astype(int)
    for left, top, right, bottom in outward:
        touched[top:bottom, left:right] = True

    def share(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
        windows = sliding_window_view(pixels, (side, side))[::step, ::step]
        return np.asarray(windows.mean((2, 3))).ravel()

    low = np.maximum(boxes[:, :2], corners[:, None])
    high = np.minimum(boxes[:, 2:], corners[:, None] + side)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    inside = np.clip(high - low, 0, None).prod(2) >= INSIDE * area  # (K, n)
    positive = inside.any(1) | (share(touched) >= COVERED)
    return corners, positive, share(touched | (mask > 0)) == 0


def cut(images: Tensor, crops: Crops) -> Tensor:
    """Cut M crops out of their images, `packed.images[crops.image]`, and enlarge them bilinearly: (M, C, S, S) to same.

    >>> image = torch.arange(16.0).view(1, 1, 4, 4)
    >>> one = np.ones(1, np.int64)
    >>> cut(image, Crops(0 * one, np.array([[2, 0]]), 2 * one, one))[0, 0, 0].tolist()
    [2.0, 2.25, 2.75, 3.0]
    """
    size = list(images.shape[-2:])
    parts = zip(images, crops.corner.tolist(), crops.side.tolist(), strict=True)
    cut_out = [transforms.resized_crop(image, top, left, side, side, size) for image, (left, top), side in parts]
    return torch.stack(cut_out)
