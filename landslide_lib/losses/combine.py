"""Sums of losses, such as the report's Focal-IoU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WeightedSum(nn.Module):
    """The weighted sum of losses.

    A term of weight 0 is kept but not computed, so alpha = 0 and alpha = 1 in alpha * a + (1 - alpha) * b are the
    single losses, in value and in cost.

    Args:
        terms: Pairs of a weight, at least 0, and a loss; at least one weight is more than 0.

    Reference: `raunet-ablation`, slide "II. Losses Examination", the table of combined losses.

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
        """Return the sum."""
        pairs = zip(self.weights, self.losses, strict=True)
        return torch.stack([weight * loss(logits, target) for weight, loss in pairs if weight > 0]).sum()

    def extra_repr(self) -> str:
        """Show the weights beside the losses."""
        return f"weights={self.weights}"
