"""What records say of rounds of refinement. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from landslide_lib.metrics import intervals
from landslide_lib.study import cells
from landslide_lib.study.adapted import paired
from landslide_lib.study.recipe import Adaptation
from landslide_lib.study.recipe.adaptation import Round
from landslide_lib.study.records import Record, Store

#: How the report writes its networks.
NAMES = {
    "resnet": "ResNet",
    "efficientnetv2": "EfficientNetV2",
    "swin": "Swin",
    "segformer": "SegFormer",
    "hrnet_ocr": "HRNet-OCR",
}


class Step(NamedTuple):
    """A network, or an ensemble, in a round of refinement; round 0 has no pseudo-labels."""

    round: int
    network: str
    record: Record

    @property
    def recipe(self) -> Adaptation:
        """That it was made by."""
        assert isinstance(self.record.recipe, Adaptation)
        return self.record.recipe

    @property
    def f1(self) -> float:
        """The pooled landslide F1 on the target at 0.5."""
        return self.record.test.metrics["pooled"]["f1"] or 0.0


Chain = Sequence[Step]


def chains(records: Iterable[Record], store: Store) -> dict[str, list[Step]]:
    """Return the rounds of refinement among some records and those that they grew from.

    Args:
        records: Of adaptation; those that are neither of a round nor an ensemble are passed over.
        store: Where the records are that others name in `grown_from`.

    Returns:
        By the networks that label, the steps of rounds that follow one another, each seed's
        networks and ensembles in the order of the rounds; {} without any round.
    """
    every = {one.name: one for one in store.all()}
    left = [one for one in records if isinstance(one.recipe, Adaptation) and (one.recipe.rounds or one.recipe.ensemble)]
    found: dict[tuple[str, int], Record] = {}
    while left:
        one = left.pop()
        if (one.hash, one.seed) not in found:
            found[one.hash, one.seed] = one
            left += [every[name] for name in one.grown_from if name in every]
    steps = sorted((_step(one) for one in found.values()), key=lambda one: (one.round, one.network, one.record.seed))
    rounds = dict.fromkeys(one.recipe.rounds for one in steps if one.recipe.rounds)
    longest = [one for one in rounds if not any(other[: len(one)] == one != other for other in rounds)]
    return {_named(one): [step for step in steps if _of(step.recipe, one)] for one in longest}


def _step(record: Record) -> Step:
    recipe = record.recipe
    assert isinstance(recipe, Adaptation)
    network = "Ensemble" if recipe.ensemble else NAMES[recipe.model]
    return Step(len(recipe.rounds), f"{network}, x{recipe.scale:g}", record)


def _named(rounds: Sequence[Round]) -> str:
    said = [f"{' and '.join(NAMES[model] for model in one.models)}, x{one.scale:g}" for one in rounds]
    return "; then ".join(dict.fromkeys(said))


def _of(recipe: Adaptation, rounds: Sequence[Round]) -> bool:
    """Tell whether a network is of these rounds: before the first one, whether it labels for it."""
    if recipe.rounds:
        return recipe.rounds == tuple(rounds[: len(recipe.rounds)])
    models = {*(recipe.ensemble or (recipe.model,))}
    return recipe.scale == rounds[0].scale and models <= {*rounds[0].models}


def labels(chain: Chain) -> list[dict[str, Any]]:
    """Return what the pseudo-labels of each round and seed were, against the hidden masks.

    Args:
        chain: From `chains`.

    Returns:
        A dict a round and seed, in this order: `round`, `seed`, `coverage`, `precision`, `recall`,
        `missed`, and of the prediction that the labels were made of `before_precision` and
        `before_recall` at 0.5, and `called`, how many pixels of it are labelled landslide; None
        where it has no record, or where a share is of nothing.
    """
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for step in chain:
        key = step.round, step.record.seed
        if step.record.pseudo_labels is None or key in found:  # networks of a round share theirs
            continue
        *_, last = step.recipe.rounds
        grown = step.recipe.model_copy(
            update={
                "rounds": step.recipe.rounds[:-1],
                "scale": last.scale,
                "model": last.models[0],
                "ensemble": last.models if len(last.models) > 1 else (),
            }
        )
        made = grown.hash, step.record.seed
        before = [one.record for one in chain if (one.record.hash, one.record.seed) == made]
        said = before[0].test.metrics["pooled"] if before else {}
        sure = round(100 * step.recipe.confidence)  # histograms have 100 bins
        found[key] = {
            "round": step.round,
            "seed": step.record.seed,
            **step.record.pseudo_labels,
            **{f"before_{score}": said.get(score) for score in ("precision", "recall")},
            "called": int(np.array(before[0].histogram)[:, sure:].sum()) if before else None,
        }
    return [found[key] for key in sorted(found)]


def labels_table(chain: Chain) -> list[dict[str, Any]]:
    """Return `labels` as text for a table, the means over the seeds of each round."""
    found = labels(chain)
    return [
        {
            "round": str(number),
            "pixels labelled": _share(some, "coverage"),
            "as landslide": _count(some),
            "precision": _share(some, "precision"),
            "precision at 0.5 before": _share(some, "before_precision"),
            "recall": _share(some, "recall"),
            "recall at 0.5 before": _share(some, "before_recall"),
            "landslide labelled background": _share(some, "missed"),
            "seeds": str(len(some)),
        }
        for number in dict.fromkeys(one["round"] for one in found)
        for some in [[one for one in found if one["round"] == number]]
    ]


def _share(lines: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """Return the mean of some shares as text; None where one is not known."""
    values = [line[key] for line in lines]
    return None if None in values else f"{np.mean(values):.1%}"


def _count(lines: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the mean number of pixels labelled landslide; None where one is not known."""
    values = [line["called"] for line in lines]
    return None if None in values else f"{np.mean(values):,.0f}"


