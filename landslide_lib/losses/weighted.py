"""Weighted sums of losses, and cross entropy with weights: of landslides, near their outlines, near their centres."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from landslide_lib.losses.checks import in_range, prepare


class WeightedSum(nn.Module):
    """The weighted sum of losses: pairs of a weight, at least 0, and a loss; one weight at least is more than 0.

    A term of weight 0 is not computed. Reference: `raunet-ablation`, slide II, the table of combined losses.

    >>> from landslide_lib.losses import FocalLoss, IoULoss
    >>> loss = WeightedSum([(0.5, FocalLoss()), (0.5, IoULoss())])
    >>> round(loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)).item(), 4)
    0.3606
    """

    def __init__(self, terms: Sequence[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = [float(weight) for weight, _ in terms]
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        pairs = zip(self.weights, self.losses, strict=True)
        return torch.stack([weight * loss(logits, target) for weight, loss in pairs if weight > 0]).sum()

    def extra_repr(self) -> str:
        return f"weights={self.weights}"


class WeightedCrossEntropyLoss(nn.Module):
    """Binary cross entropy on logits whose landslide term is multiplied by a weight; 1 is cross entropy.

    Reference: `negative-filter-fpn`, section Training Strategy, which does not state the weight.

    >>> x, y = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 0.0]]]])
    >>> round(WeightedCrossEntropyLoss(weight=3.0)(x, y).item(), 4)  # (3 + 1) / 2 * log 2
    1.3863
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = in_range("weighted_ce.weight", weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        weight = torch.as_tensor(self.weight, dtype=logits.dtype, device=logits.device)
        return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)


class BoundaryLoss(nn.Module):
    """Cross entropy averaged with the weights of `boundary_weights`: more near the outlines of landslides.

    The report prints no formula; we assume the Gaussian fall-off of the border term of U-Net's weight map, `sigma`
    pixels wide, with an extra `weight` on the boundary itself. Divided by the sum of the weights, it keeps the scale of
    cross entropy. Reference: `raunet-ablation`, slide II; Ronneberger et al. 2015, arXiv:1505.04597, equation 2.
    """

    def __init__(self, *, weight: float = 5.0, sigma: float = 2.0) -> None:
        super().__init__()
        self.weight, self.sigma = in_range("boundary.weight", weight), in_range("boundary.sigma", sigma)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        return averaged(logits, target, boundary_weights(target, weight=self.weight, sigma=self.sigma))


class CenterLoss(nn.Module):
    """Cross entropy averaged with the weights of `center_weights`: more near the centres of landslides.

    The report prints no formula; we assume that "near the centre" is deep inside, relative to the region's own depth,
    so a landslide of one pixel counts as a centre. `weight` is the extra weight there. Reference: `raunet-ablation`,
    slide II; the center loss of Wen et al., ECCV 2016, on face features, is another.
    """

    def __init__(self, *, weight: float = 5.0) -> None:
        super().__init__()
        self.weight = in_range("center.weight", weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        logits, target = prepare(logits, target)
        return averaged(logits, target, center_weights(target, weight=self.weight))


def averaged(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the mean cross entropy over the pixels by their weights."""
    losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (losses * weights).sum() / weights.sum()


def boundary_weights(target: Tensor, *, weight: float, sigma: float) -> Tensor:
    """Weight the pixels by 1 + weight * exp(-d^2 / (2 sigma^2)), d the distance to a boundary: (B, 1, H, W), float32.

    d is the chessboard distance in pixels to the nearest boundary pixel: one with a pixel of the other class among its
    eight neighbours, so both sides of an outline have d = 0. The image's border is none. Beyond ceil(3 sigma) the
    weight is 1.

    >>> w = boundary_weights(torch.tensor([[[[0, 0, 0, 1, 1, 1]]]]), weight=1.0, sigma=0.5)
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


def center_weights(target: Tensor, *, weight: float) -> Tensor:
    """Weight landslide pixels by 1 + weight * depth / (depth of the region's deepest pixel): (B, 1, H, W), float32.

    The depth is the chessboard distance to the background, 1 on a region's edge, at most max(H, W) // 2. What lies
    outside the image is no background: a landslide that the tile's border cuts may be deepest there. A region is joined
    by its pixels' eight neighbours. Its greatest depth is found by max(H, W) geodesic dilations, as asking whether it
    has settled would wait for the device: in a narrow, winding region a weight may be too high, never over 1 + weight.

    >>> center_weights(torch.tensor([[[[0, 1, 1, 1, 1, 0, 1, 0]]]]), weight=5.0)[0, 0, 0].tolist()
    [1.0, 3.5, 6.0, 6.0, 3.5, 1.0, 6.0, 1.0]
    """
    side = max(target.shape[-2:])
    cap = max(1, side // 2)
    with torch.no_grad():
        # Bytes where they hold the depths: four times less memory to go through than float32.
        mask = target.to(torch.uint8 if cap < 256 else torch.int16)
        background = 1 - mask
        depth = mask.clone()
        for _ in range(cap - 1):
            background = dilate(background)
            depth += 1 - background
        deepest = depth
        for _ in range(side):
            deepest = dilate(deepest).mul_(mask)
        return 1 + weight * depth.float() / deepest.clamp(min=1).float()


def dilate(x: Tensor) -> Tensor:
    """Take the maximum over each 3x3 neighbourhood inside the image, (B, 1, H, W) uint8 to the same.

    By shifted slices, which the CPU works off many bytes at a time; `max_pool2d` goes pixel by pixel.

    >>> dilate(torch.tensor([[[[1, 0, 0], [0, 0, 0]]]]))[0, 0].tolist()
    [[1, 1, 0], [1, 1, 0]]
    """
    rows = x.clone()
    torch.maximum(rows[..., 1:, :], x[..., :-1, :], out=rows[..., 1:, :])
    torch.maximum(rows[..., :-1, :], x[..., 1:, :], out=rows[..., :-1, :])
    out = rows.clone()
    torch.maximum(out[..., 1:], rows[..., :-1], out=out[..., 1:])
    torch.maximum(out[..., :-1], rows[..., 1:], out=out[..., :-1])
    return out
