"""Tversky loss: an overlap in which missing a landslide and a false alarm cost differently."""

from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare, tversky_loss


class TverskyLoss(nn.Module):
    """The negative logarithm of TI = TP / (TP + alpha FN + beta FP) over the whole batch.

    Reading: the report prints log(1 - TI), which is no loss as it stands (see `IoULoss`);
    -log(TI) is taken. alpha weights the **false negatives**, as the report prints it;
    `smp.losses.TverskyLoss` puts its alpha on the false positives. The report states neither
    value: 0.7 and 0.3 are those of Salehi et al. (who call the weight of the misses beta).

    `smp.losses.TverskyLoss` is not used for the reason that `IoULoss` gives.

    Args:
        alpha: Weight of the false negatives, in [0, 100].
        beta: Weight of the false positives, in [0, 100], not 0 with alpha = 0.
        smooth: Pixels added to numerator and denominator, in [1e-6, 1e6].

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If an argument is out of its range or the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses"; Salehi et
        al., Tversky Loss Function for Image Segmentation using 3D Fully Convolutional Deep
        Networks, MLMI 2017, https://arxiv.org/abs/1706.05721.

    Example:
        >>> import torch
        >>> y = torch.tensor([[[[1.0, 0.0]]]])
        >>> missed, false_alarm = torch.full_like(y, -50.0), torch.full_like(y, 50.0)
        >>> loss = TverskyLoss(alpha=0.7, beta=0.3)
        >>> round(loss(missed, y).item(), 4), round(loss(false_alarm, y).item(), 4)
        (0.5306, 0.1398)

    """

    def __init__(self, *, alpha: float = 0.7, beta: float = 0.3, smooth: float = 1.0) -> None:
        super().__init__()
        self.alpha = check_number("alpha", alpha, minimum=0.0, maximum=100.0)
        self.beta = check_number("beta", beta, minimum=0.0, maximum=100.0)
        if not self.alpha + self.beta:
            raise ValueError("alpha=0 and beta=0 are refused: allowed is at most one of them 0")
        self.smooth = check_number("smooth", smooth, minimum=1e-6, maximum=1e6)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        return tversky_loss(logits, target, alpha=self.alpha, beta=self.beta, smooth=self.smooth)
