"""The losses of the study, and `LOSSES`, the whole registry.

Every loss takes logits (B, 1, H, W) of any precision and a target of 0 and 1 of the same shape, and gives a scalar in
float32 (float64 for float64 logits). Only boundary, centre and depth loss wait for the device. All raise a ValueError
for an argument out of its range (`fields.LOSS_NUMBERS`) and for shapes that differ or are no (B, 1, H, W).

Reference: `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses", where no other is named. Its
first author's code is demo-code/losses.py of https://github.com/CamDucLe/Landslide-Project-Sentinel2.

>>> LOSSES["tversky"](alpha=0.8, beta=0.2).alpha
0.8
"""

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.fields import LOSS_NUMBERS
from landslide_lib.losses.weight_maps import boundary_weights, center_weights, depth_weights


def in_range(name: str, value: float) -> float:
    """Return the value of an argument, such as `focal.gamma`, if it lies in its range of `LOSS_NUMBERS`."""
    loss, argument = name.split(".")
    (low_is, low), (high_is, high) = LOSS_NUMBERS[loss][argument][1].items()
    number = isinstance(value, int | float)
    if not (number and getattr(operator, low_is)(value, low) and getattr(operator, high_is)(value, high)):
        allowed = f"{'[' if low_is == 'ge' else '('}{low}, {high}{']' if high_is == 'le' else ')'}"
        raise ValueError(f"{argument}={value!r} is refused: allowed are numbers in {allowed}")
    return float(value)


