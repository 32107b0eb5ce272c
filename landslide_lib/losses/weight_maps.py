"""The weights of the pixels in the boundary and the centre loss, from the mask alone. None waits for the device."""

import math

import torch
from torch import Tensor


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
