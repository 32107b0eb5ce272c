"""What records of adaptation say of two domains and of what bridges them. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from landslide_lib.metrics import intervals, scores
from landslide_lib.study import cells
from landslide_lib.study.recipe import Adaptation
from landslide_lib.study.records import Record
from landslide_lib.study.reports import Table

Facts = Mapping[str, Any]
Runs = Mapping[str, Sequence[Record]]


def domains(recipe: Adaptation, known: Mapping[str, Facts]) -> dict[str, Facts] | None:
    """Return the published statistics of the two domains of a recipe.

    Args:
        recipe: With its target.
        known: Statistics by dataset, as `datasets.statistics.describe` returns them.

    Returns:
        Of `source` and `target` each `images`, `positive` (the share of images with a landslide),
        `landslide` (that of their pixels) and `bands` (`{name: {mean, std}}`); None where they are
        not published of either.
    """
    target, name = recipe.target, recipe.target.dataset or recipe.dataset
    if not {recipe.dataset, name} <= known.keys():
        return None
    source, other = known[recipe.dataset], known[name]
    apart = name != recipe.dataset
    parts = other["parts"] if other["split"] == "shipped" else {}
    if target.region:
        there = other["regions"].get(target.region)
        rest = [facts for region, facts in other["regions"].items() if region != target.region]
        here = source if apart else _together(rest)
    else:
        # Where the publisher made no parts, all images are the one that a target names.
        there = parts.get(target.part, other if apart and not parts else None)
        here = source if apart else parts.get("train")
    return {"source": here, "target": there} if here and there else None


def _together(groups: Sequence[Facts]) -> Facts | None:
    """Put the statistics of some groups of images together."""
    if not groups:
        return None
    share = np.array([facts["images"] for facts in groups], np.float64)
    share /= share.sum()
    bands = {}
    for band in groups[0]["bands"]:
        mean, std = (np.array([facts["bands"][band][key] for facts in groups]) for key in ("mean", "std"))
        whole = float(share @ mean)
        square = float(share @ (std**2 + mean**2))
        bands[band] = {"mean": whole, "std": max(square - whole**2, 0.0) ** 0.5}
    return {
        "images": sum(facts["images"] for facts in groups),
        **{key: float(share @ [facts[key] for facts in groups]) for key in ("positive", "landslide")},
        "bands": bands,
    }


def shifted(both: Mapping[str, Facts]) -> str:
    """Say how far two domains lie apart.

    Args:
        both: See `domains`.
    """
    source, target = both["source"], both["target"]
    steps = {
        band: (target["bands"][band]["mean"] - own["mean"]) / (own["std"] or 1.0)
        for band, own in source["bands"].items()
    }
    spreads = {band: target["bands"][band]["std"] / (own["std"] or 1.0) for band, own in source["bands"].items()}
    far = max(steps, key=lambda band: abs(steps[band]))
    own, other = (some["landslide"] / some["positive"] for some in (source, target))
    return (
        f"In standard deviations of the source, the mean of the target differs most in band {far}, "
        f"by {steps[far]:+.2f}. The standard deviations of the target are from "
        f"{min(spreads.values()):.2f} to {max(spreads.values()):.2f} times those of the source. "
        f"Landslides cover {source['landslide']:.1%} of the source's pixels and "
        f"{target['landslide']:.1%} of the target's: no normalization of the images changes that. "
        f"Nor does it change how much of an image with a landslide is landslide, in the mean "
        f"{own:.0%} in the source and {other:.0%} in the target: where these lie far apart, the "
        "same thing may be seen from another height."
    )


def scored_on(record: Record) -> str:
    """Say what a record learnt from and what it is scored on, with the floor of its scores."""
    recipe, images = record.recipe, record.images
    assert isinstance(recipe, Adaptation)
    target = recipe.target
    where = f"{target.dataset or recipe.dataset} ({target.region.replace('_', ' ') or target.part})"
    counts = np.sum(record.test_counts, 0)
    share = float((counts[0] + counts[2]) / counts.sum())
    return (
        f"Learnt on {images['train']} images of {recipe.dataset}; {images['valid']} more validate "
        f"and choose the threshold. Scored on {images['test']} images of {where}, in "
        f"{len(set(record.test_groups))} scenes or blocks of neighbours, which the intervals draw "
        f"from. {share:.1%} of their pixels are landslide, so that calling every pixel landslide "
        f"has an F1 of {scores.all_positive_f1(record.test_counts):.3f}."
    )


# The components.


def paired(ours: Sequence[Record], base: Sequence[Record]) -> intervals.Comparison | None:
    """Compare the landslide F1 at 0.5 of two rows over the seeds and target images of both.

    Returns:
        See `intervals.paired_bootstrap`, how many `common` seeds there are, `tuned`, the mean over
        them of the difference in F1 at each row's own threshold, that of the source, and `under`,
        whether neither row's mean is above calling every pixel landslide; None where no seed is
        common, or the target images differ.
    """
    mine, other = ({one.seed: one for one in side} for side in (ours, base))
    common = sorted(set(mine) & set(other))
    if not common or mine[common[0]].test_ids != other[common[0]].test_ids:
        return None
    counts = [[side[seed].test_counts for seed in common] for side in (mine, other)]
    found = intervals.paired_bootstrap(counts[0], counts[1], mine[common[0]].test_groups)
    tuned = _mean(_f1(mine[s], "test_tuned") - _f1(other[s], "test_tuned") for s in common)
    best = max(_mean(_f1(side[seed], "test") for seed in common) for side in (mine, other))
    under = best <= scores.all_positive_f1(mine[common[0]].test_counts)
    return {**found, "common": len(common), "tuned": tuned, "under": under}


#: Of what `paired` returns, that `worth` hands on.
PAIRED = ("difference", "low", "high", "reason", "tuned", "common", "under")


def worth(table: Table, runs: Runs, pairs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what each row is worth against another one, as reported and as ours.

    Args:
        table: Of the report, with a column `f1`.
        runs: Records by row.
        pairs: The rows to compare: the one, and what it is compared with.

    Returns:
        A dict a pair: the labels `row` and `against`, `reported` (a difference of printed F1, in
        0..1) and `difference`, `low`, `high`, `reason`, `tuned`, `common`, `under` as from
        `paired`; None where not known.
    """
    found = []
    for name, base in pairs.items():
        row, other = table.row(name), table.row(base)
        cells = [one.reported.get("f1") for one in (row, other)]
        printed = [cell for cell in cells if isinstance(cell, float)]
        ours: Mapping[str, Any] = paired(runs.get(name, ()), runs.get(base, ())) or {}
        found.append(
            {
                "row": row.label,
                "against": other.label,
                "reported": (printed[0] - printed[1]) / table.columns["f1"].scale if len(printed) == 2 else None,
                **{key: ours.get(key) for key in PAIRED},
            }
        )
    return found


