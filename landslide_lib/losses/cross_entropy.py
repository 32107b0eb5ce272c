"""Cross entropy: the report's baseline loss."""

import torch.nn.functional as F
from torch import Tensor, nn

from landslide_lib.losses._functional import prepare


class CrossEntropyLoss(nn.Module):
    """Binary cross entropy on logits, the mean over all pixels of the batch.

    Reading: the report prints -log(P_t) and calls it pixel-wise. Softmax cross entropy with two
    classes is the same function with one logit (the difference of the two), which is used here.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses".

    Example:
        >>> import torch
        >>> x, y = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(CrossEntropyLoss()(x, y).item(), 4)  # log 2: no opinion
        0.6931

    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        return F.binary_cross_entropy_with_logits(logits, target)
