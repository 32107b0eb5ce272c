"""What the losses share: the check of their input, the check of their arguments, small sums."""

import torch
import torch.nn.functional as F
from torch import Tensor


def check_number(name: str, value: float, *, minimum: float, maximum: float) -> float:
    """Return `value` where it is in range, else raise.

    Args:
        name: The argument's name, for the message.
        value: What was given.
        minimum: The smallest value allowed.
        maximum: The largest value allowed; there is one so that no weight overflows float32.

    Raises:
        ValueError: If the value is no number from that range.

    Example:
        >>> check_number("gamma", -1.0, minimum=0.0, maximum=100.0)
        Traceback (most recent call last):
            ...
        ValueError: gamma=-1.0 is refused: allowed are numbers in [0.0, 100.0]

    """
    if not (isinstance(value, int | float) and minimum <= value <= maximum):
        raise ValueError(f"{name}={value!r} is refused: allowed are numbers in [{minimum}, {maximum}]")
    return float(value)


def prepare(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check the shapes and bring both tensors to the precision a loss is computed in.

    Half precision is widened to float32 (a sum over a batch of pixels does not fit bfloat16's
    eight bits); float64 is kept, for gradient checks.

    Args:
        logits: One score a pixel.
        target: The mask, 1 is landslide.

    Shape:
        - logits, target: (B, 1, H, W)

    Raises:
        ValueError: If the shapes differ or are no (B, 1, H, W): broadcasting would otherwise
            give a plausible, wrong number.

    Example:
        >>> x, y = prepare(torch.zeros(2, 1, 4, 4).bfloat16(), torch.ones(2, 1, 4, 4).bool())
        >>> x.dtype, y.dtype
        (torch.float32, torch.float32)

    """
    if logits.shape != target.shape or logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} are refused: "
            "allowed are two equal shapes (B, 1, H, W)"
        )
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return logits.to(dtype), target.to(dtype)


def tversky_loss(logits: Tensor, target: Tensor, *, alpha: float, beta: float, smooth: float) -> Tensor:
    """Give the negative logarithm of the soft Tversky index over the whole batch.

    Args:
        logits: One score a pixel, float32 or float64.
        target: The mask, of the logits' type.
        alpha: Weight of the false negatives.
        beta: Weight of the false positives.
        smooth: Pixels added to numerator and denominator.

    Shape:
        - logits, target: (B, 1, H, W)
        - output: scalar

    Example:
        >>> x, y = torch.full((1, 1, 2, 2), 50.0), torch.ones(1, 1, 2, 2)
        >>> round(tversky_loss(x, y, alpha=0.7, beta=0.3, smooth=1.0).item(), 4)
        0.0

    """
    probability = torch.sigmoid(logits)
    tp = (probability * target).sum()
    # Each error is a sum of its own: sum(p) - TP would cancel to noise where they are small.
    fn = (torch.sigmoid(-logits) * target).sum()
    fp = (probability * (1 - target)).sum()
    # log1p keeps a small loss exact: -log(n / d) = log(1 + (d - n) / n).
    return torch.log1p((alpha * fn + beta * fp) / (tp + smooth))


def weighted_bce(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Average binary cross entropy over the pixels with a weight each.

    Args:
        logits: One score a pixel, float32 or float64.
        target: The mask, of the logits' type.
        weights: Positive weights.

    Shape:
        - logits, target, weights: (B, 1, H, W)
        - output: scalar

    Example:
        >>> x = torch.tensor([[[[0.0, 50.0]]]])
        >>> w = torch.tensor([[[[3.0, 1.0]]]])
        >>> round(weighted_bce(x, torch.ones_like(x), w).item(), 4)  # (3 log 2 + 0) / 4
        0.5199

    """
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss * weights).sum() / weights.sum()
