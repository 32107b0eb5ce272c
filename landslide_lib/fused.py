"""What records of tiles say of fusion: folds, parts of a network, a gate, an ensemble. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit  # scipy.stats takes seconds to import

from landslide_lib import audit, folds, intervals, scores
from landslide_lib.records import Record, Store
from landslide_lib.reports import Fact, Table, resolve

Runs = Mapping[str, Sequence[Record]]
Lines = Sequence[Mapping[str, Any]]

#: The branches that a gate weighs, and groups of tiles of one figure.
BRANCHES = ("optical", "radar")
TENTHS, FIFTHS = 10, 5


def offline(table: Table, dataset: str) -> list[str]:
    """Return the rows to run on a dataset that need no weights of others.

    >>> from landslide_lib.reports import table
    >>> offline(table("fusion/confusion"), "synthetic-zindi")
    ['fold-3-b0']
    """
    return [row.id for row in table.runnable(dataset)
            if not resolve(table, row, dataset=dataset).fetches]  # fmt: skip


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


# The tiles.


def tiles(records: Sequence[Record]) -> pd.DataFrame:
    """Return what is kept of each test tile, a line a record and tile.

    Args:
        records: Of tiles.

    Returns:
        `network` (the number of the record, from 1), `scene`, `landslide` and `wrong` (whether it
        holds one, and is called what it is not at threshold 0.5), and of `probability`, `apart`,
        `brightness`, `optical` and `radar` what the records have.
    """
    frames = [pd.DataFrame()]
    for number, one in enumerate(records, 1):
        tp, fp, fn, _ = np.array(one.test_counts, bool).T
        known = {"network": number, "scene": one.test_groups,
                 "landslide": tp | fn, "wrong": fp | fn}  # fmt: skip
        frames.append(pd.DataFrame({**known, **(one.tiles or {})}))
    return pd.concat(frames, ignore_index=True)


def mean_of(values: ArrayLike, scenes: ArrayLike) -> tuple[float, float, float]:
    """Return the mean over tiles with its interval of 95 %, in which a scene is one draw.

    Tiles of a scene are neighbours and no independent evidence: the error is that of a ratio of
    sums over scenes (Cochran 1977, section 6.3), and the interval Student's.

    Args:
        values: (N,) of the tiles.
        scenes: (N,) of each.

    Returns:
        Mean, low and high; both NaN for fewer than two scenes, or where no scene differs from
        the mean, such as of a group without any error.

    >>> [round(x, 3) for x in mean_of([0, 1, 1, 1], ["a", "b", "c", "d"])]
    [0.75, -0.046, 1.546]
    """
    found = np.asarray(values, np.float64)
    mean = float(found.mean())
    rest = pd.Series(found - mean).groupby(np.asarray(scenes)).sum().to_numpy()
    error = float(np.sqrt((rest**2).sum())) / len(found)
    if len(rest) < 2 or error < 1e-12:
        return mean, np.nan, np.nan
    blocks = len(rest)
    reach = float(stdtrit(blocks - 1, 0.975)) * error * (blocks / (blocks - 1)) ** 0.5
    return mean, mean - reach, mean + reach


def by_quantile(frame: pd.DataFrame, over: str, value: str, groups: int) -> pd.DataFrame:
    """Return the mean of something over equally large groups of tiles.

    Args:
        frame: From `tiles`.
        over: The column that groups them, such as `brightness`.
        value: The column whose mean is taken.
        groups: How many; fewer where many tiles are alike.

    Returns:
        A line a group, from the lowest: `group`, `tiles`, `at` (the median of `over`), and `mean`,
        `low` and `high` as of `mean_of`.
    """
    places = pd.qcut(frame[over], groups, labels=False, duplicates="drop")
    lines: list[dict[str, Any]] = []
    for _, some in frame.groupby(places):
        mean, low, high = mean_of(some[value], some["scene"])
        lines.append({"group": len(lines) + 1, "tiles": len(some), "at": some[over].median(),
                      "mean": mean, "low": low, "high": high})  # fmt: skip
    return pd.DataFrame(lines)


# The folds.


def sides(table: Table, runs: Runs) -> dict[str, list[list[Record]]]:
    """Return the folds of each network of a table, by its name.

    Args:
        table: With a row that is derived from the folds of each network.
        runs: Records by row.

    Returns:
        Of each a list a fold, see `folds.side`; those of which a fold is missing are left out.
    """
    found = {row.label.partition(",")[0]: folds.side(runs, row.source)
             for row in table.rows if row.kind == "derived"}  # fmt: skip
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
            f"calling every tile landslide scores {scores.floor(counts):.3f}."
        )
    return "\n".join(lines) or "Not run yet."


def ended_said(records: Sequence[Record]) -> str:
    """Say how many networks stopped early, and at which threshold validation would have them."""
    trained = [one for one in records if one.history]
    if not trained:
        return "Not run yet."
    lengths = [len(one.history) for one in trained]
    most = max(one.recipe.epochs for one in trained)
    early = sum(len(one.history) < one.recipe.epochs for one in trained)
    chosen = [one.test_tuned.threshold for one in trained]
    gain = np.mean([_f1(one, "test_tuned") - _f1(one, "test") for one in trained])
    return (
        f"{early} of {len(trained)} networks stopped early; they trained for {min(lengths)} to "
        f"{max(lengths)} of {most} epochs. Validation tiles ask for thresholds from "
        f"{min(chosen):.2f} to {max(chosen):.2f}, which change the F1 on test tiles by "
        f"{gain:+.3f} in the mean."
    )


# The parts.


def paired(
    ours: Sequence[Record], base: Sequence[Record], keep: NDArray[np.bool_] | None = None
) -> dict[str, float] | None:
    """Compare the F1 of two rows over the seeds and the test tiles of both, at threshold 0.5.

    Args:
        ours: The records of a row.
        base: Those that they are compared with.
        keep: (N,) the test tiles to look at; all by default.

    Returns:
        See `intervals.paired_bootstrap`, how many `common` seeds there are, and `tuned`, the mean
        over them of the difference of all tiles at the thresholds of validation; None where no
        seed is common, or the test tiles differ or are too few to draw from.
    """
    mine, other = ({one.seed: one for one in side} for side in (ours, base))
    common = sorted(set(mine) & set(other))
    if not common or mine[common[0]].test_ids != other[common[0]].test_ids:
        return None
    groups = np.array(mine[common[0]].test_groups)
    some = np.ones(len(groups), bool) if keep is None else keep
    counts = [[np.array(side[seed].test_counts)[some] for seed in common]
              for side in (mine, other)]  # fmt: skip
    found = intervals.paired_bootstrap(counts[0], counts[1], list(groups[some]))
    tuned = [_f1(mine[seed], "test_tuned") - _f1(other[seed], "test_tuned") for seed in common]
    return found and {**found, "common": len(common), "tuned": float(np.mean(tuned))}


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
        A dict a part: `part`, the labels `having` and `lacking`, `reported` (or None), and
        `difference`, `low`, `high`, `tuned`, `common` as from `paired`, None where not run.
    """
    found = []
    for part, (having, lacking) in parts.items():
        ours: Mapping[str, Any] = paired(runs.get(having, ()), runs.get(lacking, ())) or {}
        found.append({
            "part": part, "having": table.row(having).label, "lacking": table.row(lacking).label,
            "reported": (reported or {}).get(part),
            **{key: ours.get(key) for key in ("difference", "low", "high", "tuned", "common")},
        })  # fmt: skip
    return found


