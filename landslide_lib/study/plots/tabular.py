"""Figures of tables: factors, what trees owe to them, events on a map. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm

from landslide_lib.study.plots.picture import COLOURS, Picture

Lines = Sequence[Mapping[str, Any]]

#: What is set side by side in each class of a factor.
SIDES = {"positives": "landslides", "negatives": "other samples", "area": "region, as implied"}


def factors(levels: Lines, names: Mapping[str, str]) -> Picture:
    """Draw how samples are spread over the classes of each factor, a panel a factor.

    Args:
        levels: Of `tabular.published.of_susceptibility`.
        names: What each factor is called.
    """
    wide = pd.DataFrame(levels)
    for side in SIDES:
        wide[side] = wide[side] / wide.groupby("factor")[side].transform("sum")
    wide["class"] = wide.groupby("factor").cumcount() + 1
    data = wide.melt(["factor", "class", "value"], list(SIDES), "of", "share")
    data["of"] = data["of"].map(SIDES)
    columns = 4
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(11, 2.1 * lines), squeeze=False, layout="constrained")
    for place, name in zip(axes.flat, names, strict=False):
        some = data[data["factor"] == name]
        sns.barplot(
            some,
            x="class",
            y="share",
            hue="of",
            palette=COLOURS[:3],
            ax=place,
            legend="auto" if name == next(iter(names)) else False,
        )
        place.set_title(names[name], fontsize="small")
        place.set(xlabel="", ylabel="")
        values = some["value"].unique()
        every = -(-len(values) // 5)
        place.set_xticks(range(0, len(values), every), [f"{v:.2f}" for v in values[::every]], fontsize="xx-small")
        place.tick_params(axis="y", labelsize="xx-small")
    for place in axes.flat[len(names) :]:
        place.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    if legend := axes.flat[0].get_legend():
        legend.remove()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.supxlabel("certainty factor of the class", fontsize="small")
    figure.supylabel("share", fontsize="small")
    return Picture(
        figure,
        name="factors",
        data=data.round(5),
        alt="A panel a factor: the shares of the landslides, of the other samples and of the "
        "region's area in each class, in the order of its certainty factor.",
    )


def balance(lines: Lines, names: Mapping[str, str]) -> Picture:
    """Draw the sum of the implied areas of each factor, with what chance would spread it by.

    Args:
        lines: Of `certainty.balance`.
        names: What each factor is called.
    """
    data = pd.DataFrame(lines)[["factor", "sum", "error", "empty"]]
    figure, axes = plt.subplots(figsize=(8, 1 + 0.3 * len(data)), layout="constrained")
    places = np.arange(len(data))[::-1]
    axes.barh(
        places,
        2 * 1.96 * data["error"],
        0.5,
        1 - 1.96 * data["error"],
        color=COLOURS[5],
        alpha=0.4,
        label="where 95 % of fresh samples would lie",
    )
    for empty, mark, label in ((False, "o", "this table"), (True, "s", "with an empty class")):
        some = ((data["empty"] > 0) == empty).to_numpy()
        if some.any():
            axes.plot(data["sum"][some], places[some], mark, color=COLOURS[int(empty)], label=label)
    axes.axvline(1, color="black", lw=0.8)
    axes.set(
        yticks=places,
        yticklabels=[names.get(n, n) for n in data["factor"]],
        xlabel="sum of the areas that the certainty factors imply",
    )
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return Picture(
        figure,
        name="balance",
        data=data,
        alt="A line a factor: the sum of the areas of its classes, as implied, against a band "
        "around one within which it would lie by chance.",
    )


def chosen(lines: Lines, names: Mapping[str, str]) -> Picture:
    """Draw how well one factor alone tells the samples, and how well it would places at random.

    Args:
        lines: Of `certainty.negatives`.
        names: What each factor is called.
    """
    data = pd.DataFrame(lines)[["factor", "auc", "auc_region"]]
    figure, axes = plt.subplots(figsize=(8, 1 + 0.3 * len(data)), layout="constrained")
    places = np.arange(len(data))[::-1]
    axes.hlines(places, data["auc_region"], data["auc"], color="gray", lw=1)
    axes.plot(data["auc"], places, "o", color=COLOURS[1], label="from the file's other samples")
    axes.plot(
        data["auc_region"],
        places,
        "o",
        color=COLOURS[0],
        markerfacecolor="white",
        label="from places at random in the region",
    )
    axes.axvline(0.5, color="black", lw=0.8)
    axes.set(
        yticks=places,
        yticklabels=[names.get(n, n) for n in data["factor"]],
        xlabel="AUC of landslides by this factor alone",
    )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return Picture(
        figure,
        name="chosen-negatives",
        data=data.round(5),
        alt="A line a factor with two points: how well it tells landslides from the other samples, "
        "and how well from places drawn at random.",
    )


def shap(mean: Mapping[str, float], levels: Lines, names: Mapping[str, str]) -> Picture:
    """Draw what each factor gives to a prediction, and by its value what the largest ones give.

    Args:
        mean: By factor the mean absolute contribution, in log odds.
        levels: Lines of `factor`, `value` and `shap`.
        names: What each factor is called.
    """
    order = sorted(mean, key=lambda name: -mean[name])
    largest = order[:5]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 1.2 + 0.27 * len(order)), layout="constrained")
    left.barh(
        range(len(order))[::-1],
        [mean[name] for name in order],
        color=[COLOURS[largest.index(name)] if name in largest else "gray" for name in order],
    )
    left.set(
        yticks=range(len(order))[::-1],
        yticklabels=[names.get(n, n) for n in order],
        xlabel="mean |contribution|, log odds",
    )
    data = pd.DataFrame(levels)[["factor", "value", "shap"]]
    for number, name in enumerate(largest):
        some = data[data["factor"] == name]
        right.plot(some["value"], some["shap"], "o-", ms=4, lw=1, color=COLOURS[number], label=names.get(name, name))
    right.axhline(0, color="black", lw=0.8)
    right.set(xlabel="certainty factor of the class", ylabel="mean contribution, log odds")
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize="small")
    return Picture(
        figure,
        name="shap",
        data=data.assign(mean_absolute=data["factor"].map(mean)),
        alt="Left a bar a factor: the mean absolute contribution to a prediction. Right the mean "
        "contribution over the certainty factor, for the five largest.",
    )


def encodings(lines: Lines, labels: Mapping[str, str]) -> Picture:
    """Draw the AUC under each encoding, with true labels and with permuted ones.

    Args:
        lines: Of `tabular.published.of_susceptibility`, under `encodings`.
        labels: What each encoding is called, in order.
    """
    data = pd.DataFrame(lines)
    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(10, 1.4 + 0.5 * len(labels)), layout="constrained")
    places = np.arange(len(labels))[::-1]
    for place, kind in zip(axes, ("true", "permuted"), strict=True):
        for number, model in enumerate(("trees", "sum")):
            some = data[(data["labels"] == kind) & (data["model"] == model)].set_index("encoding")
            some = some.reindex(list(labels))
            place.errorbar(
                some["auc"],
                places + 0.12 - 0.24 * number,
                xerr=some["auc_std"],
                fmt="os"[number],
                ms=5,
                capsize=2,
                color=COLOURS[number],
                label={"trees": "boosted trees", "sum": "sum of the factors"}[model] if kind == "true" else None,
            )
        place.axvline(0.5, color="black", lw=0.8)
        place.set(title=f"{kind} labels", xlabel="AUC out of fold", yticks=places, yticklabels=list(labels.values()))
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return Picture(
        figure,
        name="encodings",
        data=data,
        alt="The area under the ROC of trees and of the plain sum of the factors, a line an "
        "encoding: left with true labels, right with permuted ones.",
    )


def world(cells: Sequence[Sequence[int]], size: int) -> Picture:
    """Draw how many events lie in each cell of a grid over the Earth.

    Args:
        cells: West edge, south edge, events; those with any.
        size: Of a cell, in degrees.
    """
    data = pd.DataFrame(cells, columns=["west", "south", "events"])
    figure, axes = plt.subplots(figsize=(10, 4.8), layout="constrained")
    # Marks of a cell's size leave the rest of the Earth white.
    east, north = np.arange(-180, 180 + size, size), np.arange(-90, 90 + size, size)
    counts = np.full((len(north) - 1, len(east) - 1), np.nan)
    row, column = (data["south"] + 90) // size, (data["west"] + 180) // size
    counts[row.clip(0, len(counts) - 1), column.clip(0, counts.shape[1] - 1)] = data["events"]
    drawn = axes.pcolormesh(east, north, counts, cmap="viridis_r", norm=LogNorm(vmin=1))
    figure.colorbar(drawn, ax=axes, label="events in a cell", shrink=0.8)
    axes.set(xlabel="longitude, degrees", ylabel="latitude, degrees", xlim=(-180, 180), ylim=(-60, 80), aspect="equal")
    return Picture(
        figure,
        name="world",
        data=data,
        alt="A map of the Earth without coasts: how many events of the catalogue lie in each cell "
        "of longitude and latitude.",
    )


def events(triggers: Mapping[str, int], months: Mapping[str, Sequence[int]]) -> Picture:
    """Draw events by trigger, and by month of the year north and south of the equator.

    Args:
        triggers: Events by trigger.
        months: Twelve numbers of `north` and of `south`.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 1 + 0.25 * len(triggers)), width_ratios=(1, 1.1), layout="constrained"
    )
    by_trigger = pd.DataFrame({"trigger": list(triggers), "events": list(triggers.values())})
    sns.barplot(by_trigger, x="events", y="trigger", color=COLOURS[0], ax=left)
    left.set(xscale="log", ylabel="", xlabel="events, logarithmic")
    by_month = pd.DataFrame(
        [
            {"month": month, "side": side, "events": count, "share": count / max(sum(counts), 1)}
            for side, counts in months.items()
            for month, count in enumerate(counts, 1)
        ]
    )
    sns.lineplot(
        by_month, x="month", y="share", hue="side", style="side", markers=True, palette=COLOURS[: len(months)], ax=right
    )
    right.set(ylabel="share of the side's events", ylim=(0, None), xticks=range(1, 13))
    right.legend(title="of the equator", frameon=False)
    return Picture(
        figure,
        name="events",
        data=pd.concat([by_trigger, by_month.assign(share=by_month["share"].round(5))]),
        alt="Left a bar a trigger: the events it set off. Right the share of the events in each "
        "month, north and south of the equator.",
    )


def planes(named: Mapping[str, Mapping[str, float]], most: int = 12) -> Picture:
    """Draw what trees on features of tiles look at, a panel a dataset.

    Args:
        named: By dataset, of each plane the mean absolute contribution in log odds.
        most: Planes a panel, the largest.
    """
    figure, axes = plt.subplots(
        1, len(named), squeeze=False, layout="constrained", figsize=(5 * len(named), 1 + 0.3 * most)
    )
    lines = []
    for place, (name, values) in zip(axes[0], named.items(), strict=True):
        largest = sorted(values, key=lambda plane: -values[plane])[:most]
        place.barh(range(len(largest))[::-1], [values[plane] for plane in largest], color=COLOURS[0])
        place.set(
            yticks=range(len(largest))[::-1], yticklabels=largest, title=name, xlabel="mean |contribution|, log odds"
        )
        lines += [{"data": name, "plane": plane, "contribution": value} for plane, value in values.items()]
    return Picture(
        figure,
        name="planes",
        data=pd.DataFrame(lines),
        alt="A panel a dataset, a bar a plane of a tile: the mean absolute contribution of its "
        "statistics to the prediction.",
    )
