"""What a detector found, in few bytes, and every score of it. No torch.

COCO's matching (Lin et al. 2014) decides once which detections are right, by pycocotools. Scores,
curves and intervals are then computed from its answers alone, without boxes or images.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from landslide_lib.intervals import DIFFERENCE, SCORE, Comparison, both_open, drawn_blocks
from landslide_lib.scores import Floats, class_scores

Integers = NDArray[np.int64]

#: COCO's thresholds of the IoU: a detection is right where it overlaps a true box by so much.
IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))

#: COCO's levels of recall, over which the precision is averaged.
RECALLS = np.linspace(0, 1, 101)

#: Detections of an image that COCO looks at.
MOST = 100

SCORES = ("map", "map_50", "f1", "precision", "recall")

#: Scores are kept as whole numbers of this, four digits after the point.
UNIT = 10_000

#: Wrong detections with a score below this are counted by hundredths of the score.
FAINT = 2_000
HUNDREDTH = UNIT // 100

#: Detections of an example that are kept with their boxes.
DRAWN = 20


class Example(BaseModel):
    """The boxes of one image, for a figure; pixels, rounded.

    Attributes:
        image: Its place among the images, from 0.
        found: Lines xmin, ymin, xmax, ymax, score (in 1/10,000) of the twenty best, in order.
        truth: Lines xmin, ymin, xmax, ymax.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: int
    found: list[tuple[int, int, int, int, int]]
    truth: list[tuple[int, int, int, int]]


