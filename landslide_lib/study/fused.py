"""What records of tiles say of fusion: folds, parts of a network, a gate, an ensemble. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.metrics import intervals, scores
from landslide_lib.study import audit, cells, folds
from landslide_lib.study.records import Record, Store
from landslide_lib.study.reports import Fact, Table, resolve
from landslide_lib.study.tilewise import At, counts_of

Runs = Mapping[str, Sequence[Record]]
Lines = Sequence[Mapping[str, Any]]

WHERE: dict[At, str] = {"half": "At threshold 0.5", "validation": "At the thresholds of validation"}


def offline(table: Table, dataset: str) -> list[str]:
    """Return the rows to run on a dataset that need no weights of others.

    >>> from landslide_lib.study.reports import table
    >>> offline(table("fusion/confusion"), "synthetic-zindi")
    ['fold-3-b0']
    """
    return [row.id for row in table.runnable(dataset) if not resolve(table, row, dataset=dataset).needs_download]


def members(record: Record, store: Store) -> list[Record]:
    """Return the networks of an ensemble, in order; of a trained network itself.

    Args:
        record: Of tiles.
        store: Where the records are that it names in `grown_from`.

    Returns:
        [] where one of them is not in the store: some of the networks are not the ensemble.
    """
    if not record.grown_from:
        return [record]
    every = {one.name: one for one in store.all() if one.name in record.grown_from}
    whole = len(every) == len(record.grown_from)
    return [every[name] for name in record.grown_from] if whole else []


# The folds.


def sides(table: Table, runs: Runs) -> dict[str, list[list[Record]]]:
    """Return the folds of each network of a table, by its name.

    Args:
        table: With a row that is derived from the folds of each network.
        runs: Records by row.

    Returns:
        Of each a list a fold, see `folds.side`; those of which a fold is missing are left out.
    """
    found = {row.label.partition(",")[0]: folds.side(runs, row.source) for row in table.rows if row.kind == "derived"}
    return {name: side for name, side in found.items() if side}


def fold_scores(side: folds.Folds) -> list[float]:
    """Return the F1 of tiles of each fold at threshold 0.5, the mean over its seeds."""
    return [float(np.mean([_f1(one, "test") for one in fold])) for fold in side]


def folds_said(table: Table, runs: Runs) -> str:
    """Say mean and spread of the folds as printed and as ours, and the score of all tiles."""
    lines = []
    for row in table.rows:
        printed = row.reported.get("f1")
        if row.kind == "derived" and isinstance(printed, str):
            lines.append(f"- Reported, {row.label.partition(',')[0]}: {printed}.")
    for name, side in sides(table, runs).items():
        values, whole = fold_scores(side), folds.whole(side)
        assert whole is not None  # a side has all of its folds
        counts = np.concatenate(list(whole.counts.values()))
        f1 = scores.scores(counts)["pooled"]["f1"] or 0.0
        lines.append(
            f"- Ours, {name}: {np.mean(values):.3f} ± {np.std(values):.3f}, from {min(values):.3f} "
            f"to {max(values):.3f}; out of fold, {len(whole.ids)} tiles together, {f1:.3f}, where "
            f"calling every tile landslide scores {scores.all_positive_f1(counts):.3f}."
        )
    return "\n".join(lines) or "Not run yet."


def ended_said(records: Sequence[Record]) -> str:
    """Say how many networks stopped early, and at which threshold validation would have them."""
    trained = [one for one in records if one.history]
    if not trained:
        return "Not run yet."
    lengths = sorted({len(one.history) for one in trained})
    span = f"{lengths[0]} to {lengths[-1]}" if len(lengths) > 1 else str(lengths[0])
    most = max(one.recipe.epochs for one in trained)
    early = sum(len(one.history) < one.recipe.epochs for one in trained)
    chosen = [one.test_tuned.threshold for one in trained]
    gain = np.mean([_f1(one, "test_tuned") - _f1(one, "test") for one in trained])
    return (
        f"{early} of {len(trained)} networks stopped early; they trained for {span} of {most} "
        f"epochs. Validation tiles ask for thresholds from {min(chosen):.2f} to {max(chosen):.2f}, "
        f"which change the F1 on test tiles by {gain:+.3f} in the mean."
    )


# The parts.


def paired(
    ours: Sequence[Record], base: Sequence[Record], at: At = "half", keep: NDArray[np.bool_] | None = None
) -> intervals.Comparison | None:
    """Compare the F1 of two rows over the seeds and the test tiles of both.

    Args:
        ours: The records of a row.
        base: Those that they are compared with.
        at: See `counts_of`; of each record its own.
        keep: (N,) the test tiles to look at; all by default.

    Returns:
        See `intervals.paired_bootstrap`, and how many `common` seeds there are; None where no seed
        is common, or the test tiles differ.
    """
    mine, other = ({one.seed: one for one in side} for side in (ours, base))
    common = sorted(set(mine) & set(other))
    if not common or mine[common[0]].test_ids != other[common[0]].test_ids:
        return None
    groups = np.array(mine[common[0]].test_groups)
    some = np.ones(len(groups), bool) if keep is None else keep
    counts = [[counts_of(side[seed], at)[some] for seed in common] for side in (mine, other)]
    found = intervals.paired_bootstrap(counts[0], counts[1], list(groups[some]))
    return {**found, "common": len(common)}


def taught(records: Sequence[Record], at: At = "half") -> bool:
    """Return whether networks are above calling every tile landslide by more than is left open.

    Args:
        records: Of a row; without any the answer is no.
        at: See `counts_of`; of each record its own.
    """
    if not records:
        return False
    ours = [counts_of(one, at) for one in records]
    landslide = [counts[:, [0, 2]].sum(1) for counts in ours]
    every = [np.stack([yes, 1 - yes, 0 * yes, 0 * yes], 1) for yes in landslide]
    return intervals.sign(intervals.paired_bootstrap(ours, every, records[0].test_groups)) > 0


def worth(
    table: Table,
    runs: Runs,
    parts: Mapping[str, tuple[str, str]],
    reported: Mapping[str, tuple[float, float]] | None = None,
) -> list[dict[str, Any]]:
    """Return what each part of a network is worth: the F1 with it less that without it.

    Args:
        table: Of a report.
        runs: Records by row.
        parts: Of each part the row that has it and the one that has not.
        reported: Of a part the lowest and the highest difference that the report states.

    Returns:
        A dict a part: `part`, the labels `having` and `lacking`, `reported` (or None), `half` and
        `validation`, see `paired` at either threshold, None where not run, and `taught`, by
        threshold whether both rows are.
    """
    return [
        {
            "part": part,
            "having": table.row(having).label,
            "lacking": table.row(lacking).label,
            "reported": (reported or {}).get(part),
            **{at: paired(runs.get(having, ()), runs.get(lacking, ()), at) for at in WHERE},
            "taught": {at: all(taught(runs.get(name, ()), at) for name in (having, lacking)) for at in WHERE},
        }
        for part, (having, lacking) in parts.items()
    ]


def printed_worth(table: Table, name: str) -> tuple[float, float]:
    """Return the lowest and the highest gain that a row of *what did not work* states.

    Args:
        table: With scores set against others in the column `versus`.
        name: Of the row, which lacks what the others have.

    >>> from landslide_lib.study.reports import table
    >>> low, high = printed_worth(table("fusion/what-did-not-work"), "single-model")
    >>> round(low, 2), round(high, 2)
    (0.01, 0.02)
    """
    cells = table.row(name).reported
    without, others = cells["f1"], re.findall(r"\d*\.\d+", str(cells["versus"]))
    assert isinstance(without, float)
    gains = [float(other) - without for other in others]
    return min(gains), max(gains)


def worth_said(found: Lines) -> str:
    """Say which parts help, which harm, and which nothing is known of, from `worth`."""
    run = [one for one in found if all(one[at] for at in WHERE)]
    if not run:
        return "Not run yet."
    said = [f"{where}:\n\n{_sorted_out(run, at)}" for at, where in WHERE.items()]
    missing = [one["part"] for one in found if one not in run]
    if missing:
        said.append(f"Not run together with what lacks it: {'; '.join(missing)}.")
    several = [one["part"] for one in run if one["half"]["common"] > 1]
    but = f" (all but {'; '.join(several)})" if several else ""
    beware = (
        f"With one seed{but} the intervals hold the test tiles alone: what another training "
        "would give is not in them, and they are too narrow. "
        if min(one["half"]["common"] for one in run) == 1
        else ""
    )
    said.append(
        f"In brackets intervals of 95 %. {beware}None is corrected for there being {len(run)} at "
        "each threshold: one in twenty such intervals misses the truth by chance alone."
    )
    return "\n\n".join(said)


def _sorted_out(run: Lines, at: At) -> str:
    told = [one for one in run if one["taught"][at]]
    signs = {sign: [one for one in told if intervals.sign(one[at]) == sign] for sign in (1, -1, 0)}
    undecided = signs[0]
    reach = [(one[at]["high"] - one[at]["low"]) / 2 for one in undecided if one[at]["low"] is not None]
    unseen = f", for which it had to be {min(reach):.3f} at the least" if reach else ""
    kinds = {
        "Help by more than is left open": signs[1],
        "**Harm** by more than is left open": signs[-1],
        f"Left open, whether there is a difference{unseen}": undecided,
    }
    if any(one["reported"] for one in told):
        kinds["Gain less than the report states, by more than is left open"] = [
            one
            for one in told
            if one["reported"] and one[at]["low"] is not None and one[at]["low"] < one[at]["high"] < one["reported"][0]
        ]
    if blank := [one for one in run if not one["taught"][at]]:
        kinds["No measure of a part, as one of both rows is not clearly above calling every tile landslide"] = blank
    lines = []
    for said, some in kinds.items():
        named = [f"{one['part']} {cells.difference(one[at])}" for one in some]
        lines.append(f"- {said}: {'; '.join(named) or 'none'}.")
    return "\n".join(lines)


def added_said(what: str, ours: Sequence[Record], base: Sequence[Record]) -> str:
    """Say what one row has more than another one of the same test tiles, such as of two tables.

    Args:
        what: The beginning of the sentence.
        ours: The records of a row.
        base: Those that they are compared with.
    """
    found = {at: paired(ours, base, at) for at in WHERE}
    half, tuned = found["half"], found["validation"]
    if half is None or tuned is None:
        return f"{what}: not run yet."
    return (
        f"{what}: {cells.difference(half)} in F1 at 0.5 and {cells.difference(tuned)} at the "
        f"thresholds of validation, over {half['common']} seed(s)."
    )


def halves(runs: Runs, named: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the F1 of some rows on the dark and on the bright half of their test tiles.

    Args:
        runs: Records by row.
        named: The rows by what they see; the first is compared with each other one.

    Returns:
        A dict a half and row that was run: `half`, `sees`, `tiles`, `landslides` (of the half),
        `floor` (F1 of calling all landslide), `f1` (at the threshold of validation, mean over
        seeds) and `versus`: what the first row has more than this one there, see `paired`; None
        for itself.
    """
    first = runs.get(next(iter(named.values())), ())
    found: list[dict[str, Any]] = []
    for half in ("dark", "bright"):
        for sees, name in named.items():
            some = runs.get(name, ())
            if not some or "brightness" not in (some[0].tiles or {}):
                continue
            shown = pd.Series((some[0].tiles or {})["brightness"])
            bright = (shown > shown.median()).to_numpy()
            keep = bright if half == "bright" else ~bright
            counts = [counts_of(one, "validation")[keep] for one in some]
            found.append(
                {
                    "half": half,
                    "sees": sees,
                    "tiles": int(keep.sum()),
                    "landslides": int(counts[0][:, [0, 2]].sum()),
                    "floor": scores.all_positive_f1(counts[0]),
                    "f1": float(np.mean([scores.scores(one)["pooled"]["f1"] or 0.0 for one in counts])),
                    "versus": paired(first, some, "validation", keep) if some is not first else None,
                }
            )
    return found


