"""Center loss: cross entropy with extra weight near the centres of the landslides."""

import torch
from torch import Tensor, nn

from landslide_lib.losses._functional import check_number, prepare, weighted_bce
from landslide_lib.losses._morphology import dilate


def center_weights(target: Tensor, *, weight: float) -> Tensor:
    """Weight landslide pixels by 1 + weight * depth / (depth of the region's deepest pixel).

    The depth is the chessboard distance to the background, 1 on a region's edge, and is capped at
    max(H, W) // 2, which no region that lies wholly inside the image exceeds. What lies outside
    the image is no background: a landslide that the tile's border cuts may be deepest there.
    A region is a set of landslide pixels joined by their eight neighbours.

    The region's greatest depth is found by geodesic dilation, max(H, W) steps inside the region,
    a fixed number because asking whether it has settled would wait for the device. A pixel whose
    way to the region's deepest pixel is longer than that (a narrow, winding region) is measured
    by the deepest pixel that is near enough; its weight is then too high, never over 1 + weight.

    Args:
        target: The mask, 1 is landslide.
        weight: Extra weight on a region's deepest pixels.

    Shape:
        - target: (B, 1, H, W)
        - output: (B, 1, H, W), float32

    Example:
        >>> y = torch.tensor([[[[0, 1, 1, 1, 1, 0, 1, 0]]]])
        >>> center_weights(y, weight=5.0)[0, 0, 0].tolist()
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


class CenterLoss(nn.Module):
    """Binary cross entropy averaged with extra weight near the centres of the landslides.

    Reading: the report says "gives extra weights on the pixels near the center of a landsliding
    region" and no formula. Here "near the centre" is deep inside, relative to the region's own
    depth, so a landslide of one pixel counts as a centre and a large one has its edge lightest.
    The sum is divided by the sum of the weights, so the loss keeps the scale of cross entropy.

    Args:
        weight: Extra weight at a centre, in [0, 1000]; 0 is cross entropy.

    Shape:
        - logits: (B, 1, H, W), any floating type
        - target: (B, 1, H, W), 0 or 1, any type
        - output: scalar

    Raises:
        ValueError: If an argument is out of its range or the shapes differ or are no (B, 1, H, W).

    Reference:
        `raunet-ablation`, slide "II. Losses Examination"; no paper is named there and the term's
        usual one (Wen et al., ECCV 2016, on face features) is another loss.

    Example:
        >>> x, y = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round(CenterLoss()(x, y).item(), 4)  # all of one weight: cross entropy
        0.6931

    """

    def __init__(self, *, weight: float = 5.0) -> None:
        super().__init__()
        self.weight = check_number("weight", weight, minimum=0.0, maximum=1000.0)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss; see the class for shapes."""
        logits, target = prepare(logits, target)
        return weighted_bce(logits, target, center_weights(target, weight=self.weight))
