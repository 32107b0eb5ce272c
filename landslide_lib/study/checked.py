"""A network and trees that judge the same tiles, each as a check on the other. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.metrics import intervals, scores
from landslide_lib.study import derived
from landslide_lib.study.comparison import records_of
from landslide_lib.study.records import Record, Store
from landslide_lib.study.reports import Table

#: How two verdicts on a tile become one.
WAYS = {
    "network": "the network",
    "trees": "the trees",
    "mean": "the mean of both probabilities",
    "both": "a landslide where both say so",
    "either": "a landslide where either says so",
}
BINS = 1000


def folds(table: Table, store: Store, *, dataset: str, profile_name: str, seed: int = 0) -> list[Record]:
    """Return the records of the folds that the mean of a table is derived from; none if one lacks.

    Args:
        table: With one derived row of ours that is the mean over folds.
        store: Of records.
        dataset: What they are of.
        profile_name: Their budget.
        seed: Of their training.
    """
    (mean,) = (row for row in table.rows if row.ours and row.kind == "derived")
    found = records_of(table, store, dataset=dataset, profile_name=profile_name, seeds=[seed])
    some = [found.get(leaf.id, []) for _, leaf in derived.leaves(table, mean)]
    return [one[0] for one in some] if all(some) else []


def joined(records: Sequence[Record], facts: Mapping[str, Any]) -> pd.DataFrame:
    """Set what networks of several folds say of the tiles they were tested on beside the trees.

    Args:
        records: Of classification, each tested on other tiles, on the data that `facts` are of.
        facts: Published of `tabular.images.measure`: `fingerprint`, and `out_of_fold` with `ids`
            and `probability`.

    Returns:
        By tile `fold`, `group`, `truth` and the probabilities of `network` and `trees`, each of a
        model that had not learnt the tile.

    Raises:
        ValueError: The records are of other data, or test a tile twice.
    """
    other = {one.fingerprint for one in records} - {facts["fingerprint"]}
    if other:
        raise ValueError(
            f"double check: the records are of the data {', '.join(sorted(other))}, the trees of "
            f"{facts['fingerprint']}; measure the trees anew with `python -m landslide_lib.study.tabular`"
        )
    told = facts["out_of_fold"]
    trees = pd.Series(told["probability"], told["ids"])
    parts = []
    for fold, record in enumerate(records):
        assert record.tiles is not None
        counts = np.array(record.test_counts)
        parts.append(
            pd.DataFrame(
                {
                    "fold": fold,
                    "group": record.test_groups,
                    "truth": (counts[:, 0] + counts[:, 2]) > 0,
                    "network": record.tiles["probability"],
                    "trees": trees.reindex(record.test_ids).to_numpy(),
                },
                index=record.test_ids,
            )
        )
    found = pd.concat(parts)
    if found.index.has_duplicates:
        twice = found.index[found.index.duplicated()][0]
        raise ValueError(f"double check: the tile {twice} is tested in two records")
    return found.dropna()


def verdicts(tiles: pd.DataFrame) -> pd.DataFrame:
    """Return what each of `WAYS` calls a landslide, by tile.

    A probability is compared with the threshold that has the highest F1 over the *other* folds.

    Args:
        tiles: Of `joined`, of two folds at least.
    """
    given = tiles.assign(mean=(tiles["network"] + tiles["trees"]) / 2)
    called = pd.DataFrame(index=tiles.index)
    for way in ("network", "trees", "mean"):
        said = np.zeros(len(tiles), bool)
        for fold in given["fold"].unique():
            here = (given["fold"] == fold).to_numpy()
            said[here] = given[way][here] > _threshold(given[way][~here], given["truth"][~here])
        called[way] = said
    called["both"] = called["network"] & called["trees"]
    called["either"] = called["network"] | called["trees"]
    return called


def _threshold(said: pd.Series[float], truth: pd.Series[bool]) -> float:
    bins = np.clip(np.ceil(said.to_numpy() * BINS).astype(int) - 1, 0, BINS - 1)
    both = [np.bincount(bins[truth.to_numpy() == kind], minlength=BINS) for kind in (True, False)]
    return scores.best_threshold(*both)


def compared(tiles: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the scores of each of `WAYS`, and what it gains over the network alone.

    Args:
        tiles: Of `joined`.

    Returns:
        A line a way: `way`, `f1`, `precision`, `recall`, and `versus`, the paired bootstrap over
        scenes (`intervals.paired_bootstrap`) against the network; None for itself.
    """
    called, truth = verdicts(tiles), tiles["truth"].to_numpy()
    counts = {way: _counts(called[way].to_numpy(), truth) for way in WAYS}
    lines = []
    for way, words in WAYS.items():
        pooled = scores.scores(counts[way])["pooled"]
        sides, blocks = ([counts[way]], [counts["network"]]), tiles["group"].tolist()
        versus = None if way == "network" else intervals.paired_bootstrap(*sides, blocks)
        named = {name: pooled[name] for name in ("f1", "precision", "recall")}
        lines.append({"way": words, **named, "versus": versus})
    return lines


def _counts(called: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.stack([called & truth, called & ~truth, ~called & truth, ~called & ~truth], 1).astype(np.int64)


def said(tiles: pd.DataFrame) -> str:
    """Say what the second opinion is worth, and how often the network is wrong with and without it.

    Args:
        tiles: Of `joined`.
    """
    called, truth = verdicts(tiles), tiles["truth"].to_numpy()
    wrong = called["network"].to_numpy() != truth
    agree = (called["network"] == called["trees"]).to_numpy()
    words = [f"Network and trees agree on {agree.mean():.1%} of {len(tiles)} tiles."]
    if 0 < agree.mean() < 1:
        words.append(
            f"Where they do, the network is wrong on {wrong[agree].mean():.1%}; where they do not, "
            f"on {wrong[~agree].mean():.1%}"
            + (": a second opinion says which tiles to look at." if wrong[~agree].mean() > wrong[agree].mean() else ".")
        )
    clear = []
    for line in compared(tiles):
        if worth := line["versus"]:
            said = f"{line['way']} ({worth['difference']:+.3f})"
            clear += [said] * bool(intervals.sign(worth))
    named = ", ".join(clear) or "none of the ways to join them"
    words.append(f"In F1, told apart from the network alone: {named}.")
    return " ".join(words)
