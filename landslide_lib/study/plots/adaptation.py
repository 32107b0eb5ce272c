"""Figures of domain shift and of rounds of refinement. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landslide_lib.metrics import intervals, scores
from landslide_lib.study.adapted import Facts
from landslide_lib.study.plots.picture import COLOURS, Picture
from landslide_lib.study.refined import Chain, labels

#: A quality of pseudo-labels, and that of the prediction they were made of.
QUALITIES = {"coverage": None, "precision": "before_precision", "recall": "before_recall"}


def bands(both: Mapping[str, Facts], *, name: str = "domains") -> Picture:
    """Draw mean and standard deviation of each band, source beside target, as the report does.

    Args:
        both: The `bands` of each domain by its label, see `adapted.domains`.
        name: Of the figure.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    width = 0.8 / len(both)
    lines = []
    for number, (label, facts) in enumerate(both.items()):
        mean, std = (np.array([band[key] for band in facts["bands"].values()]) for key in ("mean", "std"))
        places = np.arange(len(mean)) + width * (number - (len(both) - 1) / 2)
        axes.bar(
            places,
            mean,
            width,
            yerr=std,
            capsize=3,
            color=COLOURS[number],
            label=label,
            error_kw={"ecolor": "#333333", "lw": 1.2},
        )
        axes.set_xticks(range(len(mean)), facts["bands"])
        lines += [(label, *line) for line in zip(facts["bands"], mean, std, strict=True)]
    axes.axhline(0, color="#333333", lw=0.8)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("mean ± standard deviation")
    figure.legend(loc="outside upper right", ncols=len(both), frameon=False)
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines, columns=["domain", "band", "mean", "std"]).round(5),
        alt="Bars: the mean of each band in the source and in the target, with its standard deviation as an error bar.",
    )


def worth(found: Sequence[Mapping[str, Any]], *, name: str = "worth") -> Picture:
    """Draw what each component is worth: reported as a square, ours with its interval.

    Args:
        found: From `adapted.worth`; pairs with neither are left out.
        name: Of the figure.
    """
    kept = [one for one in found if one["difference"] is not None or one["reported"] is not None]
    figure, axes = plt.subplots(figsize=(9, 1.6 + 0.5 * len(kept)), layout="constrained")
    places = np.arange(len(kept))[::-1]
    drawn = {
        key: np.array([one[key] for one in kept], np.float64)
        for key in ("reported", "difference", "low", "high", "tuned")
    }
    axes.axvline(0, color="gray", lw=1)
    axes.plot(drawn["reported"], places + 0.14, "s", color="black", markerfacecolor="white", label="reported")
    axes.hlines(places - 0.14, drawn["low"], drawn["high"], color=COLOURS[0], lw=2)
    axes.plot(
        drawn["difference"], places - 0.14, "o", color=COLOURS[0], label="ours at 0.5, interval over scenes and seeds"
    )
    axes.plot(
        drawn["tuned"],
        places - 0.14,
        "o",
        color=COLOURS[1],
        markerfacecolor="none",
        label="ours at the source's threshold",
    )
    axes.set_yticks(places, [f"{one['row']}\nagainst {one['against']}" for one in kept])
    axes.set(ylim=(-0.7, len(kept) - 0.3), xlabel="difference in landslide F1 on the target")
    axes.tick_params(axis="y", labelsize="small")
    figure.legend(loc="outside lower right", ncols=3, frameon=False, fontsize="small")
    columns = ["row", "against", "reported", "difference", "low", "high", "tuned", "common"]
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(kept, columns=columns).round(4),
        alt="What each component adds to the landslide F1 on the target, a line a component: "
        "squares as reported, dots ours at 0.5 with intervals, circles ours at the source's "
        "threshold; right of the line at zero it helps.",
    )


