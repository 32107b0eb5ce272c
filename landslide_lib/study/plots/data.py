"""Figures of what the data is like. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from landslide_lib.study.plots.picture import COLOURS, Picture

Facts = Mapping[str, Any]


def shift(groups: Mapping[str, Facts], whole: Facts, *, name: str) -> Picture:
    """Draw how far the mean of each band is from that of the whole, in its standard deviations.

    Args:
        groups: Regions or parts as `statistics.describe` returns them, by name.
        whole: The `bands` of all images together.
        name: Of the figure.
    """
    table = pd.DataFrame(
        {
            band: {
                label: (some["bands"][band]["mean"] - all_["mean"]) / (all_["std"] or 1)
                for label, some in groups.items()
            }
            for band, all_ in whole.items()
        }
    )
    figure, axes = plt.subplots(
        figsize=(2.6 + 0.52 * table.shape[1], max(2.4, 1 + 0.36 * table.shape[0])), layout="constrained"
    )
    limit = max(0.5, float(table.abs().max().max()))
    shown = axes.imshow(table, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    axes.set_xticks(range(table.shape[1]), table.columns)
    axes.set_yticks(range(table.shape[0]), [label.replace("_", " ") for label in table.index])
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        axes.text(
            column,
            row,
            f"{value:+.2f}",
            ha="center",
            va="center",
            fontsize="x-small",
            color="white" if abs(value) > 0.65 * limit else "black",
        )
    figure.colorbar(shown, ax=axes, label="distance in std")
    data = table.rename_axis("group").reset_index().melt("group", var_name="band")
    return Picture(
        figure,
        name=name,
        data=data.round(4),
        alt="A line a region or part, a column a band: how far its mean lies above or below that "
        "of all images, in standard deviations.",
    )


def areas(sets: Mapping[str, Facts]) -> Picture:
    """Draw how large landslides are, on a logarithmic axis, a line a dataset.

    Left, the landslide share of each image that has any; right, the share of the image that
    one landslide (connected pixels, or a box) covers.

    Args:
        sets: Statistics by dataset; those with neither masks nor boxes are passed over.
    """
    lines = []
    for label, facts in sets.items():
        measured = facts.get("areas") or facts.get("boxes") or {"edges": []}
        kinds = {
            of: measured[key]
            for of, key in (("image", "images"), ("landslide", "landslides"), ("landslide", "counts"))
            if key in measured
        }
        edges = measured["edges"]
        lines += [
            {"data": label, "of": of, "from": low, "to": high, "count": count, "share": count / max(sum(counts), 1)}
            for of, counts in kinds.items()
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
    data = pd.DataFrame(lines, columns=["data", "of", "from", "to", "count", "share"])
    figure, places = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True, layout="constrained")
    titles = {"image": "landslide share of an image", "landslide": "share of one landslide or box"}
    numbers = {label: number for number, label in enumerate(sets)}
    for place, (kind, title) in zip(places, titles.items(), strict=True):
        of_kind = data[data["of"] == kind]
        for name in of_kind["data"].unique():
            number, some = numbers[name], of_kind[of_kind["data"] == name]
            edges = [*some["from"], some["to"].iloc[-1]]
            place.stairs(
                some["share"],
                edges,
                label=name,
                lw=1.6,
                color=COLOURS[number % len(COLOURS)],
                ls=("-", "--", "-.", ":")[number % 4],
            )
        place.set(title=title, xscale="log", xlabel="share of the image", ylim=(0, None))
    places[0].set_ylabel("share of all that have one")
    handles, labels = places[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return Picture(
        figure,
        name="areas",
        data=data.round(5),
        alt="Histograms of landslide areas on a logarithmic axis, a line a dataset: left of whole "
        "images, right of single landslides or boxes.",
    )


def cut_pairs(sets: Mapping[str, Facts]) -> Picture:
    """Draw the share of neighbouring pairs that each split sets apart.

    Args:
        sets: Statistics by dataset; those whose images are in no order are passed over.
    """
    data = pd.DataFrame(
        [
            {"data": label, "split": method, "pairs": kind, "cut": cut, "of": of, "share": cut / of if of else 0.0}
            for label, facts in sets.items()
            for method, kinds in ((facts.get("neighbours") or {}).get("cut") or {}).items()
            for kind, (cut, of) in kinds.items()
        ],
        columns=["data", "split", "pairs", "cut", "of", "share"],
    )
    both = data.groupby(["data", "split"], sort=False)[["cut", "of"]].sum()
    labels = list(dict.fromkeys(data["data"]))
    figure, axes = plt.subplots(figsize=(8, 1.4 + 0.55 * len(labels)), layout="constrained")
    for number, method in enumerate(("shipped", "random", "blocked")):
        for place, label in enumerate(reversed(labels)):
            if (label, method) in both.index:
                count, total = (float(n) for n in both.loc[(label, method)])
                height = place + 0.26 * (1 - number)
                share = count / max(total, 1)
                axes.barh(height, share, 0.24, color=COLOURS[number], label=method)
                # A bar of nothing is seen by its number alone.
                axes.text(share + 0.01, height, f"{share:.0%}", va="center", fontsize="x-small")
    axes.set(
        yticks=range(len(labels)),
        yticklabels=reversed(labels),
        xlim=(0, 1),
        xlabel="share of the neighbouring pairs on two sides of the split",
    )
    axes.grid(visible=False, axis="y")
    handles, names = axes.get_legend_handles_labels()
    one = dict(zip(names, handles, strict=True))
    figure.legend(one.values(), one.keys(), loc="outside lower center", ncols=3, frameon=False)
    return Picture(
        figure,
        name="cut-pairs",
        data=data.round(4),
        alt="Bars: the share of neighbouring pairs that the publisher's split, a random one and "
        "one by scenes set apart, by dataset.",
    )