def halves_said(found: Lines) -> str:
    """Say what both kinds of images are worth against one, on dark and on bright tiles."""
    lines = [
        f"- {one['half'].capitalize()} half, both against {one['sees']}: "
        f"{cells.difference(one['versus'])}, {_verdict(one)}."
        for one in found
        if one["versus"]
    ]
    return "\n".join(lines) or "Not run yet, or the data has one kind of images."


def _verdict(line: Mapping[str, Any]) -> str:
    if line["f1"] <= line["floor"]:
        return f"where {line['sees']} is worth no more than calling every tile landslide"
    words = {1: "both are better", -1: "both are worse", 0: "not told apart"}
    return words[intervals.sign(line["versus"])]


# What the report states.


def easy(facts: Mapping[str, Fact]) -> dict[str, float]:
    """Return at which probability of the true class the focal loss takes the stated weight.

    The weight is what is left of the cross entropy, alpha (1 - p)^gamma.

    Args:
        facts: Of the report.

    Returns:
        By reading of alpha: `without alpha`, `landslide` (alpha) and `other` (one less alpha).
    """
    left = 1 - facts["easy"].value / 100
    alpha, gamma = facts["focal_alpha"].value, facts["focal_gamma"].value
    of = {"without alpha": 1.0, "landslide": alpha, "other": 1 - alpha}
    return {name: float(1 - (left / one) ** (1 / gamma)) for name, one in of.items()}


