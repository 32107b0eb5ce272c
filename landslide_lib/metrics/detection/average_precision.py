"""Average precision and the other scores of detections, from the answers of the matching alone. No torch."""

from collections.abc import Sequence

import numpy as np

from landslide_lib.metrics.detection.matching import IOUS, Detections, Integers, short
from landslide_lib.metrics.intervals import Comparison, difference_interval, drawn_blocks
from landslide_lib.metrics.scores import Floats, class_scores, defined_or_none

#: COCO's levels of recall, over which the precision is averaged.
RECALLS = np.linspace(0, 1, 101)


class Ranking:
    """The detections of all images, the highest score first, and what is called from a score on."""

    def __init__(self, detections: Detections) -> None:
        # True boxes of each image; of each detection its image, whether it is right at each IoU, and its score or NaN.
        self.truth, self.edges = np.array(detections.truth, np.int64), np.array(detections.edges, np.float64)
        images, none = np.arange(len(self.truth)), np.zeros(0, np.int64)
        place, bits = (
            np.concatenate([none, *(np.array(line[k::2], np.int64) for line in detections.hits)]) for k in (0, 1)
        )
        self._above = np.concatenate([none, *(np.cumsum(line, dtype=np.int64) for line in detections.wrong)])
        image = np.append(
            images.repeat([len(line) // 2 for line in detections.hits]),
            images.repeat([len(line) for line in detections.wrong]),
        )
        # A wrong detection ranks before the edge whose number is that of the edges above it.
        order = np.argsort(np.append(place, self._above - 0.5), kind="stable")
        self.image = image[order]
        bits = np.append(bits, np.zeros(len(self._above), np.int64))[order]
        self.right = (bits >> np.arange(len(IOUS))[:, None] & 1).astype(bool)
        self.score = np.append(self.edges[place], np.full(len(self._above), np.nan))[order]

    def called(self, threshold: float) -> tuple[int, int]:
        """Return how many detections with a score of at least a threshold are right at an IoU of 0.5, and wrong.

        Scores of wrong ones that rank between two edges, one below the threshold, are taken as even.
        """
        threshold = short(threshold)
        reached = np.nan_to_num(self.score, nan=-1) >= threshold
        upper, lower = np.append(1.0, self.edges), np.append(self.edges, 0.0)
        width = np.maximum(upper - lower, np.finfo(float).tiny)
        share = np.where(lower >= threshold, 1, np.clip((upper - threshold) / width, 0, 1))
        counts = np.bincount(self._above, minlength=len(upper))
        tp, wrong = int(self.right[0, reached].sum()), round(float((share * counts).sum()))
        return tp, int(reached.sum()) + wrong - tp

    def average_precision(self, times: Integers, ious: int) -> Floats:
        """Return the mean of COCO's AP over the first `ious` of `IOUS`, (D,); 0 without a true box.

        `times` (D, N) is how often each image is in each of D samples.
        """
        # Recall rises at right detections alone, and precision is highest there.
        right = self.right[:ious]
        places = np.flatnonzero(right.any(0))
        called = np.zeros((len(self.truth), len(places) + 1))
        np.add.at(called, (self.image, np.searchsorted(places, np.arange(len(self.image)))), 1)
        until = times @ called[:, :-1].cumsum(1)
        total = np.maximum(times @ self.truth, 1)[:, None]
        areas = []
        for is_right in right[:, places]:
            hit = times[:, self.image[places[is_right]]].cumsum(1)
            precision = hit / np.maximum(until[:, is_right], 1)
            highest = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
            # Each of COCO's levels of recall is reached first at one of them.
            levels = np.diff(np.searchsorted(RECALLS, hit / total, side="right"), prepend=0)
            areas.append((highest * levels).sum(1) / len(RECALLS))
        return np.asarray(np.mean(areas, 0), np.float64)


def scores(detections: Detections, threshold: float) -> dict[str, dict[str, float | None]]:
    """Return every score of detections, `{"boxes": {score: value in 0..1}}`.

    `map` is the mean over the thresholds of the IoU of COCO's average precision (precision at 101 levels of recall),
    `map_50` that at 0.5; `f1`, `precision` and `recall` are at IoU 0.5, of detections with a score of at least
    `threshold`. None where a score is undefined (precision without a detection; recall and both mAP without a true
    box).

    >>> detections = Detections(truth=[1], edges=[0.9, 0.5], hits=[[0, 1023]], wrong=[[1]])
    >>> scores(detections, 0.5)["boxes"]
    {'map': 1.0, 'map_50': 1.0, 'f1': 0.6666666666666666, 'precision': 0.5, 'recall': 1.0}
    """
    ranking = Ranking(detections)
    total, once = int(ranking.truth.sum()), np.ones((1, len(ranking.truth)), np.int64)
    mean, first = (float(ranking.average_precision(once, ious)[0]) if total else None for ious in (len(IOUS), 1))
    tp, fp = ranking.called(threshold)
    at = class_scores(tp, fp, total - tp)
    counted = {name: defined_or_none(at[name]) for name in ("f1", "precision", "recall")}
    return {"boxes": {"map": mean, "map_50": first, **counted}}


def best_threshold(detections: Detections) -> float:
    """Return the score with the highest F1 at IoU 0.5; 0.5 where no detection is right."""
    ranking = Ranking(detections)
    if not ranking.right[0].any():
        return 0.5
    # F1 falls from one right detection to the next.
    choices = np.unique(ranking.score[ranking.right[0]])[::-1]
    counts = np.array([ranking.called(score) for score in choices])
    f1 = 2 * counts[:, 0] / (counts.sum(1) + ranking.truth.sum())
    return float(choices[f1.argmax()])


def curve(detections: Detections) -> dict[str, Floats]:
    """Return precision over recall at IoU 0.5, as COCO averages it, (101,) each; there has to be a true box.

    `precision` is the highest at that `recall` or a higher one, 0 where no threshold reaches it; `score` is the
    threshold that reaches the recall, NaN where none does.
    """
    ranking = Ranking(detections)
    right = ranking.right[0]
    hit, called = right.cumsum()[right], np.flatnonzero(right) + 1
    highest = np.maximum.accumulate((hit / called)[::-1])[::-1]
    first = np.searchsorted(hit / ranking.truth.sum(), RECALLS)
    return {
        "recall": RECALLS,
        "precision": np.append(highest, 0.0)[first],
        "score": np.append(ranking.score[right], np.nan)[first],
    }


def paired_bootstrap(
    ours: Sequence[Detections], base: Sequence[Detections], blocks: Sequence[str], *, draws: int = 1000, seed: int = 0
) -> Comparison:
    """Compare the average precision at IoU 0.5 of two rows over the same test images.

    As `intervals.paired_bootstrap`. The score of a row is the mean over its seeds, as scores of two networks have no
    common scale. A block weighs by its true boxes alone: in AP each true box counts alike, while of false detections
    there is no end. One with false detections alone is drawn, as they lower the precision of the others; one without
    any box is not.
    """
    truth = ours[0].truth
    if len(blocks) != len(truth) or any(each.truth != truth for each in (*ours, *base)):
        raise ValueError("paired bootstrap: both rows need the same test images with the same true boxes")
    names, place = np.unique(np.asarray(blocks), return_inverse=True)
    weight = np.bincount(place, truth, len(names))
    boxes = [n + sum(each.count(i) for each in (*ours, *base)) for i, n in enumerate(truth)]
    with_boxes = np.flatnonzero(np.bincount(place, boxes, len(names)))
    drawn = np.zeros((draws + 1, len(names)), np.int64)
    drawn[0] = 1  # every image once: the score itself
    drawn[1:, with_boxes] = drawn_blocks(len(with_boxes), draws, seed)
    mine, other = (
        np.stack([Ranking(each).average_precision(drawn[:, place], ious=1) for each in row]) for row in (ours, base)
    )
    differences = mine.mean(0) - other.mean(0)
    return difference_interval(float(differences[0]), differences[1:], weight, [mine[:, 0], other[:, 0]])
