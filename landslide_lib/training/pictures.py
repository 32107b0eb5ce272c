"""Images with their truth and what a network makes of them. No torch."""

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

if TYPE_CHECKING:  # it imports torch
    from landslide_lib.data.prepare import Data

DARKEST, BRIGHTEST = 2, 98  # shares of the brightness that are drawn black and white


def rgb(data: "Data", rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return some packed images as pictures, (N, S, S, 3) in 0..1, each stretched between two of its percentiles.

    The bands R, G and B where there are such, B4, B3 and B2 of Sentinel-2, else the first band in grey.
    """
    packed = data.packed
    choices = (("R", "G", "B"), ("B4", "B3", "B2"))
    names = next((each for each in choices if {*each} <= set(packed.bands)), packed.bands[:1] * 3)
    images = packed.read(rows, names).astype(np.float32).transpose(0, 2, 3, 1)
    low, high = np.percentile(images, [DARKEST, BRIGHTEST], axis=(1, 2, 3), keepdims=True)
    return np.asarray(np.clip((images - low) / np.maximum(high - low, 1e-6), 0, 1))


class DescribedFigure(Figure):
    """A figure that a notebook shows with words for who cannot see it."""

    words = "Images, a line each: image, true landslides, predicted probability, and hits, misses, false alarms."

    def _repr_html_(self) -> str:
        png = BytesIO()
        self.savefig(png, format="png", bbox_inches="tight", facecolor="white")
        return f'<img alt="{self.words}" src="data:image/png;base64,{b64encode(png.getvalue()).decode()}">'


def image_grid(
    data: "Data", rows: NDArray[np.int64], masks: NDArray[Any], probabilities: NDArray[Any], threshold: float = 0.5
) -> Figure:
    """Draw image, truth, probability, and where the two agree at a threshold, a line an image.

    `rows` (N,) are the packed images, `masks` (N, S, S) in {0, 1} their truth, `probabilities` (N, S, S) in 0..1.
    """
    titles = ("image", "truth", "probability", "hits, misses, false alarms")
    figure = plt.figure(figsize=(9, 2.4 * len(rows)), layout="constrained", FigureClass=DescribedFigure)
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for line, picture, mask, probability, row in zip(axes, rgb(data, rows), masks, probabilities, rows, strict=True):
        line[0].imshow(picture)
        line[1].imshow(mask, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        line[2].imshow(probability, cmap="cividis", vmin=0, vmax=1)
        line[3].imshow(agreement(picture, mask > 0, probability > threshold))
        line[0].set_ylabel(data.packed.ids[row], fontsize="x-small")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize="small")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
    plt.close(figure)  # a notebook shows what the cell returns, once
    return figure


def agreement(picture: NDArray[Any], truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a grey picture with hits in green, misses in orange and false alarms in purple, of Okabe and Ito."""
    shown = np.repeat(picture.mean(-1, keepdims=True), 3, axis=-1).astype(np.float32)
    colours = {"#009E73": truth & called, "#E69F00": truth & ~called, "#CC79A7": ~truth & called}
    for colour, where in colours.items():
        shown[where] = 0.35 * shown[where] + 0.65 * np.array(to_rgb(colour), np.float32)
    return shown