def printed_worth(table: Table, name: str) -> tuple[float, float]:
    """Return the lowest and the highest gain that a row of *what did not work* states.

    Args:
        table: With scores set against others in the column `versus`.
        name: Of the row, which lacks what the others have.

    >>> from landslide_lib.reports import table
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
    run = [one for one in found if one["difference"] is not None]
    if not run:
        return "Not run yet."
    kinds = {
        "Help by more than is left open": [one for one in run if one["low"] > 0],
        "**Harm** by more than is left open": [one for one in run if one["high"] < 0],
        "**Do not help**, as far as can be told": [one for one in run
                                                   if one["low"] <= 0 <= one["high"]],
    }  # fmt: skip
    lines = [f"- {said}: {'; '.join(map(_difference, some)) or 'none'}."
             for said, some in kinds.items()]  # fmt: skip
    missing = [one["part"] for one in found if one["difference"] is None]
    if missing:
        lines.append(f"- Not run together with what lacks it: {'; '.join(missing)}.")
    below = [one["part"] for one in run
             if one["reported"] and one["high"] < one["reported"][0]]  # fmt: skip
    if below:
        lines.append(f"- The report's gain lies above our interval: {'; '.join(below)}.")
    beware = (
        "With one seed the intervals hold the test tiles alone: what another training would give "
        "is not in them, and they are too narrow. " if min(one["common"] for one in run) == 1
        else ""
    )  # fmt: skip
    return "\n".join(lines) + (
        f"\n\nIn brackets intervals of 95 %, after them the difference at the thresholds of "
        f"validation. {beware}None is corrected for there being {len(run)} of them."
    )


def _difference(one: Mapping[str, Any]) -> str:
    return (f"{one['part']} {one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}], "
            f"{one['tuned']:+.3f}")  # fmt: skip


def added_said(what: str, ours: Sequence[Record], base: Sequence[Record]) -> str:
    """Say what one row has more than another one of the same test tiles, such as of two tables.

    Args:
        what: The beginning of the sentence.
        ours: The records of a row.
        base: Those that they are compared with.
    """
    found = paired(ours, base)
    if found is None:
        return f"{what}: not run yet."
    return (
        f"{what}: {found['difference']:+.3f} in F1 at 0.5 [{found['low']:+.3f}, "
        f"{found['high']:+.3f}], {found['tuned']:+.3f} at the thresholds of validation, over "
        f"{found['common']} seed(s)."
    )


# The gate.


def rank_correlations(frame: pd.DataFrame, branch: str) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of a branch's weight with brightness, one a network.

    Args:
        frame: From `tiles`.
        branch: Of `BRANCHES`.
    """
    from scipy.stats import spearmanr

    return np.array([spearmanr(some["brightness"], some[branch]).statistic
                     for _, some in frame.groupby("network")])  # fmt: skip


