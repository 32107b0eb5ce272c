"""What networks say of each test tile: a gate's weights, an ensemble's doubts. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit  # scipy.stats takes seconds to import

from landslide_lib.metrics import intervals
from landslide_lib.study.records import Record

#: The threshold of a call: 0.5, or the one that was best on the validation tiles.
At = Literal["half", "validation"]
#: The branches that a gate weighs, and groups of tiles of one figure.
BRANCHES = ("optical", "radar")
TENTHS, FIFTHS = 10, 5


def counts_of(record: Record, at: At = "half") -> NDArray[np.int64]:
    """Return tp, fp, fn, tn of each test tile, (N, 4), a single 1 a tile.

    Args:
        record: Of tiles.
        at: Threshold 0.5, as the record counts, or that of validation; this from the probabilities
            it keeps, which have four digits.
    """
    kept = np.array(record.test_counts, np.int64)
    if at == "half":
        return kept
    landslide = kept[:, [0, 2]].any(1)
    called = np.array((record.tiles or {})["probability"]) > record.test_tuned.threshold
    kinds = [landslide & called, ~landslide & called, landslide & ~called, ~landslide & ~called]
    return np.stack(kinds, 1).astype(np.int64)


def tiles(records: Sequence[Record]) -> pd.DataFrame:
    """Return what is kept of each test tile, a line a record and tile.

    Args:
        records: Of tiles.

    Returns:
        `network` (the number of the record, from 1), `scene`, `landslide` (whether it holds one),
        `wrong` (whether it is called what it is not at the threshold of validation), `margin` (how
        far its probability is from there), and of `probability`, `apart`, `brightness`, `optical`
        and `radar` what the records have.
    """
    frames = [pd.DataFrame()]
    for number, one in enumerate(records, 1):
        tp, fp, fn, _ = counts_of(one, "validation").astype(bool).T
        kept = {name: np.array(values) for name, values in (one.tiles or {}).items()}
        frames.append(
            pd.DataFrame(
                {
                    "network": number,
                    "scene": one.test_groups,
                    "landslide": tp | fn,
                    "wrong": fp | fn,
                    "margin": abs(kept["probability"] - one.test_tuned.threshold),
                    **kept,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def mean_of(values: ArrayLike, scenes: ArrayLike) -> tuple[float, float, float]:
    """Return the mean over tiles with its interval of 95 %, in which a scene is one draw.

    Tiles of a scene are neighbours and no independent evidence: the error is that of a ratio of
    sums over scenes (Cochran 1977, section 6.3), and the interval Student's, of as many scenes as
    would weigh as much if all had as many tiles (`intervals.equal_blocks`).

    Args:
        values: (N,) of the tiles, in 0..1.
        scenes: (N,) of each.

    Returns:
        Mean, low and high, in 0..1; both NaN for too few scenes (`intervals.FEWEST`), or where no
        scene differs from the mean, such as of a group without any error.

    >>> [round(x, 3) for x in mean_of([0, 1, 1, 1], ["a", "b", "c", "d"])]
    [0.75, 0.041, 0.995]
    """
    found = np.asarray(values, np.float64)
    mean = float(found.mean())
    of_scene = pd.Series(found - mean).groupby(np.asarray(scenes))
    error = float(np.sqrt((of_scene.sum() ** 2).sum())) / len(found)
    blocks = intervals.equal_blocks(of_scene.size())
    if blocks <= intervals.FEWEST or error < 1e-12:
        return mean, np.nan, np.nan
    reach = float(stdtrit(blocks - 1, 0.975)) * error * (blocks / (blocks - 1)) ** 0.5
    return mean, *intervals.limits(mean, reach)


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
    for _, some in frame.groupby(places.fillna(0)):  # all alike: one group
        mean, low, high = mean_of(some[value], some["scene"])
        lines.append(
            {
                "group": len(lines) + 1,
                "tiles": len(some),
                "at": some[over].median(),
                "mean": mean,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(lines)


def rank_correlations(frame: pd.DataFrame, branch: str) -> NDArray[np.float64]:
    """Return Spearman's rank correlation of a branch's weight with brightness, one a network.

    Args:
        frame: From `tiles`.
        branch: Of `BRANCHES`.
    """
    from scipy.stats import spearmanr

    return np.array([spearmanr(some["brightness"], some[branch]).statistic for _, some in frame.groupby("network")])


def brightest_less_rest(frame: pd.DataFrame, branch: str) -> NDArray[np.float64]:
    """Return a branch's mean weight on the brightest tenth less that on the rest, one a network.

    Most tiles are nearly as dark as each other, and ranks make as much of that as of clouds, which
    are few.

    Args:
        frame: From `tiles`.
        branch: Of `BRANCHES`.
    """
    found = []
    for _, some in frame.groupby("network"):
        bright = some["brightness"] > some["brightness"].quantile(1 - 1 / TENTHS)
        found.append(some[branch][bright].mean() - some[branch][~bright].mean())
    return np.array(found)


def gate_said(frame: pd.DataFrame) -> str:
    """Say how the weights of a gate go with the brightness of a tile.

    Args:
        frame: From `tiles`, of networks with a gate; those without are "Not run yet.".
    """
    named = [branch for branch in BRANCHES if branch in frame]
    if not named or "brightness" not in frame:
        return "Not run yet."
    plain = frame[~frame["landslide"].astype(bool)]
    holds: dict[str, list[str]] = {"over all tiles": [], "in the brightest tenth": []}
    trend = {-1: "falls", 0: "goes neither way", 1: "rises"}
    step = {-1: "lower than", 0: "not told apart from that", 1: "higher than"}
    lines = []
    for branch in named:
        ranks, steps = rank_correlations(frame, branch), brightest_less_rest(frame, branch)
        ways = []
        for where, found in zip(holds, (ranks, steps), strict=True):
            low, high = intervals.interval(list(found), within=intervals.DIFFERENCE) or (-1, 1)
            if high < 0 if branch == "optical" else low > 0:
                holds[where].append(branch)
            ways.append(-1 if high < 0 else 1 if low > 0 else 0)
        lines.append(
            f"- The weight of {branch} features {trend[ways[0]]} with brightness: the rank "
            f"correlation (Spearman) is {ranks.mean():+.2f} in the mean over {len(ranks)} "
            f"network(s){_reach(ranks)}, from {ranks.min():+.2f} to {ranks.max():+.2f}, and "
            f"{rank_correlations(plain, branch).mean():+.2f} among tiles without a landslide. In "
            f"the brightest tenth it is {step[ways[1]]} in the rest, by {steps.mean():+.3f}"
            f"{_reach(steps, 3)}, and among tiles without a landslide by "
            f"{brightest_less_rest(plain, branch).mean():+.3f}."
        )
    if len(named) == len(BRANCHES):  # else there is nothing to take from, or to give to
        said = "; ".join(f"{where} {' and '.join(of) or 'neither'}" for where, of in holds.items())
        verdict = f"By more than the spread of the networks leaves open, ours does so for: {said}."
        known = frame["network"].nunique() > 1
        lines.append(
            "- The report says of its gate that clouds take weight from optical features and give "
            f"it to radar. {verdict if known else 'Of one network this cannot be told.'}"
        )
    return "\n".join(lines)


def _reach(values: NDArray[np.float64], digits: int = 2) -> str:
    reach = intervals.interval(list(values), within=intervals.DIFFERENCE)
    if not reach:
        return ""
    return f" (interval of 95 % {reach[0]:+.{digits}f} to {reach[1]:+.{digits}f})"


def spread_said(frame: pd.DataFrame) -> str:
    """Say whether an ensemble errs more where its members disagree.

    Args:
        frame: From `tiles`, of ensembles; of others nothing is known.
    """
    if "apart" not in frame or frame["wrong"].nunique() < 2:
        return "Not run yet, or no tile is called wrongly." if len(frame) else "Not run yet."
    from sklearn.metrics import roc_auc_score

    groups = by_quantile(frame, "apart", "wrong", FIFTHS)["mean"].tolist()
    spread, near = (float(roc_auc_score(frame["wrong"].astype(bool), by)) for by in (frame["apart"], -frame["margin"]))
    more = "more" if spread > near else "no more"
    tells = f"{more} of errors than the mean does" if spread > 0.5 else "nothing of errors"
    return (
        f"Of the fifth of the tiles on which the members agree most, {groups[0]:.1%} are called "
        f"wrongly, of the fifth on which they agree least {groups[-1]:.1%}. Of a wrong and a right "
        f"tile, the wrong one has the larger spread in {spread:.0%} of all pairs, and the mean "
        f"nearer to the threshold in {near:.0%}, where a half is chance: the spread tells {tells}."
    )
