"""Losses that are a mean over pixels: cross entropy and its relatives; see `landslide_lib.losses` for shapes.

Reference: `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses", where no other is named.
"""

import math
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landslide_lib.losses.checks import in_range, prepare


class CrossEntropyLoss(nn.Module):
    """Binary cross entropy on logits, the mean over all pixels of the batch.

    With one logit it is what the report prints, softmax cross entropy with two classes: the logit is their difference.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(*prepare(logits, target))


class FocalLoss(nn.Module):
    """Mean over the pixels of -alpha_t (1 - p_t)^gamma log(p_t).

    `alpha`, in [0, 1], weighs landslide pixels, 1 - alpha the background. `gamma` plays easy pixels down: 0 (weighted
    cross entropy) or at least 1; between the two the derivative is infinite at p_t = 1. The report prints no numbers;
    the defaults are those that Lin et al., ICCV 2017, https://arxiv.org/abs/1708.02002, found best. They divide by the
    number of positives, we by that of all pixels, so the loss is several times smaller than cross entropy: in a sum
    that counts.

    >>> x, y = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    >>> round(FocalLoss(alpha=0.25, gamma=2.0)(x, y).item(), 4)  # 0.25 * 0.5^2 * log 2
    0.0433
    """

    def __init__(self, *, alpha: float = 0.25, gamma: float = 2.0) -> None:
        super().__init__()
        self.alpha, self.gamma = in_range("focal.alpha", alpha), in_range("focal.gamma", gamma)
        if 0 < gamma < 1:
            raise ValueError(f"gamma={gamma!r} is refused: allowed are 0 and [1.0, 100.0]")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        minus_log_p = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        p = torch.exp(-minus_log_p)
        alpha = self.alpha * target + (1 - self.alpha) * (1 - target)
        return ((1 - p) ** self.gamma * minus_log_p * alpha).mean()


class LogCoshLoss(nn.Module):
    """Mean over the pixels of log(cosh(p - y)), at most log(cosh(1)) = 0.4338.

    We assume that the report's y^p is the probability p, not the logit.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        # |p - y| without a subtraction that cancels: the sigmoid of the logit against the target.
        error = torch.sigmoid((1 - 2 * target) * logits)
        # cosh(e) - 1 = 2 sinh(e / 2)^2: exact for tiny errors too, where log(cosh(e)) rounds to 0.
        return torch.log1p(2 * torch.sinh(error / 2) ** 2).mean()


class SoftCrossEntropyLoss(nn.Module):
    """Binary cross entropy with softened labels, the mean over all pixels of the batch.

    A label y becomes y (1 - s) + s / 2, with the `smoothing` s in [0, 1); 0 is cross entropy. A network surer than 1 -
    s / 2 is pushed back, so a wrong label has less to say. The report names no number; 0.1 is the paper's. Reference:
    `label-refinement`, section 2.2; Szegedy et al., CVPR 2016, https://arxiv.org/abs/1512.00567, section 7.

    >>> x, y = torch.full((1, 1, 2, 2), 20.0), torch.ones(1, 1, 2, 2)
    >>> round(SoftCrossEntropyLoss(smoothing=0.1)(x, y).item(), 4)  # sure and right: 20 s / 2
    1.0
    """

    def __init__(self, *, smoothing: float = 0.1) -> None:
        super().__init__()
        self.smoothing = in_range("soft_ce.smoothing", smoothing)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        return F.binary_cross_entropy_with_logits(logits, target * (1 - self.smoothing) + self.smoothing / 2)


class HardExamplesLoss(nn.Module):
    """Online hard example mining: mean cross entropy of the `share` of the batch's pixels, in (0, 1], that cost most.

    They are exactly ceil(share * pixels); all others have no gradient. We assume pixels where the paper has regions of
    interest, and choose them over the batch, because most patches have next to no landslide. The report names no
    number; the default is this study's. Reference: `label-refinement`, section 2.2; Shrivastava et al., CVPR 2016,
    https://arxiv.org/abs/1604.03540.

    >>> x, y = torch.tensor([[[[0.0, 50.0, 50.0, 50.0]]]]), torch.ones(1, 1, 1, 4)
    >>> round(HardExamplesLoss(share=0.25)(x, y).item(), 4)  # log 2, of the first pixel
    0.6931
    """

    def __init__(self, *, share: float = 0.25) -> None:
        super().__init__()
        self.share = in_range("ohem.share", share)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        losses = F.binary_cross_entropy_with_logits(*prepare(logits, target), reduction="none").flatten()
        # As written: a tenth of 30 pixels are 3, though the float nearest to 0.1 is a little more.
        hardest = math.ceil(Fraction(str(self.share)) * len(losses))
        return losses.topk(hardest, sorted=False).values.mean()
