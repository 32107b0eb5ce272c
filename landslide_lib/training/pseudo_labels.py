"""Pseudo-labels: what networks are sure of on images whose masks are hidden from training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib.models.cross_sensor import Domain, of_domain

#: In a mask of pseudo-labels: a pixel that nobody is sure of.
IGNORE_INDEX = 2


@torch.no_grad()
def mean_probability(networks: Sequence[nn.Module], images: Tensor, domain: Domain = "target") -> Tensor:
    """Return the mean of the probabilities of some networks in float32, (B, 1, S, S).

    Args:
        networks: At least one; set to evaluation.
        images: (B, C, S, S).
        domain: That they are of.
    """
    each = []
    for network in networks:
        with of_domain(network.eval(), domain):
            each.append(network(images).float().sigmoid())
    return torch.stack(each).mean(0)


def labels_of(
    networks: Sequence[nn.Module], batches: Iterable[tuple[Tensor, Tensor]], confidence: float
) -> NDArray[np.uint8]:
    """Return what the mean of some networks is sure of, (N, S, S) of 0, 1 and `IGNORE_INDEX`.

    Landslide from the confidence on, background down to its counterpart, open between: the report names the threshold,
    and we assume what becomes of the rest.

    Args:
        networks: Of the round before.
        batches: Of the target, in order. Their masks are not looked at.
        confidence: Between 0 and 1; from 0.5 down no pixel is left open.
    """
    parts = []
    for images, _ in batches:
        mean = mean_probability(networks, images)[:, 0]
        labels = torch.full(mean.shape, IGNORE_INDEX, dtype=torch.uint8, device=mean.device)
        labels[mean <= 1 - confidence] = 0
        labels[mean >= confidence] = 1
        parts.append(labels.cpu().numpy())
    return np.concatenate(parts)


def quality(labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float | None]:
    """Return how right pseudo-labels are, as shares; None where there is nothing to divide by.

    Args:
        labels: (N, S, S) of 0, 1 and `IGNORE_INDEX`.
        truth: (N, S, S) of 0 and 1.

    Returns:
        `coverage`, the pixels that are labelled at all, of all; `precision` and `recall` of the landslide labels among
        all pixels; `missed`, the landslide that is labelled background, of all landslide.

    >>> labels, truth = (np.array([[line]], np.uint8) for line in ([1, 1, 0, 2], [1, 0, 1, 1]))
    >>> {name: round(share, 2) for name, share in quality(labels, truth).items()}
    {'coverage': 0.75, 'precision': 0.5, 'recall': 0.33, 'missed': 0.33}
    """
    called, true = labels == 1, truth == 1
    right, positive = int((called & true).sum()), int(true.sum())
    return {
        "coverage": float((labels != IGNORE_INDEX).mean()),
        "precision": right / int(called.sum()) if called.any() else None,
        "recall": right / positive if positive else None,
        "missed": int(((labels == 0) & true).sum()) / positive if positive else None,
    }
