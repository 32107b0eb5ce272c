"""What is done to a trained network's answers: `raunet/post-processing`. Nothing is trained.

All steps give probabilities. Opening and closing with a flat kernel commute with thresholding (Serra 1982): a mask cut
from the opened probabilities is the opened mask.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.models.heads import Outputs, mask_of

MORPHOLOGY = {"opening": cv2.MORPH_OPEN, "closing": cv2.MORPH_CLOSE}


@torch.no_grad()
def probability(network: nn.Module, images: Tensor, steps: Sequence[Any] = ()) -> Tensor:
    """Return the probability of landslide of every pixel, (B, 1, S, S) in 0..1, float32.

    `network` is in evaluation mode. Each step has a `name`: `multi_angles`, `voting`, `opening` or `closing`, these two
    with a `kernel`. Turning and voting decide what the network is asked, wherever they stand; the others follow in
    their order. Raises ValueError: voting over the masks of a network that gives one.
    """
    names = {step.name for step in steps}
    read = voted if "voting" in names else (lambda outputs: mask_of(outputs).float().sigmoid())
    quarters = range(4) if "multi_angles" in names else range(1)
    mean = torch.stack([_turned(read(network(_turned(images, quarter))), -quarter) for quarter in quarters]).mean(0)
    for step in steps:
        if step.name in MORPHOLOGY:
            mean = morphology(mean, step.name, step.kernel)
    return mean


def _turned(images: Tensor, quarters: int) -> Tensor:
    """Turn images; what is not turned is not copied, as `rot90` would."""
    return torch.rot90(images, quarters, (2, 3)) if quarters else images


def voted(outputs: Outputs) -> Tensor:
    """Return the mean probability of the masks at half, once and twice the resolution.

    Resized bilinearly, which of the double is the mean of 2x2 pixels, as in the first author's code
    (https://github.com/CamDucLe/Landslide-Project-Sentinel2).
    """
    if isinstance(outputs, Tensor) or not {"mask", "half", "double"} <= outputs.keys():
        raise ValueError("voting takes the three masks of head multi_resolution; here is one")
    size = outputs["mask"].shape[2:]
    half, double = (outputs[name].float().sigmoid() for name in ("half", "double"))
    larger = F.interpolate(half, size=size, mode="bilinear", align_corners=False)
    return torch.stack([outputs["mask"].float().sigmoid(), larger, F.avg_pool2d(double, 2)]).mean(0)


def morphology(probabilities: Tensor, name: str, kernel: int) -> Tensor:
    """Return the `opening` or `closing` of images (B, 1, S, S) with a square; what lies outside takes no part.

    With an even `kernel` all is moved by one pixel, down and to the right, as OpenCV does in the first author's code.
    """
    square = np.ones((kernel, kernel), np.uint8)
    images = probabilities[:, 0].cpu().numpy()
    changed = np.stack([cv2.morphologyEx(image, op=MORPHOLOGY[name], kernel=square) for image in images])
    return torch.from_numpy(changed)[:, None].to(probabilities.device)
