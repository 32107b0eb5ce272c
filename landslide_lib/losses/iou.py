"""IoU loss: the overlap of the predicted and the true landslide area."""

from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare, tversky_loss


class IoULoss(nn.Module):
    """The negative logarithm of the soft intersection over union of the whole batch.

    Reading: the report prints log(1 - IoU), which falls without bound as IoU nears 1 and is no
    loss as it stands. -log(IoU) is taken, the IoU loss of UnitBox.

    `smp.losses.JaccardLoss(log_loss=True)` is not used: it multiplies the loss by 0 where a batch
    has no landslide, whatever its `smooth`, so false alarms there cost nothing and have no
    gradient. Here the loss of such a batch is log(1 + sum(p) / smooth).

    Args:
        smooth: Pixels added to intersection and union, in [1e-6, 1e6]. One pixel is little
            beside a landslide and keeps a batch without landslide finite, with a gradient.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If an argument is out of its range or the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slides "II. Losses Examination" and "Support Slide: Losses"; Yu et al.,
        UnitBox: An Advanced Object Detection Network, ACM MM 2016,
        https://arxiv.org/abs/1608.01471.

    Example:
        >>> import torch
        >>> x, y = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
        >>> round(IoULoss()(x, y).item(), 4)  # -log((32 + 1) / (64 + 1))
        0.6779

    """

    def __init__(self, *, smooth: float = 1.0) -> None:
        super().__init__()
        self.smooth = check_number("smooth", smooth, minimum=1e-6, maximum=1e6)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        return tversky_loss(logits, target, alpha=1.0, beta=1.0, smooth=self.smooth)