def prepare(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Bring both tensors to the precision that a loss is computed in, see `wide`.

    Raises ValueError: the shapes differ or are no (B, 1, H, W).
    """
    if logits.shape != target.shape or logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} are refused: "
            "allowed are two equal shapes (B, 1, H, W)"
        )
    logits = wide(logits)
    return logits, target.to(logits.dtype)


def wide(logits: Tensor) -> Tensor:
    """Widen half precision to float32: a sum over a batch of pixels does not fit bfloat16's eight bits.

    float64 is kept, for gradient checks.
    """
    return logits if logits.dtype == torch.float64 else logits.float()


class CrossEntropyLoss(nn.Module):
    """Binary cross entropy on logits, the mean over all pixels of the batch.

    With one logit it is what the report prints, softmax cross entropy with two classes: the logit is their difference.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(*prepare(logits, target))


class WeightedCrossEntropyLoss(nn.Module):
    """Binary cross entropy on logits whose landslide term is multiplied by a weight; 1 is cross entropy.

    Reference: `negative-filter-fpn`, section Training Strategy; the weight is 2 in its author's code.

    >>> x, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    >>> round(WeightedCrossEntropyLoss(weight=3.0)(x, y).item(), 4)  # (3 + 1) / 2 * log 2
    1.3863
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = in_range("weighted_ce.weight", weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        return F.binary_cross_entropy_with_logits(logits, target, pos_weight=logits.new_tensor(self.weight))


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
    """Mean over the pixels of log(cosh(|p - y|^power)), at most log(cosh(1)) = 0.4338.

    We assume that the report's y^p is the probability p, not the logit. `power` is 2 in the first author's code.
    """

    def __init__(self, *, power: float = 1.0) -> None:
        super().__init__()
        self.power = in_range("log_cosh.power", power)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        # |p - y| without a subtraction that cancels: the sigmoid of the logit against the target.
        error = torch.sigmoid((1 - 2 * target) * logits) ** self.power
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


class TverskyLoss(nn.Module):
    """-log of the Tversky index, TI = TP / (TP + alpha FN + beta FP), of soft counts over the whole batch.

    The report prints log(1 - TI), which falls without bound as TI nears 1; we assume -log(TI). All three numbers are
    above 0. `alpha` weighs the **false negatives**, as the report prints it; smp's alpha is on the false positives. The
    report states no values: 0.7 and 0.3 are those of Salehi et al., MLMI 2017, https://arxiv.org/abs/1706.05721.
    `smooth` pixels, added to numerator and denominator, keep a batch without landslide finite, with a gradient; smp's
    losses with `log_loss=True` are 0 there, so that false alarms cost nothing. `background`, in [0, 1], is the share of
    the same loss of the background in a mean of the two; the first author's code has 0.5, and a `smooth` of 1e-7.

    >>> y = torch.tensor([[[[1.0, 0.0]]]])
    >>> missed, false_alarm = torch.full_like(y, -50.0), torch.full_like(y, 50.0)
    >>> loss = TverskyLoss(alpha=0.7, beta=0.3)
    >>> round(loss(missed, y).item(), 4), round(loss(false_alarm, y).item(), 4)
    (0.5306, 0.1398)
    """

    def __init__(self, *, alpha: float = 0.7, beta: float = 0.3, smooth: float = 1.0, background: float = 0.0) -> None:
        super().__init__()
        self.alpha, self.beta = in_range("tversky.alpha", alpha), in_range("tversky.beta", beta)
        self.smooth, self.background = in_range("tversky.smooth", smooth), in_range("tversky.background", background)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        probability = torch.sigmoid(logits)
        tp = (probability * target).sum()
        # Each error is a sum of its own: sum(p) - TP would cancel to noise where they are small.
        fn, fp = (torch.sigmoid(-logits) * target).sum(), (probability * (1 - target)).sum()
        # log1p keeps a small loss exact: -log(n / d) = log(1 + (d - n) / n).
        loss = torch.log1p((self.alpha * fn + self.beta * fp) / (tp + self.smooth))
        if self.background:
            # Of the background, false alarms are what is missed.
            tn = (torch.sigmoid(-logits) * (1 - target)).sum()
            loss = loss.lerp(torch.log1p((self.alpha * fp + self.beta * fn) / (tn + self.smooth)), self.background)
        return loss


class IoULoss(TverskyLoss):
    """-log of the soft intersection over union of the whole batch: `TverskyLoss` with both weights 1.

    Reference: Yu et al., UnitBox, ACM MM 2016, https://arxiv.org/abs/1608.01471.

    >>> x, y = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    >>> round(IoULoss()(x, y).item(), 4)  # -log((32 + 1) / (64 + 1))
    0.6779
    """

    def __init__(self, *, smooth: float = 1.0, background: float = 0.0) -> None:
        super().__init__(alpha=1.0, beta=1.0, smooth=smooth, background=background)


class LovaszLoss(nn.Module):
    """The Lovasz hinge on logits over the whole batch: the convex surrogate of the IoU of hard decisions.

    The hinge errors max(0, 1 - z_t), largest first, each weighted by how much the Jaccard loss grows when its pixel
    joins the wrong ones; without landslide in the batch, the largest error alone. Over the batch, as most patches have
    next to no landslide. Reference: Berman et al., CVPR 2018, https://arxiv.org/abs/1705.08790, algorithm 1. smp's has
    the same values in float32, and takes neither float64 logits nor boolean targets.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        errors, missed, false = by_error(1 - (2 * target - 1) * logits, target)
        # 1 - IoU = |wrong| / |wrong or landslide|.
        jaccard = (missed + false).to(errors.dtype) / (missed[-1] + false).to(errors.dtype)
        weights = torch.diff(jaccard, prepend=jaccard.new_zeros(1))
        return (torch.relu(errors) * weights).sum()


class LovaszProbabilityLoss(nn.Module):
    """The Lovasz extension of -log(IoU) at the roots of |p - y|, the mean over landslide and background.

    As in the first author's code, which clips p in place of keeping the root's gradient finite.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        # The root by its logarithm, whose gradient is finite at 0.
        errors, missed, false = by_error(torch.exp(F.logsigmoid((1 - 2 * target) * logits) / 2), target)
        loss = torch.zeros_like(errors)
        for lost, added in ((missed, false), (false, missed)):  # of the landslide, of the background
            hits, union = ((count.to(loss.dtype) + 1e-7) for count in (lost[-1] - lost, lost[-1] + added))
            loss = loss + torch.log(union / hits) / 2
        return (errors * torch.diff(loss, prepend=loss.new_zeros(1))).sum()


def by_error(errors: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort errors, largest first; count missed pixels and false alarms were the first ones wrong and no others."""
    errors, order = torch.sort(errors.flatten(), descending=True)
    # Counts in whole numbers: exact, and a cumulative sum of floats has no deterministic kernel on CUDA.
    missed = target.flatten()[order].int().cumsum(0, dtype=torch.int32)
    return errors, missed, torch.arange(1, len(errors) + 1, dtype=torch.int32, device=errors.device) - missed


class BoundaryLoss(nn.Module):
    """Cross entropy averaged with the weights of `boundary_weights`: more near the outlines of landslides.

    The report prints no formula; we assume the Gaussian fall-off of the border term of U-Net's weight map, `sigma`
    pixels wide, with an extra `weight` on the boundary itself. Divided by the sum of the weights, it keeps the scale of
    cross entropy. Reference: `raunet-ablation`, slide II; Ronneberger et al. 2015, arXiv:1505.04597, equation 2.
    """

    def __init__(self, *, weight: float = 5.0, sigma: float = 2.0) -> None:
        super().__init__()
        self.weight, self.sigma = in_range("boundary.weight", weight), in_range("boundary.sigma", sigma)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = boundary_weights(target, weight=self.weight, sigma=self.sigma)
        return weighed(logits, target, weights) / weights.mean()


class CenterLoss(nn.Module):
    """Cross entropy averaged with the weights of `center_weights`: more near the centres of landslides.

    The report prints no formula; we assume that "near the centre" is deep inside, relative to the region's own depth,
    so a landslide of one pixel counts as a centre. `weight` is the extra weight there. Reference: `raunet-ablation`,
    slide II; the center loss of Wen et al., ECCV 2016, on face features, is another.
    """

    def __init__(self, *, weight: float = 5.0) -> None:
        super().__init__()
        self.weight = in_range("center.weight", weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = center_weights(target, weight=self.weight)
        return weighed(logits, target, weights) / weights.mean()


class DepthLoss(nn.Module):
    """Cross entropy weighed by `depth_weights`: twice the centre loss of the first author's code.

    With a `rim` of 3.5 pixels it is twice the boundary loss of that code, where both are means over two classes.
    """

    def __init__(self, *, rim: float = 0.0) -> None:
        super().__init__()
        self.rim = in_range("depth.rim", rim)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return weighed(logits, target, depth_weights(target, rim=self.rim))


def weighed(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over the pixels of their cross entropy times their weights."""
    return (F.binary_cross_entropy_with_logits(*prepare(logits, target), reduction="none") * weights).mean()


class WeightedSum(nn.Module):
    """The weighted sum of losses: pairs of a weight, at least 0, and a loss; one weight at least is more than 0.

    A term of weight 0 is not computed. Reference: `raunet-ablation`, slide II, the table of combined losses.

    >>> loss = WeightedSum([(0.5, FocalLoss()), (0.5, IoULoss())])
    >>> round(loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)).item(), 4)
    0.3606
    """

    def __init__(self, terms: Sequence[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = [float(weight) for weight, _ in terms]
        if not max(self.weights, default=0) > 0 or min(self.weights) < 0:
            raise ValueError(f"weights={self.weights} is refused: allowed are numbers from 0, one at least above it")
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        pairs = zip(self.weights, self.losses, strict=True)
        return torch.stack([weight * loss(logits, target) for weight, loss in pairs if weight > 0]).sum()

    def extra_repr(self) -> str:
        return f"weights={self.weights}"


def distillation(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float) -> Tensor:
    """Compute alpha T² KL(teacher || student) at temperature T + (1 - alpha) cross entropy, averaged over images.

    Logits are (B, 2), labels (B,) integers, 1 for landslide; no gradient goes to the teacher. T² keeps the gradient of
    the soft targets as large as that of the labels; for a large T it is that of half the squared difference of the
    centred logits, divided by the number of classes. Reference: Hinton, Vinyals, Dean 2015, arXiv:1503.02531;
    `detection-pretraining.md`.
    """
    student = wide(student)
    soft_student, soft_teacher = (
        F.log_softmax(logits / temperature, 1) for logits in (student, teacher.detach().to(student.dtype))
    )
    soft = F.kl_div(soft_student, soft_teacher, reduction="batchmean", log_target=True)
    return alpha * temperature**2 * soft + (1 - alpha) * F.cross_entropy(student, labels)


LOSSES: dict[str, Callable[..., nn.Module]] = {
    "ce": CrossEntropyLoss,
    "weighted_ce": WeightedCrossEntropyLoss,
    "focal": FocalLoss,
    "log_cosh": LogCoshLoss,
    "iou": IoULoss,
    "tversky": TverskyLoss,
    "lovasz": LovaszLoss,
    "lovasz_probability": LovaszProbabilityLoss,
    "boundary": BoundaryLoss,
    "center": CenterLoss,
    "depth": DepthLoss,
    "soft_ce": SoftCrossEntropyLoss,
    "ohem": HardExamplesLoss,
}
