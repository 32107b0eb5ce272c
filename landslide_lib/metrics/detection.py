"""What a detector found, in few bytes, and every score of it. No torch.

COCO's matching (Lin et al. 2014) decides once which detections are right, by pycocotools. Scores, curves and intervals
are then computed from its answers alone, without boxes or images.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from landslide_lib.metrics.intervals import DIFFERENCE, SCORE, Comparison, both_open, drawn_blocks
from landslide_lib.metrics.scores import Floats, class_scores

Integers = NDArray[np.int64]

#: COCO's thresholds of the IoU: a detection is right where it overlaps a true box by so much.
IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))

#: COCO's levels of recall, over which the precision is averaged.
RECALLS = np.linspace(0, 1, 101)

#: Detections of an image that COCO looks at.
MOST = 100

SCORES = ("map", "map_50", "f1", "precision", "recall")

#: Scores of an example are kept as whole numbers of this.
UNIT = 10_000

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

    Of an image COCO looks at the 100 detections with the highest scores. Precision is highest at right detections, so
    of a wrong one it only matters between which two right ones, of all images, it ranks. So the scores of the right
    ones are kept, and of each wrong one the place among them: 310 images with 100 detections each take 60 to 90 KB, and
    no mAP changes, whatever the scores are, nor precision, recall and F1 at the score of a right detection or at one of
    the `thresholds` of `match`. At another score those are off by what lies between two right ones.

    Attributes:
        truth: True boxes of each image.
        edges: Scores in 0..1, the highest first: those of the right detections of all images and the thresholds.
        hits: Of each image two numbers a right detection: its place in `edges`, and bits: bit k is set where it is
            right at an IoU of at least 0.50 + 0.05 k.
        wrong: Of each image its wrong detections in their order, each as the number of edges that rank above it, less
            that of the wrong detection before it.
        examples: Boxes of at most six images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    truth: list[NonNegativeInt]
    edges: list[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]]
    hits: list[list[NonNegativeInt]]
    wrong: list[list[NonNegativeInt]]
    examples: list[Example] = Field(default=[], max_length=6)

    @model_validator(mode="before")
    @classmethod
    def _first_form(cls, given: Any) -> Any:
        """Read a record of the first form: scores one by one, faint ones by their hundredths."""
        if not isinstance(given, dict) or "faint" not in given:
            return given
        first = _FirstForm.model_validate(given)
        return {"truth": first.truth, **_compact(*first.ranked(), thresholds=[0.5]), "examples": first.examples}

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        sizes = [len(each) for each in (self.truth, self.hits, self.wrong)]
        if len(set(sizes)) > 1:
            raise ValueError(f"detections: truth, hits and wrong are of {sizes} images; need one line each an image")
        if (np.diff(self.edges) > 0).any():
            raise ValueError("detections: edges rise; need the highest score first")
        places = [place for line in self.hits for place in line[::2]]
        if len(set(places)) < len(places):
            raise ValueError("detections: two right ones have the same place in edges")
        for image, (hits, wrong) in enumerate(zip(self.hits, self.wrong, strict=True)):
            if (
                len(hits) % 2
                or max(hits[::2], default=-1) >= len(self.edges)
                or max(hits[1::2], default=0) >= 1 << len(IOUS)
                or sum(wrong) > len(self.edges)
            ):
                raise ValueError(
                    f"detections of image {image}: need a place in edges and {len(IOUS)} bits for "
                    f"each right one, and for wrong ones steps of at most {len(self.edges)} in all"
                )
        return self

    def count(self, image: int) -> int:
        """Return how many detections of an image there are."""
        return len(self.hits[image]) // 2 + len(self.wrong[image])


class _FirstForm(BaseModel):
    """Detections as records kept them first: to 1/10,000, wrong ones below 0.2 by hundredths."""

    truth: list[NonNegativeInt]
    scores: list[list[NonNegativeInt]]
    right: list[list[NonNegativeInt]]
    faint: list[list[NonNegativeInt]]
    examples: list[Any] = []

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        if len({len(each) for each in (self.truth, self.scores, self.right, self.faint)}) > 1:
            raise ValueError("detections: need one line of each kind an image")
        for steps, right, faint in zip(self.scores, self.right, self.faint, strict=True):
            place, bits = max(right[::2], default=-1), max(right[1::2], default=0)
            if sum(steps) > UNIT or len(right) % 2 or place >= len(steps) or len(faint) != 20:
                raise ValueError("detections: steps, places or counts that do not fit")
            if bits >= 1 << len(IOUS):
                raise ValueError(f"detections: more than {len(IOUS)} bits")
        return self

    def ranked(self) -> tuple[list[Floats], list[Integers]]:
        """Return scores and bits of each image; faint ones are spread over their hundredths."""
        scores, bits = [], []
        lines = zip(self.scores, self.right, self.faint, strict=True)
        for image, (steps, right, faint) in enumerate(lines):
            begins = np.repeat(np.arange(0, UNIT // 5, UNIT // 100), faint)
            # Steps of the golden section fill an interval evenly, however many they are.
            spread = (image + np.arange(len(begins))) * 0.618 % 1 * (UNIT // 100)
            strong = UNIT - np.cumsum(steps, dtype=np.int64)
            of_image = np.zeros(len(strong) + len(begins), np.int64)
            of_image[right[::2]] = right[1::2]
            scores.append(np.append(strong, begins + spread.astype(np.int64)) / UNIT)
            bits.append(of_image)
        return scores, bits


def match(
    predicted: Sequence[tuple[ArrayLike, ArrayLike]],
    truth: Sequence[ArrayLike],
    examples: Iterable[int] = (),
    thresholds: Iterable[float] = (0.5,),
) -> Detections:
    """Tell by COCO's matching which detections are right.

    From the highest score down each detection takes the true box it overlaps most among those that are still free, if
    its IoU reaches the threshold; else it is wrong. Of equal scores the earlier image ranks first, and in an image the
    earlier detection, as in pycocotools.

    Args:
        predicted: Of each image boxes (n, 4), xmin, ymin, xmax, ymax in pixels, and scores (n,) in 0..1.
        truth: Of each image boxes (m, 4).
        examples: Places of at most six images whose boxes are kept for a figure; one past the last image has none.
        thresholds: Scores in 0..1 at which precision, recall and F1 stay exact.

    Raises:
        ValueError: Images, boxes and scores do not belong together, a number is not finite, or a box ends before it
            begins.

    >>> box = [[0, 0, 10, 10]]
    >>> found = match([(box * 2, [0.9, 0.8])], [box], thresholds=[])
    >>> found.edges, found.hits, found.wrong
    ([0.9], [[0, 1023]], [[1]])
    """
    if len(predicted) != len(truth):
        raise ValueError(
            f"detections of {len(predicted)} images, true boxes of {len(truth)}: give both of the "
            "same images, in the same order"
        )
    true = [_boxes(boxes, f"true boxes of image {image}") for image, boxes in enumerate(truth)]
    best = [_best(*one, image) for image, one in enumerate(predicted)]
    return Detections(
        truth=[len(boxes) for boxes in true],
        **_compact([scores for _, scores in best], _right(best, true), thresholds),
        examples=[_example(i, *best[i], true[i]) for i in examples if i < len(true)],
    )


def _compact(scores: Sequence[Floats], bits: Sequence[Integers], thresholds: Iterable[float]) -> dict[str, Any]:
    """Return `edges`, `hits` and `wrong` of ranked detections, see `Detections`.

    Args:
        scores: Of each image its detections' scores.
        bits: Of each image at which IoU each is right.
        thresholds: See `match`.
    """
    none = np.zeros(0)
    raw, right = np.concatenate([none, *scores]), np.concatenate([none, *bits]).astype(np.int64)
    image = np.repeat(np.arange(len(scores)), [len(each) for each in scores])
    order = np.argsort(-raw, kind="stable")
    values = np.array([_short(value) for value in raw[order]])
    right, image = right[order], image[order]
    hit = np.flatnonzero(right)
    # A threshold is an edge behind all detections that reach it. So is the score of a right detection that a wrong one
    # shares.
    ends = {_short(t): int((values >= _short(t)).sum()) for t in thresholds}
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


def _short(score: float) -> float:
    """Return a score with the fewest digits that tell it from others in float32.

    Networks give no more digits, and the order of two scores stays, but that close ones may become equal.

    >>> _short(float(np.float32(0.7)))
    0.7
    """
    return float(str(np.float32(score)))


def _example(image: int, boxes: Floats, scores: Floats, truth: Floats) -> Example:
    found = np.column_stack([boxes.round(), (scores * UNIT).round()]).astype(int)[:DRAWN]
    return Example(image=image, found=found.tolist(), truth=truth.round().astype(int).tolist())


def _boxes(boxes: ArrayLike, what: str) -> Floats:
    found = np.asarray(boxes, np.float64)
    found = found.reshape(0, 4) if found.size == 0 else found
    if found.ndim != 2 or found.shape[1] != 4 or not np.isfinite(found).all():
        raise ValueError(f"{what}, of shape {found.shape}: need (n, 4), xmin, ymin, xmax, ymax, all finite")
    if (found[:, :2] > found[:, 2:]).any():  # COCO would count it neither right nor wrong
        raise ValueError(f"{what}: one ends before it begins; need xmin <= xmax, ymin <= ymax")
    return found


def _best(boxes: ArrayLike, scores: ArrayLike, image: int) -> tuple[Floats, Floats]:
    """Return the detections that COCO looks at, the highest score first."""
    found, values = _boxes(boxes, f"detections of image {image}"), np.asarray(scores, np.float64)
    if values.shape != (len(found),) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"detections of image {image}: {len(found)} boxes and scores of shape {values.shape}; "
            "need one score in 0..1 a box"
        )
    order = np.argsort(-values, kind="stable")[:MOST]
    return found[order], values[order]


def _right(found: Sequence[tuple[Floats, Floats]], truth: Sequence[Floats]) -> list[Integers]:
    """Return the bits of each detection of each image, by pycocotools."""
    from pycocotools.cocoeval import COCOeval  # here, as whoever only reads a record has no use

    with contextlib.redirect_stdout(io.StringIO()):  # it talks
        coco = COCOeval(_coco([(boxes, np.ones(len(boxes))) for boxes in truth]), _coco(found), "bbox")
        coco.params.areaRng, coco.params.areaRngLbl = coco.params.areaRng[:1], ["all"]
        coco.evaluate()
    bits = 1 << np.arange(len(IOUS))
    return [np.zeros(0, np.int64) if one is None else bits @ (one["dtMatches"] > 0) for one in coco.evalImgs]


def _coco(images: Sequence[tuple[Floats, NDArray[Any]]]) -> Any:
    """Return boxes and scores by image as pycocotools takes them."""
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


class _Ranking:
    """The detections of all images, the highest score first, and what is called from a score on.

    Attributes:
        image: (M,) of each detection.
        right: (10, M) whether it is right at each IoU.
        score: (M,) of right detections, NaN of wrong ones.
        truth: (N,) true boxes of each image.
    """

    def __init__(self, of: Detections) -> None:
        self.truth, self.edges = np.array(of.truth, np.int64), np.array(of.edges, np.float64)
        places = [np.array(line[::2], np.int64) for line in of.hits]
        above = [np.cumsum(line, dtype=np.int64) for line in of.wrong]
        none = np.zeros(0, np.int64)
        place, self._above = np.concatenate([none, *places]), np.concatenate([none, *above])
        bits = np.concatenate([none, *(np.array(line[1::2], np.int64) for line in of.hits)])
        numbers = np.arange(len(of.truth))
        image = np.concatenate([np.repeat(numbers, list(map(len, each))) if each else none for each in (places, above)])
        # A wrong detection ranks before the edge whose number is that of the edges above it.
        order = np.argsort(np.concatenate([place, self._above - 0.5]), kind="stable")
        self.image = image[order].astype(np.int64)
        self._hits = np.sort(place)
        wrong = np.zeros(len(self._above), np.int64)
        self.right = (np.append(bits, wrong)[order] >> np.arange(len(IOUS))[:, None] & 1).astype(bool)
        self.score = np.append(self.edges[place], np.full(len(wrong), np.nan))[order]

    def called(self, threshold: float) -> tuple[int, int]:
        """Return how many detections with a score of at least a threshold are right, and wrong.

        It is counted at an IoU of 0.5. Of the wrong ones that rank between two edges with the threshold between them,
        the scores are taken to be spread evenly.
        """
        threshold = _short(threshold)
        reached = np.nan_to_num(self.score, nan=-1) >= threshold
        upper, lower = np.append(1.0, self.edges), np.append(self.edges, 0.0)
        width = np.maximum(upper - lower, np.finfo(float).tiny)
        share = np.where(lower >= threshold, 1, np.clip((upper - threshold) / width, 0, 1))
        counts = np.bincount(self._above, minlength=len(upper))
        tp, wrong = int(self.right[0, reached].sum()), round(float((share * counts).sum()))
        return tp, int(reached.sum()) + wrong - tp

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


def scores(detections: Detections, threshold: float) -> dict[str, dict[str, float | None]]:
    """Return every score of detections.

    Args:
        detections: See `match`.
        threshold: In 0..1: precision, recall and F1 are of detections with a score of at least it.

    Returns:
        `{"boxes": {score: value in 0..1}}`: `map`, the mean over the thresholds of the IoU of COCO's average precision
        (precision at 101 levels of recall); `map_50`, that at 0.5; and `f1`, `precision` and `recall` at 0.5. None
        where a score is undefined (precision without a detection; recall and both mAP without a true box).

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
    tp, fp = ranking.called(threshold)
    at = class_scores(tp, fp, total - tp)
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
    if not ranking.right[0].any():
        return 0.5
    # F1 falls from one right detection to the next.
    choices = np.unique(ranking.score[ranking.right[0]])[::-1]
    counts = np.array([ranking.called(score) for score in choices])
    f1 = 2 * counts[:, 0] / (counts.sum(1) + ranking.truth.sum())
    return float(choices[f1.argmax()])


