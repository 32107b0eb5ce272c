"""The weights of the pixels in losses that look at outlines and centres, from the mask alone, by OpenCV's distances.

Masks (B, 1, H, W) of 0 and 1 give weights of the same shape, float32. A GPU waits for them. Distances are in pixels, of
the chessboard unless said; what lies outside the image belongs to neither class.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Mask = NDArray[np.uint8]  # (H, W)


def boundary_weights(target: Tensor, *, weight: float, sigma: float) -> Tensor:
    """Weight the pixels by 1 + weight * exp(-d^2 / (2 sigma^2)), d the distance to a boundary.

    It is of the pixels with one of the other class among their eight neighbours, so both sides of an outline have
    d = 0. Beyond ceil(3 sigma) the weight is 1.

    >>> w = boundary_weights(torch.tensor([[[[0, 0, 0, 1, 1, 1]]]]), weight=1.0, sigma=0.5)
    >>> [round(v, 2) for v in w.flatten().tolist()]
    [1.0, 1.14, 2.0, 2.0, 1.14, 1.0]
    """

    def weigh(mask: Mask) -> NDArray[np.floating]:
        d = np.where(mask, _depth(mask), _depth(1 - mask)) - 1
        return 1 + weight * np.exp(np.square(d / sigma) / -2) * (d <= math.ceil(3 * sigma))

    return _of_each(target, weigh)


def center_weights(target: Tensor, *, weight: float) -> Tensor:
    """Weight landslide pixels by 1 + weight * depth / (depth of the region's deepest pixel).

    The depth is the distance to the background, 1 on a region's edge, at most max(H, W) // 2. A landslide that the
    image's border cuts may be deepest there. A region is joined by its pixels' eight neighbours.

    >>> center_weights(torch.tensor([[[[0, 1, 1, 1, 1, 0, 1, 0]]]]), weight=5.0)[0, 0, 0].tolist()
    [1.0, 3.5, 6.0, 6.0, 3.5, 1.0, 6.0, 1.0]
    """

    def weigh(mask: Mask) -> NDArray[np.floating]:
        depth = np.minimum(_depth(mask), max(1, max(mask.shape) // 2))
        count, regions = cv2.connectedComponents(mask, connectivity=8)
        deepest = np.ones(count, np.float32)
        np.maximum.at(deepest, regions, depth)
        return np.asarray(1 + weight * depth / deepest[regions])

    return _of_each(target, weigh)


def depth_weights(target: Tensor, *, rim: float) -> Tensor:
    """Weight the pixels by 1 + their Euclidean distance to the other class; by 1 in an image of one class.

    With a `rim` above 0, in pixels, landslide less deep weighs as much as the deepest and other landslide 1. All of the
    background then weighs 0.8 times as much as its deepest pixel: so it is in the first author's code.

    >>> depth_weights(torch.tensor([[[[0, 0, 1, 1, 1]]]]), rim=0.0)[0, 0, 0].tolist()
    [3.0, 2.0, 2.0, 3.0, 4.0]
    """

    def weigh(mask: Mask) -> NDArray[np.floating]:
        if not np.ptp(mask):
            return np.ones(mask.shape, np.float32)
        inside, outside = (1 + _depth(each, cv2.DIST_L2) for each in (mask, 1 - mask))
        if rim:
            inside, outside = np.where(inside < 1 + rim, inside.max(), 1), 0.8 * outside.max()
        return np.where(mask, inside, outside)

    return _of_each(target, weigh)


def _depth(mask: Mask, kind: int = cv2.DIST_C) -> NDArray[np.floating]:
    if mask.all():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(mask, kind, cv2.DIST_MASK_PRECISE), np.float32)


def _of_each(target: Tensor, weigh: Callable[[Mask], NDArray[np.floating]]) -> Tensor:
    masks = target.detach()[:, 0].to("cpu", torch.uint8).numpy()
    return torch.from_numpy(np.stack([weigh(mask) for mask in masks])[:, None]).to(target.device, torch.float32)
