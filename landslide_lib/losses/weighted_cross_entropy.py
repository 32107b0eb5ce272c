"""Cross entropy in which landslides weigh more than the rest."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare


class WeightedCrossEntropyLoss(nn.Module):
    """Binary cross entropy on logits whose landslide term is multiplied by a weight.

    Args:
        weight: Of a landslide; 1 is cross entropy.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), in [0, 1], any type
        - output: scalar

    Raises:
        ValueError: If the weight is out of range, the shapes differ or are no (B, 1, H, W).

    Reference:
        `negative-filter-fpn`, section Training Strategy, which does not state the weight.

    Example:
        >>> x, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
        >>> round(WeightedCrossEntropyLoss(weight=3.0)(x, y).item(), 4)  # (3 + 1) / 2 * log 2
        1.3863

    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, minimum=0.0, maximum=1000.0)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        weight = torch.as_tensor(self.weight, dtype=logits.dtype, device=logits.device)
        return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)