class Detections(BaseModel):
    """What a detector found on a set of images: all that its scores need.

    Of an image COCO looks at the 100 detections with the highest scores. All of them count here:
    those with a score of 0.2 or more, and those that are right, one by one with four digits of the
    score; the wrong ones below, which are the most, as counts by hundredths of the score, over
    which they are then spread evenly. So 310 images take 30 to 60 KB, and mAP changes by less than
    0.002 (`tests/test_detections.py` simulates good and poor detectors).

    Attributes:
        truth: True boxes of each image.
        scores: Of each image the scores of its detections, the highest first, each as the step down
            to it in 1/10,000, the first from 1: 0.95, 0.9, 0.9 is [500, 500, 0].
        right: Of each image two numbers a right detection: its place in `scores`, and bits: bit k
            is set where it is right at an IoU of at least 0.50 + 0.05 k.
        faint: Of each image the number of further detections, all wrong, with a score in
            [0, 0.01), [0.01, 0.02), ..., [0.19, 0.2).
        examples: Boxes of at most six images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    truth: list[NonNegativeInt]
    scores: list[list[NonNegativeInt]]
    right: list[list[NonNegativeInt]]
    faint: list[list[NonNegativeInt]]
    examples: list[Example] = Field(default=[], max_length=6)

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        sizes = [len(of) for of in (self.truth, self.scores, self.right, self.faint)]
        if len(set(sizes)) > 1:
            raise ValueError(
                f"detections: truth, scores, right and faint are of {sizes} images; need one line "
                "each an image"
            )
        lines = zip(self.scores, self.right, self.faint, strict=True)
        for image, (steps, right, faint) in enumerate(lines):
            if (
                sum(steps) > UNIT
                or len(right) % 2
                or max(right[::2], default=-1) >= len(steps)
                or max(right[1::2], default=0) >= 1 << len(IOUS)
                or len(faint) != FAINT // HUNDREDTH
            ):
                raise ValueError(
                    f"detections of image {image}: need steps of at most {UNIT} in all, a place in "
                    f"scores and {len(IOUS)} bits for each right detection, and "
                    f"{FAINT // HUNDREDTH} counts of faint ones"
                )
        return self


def match(
    predicted: Sequence[tuple[ArrayLike, ArrayLike]],
    truth: Sequence[ArrayLike],
    examples: Iterable[int] = (),
) -> Detections:
    """Tell by COCO's matching which detections are right.

    From the highest score down each detection takes the true box it overlaps most among those
    that are still free, if its IoU reaches the threshold; else it is wrong.

    Args:
        predicted: Of each image boxes (n, 4), xmin, ymin, xmax, ymax in pixels, and scores (n,)
            in 0..1.
        truth: Of each image boxes (m, 4).
        examples: Places of at most six images whose boxes are kept for a figure; one past the last
            image has none.

    Raises:
        ValueError: Images, boxes and scores do not belong together, a number is not finite, or a
            box ends before it begins.

    >>> box = [[0, 0, 10, 10]]
    >>> found = match([(box * 2, [0.9, 0.8])], [box])
    >>> found.scores, found.right
    ([[1000, 1000]], [[0, 1023]])
    """
    if len(predicted) != len(truth):
        raise ValueError(
            f"detections of {len(predicted)} images, true boxes of {len(truth)}: give both of the "
            "same images, in the same order"
        )
    true = [_boxes(boxes, f"true boxes of image {image}") for image, boxes in enumerate(truth)]
    best = [_best(*one, image) for image, one in enumerate(predicted)]
    lines = [
        _line(scores, bits) for (_, scores), bits in zip(best, _right(best, true), strict=True)
    ]
    return Detections(
        truth=[len(boxes) for boxes in true],
        scores=[steps for steps, _, _ in lines],
        right=[right for _, right, _ in lines],
        faint=[faint for _, _, faint in lines],
        examples=[_example(i, *best[i], true[i]) for i in examples if i < len(true)],
    )


def _line(scores: Integers, bits: Integers) -> tuple[list[int], list[int], list[int]]:
    """Return steps, right detections and counts of faint ones of an image, see `Detections`."""
    faint = (scores < FAINT) & (bits == 0)
    steps = -np.diff(scores[~faint], prepend=UNIT)
    places = np.flatnonzero(bits[~faint])
    right = np.column_stack([places, bits[~faint][places]]).ravel()
    counts = np.bincount(scores[faint] // HUNDREDTH, minlength=FAINT // HUNDREDTH)
    return steps.tolist(), right.tolist(), counts.tolist()


def _example(image: int, boxes: Floats, scores: Integers, truth: Floats) -> Example:
    found = np.column_stack([boxes.round(), scores]).astype(int)[:DRAWN]
    return Example(image=image, found=found.tolist(), truth=truth.round().astype(int).tolist())


def _boxes(boxes: ArrayLike, what: str) -> Floats:
    found = np.asarray(boxes, np.float64)
    found = found.reshape(0, 4) if found.size == 0 else found
    if found.ndim != 2 or found.shape[1] != 4 or not np.isfinite(found).all():
        raise ValueError(
            f"{what}, of shape {found.shape}: need (n, 4), xmin, ymin, xmax, ymax, all finite"
        )
    if (found[:, :2] > found[:, 2:]).any():  # COCO would count it neither right nor wrong
        raise ValueError(f"{what}: one ends before it begins; need xmin <= xmax, ymin <= ymax")
    return found


def _best(boxes: ArrayLike, scores: ArrayLike, image: int) -> tuple[Floats, Integers]:
    """Return the detections that COCO looks at, the highest score first, in 1/10,000."""
    found, values = _boxes(boxes, f"detections of image {image}"), np.asarray(scores, np.float64)
    if values.shape != (len(found),) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"detections of image {image}: {len(found)} boxes and scores of shape {values.shape}; "
            "need one score in 0..1 a box"
        )
    order = np.argsort(-values, kind="stable")[:MOST]
    return found[order], (values[order] * UNIT).round().astype(np.int64)


def _right(found: Sequence[tuple[Floats, Integers]], truth: Sequence[Floats]) -> list[Integers]:
    """Return the bits of each detection of each image, by pycocotools."""
    from pycocotools.cocoeval import COCOeval  # here, as whoever only reads a record has no use

    with contextlib.redirect_stdout(io.StringIO()):  # it talks
        coco = COCOeval(
            _coco([(boxes, np.ones(len(boxes))) for boxes in truth]), _coco(found), "bbox"
        )
        coco.params.areaRng, coco.params.areaRngLbl = coco.params.areaRng[:1], ["all"]
        coco.evaluate()
    bits = 1 << np.arange(len(IOUS))
    return [
        np.zeros(0, np.int64) if one is None else bits @ (one["dtMatches"] > 0)
        for one in coco.evalImgs
    ]


def _coco(images: Sequence[tuple[Floats, NDArray[Any]]]) -> Any:
    """Return boxes and scores by image as pycocotools takes them."""
    from pycocotools.coco import COCO

    lines = [
        {"image_id": image, "category_id": 1, "bbox": [left, top, right - left, bottom - top],
         "area": (right - left) * (bottom - top), "iscrowd": 0, "score": float(score)}
        for image, (boxes, scores) in enumerate(images)
        for (left, top, right, bottom), score in zip(boxes.tolist(), scores, strict=True)
    ]  # fmt: skip
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(len(images))],
        "categories": [{"id": 1}],
        # From 1: a match is the number of the true box, and 0 is none.
        "annotations": [{"id": number, **line} for number, line in enumerate(lines, 1)],
    }
    coco.createIndex()
    return coco


class _Ranking:
    """The detections of all images, the highest score first; of equal ones the first image's."""

    def __init__(self, of: Detections) -> None:
        lines = [
            np.append(UNIT - np.cumsum(steps, dtype=np.int64), _spread(faint, image))
            for image, (steps, faint) in enumerate(zip(of.scores, of.faint, strict=True))
        ]
        found = [np.zeros(len(line), np.int64) for line in lines]
        for bits, right in zip(found, of.right, strict=True):
            bits[right[::2]] = right[1::2]
        none = np.zeros(0, np.int64)
        scores, said = np.concatenate([none, *lines]), np.concatenate([none, *found])
        order = np.argsort(-scores, kind="stable")
        self.scores = scores[order]
        self.image = np.repeat(np.arange(len(lines)), [len(line) for line in lines])[order]
        self.right = (said[order] >> np.arange(len(IOUS))[:, None] & 1).astype(bool)
        self.truth = np.array(of.truth, np.int64)

    def average_precision(self, times: Integers, ious: Sequence[int]) -> Floats:
        """Return COCO's AP of samples of the images, its mean over thresholds of the IoU.

        Args:
            times: (D, N) how often each image is in each sample.
            ious: Places in `IOUS`.

        Returns:
            (D,), 0 for a sample without any true box.
        """
        # Recall rises at right detections alone, and precision is highest there.
        right = self.right[list(ious)]
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


