"""What a row's network costs, counted and not measured."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from landslide_lib.study.recipe import Segmentation
from landslide_lib.study.tasks.segmentation import model_of


def count(recipe: Segmentation) -> dict[str, float]:
    """Count what a network holds and what an image takes, on torch's meta device: no memory.

    Args:
        recipe: Of a row.

    Returns:
        `parameters`, and `multiply_adds` of one image: of convolutions and matrix products, each
        a multiplication with its addition. Normalisation, activations and resizing are left out.

    Reference:
        torch.utils.flop_counter, which counts two operations a multiplication with its addition.
    """
    bands = recipe.channels
    counter = FlopCounterMode(display=False)
    with torch.device("meta"):
        # No weights are fetched for a network that has none.
        network = model_of(recipe.model_copy(update={"pretrained": False}), bands).eval()
        with torch.no_grad(), counter:
            network(torch.empty(1, bands, recipe.image_size, recipe.image_size))
    return {"parameters": sum(p.numel() for p in network.parameters()), "multiply_adds": counter.get_total_flops() / 2}
