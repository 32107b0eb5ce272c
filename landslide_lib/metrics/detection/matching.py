"""Which detections are right, by COCO's matching (Lin et al. 2014), kept in few bytes. No torch."""

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from landslide_lib.metrics.scores import Floats

Integers = NDArray[np.int64]

#: COCO's thresholds of the IoU: a detection is right where it overlaps a true box by so much.
IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
#: Detections of an image that COCO looks at.
MOST = 100
#: Scores of an example are kept as whole numbers of this, and its best detections with their boxes.
UNIT, DRAWN = 10_000, 20


class Example(BaseModel):
    """Boxes of the n-th image in whole pixels, for a figure; the twenty best found have a score, in 1/10,000, last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: int
    found: list[tuple[int, int, int, int, int]]
    truth: list[tuple[int, int, int, int]]


class Detections(BaseModel):
    """What a detector found on a set of images: all that its scores need.

    Precision is highest at right detections, so of a wrong one it only matters between which two right ones it ranks.
    So the scores of the right ones are kept, and of each wrong one the place among them: 310 images with 100 detections
    each take 60 to 90 KB. mAP stays exact, and precision, recall and F1 at the score of a right detection and at the
    `thresholds` of `match`; elsewhere they are off by what lies between two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    truth: list[NonNegativeInt]  # true boxes of each image
    #: Scores, the highest first: those of the right detections of all images and the thresholds.
    edges: list[Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]]
    #: Of each image two numbers a right detection: its place in `edges`, and bits: k is set where right at `IOUS[k]`.
    hits: list[list[NonNegativeInt]]
    #: Of each image its wrong detections in order: how many more edges rank above it than above the one before.
    wrong: list[list[NonNegativeInt]]
    examples: list[Example] = Field(default=[], max_length=6)

    @model_validator(mode="before")
    @classmethod
    def _first_form(cls, given: Any) -> Any:
        """Read a record of the first form: scores one by one, faint ones by their hundredths."""
        if not isinstance(given, dict) or "faint" not in given:
            return given
        try:
            lines = enumerate(zip(given["scores"], given["right"], given["faint"], strict=True))
            scores, bits = zip(*(_ranked(image, *line) for image, line in lines), strict=True)
        except (LookupError, TypeError) as error:
            raise ValueError(f"detections of the first form: {error}") from error
        return {"truth": given["truth"], **_compact(scores, bits, [0.5]), "examples": given.get("examples", [])}

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


def _ranked(image: int, steps: list[int], right: list[int], faint: list[int]) -> tuple[Floats, Integers]:
    """Return scores and bits of an image in the first form of a record: to 1/10,000, below 0.2 by hundredths."""
    begins = np.repeat(np.arange(0, UNIT // 5, UNIT // 100), faint)
    # Steps of the golden section fill an interval evenly, however many they are.
    spread = (image + np.arange(len(begins))) * 0.618 % 1 * (UNIT // 100)
    strong = UNIT - np.cumsum(steps, dtype=np.int64)
    bits = np.zeros(len(strong) + len(begins), np.int64)
    bits[right[::2]] = right[1::2]
    return np.append(strong, begins + spread.astype(np.int64)) / UNIT, bits


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
