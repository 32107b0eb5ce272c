"""A figure of the book: opaque, so that a dark theme leaves it readable, with words and numbers. No torch."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from landslide_lib.study.render import csv_link

#: Okabe and Ito's colours: told apart by colour-blind readers too.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999933",
    "#882255",
    "#44AA99",
    "#661100",
)

#: Of a saved figure, in pixels an inch: sharp on a screen with two pixels to one.
DPI = 160


def style() -> None:
    """Set the look of all figures; a chapter calls it once."""
    sns.set_theme(context="notebook", style="whitegrid", palette=COLOURS)
    plt.rcParams.update(
        {
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.dpi": 110,
            "savefig.dpi": DPI,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
        }
    )


class Picture:
    """A figure with words for who cannot see it and, where it draws numbers, their CSV.

    A notebook shows it where it is the last expression of a cell.

    Args:
        figure: Drawn whole; it is closed, so that nothing else shows it too.
        alt: What it shows, without the numbers.
        name: Of the CSV, without its ending.
        data: The numbers drawn, in long form; None for a picture of imagery.
    """

    def __init__(self, figure: Figure, *, alt: str, name: str, data: pd.DataFrame | None = None) -> None:
        self.figure, self.alt, self.name, self.data = figure, alt, name, data
        plt.close(figure)

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        out = BytesIO()
        self.figure.savefig(out, format="png", bbox_inches="tight", dpi=DPI, facecolor="white")
        data = out.getvalue()
        # The drawn width at 96 px an inch, so that a small figure is not blown up to the page.
        width = round(int.from_bytes(data[16:20], "big") * 96 / DPI)
        image = b64encode(data).decode()
        link = "" if self.data is None else csv_link(self.name, self.data.to_csv(index=False))
        return (
            f'<figure class="study-figure" id="figure-{self.name}">'
            f'<img alt="{escape(self.alt)}" width="{width}" src="data:image/png;base64,{image}">'
            f"<figcaption>{link}</figcaption></figure>"
        )