def _spread(faint: Sequence[int], image: int) -> Integers:
    """Return scores in 1/10,000 of an image's faint detections, scattered over their hundredths."""
    begins = np.repeat(np.arange(0, FAINT, HUNDREDTH), faint)
    # Steps of the golden section fill an interval evenly, however many they are.
    scattered = (image + np.arange(len(begins))) * 0.618 % 1
    return np.asarray(begins + (scattered * HUNDREDTH).astype(np.int64), np.int64)


def scores(detections: Detections, threshold: float) -> dict[str, dict[str, float | None]]:
    """Return every score of detections.

    Args:
        detections: See `match`.
        threshold: In 0..1: precision, recall and F1 are of detections with a score of at least it.

    Returns:
        `{"boxes": {score: value in 0..1}}`: `map`, the mean over the thresholds of the IoU of
        COCO's average precision (precision at 101 levels of recall); `map_50`, that at 0.5; and
        `f1`, `precision` and `recall` at 0.5. None where a score is undefined (precision without a
        detection; recall and both mAP without a true box).

    >>> box = [[0, 0, 10, 10]]
    >>> found = scores(match([(box * 2, [0.9, 0.8])], [box]), 0.5)["boxes"]
    >>> found["map"], found["precision"], found["recall"]
    (1.0, 0.5, 1.0)
    """
    ranking = _Ranking(detections)
    found: dict[str, float | None] = dict.fromkeys(SCORES)
    total = int(ranking.truth.sum())
    if total:
        once = np.ones((1, len(ranking.truth)), np.int64)
        found["map"] = float(ranking.average_precision(once, range(len(IOUS)))[0])
        found["map_50"] = float(ranking.average_precision(once, [0])[0])
    called = ranking.scores / UNIT >= threshold
    tp = int(ranking.right[0, called].sum())
    at = class_scores(tp, int(called.sum()) - tp, total - tp)
    for name in ("f1", "precision", "recall"):
        found[name] = float(at[name]) if np.isfinite(at[name]) else None
    return {"boxes": found}


