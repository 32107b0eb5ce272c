"""Log-cosh loss: a smooth absolute error of the probabilities."""

import torch
from torch import Tensor, nn

from landslide_lib.losses._functional import prepare


class LogCoshLoss(nn.Module):
    """Mean over the pixels of log(cosh(p - y)), p the predicted probability.

    Reading: the report's y^p is taken as the probability, not the logit.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar, at most log(cosh(1)) = 0.4338

    Raises:
        ValueError: If the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses".

    Example:
        >>> x, y = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(LogCoshLoss()(x, y).item(), 4)  # log(cosh(0.5))
        0.1201

    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        # |p - y| without a subtraction that cancels: the sigmoid of the logit against the target.
        error = torch.sigmoid((1 - 2 * target) * logits)
        # cosh(e) - 1 = 2 sinh(e / 2)^2: exact for tiny errors too, where log(cosh(e)) rounds to 0.
        return torch.log1p(2 * torch.sinh(error / 2) ** 2).mean()