def curve(detections: Detections, iou: float = 0.5) -> dict[str, Floats]:
    """Return precision over recall, as COCO averages it.

    Args:
        detections: See `match`.
        iou: One of `IOUS`.

    Returns:
        (101,) each: `recall` from 0 to 1; `precision`, the highest at that recall or a higher one, 0 where no threshold
        reaches it, so that its mean is the AP; and `score`, the threshold that reaches the recall, NaN where none does.

    Raises:
        ValueError: The IoU is none of COCO's, or there is no true box.
    """
    if iou not in IOUS:
        raise ValueError(f"precision-recall curve: iou {iou} is none of {', '.join(map(str, IOUS))}")
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
        "score": np.append(ranking.score[right], np.nan)[first],
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
    none = Detections(truth=of[0].truth, edges=[], hits=[[]] * count, wrong=[[]] * count)
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

    The method is that of `intervals.paired_bootstrap`: whole blocks are drawn with replacement, the same ones for both
    rows, and the variance over the seeds is added. The score of a row is the mean over its seeds, each of which ranks
    its own detections: scores of two networks have no common scale. A block weighs (Kish 1965) by its true boxes alone:
    AP is a mean over recall, in which each true box counts alike, while of false detections there is no end. A block
    with false detections alone is drawn, as they lower the precision of the others; one without any box is left out.

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
    boxes = [n + sum(each.count(i) for each in (*ours, *base)) for i, n in enumerate(truth)]
    telling = np.flatnonzero(np.bincount(place, boxes, len(names)))
    drawn = np.zeros((draws + 1, len(names)), np.int64)
    drawn[0] = 1  # every image once: the score itself
    drawn[1:, telling] = drawn_blocks(len(telling), draws, seed)
    sides = [
        np.stack([_Ranking(one).average_precision(drawn[:, place], ious[score]) for one in row]) for row in (ours, base)
    ]
    differences = sides[0].mean(0) - sides[1].mean(0)
    by_seed = [side[:, 0] for side in sides]
    return both_open(float(differences[0]), differences[1:], weight, by_seed, level, within)
