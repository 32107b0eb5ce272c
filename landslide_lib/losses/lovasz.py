"""Lovasz hinge: the convex surrogate of the intersection over union of hard decisions."""

import torch
from torch import Tensor, nn

from landslide_lib.losses._functional import prepare


class LovaszLoss(nn.Module):
    """The Lovasz hinge on logits over the whole batch.

    The hinge errors max(0, 1 - z_t), largest first, each weighted by how much the Jaccard loss
    grows when its pixel joins the wrong ones. Without landslide in the batch that is the largest
    error alone.

    Reading: the report names the loss only. The hinge on logits is its form for two classes, and
    the whole batch is used because most patches have next to no landslide.

    `smp.losses.LovaszLoss("binary")` is the same function in float32, but cannot take float64
    logits (it casts its weights to float32) or boolean targets, and sums bfloat16 targets in
    bfloat16.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slide "II. Losses Examination"; Berman et al., The Lovasz-Softmax loss,
        CVPR 2018, https://arxiv.org/abs/1705.08790, algorithm 1.

    Example:
        >>> x, y = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> LovaszLoss()(x, y).item()
        1.0

    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        scores, truth = logits.flatten(), target.flatten()
        errors, order = torch.sort(1 - (2 * truth - 1) * scores, descending=True)
        # Counts in whole numbers: exact for any batch, and a cumulative sum of floats has no
        # deterministic kernel on CUDA.
        found = truth[order].int().cumsum(0, dtype=torch.int32)
        wrong = torch.arange(1, len(errors) + 1, dtype=torch.int32, device=errors.device)
        # Were the first pixels wrong and no others: 1 - IoU = |wrong| / |wrong or landslide|.
        jaccard = wrong.to(errors.dtype) / (found[-1] + wrong - found).to(errors.dtype)
        weights = torch.diff(jaccard, prepend=jaccard.new_zeros(1))
        return (torch.relu(errors) * weights).sum()
