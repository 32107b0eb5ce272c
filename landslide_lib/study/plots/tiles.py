"""Figures of networks that call whole tiles: parts, a gate, an ensemble, curves. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from landslide_lib.study.fused import WHERE
from landslide_lib.study.plots.picture import COLOURS, Picture
from landslide_lib.study.tilewise import BRANCHES, FIFTHS, TENTHS, by_quantile


def worth(found: Sequence[Mapping[str, Any]], *, name: str = "tiles-worth") -> Picture:
    """Draw what each part is worth: reported as a bar, ours with its interval.

    Args:
        found: From `fused.worth`; parts with neither are left out.
        name: Of the figure.
    """
    kept = [one for one in found if one["half"] or one["reported"]]
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.6 * len(kept)), layout="constrained")
    places = np.arange(len(kept))[::-1]
    printed = np.array([one["reported"] or (np.nan, np.nan) for one in kept]).reshape(-1, 2)
    data = {
        "part": [one["part"] for one in kept],
        "having": [one["having"] for one in kept],
        "lacking": [one["lacking"] for one in kept],
        "reported_low": printed[:, 0],
        "reported_high": printed[:, 1],
    }
    axes.axvline(0, color="gray", lw=1)
    axes.hlines(places + 0.22, *printed.T, color="black", lw=3)
    axes.plot(
        printed.mean(1),
        places + 0.22,
        "s",
        color="black",
        ms=5,
        label="reported" if np.isfinite(printed).any() else None,
    )
    for number, (at, label) in enumerate(WHERE.items()):
        of = {
            key: np.array([(one[at] or {}).get(key) for one in kept], np.float64)
            for key in ("difference", "low", "high")
        }
        height = places - 0.22 * number
        axes.hlines(height, of["low"], of["high"], color=COLOURS[number], lw=2)
        axes.plot(
            of["difference"],
            height,
            "o",
            color=COLOURS[number],
            label=f"ours, {label[3:]}",
            markerfacecolor="white" if number else COLOURS[number],
        )
        data |= {f"{at}_{key}": values for key, values in of.items()}
    blank = [bool(one["half"]) and not any(one["taught"].values()) for one in kept]
    axes.set_yticks(places, [one["part"] + "\n(no measure of it)" * no for one, no in zip(kept, blank, strict=True)])
    axes.set(ylim=(-0.6, len(kept) - 0.4), xlabel="F1 of tiles with it less that without it")
    axes.tick_params(axis="y", labelsize="small")
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize="small")
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(data).round(4),
        alt="What each part adds to the F1 of tiles, a line a part: squares as reported, dots ours "
        "at threshold 0.5, circles ours at the thresholds of validation, both with intervals; "
        "right of the line at zero it helps. No measure is one with a row that at neither is "
        "clearly above calling every tile landslide.",
    )


def gate(frame: pd.DataFrame, *, name: str = "gate") -> Picture:
    """Draw the mean weight that a gate gives each kind of features, over the brightness of tiles.

    Thick, the mean of each tenth of the tiles with its interval over scenes; thin, the same of each
    network.

    Args:
        frame: From `tilewise.tiles`, with brightness and at least one weight.
        name: Of the figure.
    """
    named = [branch for branch in BRANCHES if branch in frame]
    figure, panels = plt.subplots(1, len(named), sharey=True, squeeze=False, figsize=(9, 3.8), layout="constrained")
    lines = []
    for place, (axes, branch) in enumerate(zip(panels[0], named, strict=True)):
        some = frame.dropna(subset=[branch])
        for number, own in some.groupby("network"):
            each = by_quantile(own, "brightness", branch, TENTHS)
            axes.plot(each["group"], each["mean"], color=COLOURS[place], lw=0.8, alpha=0.35)
            lines.append(each.assign(branch=branch, network=str(number)))
        every = by_quantile(some, "brightness", branch, TENTHS)
        axes.errorbar(
            every["group"], every["mean"], _reach(every), fmt="o-", ms=5, lw=2, capsize=3, color=COLOURS[place]
        )
        axes.set(title=f"{branch} features", xlabel="tenths of the tiles, median brightness")
        axes.set_xticks(every["group"], [f"{value:.2g}" for value in every["at"]], fontsize="x-small")
        lines.append(every.assign(branch=branch, network="all"))
    panels[0, 0].set_ylabel("mean weight of a feature")
    return Picture(
        figure,
        name=name,
        data=pd.concat(lines).round(5),
        alt="The mean weight that a gate gives to the features of each branch over the brightness "
        "of a tile, in tenths of the tiles with intervals; thin lines are single networks.",
    )


def disagreement(frame: pd.DataFrame, *, name: str = "disagreement") -> Picture:
    """Draw the error rate of an ensemble over how far its members lie apart.

    Beside it the same over how near the mean is to the threshold, known without any member.

    Args:
        frame: From `tilewise.tiles`, of ensembles.
        name: Of the figure.
    """
    given = frame.assign(near=-frame["margin"])
    kinds = {"apart": "spread of the members", "near": "nearness of the mean to the threshold"}
    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    lines = []
    for number, (column, label) in enumerate(kinds.items()):
        groups = by_quantile(given, column, "wrong", FIFTHS)
        places = groups["group"].to_numpy() + 0.08 * number - 0.04
        axes.errorbar(
            places,
            groups["mean"],
            _reach(groups),
            fmt="os"[number] + "-",
            ms=6,
            capsize=3,
            color=COLOURS[number],
            label=label,
        )
        lines.append(groups.assign(by=label))
    axes.set(
        xlabel="fifth of the test tiles, the least unsure first",
        ylabel="called wrongly",
        xticks=range(1, FIFTHS + 1),
        ylim=(0, None),
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize="small")
    return Picture(
        figure,
        name=name,
        data=pd.concat(lines).round(5),
        alt="The share of tiles that an ensemble calls wrongly, by fifths of the tiles: once by "
        "how far its members lie apart, once by how near their mean is to the threshold.",
    )


def curves(named: Mapping[str, NDArray[np.float64]], *, name: str = "tiles-curves") -> Picture:
    """Draw the validation F1 over the epochs, a line a row and a band of its networks.

    Args:
        named: By row (networks, epochs), see `filtered.curve`.
        name: Of the figure.
    """
    figure, axes = plt.subplots(figsize=(9, 4.4), layout="constrained")
    lines = []
    for place, (label, each) in enumerate(named.items()):
        epochs = np.arange(1, each.shape[1] + 1)
        mean, spread = np.nanmean(each, axis=0), np.nanstd(each, axis=0)
        axes.fill_between(epochs, mean - spread, mean + spread, color=COLOURS[place], alpha=0.12, lw=0)
        axes.plot(epochs, mean, ("-", "--", ":")[place % 3], lw=2, color=COLOURS[place], label=label)
        lines.append(pd.DataFrame({"row": label, "epoch": epochs, "mean": mean, "std": spread, "networks": len(each)}))
    axes.set(xlabel="epoch", ylabel="F1 of validation tiles, mean ± std", ylim=(0, 1))
    axes.locator_params(axis="x", integer=True)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
    return Picture(
        figure,
        name=name,
        data=pd.concat(lines).round(5),
        alt="F1 of the validation tiles over the epochs: a line a row, the mean over its networks, "
        "in a band of one standard deviation to both sides.",
    )


def _reach(groups: pd.DataFrame) -> NDArray[np.float64]:
    """Return the interval of each group as lengths below and above its mean, for error bars."""
    return np.array([groups["mean"] - groups["low"], groups["high"] - groups["mean"]])
