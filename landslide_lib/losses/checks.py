"""The shapes that losses take, which broadcasting would else turn into a wrong number, and their precision."""

import torch
from torch import Tensor


def prepare(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Check the shapes and bring both tensors to the precision that a loss is computed in, see `wide`.

    Raises:
        ValueError: The shapes differ or are no (B, 1, H, W).
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
