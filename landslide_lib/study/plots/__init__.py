"""Figures of the study. What only one chapter draws stands in that chapter. No torch."""

from landslide_lib.study.plots.curves import learning_curves, threshold_curves
from landslide_lib.study.plots.effects import forest
from landslide_lib.study.plots.images import maps, patches, true_colour
from landslide_lib.study.plots.picture import COLOURS, DPI, Picture, style

__all__ = [
    "COLOURS",
    "DPI",
    "Picture",
    "forest",
    "learning_curves",
    "maps",
    "patches",
    "style",
    "threshold_curves",
    "true_colour",
]
