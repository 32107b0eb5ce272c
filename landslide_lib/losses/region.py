"""Losses of the overlap of predicted and true landslide over the whole batch; see `landslide_lib.losses` for shapes.

Reference: `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses".
"""

import torch
from torch import Tensor, nn

from landslide_lib.losses.checks import in_range, prepare


class TverskyLoss(nn.Module):
    """-log of the Tversky index, TI = TP / (TP + alpha FN + beta FP), of soft counts over the whole batch.

    The report prints log(1 - TI), which falls without bound as TI nears 1; we assume -log(TI). All three numbers are
    above 0. `alpha` weighs the **false negatives**, as the report prints it; smp's alpha is on the false positives. The
    report states no values: 0.7 and 0.3 are those of Salehi et al., MLMI 2017, https://arxiv.org/abs/1706.05721.
    `smooth` pixels, added to numerator and denominator, keep a batch without landslide finite, with a gradient; smp's
    losses with `log_loss=True` are 0 there, so that false alarms cost nothing.

    >>> y = torch.tensor([[[[1.0, 0.0]]]])
    >>> missed, false_alarm = torch.full_like(y, -50.0), torch.full_like(y, 50.0)
    >>> loss = TverskyLoss(alpha=0.7, beta=0.3)
    >>> round(loss(missed, y).item(), 4), round(loss(false_alarm, y).item(), 4)
    (0.5306, 0.1398)
    """

    def __init__(self, *, alpha: float = 0.7, beta: float = 0.3, smooth: float = 1.0) -> None:
        super().__init__()
        self.alpha, self.beta = in_range("tversky.alpha", alpha), in_range("tversky.beta", beta)
        self.smooth = in_range("tversky.smooth", smooth)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        probability = torch.sigmoid(logits)
        tp = (probability * target).sum()
        # Each error is a sum of its own: sum(p) - TP would cancel to noise where they are small.
        fn, fp = (torch.sigmoid(-logits) * target).sum(), (probability * (1 - target)).sum()
        # log1p keeps a small loss exact: -log(n / d) = log(1 + (d - n) / n).
        return torch.log1p((self.alpha * fn + self.beta * fp) / (tp + self.smooth))


class IoULoss(TverskyLoss):
    """-log of the soft intersection over union of the whole batch: `TverskyLoss` with both weights 1.

    Reference: Yu et al., UnitBox, ACM MM 2016, https://arxiv.org/abs/1608.01471.

    >>> x, y = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    >>> round(IoULoss()(x, y).item(), 4)  # -log((32 + 1) / (64 + 1))
    0.6779
    """

    def __init__(self, *, smooth: float = 1.0) -> None:
        super().__init__(alpha=1.0, beta=1.0, smooth=smooth)


class LovaszLoss(nn.Module):
    """The Lovasz hinge on logits over the whole batch: the convex surrogate of the IoU of hard decisions.

    The hinge errors max(0, 1 - z_t), largest first, each weighted by how much the Jaccard loss grows when its pixel
    joins the wrong ones; without landslide in the batch, the largest error alone. Over the batch, as most patches have
    next to no landslide. Reference: Berman et al., CVPR 2018, https://arxiv.org/abs/1705.08790, algorithm 1. smp's has
    the same values in float32, and takes neither float64 logits nor boolean targets.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        scores, truth = logits.flatten(), target.flatten()
        errors, order = torch.sort(1 - (2 * truth - 1) * scores, descending=True)
        # Counts in whole numbers: exact, and a cumulative sum of floats has no deterministic kernel on CUDA.
        positives = truth[order].int().cumsum(0, dtype=torch.int32)
        wrong = torch.arange(1, len(errors) + 1, dtype=torch.int32, device=errors.device)
        # Were the first pixels wrong and no others: 1 - IoU = |wrong| / |wrong or landslide|.
        jaccard = wrong.to(errors.dtype) / (positives[-1] + wrong - positives).to(errors.dtype)
        weights = torch.diff(jaccard, prepend=jaccard.new_zeros(1))
        return (torch.relu(errors) * weights).sum()
