"""Online hard example mining: cross entropy that learns from the worst pixels alone."""

import math
from fractions import Fraction

import torch.nn.functional as F
from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare


class HardExamplesLoss(nn.Module):
    """Mean binary cross entropy of the pixels of the batch that cost most.

    They are exactly ceil(share * pixels), at least one; all others have no gradient. Of pixels
    that cost the same some are taken. The share is the number as it is written: a tenth of 30
    pixels are 3, though the float nearest to 0.1 is a little more.

    Reading: the report names the strategy and no number. Its examples are pixels here, where the
    paper's are regions of interest, and they are chosen over the batch, because most patches have
    next to no landslide. The default share is this study's.

    Args:
        share: Of the pixels, in (0, 1]; 1 is cross entropy.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If an argument is out of its range or the shapes differ or are no (B, 1, H, W).

    Reference:
        `label-refinement`, section 2.2; Shrivastava et al., Training Region-based Object Detectors
        with Online Hard Example Mining, CVPR 2016, https://arxiv.org/abs/1604.03540.

    Example:
        >>> import torch
        >>> x, y = torch.tensor([[[[0.0, 50.0, 50.0, 50.0]]]]), torch.ones(1, 1, 1, 4)
        >>> round(HardExamplesLoss(share=0.25)(x, y).item(), 4)  # log 2, of the first pixel
        0.6931

    """

    def __init__(self, *, share: float = 0.25) -> None:
        super().__init__()
        self.share = check_number("share", share, minimum=0.0, maximum=1.0)
        if self.share == 0:
            raise ValueError(f"share={share!r} is refused: allowed are numbers in (0.0, 1.0]")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten()
        hardest = math.ceil(Fraction(str(self.share)) * len(losses))
        return losses.topk(hardest, sorted=False).values.mean()
