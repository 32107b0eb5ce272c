"""Focal loss: cross entropy that looks away from the easy pixels."""

from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare


class FocalLoss(nn.Module):
    """Mean over the pixels of -alpha_t (1 - p_t)^gamma log(p_t).

    Reading: the report prints the formula without alpha and gamma; the defaults are those that
    Lin et al. found best. The mean is over all pixels, where the paper divides by the number
    of positives, so the loss is several times smaller than cross entropy and more so as pixels
    become easy: in a sum with another loss that counts.

    Args:
        alpha: Weight of landslide pixels, in [0, 1]; background has 1 - alpha.
        gamma: How strongly easy pixels are played down, 0 or in [1, 100]; 0 is weighted cross
            entropy. Between the two the derivative of (1 - p_t)^gamma is infinite at p_t = 1.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If an argument is out of its range or the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses"; Lin et al.,
        Focal Loss for Dense Object Detection, ICCV 2017, https://arxiv.org/abs/1708.02002.

    Example:
        >>> import torch
        >>> x, y = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(FocalLoss(alpha=0.25, gamma=2.0)(x, y).item(), 4)  # 0.25 * 0.5^2 * log 2
        0.0433

    """

    def __init__(self, *, alpha: float = 0.25, gamma: float = 2.0) -> None:
        # Here because it brings timm and torchvision: seconds, for whoever takes another loss.
        import segmentation_models_pytorch as smp  # type: ignore[import-untyped, unused-ignore]

        super().__init__()
        self.alpha = check_number("alpha", alpha, minimum=0.0, maximum=1.0)
        self.gamma = check_number("gamma", gamma, minimum=0.0, maximum=100.0)
        if 0 < self.gamma < 1:
            raise ValueError(f"gamma={gamma!r} is refused: allowed are 0 and [1.0, 100.0]")
        self.loss = smp.losses.FocalLoss("binary", alpha=self.alpha, gamma=self.gamma)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        loss: Tensor = self.loss(logits, target)
        return loss