def worth_said(found: Sequence[Mapping[str, Any]]) -> str:
    """Say which rows help, which harm, and which nothing is known of, from `worth`."""
    run = [one for one in found if one["difference"] is not None]
    if not run:
        return "Not run yet."
    above = [one for one in run if not one["under"]]
    kinds = {
        "Better on the target by more than is left open": 1,
        "**Worse** by more than is left open": -1,
        "Not told apart from no difference": 0,
    }
    sorted_out = {said: [one for one in above if intervals.sign(one) == sign] for said, sign in kinds.items()}
    lines = [f"- {said}: {'; '.join(map(_difference, some)) or 'no row'}." for said, some in sorted_out.items()]
    if under := [one for one in run if one["under"]]:
        lines.append(
            "- Neither above calling every pixel landslide, so that whatever their difference is, "
            f"it does not tell which finds landslides: {'; '.join(map(_difference, under))}."
        )
    missing = [one["row"] for one in found if one["difference"] is None]
    if missing:
        lines.append(f"- Not run together with what it is compared with: {'; '.join(missing)}.")
    turned = [one["row"] for one in above if one["tuned"] * one["difference"] < 0]
    if turned:
        lines.append(
            "- The other way round at the source's threshold, so that at 0.5 it moves "
            f"probabilities rather than telling landslides apart: {'; '.join(turned)}."
        )
    fewest = min(one["common"] for one in run)
    beware = (
        "With one seed the intervals hold the target images alone: what another training would "
        "give is not in them, and they are too narrow. "
        if fewest == 1
        else ""
    )
    return "\n".join(lines) + (
        f"\n\n{beware}None is corrected for there being {len(run)} of them: one in twenty such "
        "intervals misses the truth by chance alone."
    )


def _difference(one: Mapping[str, Any]) -> str:
    return (
        f"{one['row']} against {one['against']} {cells.difference(one)} "
        f"({one['tuned']:+.3f}; {one['common']} seed{'s' * (one['common'] > 1)})"
    )


