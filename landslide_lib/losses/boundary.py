"""Boundary loss: cross entropy with extra weight near the outlines of the landslides."""

import math

import torch
from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare, weighted_bce
from landslide_lib.losses._morphology import dilate


def boundary_weights(target: Tensor, *, weight: float, sigma: float) -> Tensor:
    """Weight the pixels by 1 + weight * exp(-d^2 / (2 sigma^2)), d the distance to a boundary.

    d is the chessboard distance to the nearest boundary pixel: one with a pixel of the other
    class among its eight neighbours, so the pixels on both sides of an outline have d = 0. The
    image's border is no boundary. Beyond ceil(3 sigma) the weight is 1.

    Args:
        target: The mask, 1 is landslide.
        weight: Extra weight on the boundary.
        sigma: Width of the boundary zone in pixels.

    Shape:
        - target: (B, 1, H, W)
        - output: (B, 1, H, W), float32

    Example:
        >>> y = torch.tensor([[[[0, 0, 0, 1, 1, 1]]]])
        >>> w = boundary_weights(y, weight=1.0, sigma=0.5)
        >>> [round(v, 2) for v in w.flatten().tolist()]
        [1.0, 1.14, 2.0, 2.0, 1.14, 1.0]

    """
    radius = math.ceil(3 * sigma)
    with torch.no_grad():
        mask = target.to(torch.uint8)
        # A boundary pixel has both classes in its neighbourhood, so both of these are 1.
        zone = dilate(mask) + dilate(1 - mask) - 1
        # The zones are nested: a pixel at distance d is in those from the d-th on.
        zones = zone.clone()
        for _ in range(radius):
            zone = dilate(zone)
            zones += zone
        distance = (radius + 1 - zones).float()
        return 1 + weight * torch.exp((distance / sigma).square() / -2) * (zones > 0)


class BoundaryLoss(nn.Module):
    """Binary cross entropy averaged with extra weight near the boundaries of landslides.

    Reading: the report says "gives extra weights on the pixels near the boundary of a landsliding
    region" and no formula. The Gaussian fall-off with the distance is that of the border term of
    U-Net's weight map, with this study's default weight and width. The sum is divided by the sum
    of the weights, so the loss keeps the scale of cross entropy.

    Args:
        weight: Extra weight on the boundary itself, in [0, 1000]; 0 is cross entropy.
        sigma: Width of the zone in pixels, in [0.1, 32].

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If an argument is out of its range or the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slide "II. Losses Examination"; Ronneberger et al., U-Net, MICCAI 2015,
        https://arxiv.org/abs/1505.04597, equation 2.

    Example:
        >>> x, y = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(BoundaryLoss()(x, y).item(), 4)  # no boundary: cross entropy
        0.6931

    """

    def __init__(self, *, weight: float = 5.0, sigma: float = 2.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, minimum=0.0, maximum=1000.0)
        self.sigma = check_number("sigma", sigma, minimum=0.1, maximum=32.0)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        weights = boundary_weights(target, weight=self.weight, sigma=self.sigma)
        return weighted_bce(logits, target, weights)
