"""Soft cross entropy: cross entropy that takes no label for certain."""

import torch.nn.functional as F
from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare


class SoftCrossEntropyLoss(nn.Module):
    """Binary cross entropy with softened labels, the mean over all pixels of the batch.

    A label y becomes y (1 - s) + s / 2, so 1 becomes 1 - s / 2 and 0 becomes s / 2. The loss is
    least, and not 0, where the network gives these as probabilities: one that is surer than that
    is pushed back, so a wrong label has less to say.

    Reading: the report names the loss and no number; 0.1 is the paper's.

    Args:
        smoothing: s, in [0, 1); 0 is cross entropy.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If an argument is out of its range or the shapes differ or are no (B, 1, H, W).

    Reference:
        `label-refinement`, section 2.2; Szegedy et al., Rethinking the Inception Architecture for
        Computer Vision, CVPR 2016, https://arxiv.org/abs/1512.00567, section 7.

    Example:
        >>> import torch
        >>> x, y = torch.full((1, 1, 2, 2), 20.0), torch.ones(1, 1, 2, 2)
        >>> round(SoftCrossEntropyLoss(smoothing=0.1)(x, y).item(), 4)  # sure and right: 20 s / 2
        1.0

    """

    def __init__(self, *, smoothing: float = 0.1) -> None:
        super().__init__()
        self.smoothing = check_number("smoothing", smoothing, minimum=0.0, maximum=1.0)
        if self.smoothing == 1:
            raise ValueError(f"smoothing={smoothing!r} is refused: allowed are numbers in [0.0, 1.0)")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        softened = target * (1 - self.smoothing) + self.smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, softened)