def best_threshold(detections: Detections) -> float:
    """Return the score with the highest F1 at IoU 0.5; 0.5 where no detection is right.

    >>> box = [[0, 0, 10, 10]]
    >>> best_threshold(match([(box * 2, [0.9, 0.8])], [box]))
    0.9
    """
    ranking = _Ranking(detections)
    hit = ranking.right[0].cumsum()
    # A threshold calls all detections of equal score, or none.
    last = np.flatnonzero(np.diff(ranking.scores, append=-1))
    f1 = 2 * hit[last] / (last + 1 + ranking.truth.sum())
    return float(ranking.scores[last[f1.argmax()]] / UNIT) if hit.any() else 0.5


def curve(detections: Detections, iou: float = 0.5) -> dict[str, Floats]:
    """Return precision over recall, as COCO averages it.

    Args:
        detections: See `match`.
        iou: One of `IOUS`.

    Returns:
        (101,) each: `recall` from 0 to 1; `precision`, the highest at that recall or a higher one,
        0 where no threshold reaches it, so that its mean is the AP; and `score`, the threshold that
        reaches the recall, NaN where none does.

    Raises:
        ValueError: The IoU is none of COCO's, or there is no true box.
    """
    if iou not in IOUS:
        raise ValueError(
            f"precision-recall curve: iou {iou} is none of {', '.join(map(str, IOUS))}"
        )
    ranking = _Ranking(detections)
    if not ranking.truth.sum():
        raise ValueError("precision-recall curve: there is no true box, and so no recall")
    right = ranking.right[IOUS.index(iou)]
    hit, called = right.cumsum()[right], np.flatnonzero(right) + 1
    highest = np.maximum.accumulate((hit / called)[::-1])[::-1]
    first = np.searchsorted(hit / ranking.truth.sum(), RECALLS)
    return {
        "recall": RECALLS,
        "precision": np.append(highest, 0.0)[first],
        "score": np.append(ranking.scores[right] / UNIT, np.nan)[first],
    }


def bootstrap(of: Sequence[Detections], blocks: Sequence[str], score: str = "map_50") -> Comparison:
    """Return the average precision of a row with its interval: it is compared with finding nothing.

    Args:
        of: What each seed found.
        blocks: (N,) the scene of each image.
        score: `map` or `map_50`.

    Returns:
        See `paired_bootstrap`; `difference` is the average precision.
    """
    count = len(of[0].truth)
    none = Detections(
        truth=of[0].truth, scores=[[]] * count, right=[[]] * count,
        faint=[[0] * (FAINT // HUNDREDTH)] * count,
    )  # fmt: skip
    return paired_bootstrap(of, [none], blocks, score, within=SCORE)


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
    """Compare the average precision of two rows over the same test images.

    The method is that of `intervals.paired_bootstrap`: whole blocks are drawn with replacement, the
    same ones for both rows, and the variance over the seeds is added. The score of a row is the
    mean over its seeds, each of which ranks its own detections: scores of two networks have no
    common scale. A block weighs (Kish 1965) by its true boxes alone: AP is a mean over recall, in
    which each true box counts alike, while of false detections there is no end. A block with false
    detections alone is drawn, as they lower the precision of the others; one without any box is
    left out.

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
    if len(blocks) != len(truth) or any(one.truth != truth for one in (*ours, *base)):
        tested = sorted({len(one.truth) for one in (*ours, *base)})
        raise ValueError(
            f"paired bootstrap: rows were tested on {tested} images, {len(blocks)} are told apart "
            "by scene; both rows need the same test images with the same true boxes"
        )
    names, place = np.unique(np.asarray(blocks), return_inverse=True)
    weight = np.bincount(place, truth, len(names))
    boxes = [n + sum(len(one.scores[i]) + sum(one.faint[i]) for one in (*ours, *base))
             for i, n in enumerate(truth)]  # fmt: skip
    telling = np.flatnonzero(np.bincount(place, boxes, len(names)))
    drawn = np.zeros((draws + 1, len(names)), np.int64)
    drawn[0] = 1  # every image once: the score itself
    drawn[1:, telling] = drawn_blocks(len(telling), draws, seed)
    sides = [
        np.stack([_Ranking(one).average_precision(drawn[:, place], ious[score]) for one in row])
        for row in (ours, base)
    ]
    differences = sides[0].mean(0) - sides[1].mean(0)
    by_seed = [side[:, 0] for side in sides]
    return both_open(float(differences[0]), differences[1:], weight, by_seed, level, within)
