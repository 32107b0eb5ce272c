"""Sums of losses, such as the report's Focal-IoU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WeightedSum(nn.Module):
    """The weighted sum of losses: pairs of a weight, at least 0, and a loss; one weight at least is more than 0.

    A term of weight 0 is not computed. Reference: `raunet-ablation`, slide II, the table of combined losses.

    >>> from landslide_lib.losses import FocalLoss, IoULoss
    >>> loss = WeightedSum([(0.5, FocalLoss()), (0.5, IoULoss())])
    >>> round(loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)).item(), 4)
    0.3606
    """

    def __init__(self, terms: Sequence[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = [float(weight) for weight, _ in terms]
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        pairs = zip(self.weights, self.losses, strict=True)
        return torch.stack([weight * loss(logits, target) for weight, loss in pairs if weight > 0]).sum()

    def extra_repr(self) -> str:
        return f"weights={self.weights}"
