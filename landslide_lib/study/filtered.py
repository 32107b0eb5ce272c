"""What records say of a filter of negatives: what it leaves out, loses and saves. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landslide_lib.metrics import intervals
from landslide_lib.study.fused import Runs, members
from landslide_lib.study.records import Record, Store
from landslide_lib.study.reports import Fact, Table

Facts = Mapping[str, Any]

#: A curve has risen where its mean first reaches this share of its end.
RISEN = 0.9


def networks(runs: Runs, store: Store) -> dict[str, list[list[Record]]]:
    """Return the trained networks of each row, a list a seed: its members, or itself.

    Args:
        runs: Records by row.
        store: Where the members are.

    Returns:
        Only rows all of whose members are in the store.
    """
    found = {name: [members(one, store) for one in some] for name, some in runs.items() if some}
    return {name: seeds for name, seeds in found.items() if all(seeds)}


# What it leaves out.


def left_out(ensemble: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what the filter of each member of an ensemble does, ready for a table.

    Args:
        ensemble: The members of one seed. A filter does not depend on the seed of its network,
            so that other seeds have the same ones.

    Returns:
        A dict a member with a filter: on its training tiles, each judged out of fold, the share
        removed and the share of positives before and after; of its validation and of the test
        tiles, which it has not learnt from, how many it leaves out and which of them hold a
        landslide.
    """
    lines = []
    for number, one in enumerate(ensemble, 1):
        facts = one.filtered
        if facts is None:
            continue
        lines.append(
            {
                "network": str(number),
                "training tiles": f"{facts['tiles']:,}",
                "removed": f"{facts['removed']:.1%}",
                "positives before": f"{facts['positive_before']:.1%}",
                "after": f"{facts['positive_after']:.1%}",
                "threshold": f"{facts['threshold']:.4f}",
                "seconds": f"{facts['seconds']:.1f}",
                **{
                    f"{part}: left out": "{left_out} of {tiles}".format(**facts["parts"][part])
                    for part in ("valid", "test")
                },
                **{
                    f"{part}: landslides lost": "{lost} of {landslides}".format(**facts["parts"][part])
                    for part in ("valid", "test")
                },
            }
        )
    return lines


def removed_said(ensemble: Sequence[Record], facts: Mapping[str, Fact]) -> str:
    """Say what the filters of an ensemble remove, beside what the report's shares ask for.

    Args:
        ensemble: See `left_out`.
        facts: Of the report.
    """
    before, after = (facts[f"positive_{when}"].value for when in ("before", "after"))
    words = (
        f"The report goes from about {before} % positives to about {after} %. Without a positive "
        f"lost that takes {1 - before / after:.0%} of the tiles away."
    )
    known = [one.filtered for one in ensemble if one.filtered]
    if not known:
        return f"{words} Ours: not run yet."
    removed = [one["removed"] for one in known]
    return (
        f"{words} Ours take {min(removed):.1%} to {max(removed):.1%} away, and go from "
        f"{_mean(known, 'positive_before'):.1%} to {_mean(known, 'positive_after'):.1%} in the "
        f"mean over {len(known)} filters. One positive decides: the one that the trees think the "
        "least likely sets the threshold, however sure they are of all others."
    )


def lost_said(ensemble: Sequence[Record]) -> str:
    """Say how often filters lose a positive among tiles that they have not learnt from.

    Args:
        ensemble: See `left_out`.
    """
    known = [one.filtered for one in ensemble if one.filtered]
    if not known:
        return "Not run yet."
    lines = []
    of = {
        "valid": "validation tiles, each judged by the one filter that has not learnt from it",
        "test": "test tiles, each counted once for every filter",
    }
    for part, where in of.items():
        parts = [one["parts"][part] for one in known]
        lost, had, gone = (sum(one[key] for one in parts) for key in ("lost", "landslides", "left_out"))
        due = sum(one["parts"][part]["landslides"] / (_positives(one) + 1) for one in known)
        losing = sum(one["lost"] > 0 for one in parts)
        lines.append(
            f"- Of {where}: {lost} of {had} landslides are lost, by {losing} of {len(parts)} "
            f"filters, among {gone} tiles left out. If new landslides were like those that set "
            f"the threshold, {due:.1f} would be."
        )
    return "\n".join(lines)