def easy_said(facts: Mapping[str, Fact]) -> str:
    """Say what the stated weight of easy examples is worth, recomputed."""
    found = easy(facts)
    alpha, gamma, stated = (facts[name].value for name in ("focal_alpha", "focal_gamma", "easy"))
    unsure = 1 - 0.5**gamma
    return (
        f"That the focal loss takes {stated:g} % of the weight from easy examples is a point on a "
        f"curve: (1 - p) to the power of {gamma:g} leaves as little at p = "
        f"{found['without alpha']:.3f}; with alpha it is p = {found['landslide']:.3f} for a tile "
        f"with a landslide and {found['other']:.3f} for one without. At p = 0.5, where nothing is "
        f"known yet, {unsure:.0%} is taken without alpha. And alpha = {alpha:g} is the weight of "
        f"the *landslides*, {alpha / (1 - alpha):.2f} times that of the others (our reading, as "
        "the paper's): in batches that hold as many of both it weighs against the "
        "class that is rare."
    )


def confusion_said(table: Table, share: float) -> str:
    """Say what a printed confusion matrix holds against the scores printed under it.

    Args:
        table: Whose first row prints both.
        share: Of tiles with a landslide by the challenge's list of labels, in 0..1.
    """
    cells = table.rows[0].reported
    ways = audit.confusion(**{name: int(str(cells[name])) for name in ("tn", "fp", "fn", "tp")})
    named = ("precision", "recall", "f1")
    text = {name: ", ".join(f"{100 * way[score]:.1f}" for score in named) for name, way in ways.items()}
    printed, due = ", ".join(f"{cells[score]:.1f}" for score in named), ways["as printed"]
    return (
        f"Precision, recall and F1 are printed as {printed} (%). The four counts give "
        f"{text['as printed']}, and {text['axes transposed']} with the axes transposed: "
        f"{'one of them is' if printed in text.values() else 'neither is'} what is printed. They "
        f"hold {due['positives']:.0f} landslides as printed and "
        f"{ways['axes transposed']['positives']:.0f} transposed, where the list of labels has "
        f"{share * due['images']:.0f} due among {due['images']:.0f} tiles."
    )


def _f1(record: Record, part: str) -> float:
    found: float | None = getattr(record, part).metrics["tiles"]["f1"]
    return found or 0.0
