"""Counts of a model's predictions, exact, accumulated on the device; `metrics.scores` computes scores from them."""

import torch
from torch import Tensor

BINS = 1000  # thresholds are multiples of 1/BINS


def confusion(called: Tensor, truth: Tensor) -> Tensor:
    """Return tp, fp, fn, tn of each image, (B, 4) int64, of what is called landslide and what is, (B, ...) bool."""
    called, truth = called.flatten(1), truth.flatten(1)
    tp, positives, total = (called & truth).sum(1), truth.sum(1), called.sum(1)
    return torch.stack([tp, total - tp, positives - tp, truth.shape[1] - positives - total + tp], 1)


class Counter:
    """Per-image counts at some thresholds, above which a pixel is landslide, and a histogram of probability.

    >>> counter = Counter()
    >>> counter.update(torch.tensor([[[[0.9, 0.2]]]]), torch.tensor([[[[1, 1]]]]))
    >>> counter.images().tolist()
    [[1, 0, 1, 0]]
    """

    def __init__(self, *thresholds: float) -> None:
        self.thresholds = thresholds or (0.5,)
        self._images: list[Tensor] = []
        self._histogram: Tensor | int = 0
        self._not_finite: Tensor | int = 0  # summed on the device, looked at once

    def update(self, probability: Tensor, target: Tensor) -> None:
        """Count one batch of probabilities in 0..1 and masks in {0, 1}, each (B, ...)."""
        p, y = probability.float(), target.bool()
        self._images.append(torch.stack([confusion(p > t, y) for t in self.thresholds]))
        self._histogram = self._histogram + torch.bincount((_bins(p) + BINS * y).flatten(), minlength=2 * BINS)
        self._not_finite = self._not_finite + (~p.isfinite()).sum()

    def images(self, threshold: int = 0) -> Tensor:
        """Return tp, fp, fn, tn of each image at the n-th threshold, (N, 4) int64. Raises FloatingPointError."""
        if count := int(self._not_finite):
            remedy = "lower optimizer.lr, or use precision 32-true"
            raise FloatingPointError(f"{count} probabilities are NaN or infinite: the network has diverged; {remedy}")
        return torch.cat(self._images, dim=1)[threshold].cpu()

    def histogram(self, bins: int = BINS) -> Tensor:
        """Return how many landslide and background pixels fall in each of bins that divide `BINS`, (2, bins) int64."""
        background, landslide = torch.as_tensor(self._histogram).cpu().view(2, bins, -1).sum(2)
        return torch.stack([landslide, background])


def _bins(p: Tensor) -> Tensor:
    # Bin k is (k/BINS, (k+1)/BINS]. The product is rounded, so a neighbour of an edge may land on its other side:
    # comparing with the edges in float32 puts it right. `torch.bucketize` takes ten times as long.
    edges = (torch.arange(BINS + 1, dtype=torch.float64) / BINS).float().to(p.device)
    edges[0], edges[-1] = -torch.inf, torch.inf
    bins = (p * BINS).ceil().long().sub_(1).clamp_(0, BINS - 1)
    bins -= (p <= edges[bins]).long()
    bins += (p > edges[bins + 1]).long()
    return bins
