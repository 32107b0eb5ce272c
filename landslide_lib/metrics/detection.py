"""What a detector found, in few bytes, and every score of it. No torch.

COCO's matching (Lin et al. 2014), by pycocotools, decides once which detections are right. Scores, curves and intervals
are computed from its answers alone, without boxes or images.
"""

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, NonNegativeInt, model_validator

from landslide_lib.fields import Frozen
from landslide_lib.metrics.intervals import Comparison, difference_interval, drawn_blocks
from landslide_lib.metrics.scores import Floats, class_scores, defined_or_none

Integers = NDArray[np.int64]

#: COCO's thresholds of the IoU: a detection is right where it overlaps a true box by so much.
IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
RECALLS = np.linspace(0, 1, 101)  # COCO's levels of recall, over which the precision is averaged
MOST = 100  # detections of an image that COCO looks at
#: Scores of an example are kept as whole numbers of this, and its best detections with their boxes.
UNIT, DRAWN = 10_000, 20


class Example(Frozen):
    """Boxes of the n-th image in whole pixels, for a figure; the twenty best found have a score, in 1/10,000, last."""

    image: int
    found: list[tuple[int, int, int, int, int]]
    truth: list[tuple[int, int, int, int]]


class Detections(Frozen):
    """What a detector found on a set of images: all that its scores need.

    Precision is highest at right detections, so of a wrong one it only matters between which two right ones it ranks.
    So the scores of the right ones are kept, and of each wrong one the place among them: 310 images with 100 detections
    each take 60 to 90 KB. mAP stays exact, and precision, recall and F1 at the score of a right detection and at the
    `thresholds` of `match`; elsewhere they are off by what lies between two.
    """

    truth: list[NonNegativeInt]  # true boxes of each image
    #: Scores, the highest first: those of the right detections of all images and the thresholds.
    edges: list[Annotated[float, Field(ge=0, le=1)]]
    #: Of each image two numbers a right detection: its place in `edges`, and bits: k is set where right at `IOUS[k]`.
    hits: list[list[NonNegativeInt]]
    #: Of each image its wrong detections in order: how many more edges rank above it than above the one before.
    wrong: list[list[NonNegativeInt]]
    examples: list[Example] = Field(default=[], max_length=6)

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        places = [place for line in self.hits for place in line[::2]]
        bits = [each for line in self.hits for each in line[1::2]]
        if not (
            len(self.truth) == len(self.hits) == len(self.wrong)
            and len(set(places)) == len(places) == len(bits)
            and all(place < len(self.edges) for place in places)
            and all(each < 1 << len(IOUS) for each in bits)
            and all(sum(line) <= len(self.edges) for line in self.wrong)
            and (np.diff(self.edges) <= 0).all()
        ):
            raise ValueError("detections: need a line each an image, edges that fall, and a place in them for each hit")
        return self

    def count(self, image: int) -> int:
        """Return how many detections of an image there are."""
        return len(self.hits[image]) // 2 + len(self.wrong[image])


def match(
    predicted: Sequence[tuple[ArrayLike, ArrayLike]],
    truth: Sequence[ArrayLike],
    examples: Iterable[int] = (),
    thresholds: Iterable[float] = (0.5,),
) -> Detections:
    """Tell by COCO's matching which detections are right; precision, recall and F1 stay exact at `thresholds`.

    From the highest score down each detection takes the true box it overlaps most among those that are still free, if
    its IoU reaches the threshold; else it is wrong. Of equal scores the earlier image ranks first, and in an image the
    earlier detection. `predicted` are of each image boxes (n, 4), xmin, ymin, xmax, ymax in pixels, and scores (n,) in
    0..1; `truth` boxes (m, 4). The boxes of at most six images, `examples`, are kept for a figure.

    >>> box = [[0, 0, 10, 10]]
    >>> detections = match([(box * 2, [0.9, 0.8])], [box], thresholds=[])
    >>> detections.edges, detections.hits, detections.wrong
    ([0.9], [[0, 1023]], [[1]])
    """
    true = [np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in truth]
    best = []
    for boxes, scores in predicted:
        values = np.asarray(scores, np.float64)
        order = np.argsort(-values, kind="stable")[:MOST]
        best.append((np.asarray(boxes, np.float64).reshape(-1, 4)[order], values[order]))
    drawn = []
    for image in (i for i in examples if i < len(true)):
        boxes, scores = best[image]
        found = np.column_stack([boxes.round(), (scores * UNIT).round()]).astype(int)[:DRAWN]
        boxes = true[image].round().astype(int)
        drawn.append(Example.model_validate({"image": image, "found": found.tolist(), "truth": boxes.tolist()}))
    return Detections(
        truth=[len(boxes) for boxes in true],
        **_compact([scores for _, scores in best], _right(best, true), thresholds),
        examples=drawn,
    )


