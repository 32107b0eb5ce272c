"""Scale promotion: a network sees small landslides enlarged."""

from __future__ import annotations

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
        network: From images (B, C, T, T) to logits (B, 1, T, T), where T is the scale times S.
        scale: At least 1, as a decimal number; the report has 1, 2.5 and 4. 1 is the network as it is.

    Shape: (B, C, S, S) to (B, 1, S, S).

    Raises:
        ValueError: The scale is below 1, or `forward` is given images of which it does not make whole pixels.

    Reference: `label-refinement.md`, 2.1.

    >>> import torch
    >>> tuple(UpsampledInput(nn.Conv2d(3, 1, 1), scale=2.5)(torch.zeros(2, 3, 32, 32)).shape)
    (2, 1, 32, 32)
    """

    def __init__(self, network: nn.Module, scale: float) -> None:
        super().__init__()
        if not scale >= 1:
            raise ValueError(f"scale {scale} is refused: images are enlarged, so it is at least 1")
        self.network = network
        self.scale = Fraction(str(scale))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits at the images' own size."""
        if self.scale == 1:
            logits: Tensor = self.network(images)
            return logits
        sides = [side * self.scale for side in images.shape[2:]]
        if any(side.denominator > 1 for side in sides):
            raise ValueError(
                f"images of {images.shape[-1]} pixels cannot be enlarged by {float(self.scale)}: "
                f"{float(sides[-1])} pixels are no whole number; take another image_size or scale"
            )
        enlarged = F.interpolate(images, size=[int(side) for side in sides], mode="bilinear")
        # The mean over 5/2 pixels is that over 5 halves. Adaptive pooling, torch's "area", counts parts as wholes, and
        # has no deterministic gradient on CUDA.
        parts = F.interpolate(self.network(enlarged), scale_factor=float(self.scale.denominator), mode="nearest")
        return F.avg_pool2d(parts, self.scale.numerator)