def rounds(chains: Mapping[str, Chain], *, name: str = "rounds") -> Picture:
    """Draw the F1 on the target round by round, a line a network, thick for an ensemble.

    Args:
        chains: From `adapted.chains`, at least one.
        name: Of the figure.
    """
    figure, panels = _panels(chains)
    lines = []
    for axes, (label, chain) in zip(panels, chains.items(), strict=True):
        names = dict.fromkeys(one.network for one in chain)
        for place, network in enumerate(names):
            of = [one for one in chain if one.network == network]
            whole = network.startswith("Ensemble")
            _line(
                axes,
                [(one.round, one.f1) for one in of],
                color=COLOURS[place % len(COLOURS)],
                shift=0.2 * (place / max(len(names) - 1, 1) - 0.5),
                label=network,
                lw=3 if whole else 1.5,
                marker="D" if whole else "o",
            )
            lines += [(label, one.round, network, one.record.seed, one.f1) for one in of]
        floor = scores.all_positive_f1(chain[0].record.test_counts)
        axes.axhline(floor, color="gray", ls="--", lw=1, label="all called landslide")
        most = max(floor, *(one.f1 for one in chain))
        axes.set(ylabel="landslide F1 on the target", ylim=(0, 1.12 * most))
    _legends(panels)
    columns = ["chain", "round", "network", "seed", "landslide_f1"]
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines, columns=columns).round(4),
        alt="Landslide F1 on the target over the rounds of refinement, a line a network and a "
        "thick one an ensemble, with intervals over seeds and the floor dashed.",
    )


def pseudo_labels(chains: Mapping[str, Chain], *, name: str = "pseudo-labels") -> Picture:
    """Draw how good the pseudo-labels of each round are, beside the prediction before them.

    Args:
        chains: From `adapted.chains`, at least one.
        name: Of the figure.
    """
    figure, panels = _panels(chains)
    lines = []
    for axes, (label, chain) in zip(panels, chains.items(), strict=True):
        found = labels(chain)
        for place, (score, before) in enumerate(QUALITIES.items()):
            _line(
                axes,
                [(one["round"], one[score]) for one in found],
                color=COLOURS[place],
                shift=0.04 * (place - 1),
                label=score,
                marker="o",
            )
            if before:
                _line(
                    axes,
                    [(one["round"], one[before]) for one in found],
                    color=COLOURS[place],
                    shift=0.04 * (place - 1),
                    ls=":",
                    marker="s",
                    markerfacecolor="white",
                    label=f"{score} of the prediction before",
                )
        axes.set(ylabel="share", ylim=(-0.03, 1.03))
        lines += [{"chain": label, **one} for one in found]
    _legends(panels)
    return Picture(
        figure,
        name=name,
        data=pd.DataFrame(lines).round(4),
        alt="Over the rounds: the share of the target's pixels that are labelled, and precision "
        "and recall of the landslide labels against the hidden masks, dotted those of the "
        "prediction that the labels were made of.",
    )


def _panels(chains: Mapping[str, Chain]) -> tuple[Figure, list[Axes]]:
    """Return an axes a chain, one below the other, with a whole number a round below."""
    figure, axes = plt.subplots(len(chains), squeeze=False, figsize=(9, 0.4 + 3.3 * len(chains)), layout="constrained")
    for place, label in zip(axes[:, 0], chains, strict=True):
        place.set_title(fill(f"labels by {label}", 70), fontsize="small")
        place.set_xlabel("round")
        place.xaxis.get_major_locator().set_params(integer=True)
    return figure, list(axes[:, 0])


def _line(axes: Axes, points: Sequence[tuple[int, float | None]], *, shift: float, **how: Any) -> None:
    """Draw the means over seeds with intervals, moved aside so that no line hides another."""
    of: dict[int, list[float]] = {}
    for number, value in points:
        if value is not None:
            of.setdefault(number, []).append(value)
    if not of:
        return
    places = [number + shift for number in of]
    axes.plot(places, [float(np.mean(values)) for values in of.values()], **how)
    for place, values in zip(places, of.values(), strict=True):
        reach = intervals.interval(values)
        if reach:
            axes.vlines(place, *reach, color=how["color"], lw=1.2)


def _legends(panels: Sequence[Axes]) -> None:
    for axes in panels:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