def said(chain: Chain) -> str:
    """Say of each round what its pseudo-labels were worth, and what learning from them gave."""
    found = labels(chain)
    lines = []
    for number in dict.fromkeys(one["round"] for one in found):
        some = [one for one in found if one["round"] == number]
        lines.append(f"- Round {number}: {_labels_said(some)} {_gained(chain, number)}")
    return "\n".join(lines) + f"\n\n{_taught(found)}" if lines else "No round has been run yet."


def _taught(found: Sequence[Mapping[str, Any]]) -> str:
    """Say in which rounds pseudo-labels were more precise than the prediction before."""
    rises: dict[int, list[float]] = {one["round"]: [] for one in found}
    for one in found:
        if one["precision"] is not None and one["before_precision"] is not None:
            rises[one["round"]].append(one["precision"] - one["before_precision"])
    means = {number: float(np.mean(some)) for number, some in rises.items() if some}
    better = {number: rise for number, rise in means.items() if rise > 0}
    said = {
        "the pseudo-labels were no more precise than the prediction that they were made of. To be "
        "sure was not to be right there, and the round had nothing to teach but what the networks "
        "believed already.": means.keys() - better.keys(),
        "they were more precise than the prediction that they were made of, by "
        f"{min(better.values(), default=0):.3f} at least and {max(better.values(), default=0):.3f} "
        "at most. A higher threshold does that for nearly any network: it promises no gain.": better.keys(),
        "it is not known: the prediction, a mean of several networks, has no record.": rises.keys() - means.keys(),
    }
    return " ".join(
        f"In round {', '.join(map(str, sorted(rounds)))} {words}" for words, rounds in said.items() if rounds
    )


def _labels_said(some: Sequence[Mapping[str, Any]]) -> str:
    right, before, held, had = (
        _share(some, key) for key in ("precision", "before_precision", "recall", "before_recall")
    )
    number = f", {_count(some)} as landslide" if _count(some) else ""
    return (
        f"{_share(some, 'coverage')} of the target's pixels are labelled{number}. The precision of "
        f"the landslide labels is {right} (the prediction before: {before or 'not known'}), their "
        f"recall {held or 'not known'} ({had or 'not known'}). Of all landslide "
        f"{_share(some, 'missed') or 'an unknown share'} is labelled background."
    )


def _gained(chain: Chain, number: int) -> str:
    """Say how the F1 of what stands in a round and in the one before it changed."""
    now, then = (
        {
            name: [one.record for one in chain if (one.round, one.network) == (when, name)]
            for name in dict.fromkeys(one.network for one in chain if one.round == when)
        }
        for when in (number, number - 1)
    )
    both = [name for name in now if name in then]
    compared = {
        name: paired(now[name], then[name]) for name in [name for name in both if name.startswith("Ensemble")] or both
    }
    return (
        " ".join(
            f"{name}: F1 {cells.difference(found)} at threshold 0.5, {_verdict(found)}; "
            f"{found['tuned']:+.3f} at the source's thresholds."
            for name, found in compared.items()
            if found
        )
        or "No network stands in this round and in the one before."
    )


def _verdict(found: Mapping[str, Any]) -> str:
    if found["under"]:
        return "of two that are not above calling every pixel landslide"
    return {1: "a gain", -1: "a loss", 0: "not told apart from none"}[intervals.sign(found)]


def ensembles(chain: Chain) -> str:
    """Say what the mean of several networks is worth against each of them."""
    gains, wins = [], 0
    for step in chain:
        members = [one.f1 for one in chain if one.record.name in step.record.grown_from]
        if members and step.recipe.ensemble:
            gains.append(step.f1 - float(np.mean(members)))
            wins += step.f1 > max(members)
    if not gains:
        return "No ensemble has been run yet."
    return (
        f"In {wins} of {len(gains)} cases, one a round and seed, the ensemble scores above its "
        f"best member. Against the mean of its members it has {np.mean(gains):+.3f}, from "
        f"{min(gains):+.3f} to {max(gains):+.3f}."
    )