def gate_said(frame: pd.DataFrame) -> str:
    """Say how the weights of a gate go with the brightness of a tile.

    Args:
        frame: From `tiles`, of networks with a gate; those without are "Not run yet.".
    """
    named = [branch for branch in BRANCHES if branch in frame]
    if not named or "brightness" not in frame:
        return "Not run yet."
    plain = frame[~frame["landslide"]]
    lines, holds = [], []
    for branch in named:
        found = rank_correlations(frame, branch)
        reach = intervals.interval(list(found))
        groups = by_quantile(frame, "brightness", branch, TENTHS)["mean"].tolist()
        low, high = reach or (np.nan, np.nan)  # of one network nothing is known
        holds.append(high < 0 if branch == "optical" else low > 0)
        lines.append(
            f"- The weight of {branch} features {'falls' if found.mean() < 0 else 'rises'} with "
            f"brightness: the rank correlation (Spearman) is {found.mean():+.2f} in the mean over "
            f"{len(found)} network(s){_reach(reach)}, from {found.min():+.2f} to "
            f"{found.max():+.2f}, and {rank_correlations(plain, branch).mean():+.2f} among tiles "
            f"without a landslide. From the darkest to the brightest tenth of the tiles the mean "
            f"weight goes from {groups[0]:.3f} to {groups[-1]:.3f}."
        )
    lines.append(
        f"- {'This is' if all(holds) else 'This is not'} what the report says of its gate: less "
        "weight on optical features under clouds, and more on radar, beyond what the networks' "
        "own spread leaves open."
    )
    return "\n".join(lines)


def _reach(reach: tuple[float, float] | None) -> str:
    return f" (interval of 95 % {reach[0]:+.2f} to {reach[1]:+.2f})" if reach else ""


def halves(runs: Runs, named: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the F1 of some rows on the dark and on the bright half of their test tiles.

    Args:
        runs: Records by row.
        named: The rows by what they see; the first is compared with each other one.

    Returns:
        A dict a half and row that was run: `half`, `sees`, `tiles`, `landslides` (of the half),
        `floor` (F1 of calling all landslide), `f1` (mean over seeds) and `versus`: what the first
        row has more than this one there, see `paired`; None for itself.
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
            counts = [np.array(one.test_counts)[keep] for one in some]
            found.append({
                "half": half, "sees": sees, "tiles": int(keep.sum()),
                "landslides": int(counts[0][:, [0, 2]].sum()), "floor": scores.floor(counts[0]),
                "f1": float(np.mean([scores.scores(one)["pooled"]["f1"] or 0.0 for one in counts])),
                "versus": paired(first, some, keep) if some is not first else None,
            })  # fmt: skip
    return found


def halves_said(found: Lines) -> str:
    """Say what both kinds of images are worth against one, on dark and on bright tiles."""
    lines = [
        f"- {one['half'].capitalize()} half, both against {one['sees']}: "
        f"{one['versus']['difference']:+.3f} [{one['versus']['low']:+.3f}, "
        f"{one['versus']['high']:+.3f}], {_verdict(one['versus'])}."
        for one in found
        if one["versus"]
    ]
    return "\n".join(lines) or "Not run yet, or the data has one kind of images."


def _verdict(found: Mapping[str, float]) -> str:
    if found["low"] > 0:
        return "both are better"
    return "both are worse" if found["high"] < 0 else "not told apart"


# The ensemble.


def spread_said(frame: pd.DataFrame) -> str:
    """Say whether an ensemble errs more where its members disagree.

    Args:
        frame: From `tiles`, of ensembles; of others nothing is known.
    """
    if "apart" not in frame or frame["wrong"].nunique() < 2:
        return "Not run yet, or no tile is called wrongly." if len(frame) else "Not run yet."
    from sklearn.metrics import roc_auc_score

    groups = by_quantile(frame, "apart", "wrong", FIFTHS)["mean"].tolist()
    unsure = -(frame["probability"] - 0.5).abs()
    spread, near = (float(roc_auc_score(frame["wrong"], by)) for by in (frame["apart"], unsure))
    more = "more" if spread > near else "no more"
    return (
        f"Where the members agree most, in the lowest group of tiles, {groups[0]:.1%} are called "
        f"wrongly, in the highest {groups[-1]:.1%}. A tile that is called wrongly has the larger "
        f"spread of a pair in {spread:.0%} of the pairs of a wrong and a right tile, and the "
        f"probability nearer to one half in {near:.0%}: the spread tells {more} of errors than the "
        "mean itself does."
    )


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
        f"the *landslides*, {(1 - alpha) / alpha:g} times less than that of the others (our "
        "reading, as the paper's): in batches that hold as many of both it weighs against the "
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
    text = {name: ", ".join(f"{100 * way[score]:.1f}" for score in named)
            for name, way in ways.items()}  # fmt: skip
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
