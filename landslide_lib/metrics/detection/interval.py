"""Average precision with its interval, and the difference of two rows. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landslide_lib.metrics.detection.average_precision import Ranking
from landslide_lib.metrics.detection.matching import IOUS, Detections
from landslide_lib.metrics.intervals import DIFFERENCE, SCORE, Comparison, difference_interval, drawn_blocks


def bootstrap(seeds: Sequence[Detections], blocks: Sequence[str], score: str = "map_50") -> Comparison:
    """Return the average precision of a row with its interval: it is compared with finding nothing.

    Args:
        seeds: What each seed found.
        blocks: (N,) the scene of each image.
        score: `map` or `map_50`.

    Returns:
        See `paired_bootstrap`; `difference` is the average precision.
    """
    count = len(seeds[0].truth)
    none = Detections(truth=seeds[0].truth, edges=[], hits=[[]] * count, wrong=[[]] * count)
    return paired_bootstrap(seeds, [none], blocks, score, within=SCORE)


def paired_bootstrap(
    ours: Sequence[Detections],
    base: Sequence[Detections],
    blocks: Sequence[str],
    score: str = "map_50",
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    within: tuple[float, float] = DIFFERENCE,
) -> Comparison:
    """Compare the average precision of two rows over the same test images, as `intervals.paired_bootstrap` does.

    The score of a row is the mean over its seeds, each of which ranks its own detections: scores of two networks have
    no common scale. A block weighs (Kish 1965) by its true boxes alone: AP is a mean over recall, in which each true
    box counts alike, while of false detections there is no end. A block with false detections alone is drawn, as they
    lower the precision of the others; one without any box is left out.

    Args:
        ours: What each seed found.
        base: The same of the base row.
        blocks: (N,) the scene of each image.
        score: `map` or `map_50`.
        draws: Bootstrap samples.
        level: Of the interval.
        seed: Of the draws.
        within: Where the difference can lie.

    Returns:
        As `intervals.paired_bootstrap`.

    Raises:
        ValueError: The rows were not tested on the same images, or the score is another.
    """
    ious = {"map": range(len(IOUS)), "map_50": range(1)}
    if score not in ious:
        raise ValueError(f"paired bootstrap of detections: score {score!r}, need map or map_50")
    truth = ours[0].truth
    if len(blocks) != len(truth) or any(each.truth != truth for each in (*ours, *base)):
        tested = sorted({len(each.truth) for each in (*ours, *base)})
        raise ValueError(
            f"paired bootstrap: rows were tested on {tested} images, {len(blocks)} are told apart "
            "by scene; both rows need the same test images with the same true boxes"
        )
    names, place = np.unique(np.asarray(blocks), return_inverse=True)
    weight = np.bincount(place, truth, len(names))
    boxes = [n + sum(each.count(i) for each in (*ours, *base)) for i, n in enumerate(truth)]
    with_boxes = np.flatnonzero(np.bincount(place, boxes, len(names)))
    drawn = np.zeros((draws + 1, len(names)), np.int64)
    drawn[0] = 1  # every image once: the score itself
    drawn[1:, with_boxes] = drawn_blocks(len(with_boxes), draws, seed)
    sides = [
        np.stack([Ranking(each).average_precision(drawn[:, place], ious[score]) for each in row])
        for row in (ours, base)
    ]
    differences = sides[0].mean(0) - sides[1].mean(0)
    by_seed = [side[:, 0] for side in sides]
    return difference_interval(float(differences[0]), differences[1:], weight, by_seed, level, within)
