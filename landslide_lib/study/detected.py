"""What records of detectors say: their boxes, their learning, what a split or a start is worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.bands import RGB
from landslide_lib.metrics import intervals, scores
from landslide_lib.metrics.detection import bootstrap, paired_bootstrap
from landslide_lib.paths import data_root as usual_root
from landslide_lib.study import cells
from landslide_lib.study.plots import Picture
from landslide_lib.study.plots.detection import boxes_beside
from landslide_lib.study.recipe import Pretraining
from landslide_lib.study.records import Record, Store
from landslide_lib.study.reports import Table, resolve

if TYPE_CHECKING:
    from landslide_lib.data.pack import Packed

Rows = Sequence[Mapping[str, Any]]
Runs = Mapping[str, Sequence[Record]]
Facts = Mapping[str, Any]
#: A curve has flattened where its last quarter rises by less than this much mAP at IoU 0.5.
FLAT = 0.01


def alike(runs: Runs, reference: str) -> dict[str, Sequence[Record]]:
    """Return the records that were tested on the images of a row; none where it was not run."""
    images = [record.test_ids for record in runs.get(reference, ())][:1]
    return {
        name: same
        for name, some in runs.items()
        if (same := [record for record in some if [record.test_ids] == images])
    }


def best_on_validation(runs: Runs) -> tuple[str, Record] | None:
    """Return the row and the record with the highest mAP at IoU 0.5 on its validation images."""
    every = [(name, record) for name, some in runs.items() for record in some]
    return max(every, key=lambda pair: pair[1].valid.metrics["boxes"]["map_50"] or 0.0, default=None)


def picture_of(best: tuple[str, Record], *, data_root: str | Path = "") -> Picture:
    """Draw the test images whose boxes a record keeps, on the imagery where it is at hand.

    Args:
        best: A row and its record.
        data_root: In place of `LANDSLIDE_DATA`.
    """
    name, record = best
    assert record.detections is not None
    examples, side = record.detections.examples, record.recipe.image_size
    images = None
    packed = imagery_of(record, data_root=data_root)
    if packed is not None:
        places = [packed.ids.index(record.test_ids[one.image]) for one in examples]
        colours = packed.read(np.array(places), RGB).astype(np.float32)
        images = list(natural(colours, bright(colours)))
    return boxes_beside(images, examples, side=side, threshold=record.test_tuned.threshold, name=f"boxes-{name}")


def imagery_of(record: Record, *, data_root: str | Path = "") -> Packed | None:
    """Return the images that a record is of, or None where they are not at hand.

    Args:
        record: Of any task.
        data_root: In place of `LANDSLIDE_DATA`.
    """
    from landslide_lib.data.registry import DatasetNotFoundError
    from landslide_lib.study import domains

    root = Path(data_root) if data_root else usual_root()
    try:
        packed = domains.load(record.recipe, root=root)
    except DatasetNotFoundError:
        return None
    return packed if packed.fingerprint == record.fingerprint else None


def bright(colours: NDArray[np.floating]) -> float:
    """Return what is drawn as white: the 99.5 % quantile, 1 at least."""
    return max(1.0, float(np.quantile(colours, 0.995)))


def natural(colours: NDArray[np.floating], white: float) -> NDArray[np.floating]:
    """Return pictures (N, S, S, 3) in 0..1 of red, green and blue (N, 3, S, S)."""
    return np.asarray(np.clip(colours.transpose(0, 2, 3, 1) / white, 0, 1))


def said(best: tuple[str, Record], table: Table) -> str:
    """Say how many boxes a record finds at the score that was chosen on its validation images."""
    name, record = best
    found = record.test_tuned.metrics["boxes"]
    if found["recall"] is None or found["precision"] is None:
        return f"{table.row(name).label} calls no box at the score of validation."
    return (
        f"{table.row(name).label}, seed {record.seed}: at the score that was best on validation "
        f"images ({record.test_tuned.threshold:.2f}) it finds {found['recall']:.0%} of the "
        f"landslides of the test images, and {found['precision']:.0%} of the boxes it calls are "
        "right, both at an IoU of one half."
    )


def flattened(named: Mapping[str, Sequence[Record]]) -> str:
    """Say of each row how much the validation mAP still rose in the last quarter of its epochs."""
    lines = []
    for label, records in named.items():
        rises = []
        for record in records:
            curve = [line.valid_map_50 or 0.0 for line in record.history]
            quarter = max(1, len(curve) // 4)
            rises.append(float(np.mean(curve[-quarter:]) - np.mean(curve[-2 * quarter : -quarter])))
        still = "still rising" if max(rises) >= FLAT else "flat"
        shown = ", ".join(f"{rise:+.3f}" for rise in rises)
        lines.append(f"- {label}: {shown}, {still}.")
    return (
        "The mean validation mAP (IoU 0.5) of the last quarter of the epochs less that of the "
        "quarter before, a value a seed:\n\n" + "\n".join(lines)
    )


def not_run(tables: Iterable[tuple[Table, Runs]], dataset: str) -> str:
    """Say which rows that can be run have no run of ours, and what they need.

    Args:
        tables: Of a report, each with the records by row.
        dataset: What they are of.
    """
    words = {True: "need weights of others, from a model hub or a file", False: "need only time"}
    lines = []
    for table, runs in tables:
        without: dict[bool, list[str]] = {True: [], False: []}
        for row in table.runnable(dataset):
            if not runs.get(row.id):
                without[resolve(table, row, dataset=dataset).needs_download].append(row.label)
        lines += [
            f"- Not run here, and {words[fetches]}: {'; '.join(labels)}."
            for fetches, labels in without.items()
            if labels
        ]
    return "\n".join(lines) or "Every row that can be run has been."


def leak(runs: Runs, mixed: str, blocked: str, cut: Facts | None = None) -> str:
    """Say what a split that keeps neighbours together scores against one that does not.

    The test images differ, so that both scores have an interval of their own; that of the
    difference is put together from both (MOVER: Zou and Donner 2008, doi:10.1002/sim.3095).

    Args:
        runs: Records by row.
        mixed: The row with the publisher's parts.
        blocked: The row with blocks of neighbours.
        cut: The neighbours that each split sets apart, see `datasets.neighbours.cuts`.
    """
    sides = [runs.get(name, ()) for name in (mixed, blocked)]
    if not all(sides):
        return "Not both rows have been run yet."
    if sides[0][0].hash == sides[1][0].hash:
        return "This data has no parts of a publisher's: both rows are the same run."
    found = [bootstrap([one.detections for one in side if one.detections], side[0].test_groups) for side in sides]
    words = []
    if cut and {"shipped", "blocked"} <= cut.keys():
        shares = {
            how: " and ".join(
                f"{apart} of {all_} ({apart / all_:.0%}) {where}" for where, (apart, all_) in cut[how].items()
            )
            for how in ("shipped", "blocked")
        }
        words.append(
            f"Of the pairs of tiles that lie side by side (right) or one below the other, the "
            f"publisher's parts set apart {shares['shipped']}, blocks of neighbours "
            f"{shares['blocked']}: fewer, not none."
        )
    one, other = found
    difference = one["difference"] - other["difference"]
    blocks = [len(set(side[0].test_groups)) for side in sides]
    words.append(
        f"With the publisher's parts the mAP at IoU 0.5 is {one['difference']:.3f} on test tiles "
        f"of {blocks[0]} blocks, with blocks of neighbours {other['difference']:.3f} on tiles of "
        f"{blocks[1]}: a difference of {difference:+.3f}"
    )
    if one["low"] is None or other["low"] is None:
        return f"{' '.join(words)} ({intervals.FEW_SCENES} for an interval)."
    down, up = ([abs(of[end] - of["difference"]) for end in ("low", "high")] for of in (one, other))
    low, high = difference - np.hypot(down[0], up[1]), difference + np.hypot(down[1], up[0])
    words[-1] += f" (interval of 95 % {low:+.3f} to {high:+.3f})."
    if low < 0 < high:
        words.append("So few blocks do not tell whether parts that cut through scenes flatter a detector.")
    return " ".join(words)


def nearly_nothing(table: Table, rows: Rows) -> str:
    """Say what a sound run gives in the place of cells that are printed as upper bounds."""
    bounds = [
        row
        for row in table.rows
        if any(
            isinstance(cell, str) and cell.startswith("<")
            for name, cell in row.reported.items()
            if name in table.metrics
        )
    ]
    there = {row["id"]: row for row in rows if row["ours"]}
    words = []
    for row in bounds:
        cells = " and ".join(f"{table.columns[n].label} {row.reported[n]}" for n in table.metrics)
        words.append(f"The report prints {cells} for {row.label}, pre-trained on ImageNet.")
        sound = there.get(f"{row.id}-random")
        if sound:
            ours = sound["ours"]["metrics"]["boxes"]["map"]["mean"] or 0.0
            words.append(f"Ours, without any pre-training, has {ours:.4f} in the first.")
            printed = row.reported[table.metrics[0]]
            if isinstance(printed, str) and ours > float(printed.lstrip("<")):
                words.append(
                    "So the encoder can be trained to find landslides, and the printed cells speak "
                    "of a training, not of the encoder."
                )
    return " ".join(words) or "The table has no such cell."


def worth(table: Table, runs: Runs, pairs: Mapping[str, str]) -> str:
    """Say what each start is worth against another one of the same encoder, with intervals.

    Args:
        table: Of a report.
        runs: Records by row.
        pairs: The rows to compare: the one, and what it is compared with.
    """
    lines = []
    for name, base in pairs.items():
        mine, other = ({record.seed: record for record in runs.get(row, ())} for row in (name, base))
        common = sorted(set(mine) & set(other))
        if not common:
            lines.append(f"- {table.row(name).label}: not run yet together with {table.row(base).label}.")
            continue
        sides = [[side[seed].detections for seed in common] for side in (mine, other)]
        ours, theirs = ([one for one in side if one is not None] for side in sides)
        found = paired_bootstrap(ours, theirs, mine[common[0]].test_groups)
        lines.append(
            f"- {table.row(name).label} against {table.row(base).label}: "
            f"{cells.difference(found)}, {len(common)} seed(s)."
        )
    return "\n".join(lines)


def origins(table: Table, runs: Runs, store: Store) -> dict[str, Record]:
    """Return the record that each row's first detector grew from, by the row's label."""
    every = {record.name: record for record in store.all()}
    found = {}
    for name, some in runs.items():
        for origin in some[0].grown_from if some else ():
            if origin in every:
                found[table.row(name).label] = every[origin]
    return found


def learnt(starts: Mapping[str, Record], known: Mapping[str, Facts] | None = None) -> str:
    """Say how the loss on validation images went, and what the encoder scores on test images.

    Args:
        starts: Records of pre-training by label.
        known: Published statistics by dataset, `datasets.statistics.published`: of an autoencoder
            that restores pixels they give the loss of a picture of one colour.
    """
    lines = []
    for label, record in starts.items():
        losses = [line.valid_loss for line in record.history if line.valid_loss is not None]
        ((kind, metrics),) = record.test.metrics.items()
        score, value = next(iter(metrics.items()))
        said = "has none" if value is None else f"{value:.3f}"
        floor = (
            f"; calling all positive scores {scores.all_positive_f1(record.test_counts):.3f}"
            if record.test_counts
            else _plain(record, (known or {}).get(record.recipe.dataset, {}))
        )
        lines.append(
            f"- {label}: validation loss from {losses[0]:.3f} to {losses[-1]:.3f}, the lowest "
            f"{min(losses):.3f}; {score} of {kind} on test images {said}{floor}."
        )
    return "\n".join(lines)


def _plain(record: Record, facts: Facts) -> str:
    """Say what loss a picture of one colour, each tile's own median, has where pixels are restored.

    Of a ViT's patches, which are set to mean zero and deviation one, a chapter tells it.
    """
    bands = [band for band in facts.get("bands", {}).values() if "around" in band]
    recipe = record.recipe
    if not bands or facts["image_size"] != recipe.image_size or not isinstance(recipe, Pretraining):
        return ""
    if not recipe.encoder.startswith("swin"):
        return ""
    loss = float(np.mean([band["around"] / band["mean"] for band in bands]))
    return f"; each tile's median colour, taken from the truth, scores {loss:.3f}"