def _compact(scores: Sequence[Floats], bits: Sequence[Integers], thresholds: Iterable[float]) -> dict[str, Any]:
    none = np.zeros(0)
    raw, right = np.concatenate([none, *scores]), np.concatenate([none, *bits]).astype(np.int64)
    image = np.repeat(np.arange(len(scores)), [len(each) for each in scores])
    order = np.argsort(-raw, kind="stable")
    values = np.array([short(value) for value in raw[order]])
    right, image = right[order], image[order]
    hit = np.flatnonzero(right)
    # A threshold is an edge behind all detections that reach it; so is a score that a right and a wrong one share.
    ends = {short(t): int((values >= short(t)).sum()) for t in thresholds}
    for score in np.unique(values[hit]):
        end = int((values >= score).sum())
        if not right[end - 1]:
            ends[float(score)] = end
    keys = np.concatenate([hit, np.array(list(ends.values())) - 0.5])
    edges = np.concatenate([values[hit], np.array(list(ends))])
    along = np.lexsort((-edges, keys))
    place = np.empty(len(keys), np.int64)
    place[along] = np.arange(len(keys))
    above = np.searchsorted(keys[along], np.arange(len(values)))
    hits: list[list[int]] = [[] for _ in scores]
    for number, at in enumerate(hit):
        hits[image[at]] += [int(place[number]), int(right[at])]
    wrong = [above[(image == i) & (right == 0)] for i in range(len(scores))]
    return {
        "edges": edges[along].tolist(),
        "hits": hits,
        "wrong": [np.diff(each, prepend=0).tolist() for each in wrong],
    }


def short(score: float) -> float:
    """Return a score with the fewest digits that tell it from others in float32; networks give no more.

    >>> short(float(np.float32(0.7)))
    0.7
    """
    return float(str(np.float32(score)))


def _right(predicted: Sequence[tuple[Floats, Floats]], truth: Sequence[Floats]) -> list[Integers]:
    from pycocotools.cocoeval import COCOeval  # here, as whoever only reads a record has no use

    with contextlib.redirect_stdout(io.StringIO()):  # it talks
        coco = COCOeval(_coco([(boxes, np.ones(len(boxes))) for boxes in truth]), _coco(predicted), "bbox")
        coco.params.areaRng, coco.params.areaRngLbl = coco.params.areaRng[:1], ["all"]
        coco.evaluate()
    bits = 1 << np.arange(len(IOUS))
    return [np.zeros(0, np.int64) if at is None else bits @ (at["dtMatches"] > 0) for at in coco.evalImgs]


def _coco(images: Sequence[tuple[Floats, Floats]]) -> Any:
    from pycocotools.coco import COCO

    lines = [
        {
            "image_id": image,
            "category_id": 1,
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
            "score": float(score),
        }
        for image, (boxes, scores) in enumerate(images)
        for (left, top, right, bottom), score in zip(boxes.tolist(), scores, strict=True)
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(len(images))],
        "categories": [{"id": 1}],
        # From 1: a match is the number of the true box, and 0 is none.
        "annotations": [{"id": number, **line} for number, line in enumerate(lines, 1)],
    }
    coco.createIndex()
    return coco


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
        """Return how many detections from a score on are right at an IoU of 0.5, and wrong, even between two edges."""
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
    drawn = drawn_blocks(np.bincount(place, boxes, len(names)) > 0, draws, seed)[:, place]
    mine, other = (np.stack([Ranking(each).average_precision(drawn, ious=1) for each in row]) for row in (ours, base))
    return difference_interval(mine.mean(0) - other.mean(0), weight, [mine[:, 0], other[:, 0]])
