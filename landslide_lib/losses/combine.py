"""Sums of losses, such as the report's Focal-IoU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from landslide_lib.losses._functional import check_number


class WeightedSum(nn.Module):
    """The weighted sum of losses.

    A term of weight 0 is kept but not computed, so alpha = 0 and alpha = 1 in
    alpha * a + (1 - alpha) * b are the single losses, in value and in cost.

    Args:
        terms: Pairs of a weight, in [0, 1000], and a loss; at least one weight is more than 0.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If there is no term, a weight is out of range, or all are 0.

    Reference:
        `raunet-ablation`, slide "II. Losses Examination", the table of combined losses.

    Example:
        >>> from landslide_lib.losses import FocalLoss, IoULoss
        >>> loss = WeightedSum([(0.5, FocalLoss()), (0.5, IoULoss())])
        >>> x, y = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
        >>> round(loss(x, y).item(), 4)
        0.3606

    """

    def __init__(self, terms: Sequence[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = [
            check_number(f"terms[{i}] weight", weight, minimum=0.0, maximum=1000.0)
            for i, (weight, _) in enumerate(terms)
        ]
        if not any(self.weights):
            raise ValueError(
                f"terms with weights {self.weights} are refused: allowed are one or more terms, "
                "at least one with a weight above 0"
            )
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the sum; see the class for shapes."""
        parts = [
            weight * loss(logits, target) for weight, loss in zip(self.weights, self.losses, strict=True) if weight > 0
        ]
        return torch.stack(parts).sum()

    def extra_repr(self) -> str:
        """Show the weights beside the losses."""
        return f"weights={self.weights}"


def combine(terms: Sequence[tuple[float, nn.Module]]) -> WeightedSum:
    """Make one loss of several.

    Args:
        terms: Pairs of a weight, in [0, 1000], and a loss; at least one weight is more than 0.

    Raises:
        ValueError: If there is no term, a weight is out of range, or all are 0.

    Example:
        >>> from landslide_lib.losses import LOSSES
        >>> alpha = 0.3
        >>> combine([(alpha, LOSSES["focal"]()), (1 - alpha, LOSSES["iou"]())]).weights
        [0.3, 0.7]

    """
    return WeightedSum(terms)