def above_floor(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say which rows do not beat calling every pixel landslide.

    Args:
        rows: From `comparison.compare`.
    """
    run = [row for row in rows if row["ours"]]
    if not run:
        return "Not run yet."
    lines = []
    for where, name in (("metrics", "At threshold 0.5"), ("tuned", "At the source's threshold")):
        scored = {row["label"]: row["ours"][where]["pooled"]["f1"]["mean"] or 0.0 for row in run}
        low = [row["label"] for row in run if scored[row["label"]] <= row["ours"]["floor"]]
        which = "every row" if len(low) == len(run) > 1 else ", ".join(low) or "no row"
        lines.append(f"- {name} not above the floor: {which}.")
    return "\n".join(lines)


def same_networks(table: Table, runs: Runs, names: Sequence[str], base: str) -> str:
    """Say which rows train the very networks of another, as far as their curves can tell.

    Args:
        table: Of the report.
        runs: Records by row.
        names: Of rows that have something more than the other one.
        base: The other one.
    """
    lines = []
    for name in names:
        mine, other = ({one.seed: one for one in runs.get(row, ())} for row in (name, base))
        common = sorted(set(mine) & set(other))
        if not common:
            continue
        sides = [[side[seed] for seed in common] for side in (mine, other)]
        losses = [np.array([line.train_loss for one in side for line in one.history]) for side in sides]
        apart = float(abs(losses[0] - losses[1]).max(initial=0))
        means = {part: [_mean(_f1(one, part) for one in side) for side in sides] for part in ("valid", "test")}
        lines.append(
            f"- {table.row(name).label}: its training losses "
            f"{f'differ by up to {apart:.2g}' if apart else 'are equal in every epoch'}. F1 on the "
            f"source's validation images is {means['valid'][0]:.3f} ({table.row(base).label} "
            f"{means['valid'][1]:.3f}), on the target {means['test'][0]:.3f} "
            f"({means['test'][1]:.3f})."
        )
    return "\n".join(lines) or "Not run yet."


def thresholds(table: Table, runs: Runs) -> list[dict[str, Any]]:
    """Return the F1 on the target at three thresholds, a dict a row that was run.

    Args:
        table: Of the report.
        runs: Records by row.

    Returns:
        `row`, the label; means over its seeds: `half`, the F1 at 0.5, `chosen` and `chosen_f1`,
        the threshold that was best on validation images of the source and the F1 there, `best`
        and `best_f1`, those of the threshold that only who has the target's masks can know,
        `floor`, the F1 of calling every pixel landslide, which is threshold 0, and `auc`, the area
        under the ROC curve, which knows of no threshold.
    """
    found = []
    for name, records in runs.items():
        if not records:
            continue
        best = [scores.best_threshold(*record.histogram) for record in records]
        known = [
            scores.at_threshold(*record.histogram, threshold=at)["pooled"]["f1"] or 0.0
            for record, at in zip(records, best, strict=True)
        ]
        found.append(
            {
                "row": table.row(name).label,
                "half": _mean(_f1(record, "test") for record in records),
                "chosen": _mean(record.test_tuned.threshold for record in records),
                "chosen_f1": _mean(_f1(record, "test_tuned") for record in records),
                "best": _mean(best),
                "best_f1": _mean(known),
                "floor": _mean(scores.all_positive_f1(record.test_counts) for record in records),
                "auc": _mean(scores.ranking(*record.histogram) for record in records),
            }
        )
    return found


def travelled(found: Sequence[Mapping[str, Any]]) -> str:
    """Say what the source's threshold is worth on the target, from `thresholds`."""
    if not found:
        return "Not run yet."
    gains = [one["chosen_f1"] - one["half"] for one in found]
    left = [max(0, one["best_f1"] - max(one[key] for key in ("chosen_f1", "half", "floor"))) for one in found]
    ranges = [
        f"{min(one[key] for one in found):.2f} to {max(one[key] for one in found):.2f}" for key in ("chosen", "best")
    ]
    blind = [one["row"] for one in found if one["auc"] <= 0.5]
    ranks = (
        f" {len(blind)} of {len(found)} rows give landslide no higher probability than the rest of "
        "the target (an area under the ROC curve of one half or less): no threshold mends that."
    )
    return (
        f"The source's threshold has the higher F1 on the target in {sum(g > 0 for g in gains)} of "
        f"{len(found)} rows; against threshold 0.5 it is worth from {min(gains):+.3f} to "
        f"{max(gains):+.3f}. The source's validation images ask for {ranges[0]}, the target would "
        f"ask for {ranges[1]}. To know that is worth up to {max(left):.3f} more than the best of "
        "the two and of calling every pixel landslide, and takes masks that nobody has of a new "
        f"place.{ranks if blind else ''}"
    )


def _f1(record: Record, part: str) -> float:
    found: float | None = getattr(record, part).metrics["pooled"]["f1"]
    return found or 0.0


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