def _positives(facts: Facts) -> int:
    """Return how many positives set the threshold of a filter."""
    share, tiles = float(facts["positive_before"]), int(facts["tiles"])
    return round(share * tiles)


def nested_said(facts: Facts | None) -> str:
    """Say what nested folds over all tiles tell of losses.

    Args:
        facts: Published of a dataset's tiles; `losses`, where it is among them, holds the lines of
            `negative_filter.losses`.
    """
    lines = (facts or {}).get("losses")
    if not lines:
        return "- Nested folds over all tiles of this dataset: not measured yet."
    total = {key: sum(line[key] for line in lines) for key in ("tiles", "positives", "removed", "lost", "expected")}
    losing = sum(line["lost"] > 0 for line in lines)
    return (
        f"- Nested folds over all {total['tiles']:,} tiles, each judged once by a filter that was "
        f"tuned without it: {total['lost']} of {total['positives']:,} landslides are lost, in "
        f"{losing} of {len(lines)} folds, among {total['removed']:,} tiles left out; "
        f"{total['expected']:.1f} would be if new landslides were like the others. The tiles above "
        "are among them."
    )


# What is learnt.


def curve(seeds: Sequence[Sequence[Record]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the validation F1 of each network over the epochs, (networks, epochs).

    Args:
        seeds: Of `networks`.

    Returns:
        NaN where an epoch was not scored, or where a network trained for fewer epochs.
    """
    each = [[line.valid_f1 for line in one.history] for some in seeds for one in some]
    found = np.full((len(each), max(map(len, each), default=0)), np.nan)
    for row, values in zip(found, each, strict=True):
        row[: len(values)] = [np.nan if value is None else value for value in values]
    return found


def curves_said(named: Mapping[str, Sequence[Sequence[Record]]]) -> str:
    """Say where the curve of each row ends, how fast it gets there, and how far networks spread.

    Args:
        named: Of `networks`, by label.
    """
    lines = []
    for label, seeds in named.items():
        each = curve(seeds)
        quarter = max(1, each.shape[1] // 4)
        ends = np.nanmean(each[:, -quarter:], axis=1)
        mean = np.nanmean(each, axis=0)
        reached = np.flatnonzero(mean >= RISEN * ends.mean())
        lines.append(
            (
                float(ends.mean()),
                (
                    f"- {label}: {ends.mean():.3f}, networks from {ends.min():.3f} to {ends.max():.3f}; "
                    f"nine tenths of it at epoch {1 + int(reached[0])} of {each.shape[1]}."
                ),
            )
        )
    lines.sort(reverse=True)
    return "\n".join(said for _, said in lines) or "Not run yet."


# What it costs.


def energy(seeds: Sequence[Sequence[Record]]) -> dict[str, Any]:
    """Return what the networks of a row took, means over its seeds.

    Args:
        seeds: Of `networks`.

    Returns:
        `networks`; `wh` over all networks of a seed, filters included, None where one was not
        metered; `method`, how; `tiles` and `epochs` trained, sums over the networks; `seconds`
        of training; `positives`, the mean share before and after the filter, None without one.
    """
    each = [one for some in seeds for one in some]
    filters = [one.filtered for one in each if one.filtered]
    metered = [one.energy_wh for one in each]
    return {
        "networks": len(seeds[0]),
        "wh": None if None in metered else sum(map(float, metered)) / len(seeds),  # type: ignore[arg-type]
        "method": " and ".join(sorted({one.energy_method or "not metered" for one in each})),
        "tiles": sum(one.images["train"] for one in each) / len(seeds),
        "epochs": sum(len(one.history) for one in each) / len(seeds),
        "seconds": sum(line.seconds for one in each for line in one.history) / len(seeds),
        "positives": (_mean(filters, "positive_before"), _mean(filters, "positive_after")) if filters else None,
    }


def energy_table(table: Table, rows: Mapping[str, Sequence[Sequence[Record]]]) -> list[Facts]:
    """Return `energy` as text beside what is printed, a dict a row.

    Args:
        table: With printed watt hours and positives.
        rows: Of `networks`.
    """
    lines: list[Facts] = []
    for row in table.rows:
        printed = {"reported Wh": row.reported.get("energy"), "reported positives": row.reported.get("positives")}
        ours: dict[str, str | None] = dict.fromkeys(
            ("ours, Wh", "how", "networks", "training tiles", "epochs", "minutes of epochs", "positives")
        )
        if row.id in rows:
            found = energy(rows[row.id])
            ours = {
                "ours, Wh": None if found["wh"] is None else f"{found['wh']:.3g}",
                "how": found["method"],
                "networks": str(found["networks"]),
                "training tiles": f"{found['tiles']:,.0f}",
                "epochs": f"{found['epochs']:,.0f}",
                "minutes of epochs": f"{found['seconds'] / 60:.1f}",
                "positives": None
                if found["positives"] is None
                else f"{found['positives'][0]:.1%} to {found['positives'][1]:.1%}",
            }
        lines.append({"row": row.label, **printed, **ours})
    return lines


def saved_said(
    rows: Mapping[str, Sequence[Sequence[Record]]],
    facts: Mapping[str, Fact],
    without: str = "no-filter",
    having: str = "with-filter",
) -> str:
    """Say what share of the energy a filter saves, beside the share of tiles that it removes.

    Args:
        rows: Of `networks`.
        facts: Of the report.
        without: The row without the filter.
        having: The row with it.
    """
    wh = [facts[f"energy_{when}"].value for when in ("before", "after")]
    before, after = (facts[f"positive_{when}"].value for when in ("before", "after"))
    words = (
        f"In the report {1 - wh[1] / wh[0]:.0%} of the energy is saved, and its shares of "
        f"positives say that {1 - before / after:.0%} of the tiles are gone: it saves what it does "
        "not look at."
    )
    if not {without, having} <= rows.keys():
        return f"{words} Ours: not run yet."
    base, ours = (energy(rows[name]) for name in (without, having))
    if base["wh"] is None or ours["wh"] is None or not base["wh"]:
        return f"{words} Ours was not metered."
    tiles = 1 - (ours["tiles"] / ours["networks"]) / (base["tiles"] / base["networks"])
    by_seed = [
        {some[0].seed: sum(one.energy_wh or 0 for one in some) for some in rows[name]} for name in (without, having)
    ]
    common = sorted(set(by_seed[0]) & set(by_seed[1]))
    shares = [1 - by_seed[1][seed] / by_seed[0][seed] for seed in common]
    reach = intervals.interval(shares, within=(-np.inf, np.inf))
    over = f" (saved, interval over seeds: {reach[0]:+.0%} to {min(reach[1], 1):+.0%})" if reach else ""
    less = 1 - ours["wh"] / base["wh"]
    apart = max(_apart([one.energy_wh or 0 for one in some]) for name in (without, having) for some in rows[name])
    noise = f" Networks of one row and seed lie up to {apart:.0%} apart." if apart else ""
    return (
        f"{words} Ours takes {base['wh']:.3g} Wh without the filter and {ours['wh']:.3g} Wh with "
        f"it, {abs(less):.0%} {'less' if less > 0 else 'more'}{over}, and leaves {tiles:.0%} of "
        f"the training tiles out. The method is {ours['method']}. Measuring the features "
        f"and fitting the filter are in it; they are paid once a network, here for "
        f"{ours['epochs'] / ours['networks']:.0f} epochs, in the report for "
        f"{facts['epochs'].value}: the longer a network trains, the less they weigh.{noise}"
    )


def _apart(values: Sequence[float]) -> float:
    """Return by what share of their mean values differ at most."""
    return float(np.ptp(values) / (np.mean(values) or 1))


def _mean(lines: Sequence[Facts], key: str) -> float:
    return float(np.mean([line[key] for line in lines]))
