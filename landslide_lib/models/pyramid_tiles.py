"""A small network of optical and radar images with a feature pyramid, for tiles."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork

from landslide_lib.data.bands import radar

#: Channels of the four levels of a branch, and of the pyramid: under a million parameters in all.
WIDTHS, WIDTH = (16, 32, 64, 96), 64
TINY, TINY_WIDTH = (4, 4, 8, 8), 8
DROPOUT = 0.3


def branch(in_channels: int, widths: Sequence[int]) -> nn.ModuleList:
    """Build the levels of a branch: two convolutions each, the first halves the resolution."""
    return nn.ModuleList(
        nn.Sequential(*Conv2dNormActivation(before, width, stride=2), *Conv2dNormActivation(width, width))
        for before, width in zip((in_channels, *widths[:-1]), widths, strict=True)
    )


class PyramidTiles(nn.Module):
    """Branches of four levels for optical images and for each pass of a radar; with `shared` passes have one branch.

    With a pyramid, each level of all branches together is joined with the coarser ones above it, and a linear layer
    decides on the means of all levels; without it, a conventional network, on the mean of the coarsest. Raises
    ValueError: one branch is to serve passes that differ in their number of bands.

    Shape: (B, C, S, S), S at least 16, normalised, to logits (B, 1, 1, 1). Reference: `negative-filter-fpn`, section
    Technical Details, which states neither widths nor dropout; Lin and others 2017, arXiv:1612.03144.

    >>> bands = ("R", "G", "B", "NIR", "VV_desc", "VH_desc", "VV_asc", "VH_asc")
    >>> PyramidTiles(bands)(torch.zeros(2, 8, 64, 64)).shape
    torch.Size([2, 1, 1, 1])
    """

    def __init__(self, bands: Sequence[str], *, pyramid: bool = True, shared: bool = False, tiny: bool = False) -> None:
        super().__init__()
        widths, width = (TINY, TINY_WIDTH) if tiny else (WIDTHS, WIDTH)
        by_branch: dict[str, list[int]] = {"optical": [], "desc": [], "asc": []}
        for place, band in enumerate(bands):
            name = next(name for name in by_branch if band.endswith(name)) if radar(band) else "optical"
            by_branch[name].append(place)
        self.places = {name: places for name, places in by_branch.items() if places}
        passes = [name for name in self.places if name != "optical"]
        if shared and len({len(self.places[name]) for name in passes}) > 1:
            counts = " and ".join(f"{len(self.places[name])} of {name}" for name in passes)
            raise ValueError(f"passes: one branch takes as many bands of both, not {counts}")
        self.branches = nn.ModuleDict()
        for name, places in self.places.items():
            first = passes[0] if shared and name in passes else name
            self.branches[name] = self.branches[first] if first in self.branches else branch(len(places), widths)
        together = [len(self.places) * channels for channels in widths]
        self.pyramid = FeaturePyramidNetwork(together, width) if pyramid else None
        features = len(widths) * width if pyramid else together[-1]
        self.classifier = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(features, 1))

    def forward(self, images: Tensor) -> Tensor:
        branches: list[list[Tensor]] = []
        for name, places in self.places.items():
            x, levels = images[:, places], []
            for level in self.branches[name]:  # type: ignore[attr-defined]
                x = level(x)
                levels.append(x)
            branches.append(levels)
        together = {str(i): torch.cat(maps, 1) for i, maps in enumerate(zip(*branches, strict=True))}
        maps = list(together.values())[-1:] if self.pyramid is None else list(self.pyramid(together).values())
        return self.classifier(torch.cat([level.mean((2, 3)) for level in maps], 1))[..., None, None]
