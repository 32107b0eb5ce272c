"""Images with their truth and what a network makes of them. No torch."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from textwrap import fill
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from landslide_lib.data.pack import Packed


def true_colour(images: NDArray[Any], bands: Sequence[str]) -> NDArray[np.float32]:
    """Return images (..., C, S, S) as pictures (..., S, S, 3) in 0..1, each stretched between two of its percentiles.

    The bands R, G and B where there are such, B4, B3 and B2 of Sentinel-2, else the first band in grey.
    """
    choices = (("R", "G", "B"), ("B4", "B3", "B2"))
    names = next((each for each in choices if {*each} <= {*bands}), [bands[0]] * 3)
    picture = np.stack([images[..., list(bands).index(name), :, :] for name in names], -1).astype(np.float32)
    low, high = np.percentile(picture, [2, 98], axis=(-3, -2, -1), keepdims=True)
    return np.asarray(np.clip((picture - low) / np.maximum(high - low, 1e-6), 0, 1), np.float32)


class DescribedFigure(Figure):
    """A figure that a notebook shows with words for who cannot see it."""

    def _repr_html_(self) -> str:
        png = BytesIO()
        self.savefig(png, format="png", bbox_inches="tight", facecolor="white")
        words, picture = escape(str(self.get_label())), b64encode(png.getvalue()).decode()
        return f'<img alt="{words}" src="data:image/png;base64,{picture}">'


def image_grid(
    packed: Packed, rows: NDArray[np.int64], probabilities: Mapping[str, NDArray[Any]], threshold: float = 0.5
) -> Figure:
    """Draw image, truth, and of each network the probability and where it agrees at a threshold, a line an image.

    `rows` (N,) are the packed images, `probabilities` (N, S, S) in 0..1 those of the networks by name.
    """
    images, masks = true_colour(packed.images[rows], packed.bands), packed.masks[rows]
    columns = {"image": images, "truth": masks.astype(float)}
    for name, each in probabilities.items():
        agreed = [*map(agreement, images, masks > 0, each > threshold)]
        columns |= {f"{name} probability": each, f"{name} hits, misses, false alarms": np.stack(agreed)}
    return draw_grid(columns, [packed.ids[row] for row in rows])


def draw_grid(columns: Mapping[str, NDArray[Any]], labels: Sequence[str]) -> Figure:
    """Draw columns of pictures (N, S, S) or (N, S, S, 3) in 0..1 by their titles, a labelled line each."""
    size = (2.25 * len(columns), 2.4 * len(labels))
    figure = plt.figure(figsize=size, layout="constrained", FigureClass=DescribedFigure)
    figure.set_label(f"Lines of pictures ({'; '.join(labels)}), each: {', '.join(title.strip() for title in columns)}.")
    axes = figure.subplots(len(labels), len(columns), squeeze=False)
    for column, (title, pictures) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(fill(title.strip(), 26), fontsize="small")
        for axis, picture in zip(column, pictures, strict=True):
            axis.imshow(picture, cmap="gray" if title == "truth" else "cividis", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.grid(visible=False)
    for axis, label in zip(axes[:, 0], labels, strict=True):
        axis.set_ylabel(fill(label, 26), fontsize="x-small")
    plt.close(figure)  # a notebook shows what the cell returns, once
    return figure


def spread(masks: NDArray[Any], count: int = 6) -> NDArray[np.int64]:
    """Return the places of some masks (N, S, S) with landslides, evenly from the smallest landslide to the largest."""
    sizes = masks.sum((1, 2), dtype=np.int64)
    order = np.argsort(sizes, kind="stable")[np.count_nonzero(sizes == 0) :]
    return np.asarray(order[np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))[: len(order)]])


def encode(probability: NDArray[Any]) -> str:
    """Return a probability (S, S) as text: a PNG of 256 grey levels in base64; see `decode`."""
    _, png = cv2.imencode(".png", np.rint(255 * probability).astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return b64encode(png.tobytes()).decode()


def decode(text: str, size: int) -> NDArray[np.float32]:
    """Return the probability (S, S) that `encode` was given, to half a 255th, resized to `size` pixels."""
    levels: Any = cv2.imdecode(np.frombuffer(b64decode(text), np.uint8), cv2.IMREAD_GRAYSCALE)
    return np.asarray(cv2.resize(levels / np.float32(255), (size, size)))


def agreement(picture: NDArray[Any], truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a grey picture with hits in green, misses in orange and false alarms in purple, of Okabe and Ito."""
    shown = np.repeat(picture.mean(-1, keepdims=True), 3, axis=-1).astype(np.float32)
    colours = {"#009E73": truth & called, "#E69F00": truth & ~called, "#CC79A7": ~truth & called}
    for colour, where in colours.items():
        shown[where] = 0.35 * shown[where] + 0.65 * np.array(to_rgb(colour), np.float32)
    return shown
