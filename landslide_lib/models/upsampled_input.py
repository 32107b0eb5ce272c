"""Scale promotion: a network sees small landslides enlarged."""

from fractions import Fraction

from torch import Tensor, nn
from torch.nn import functional as F


class UpsampledInput(nn.Module):
    """A network that sees its images enlarged, bilinearly.

    The logit of a pixel is the mean of the logits on its own area, so that all of them count, and alike: bilinear
    reduction by 4 would look at 4 of a pixel's 16 and teach no other. Where a pixel covers parts of others, as by 2.5,
    the mean is by the parts. The report says that images of 128 pixels are resized to 512, and not where its loss is;
    we assume the images' own size, where masks and scores are.

    Args:
        network: From images (B, C, T, T) to logits (B, 1, T, T), where T is the scale times S, a whole number.
        scale: At least 1, as a decimal number; the report has 1, 2.5 and 4. 1 is the network as it is.

    Shape: (B, C, S, S) to (B, 1, S, S).
    Reference: `label-refinement.md`, 2.1.

    >>> import torch
    >>> tuple(UpsampledInput(nn.Conv2d(3, 1, 1), scale=2.5)(torch.zeros(2, 3, 32, 32)).shape)
    (2, 1, 32, 32)
    """

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__()
        self.network = network
        self.scale = Fraction(str(scale))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits at the images' own size."""
        if self.scale == 1:
            return self.network(images)
        enlarged = F.interpolate(images, size=[int(side * self.scale) for side in images.shape[2:]], mode="bilinear")
        # The mean over 5/2 pixels is that over 5 halves. Adaptive pooling, torch's "area", counts parts as wholes, and
        # has no deterministic gradient on CUDA.
        parts = F.interpolate(self.network(enlarged), scale_factor=float(self.scale.denominator), mode="nearest")
        return F.avg_pool2d(parts, self.scale.numerator)
