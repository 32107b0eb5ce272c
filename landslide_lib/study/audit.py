"""What a printed pair of scores, an F1 and a mean IoU, both rounded, can mean: over what were they averaged? No torch.

F is the printed F1, M the printed mean IoU, in 0..1; I(x) = x / (2 - x) turns the F1 of any counts into its IoU,
2x / (1 + x) turns it back. That a pair admits a reading does not show that it was meant.

`pooled`: both of the landslide class, from summed counts. Then M = I(F).

`two_class`: both are means over landslide (F1 a) and background (F1 b): a + b = 2 F, I(a) + I(b) = 2 M. With u = 2 - a
and v = 2 - b that is u + v = 4 - 2 F, 1/u + 1/v = 1 + M: the two roots of a quadratic,

    a = F - d,   b = F + d,   d^2 = h (h - 2 / (1 + M)),   h = 2 - F,

admitted where d^2 >= 0, a >= 0, b <= 1. The lower one is the landslide's, which has fewer pixels. d falls with F and
rises with M, and with c = 2 / (1 + M), db/dF = 1 - (2 h - c) / (2 d) <= 0 because (2 h - c)^2 = 4 d^2 + c^2: under
rounding all bounds stand in two corners of F and M.

`per_image`: means over images. Each is a point (x, I(x)); I is convex, so I(F) <= M <= F (Jensen), and any such point
can be reached. A pair that breaks it was averaged in no such way; a pair that keeps it is weak evidence.

`mixed_f1`: F of landslide, M over both classes; the background IoU is 2 M - I(F).
`mixed_iou`: M of landslide, F over both classes; the background F1 is 2 F - a.

Where both classes are known, so is the confusion matrix, up to how its errors e divide into fp and fn. In shares of all
pixels tp = a (1 - b) / (2 - a - b) and e = 2 (1 - a)(1 - b) / (2 - a - b), so the share of landslide lies between tp
(no fn) and tp + e (no fp). A reading that needs another share than the data has is refused.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Any

from landslide_lib.study.cells import reported_text
from landslide_lib.study.reports import Table

Interval = tuple[float, float]


@dataclass(frozen=True)
class Reading:
    """What a pair says under one reading, as intervals: scores of landslide, and the share of it that is needed."""

    f1: Interval
    iou: Interval
    background_f1: Interval | None = None
    background_iou: Interval | None = None
    share: Interval | None = None


def bounds(printed: float | int | str, *, digits: int = 4, scale: int = 1) -> Interval:
    """Return the lowest and the highest score, in 0..1, that is rounded to a printed one.

    `digits` stand after its point, `scale` is 100 of per cent; text such as `<0.0010` is an upper bound. Raises
    ValueError: not a number, or outside 0..scale.

    >>> low, high = bounds(67.8, digits=1, scale=100)
    >>> round(low, 4), round(high, 4)
    (0.6775, 0.6785)
    >>> bounds("<0.0010")
    (0.0, 0.001)
    """
    text = str(printed).strip()
    value = float(text.removeprefix("<"))
    if not 0 <= value <= scale:
        more = "; printed in per cent? Then scale=100" if scale == 1 and 1 < value <= 100 else ""
        raise ValueError(f"score {printed!r}: outside 0..{scale}{more}")
    if text.startswith("<"):
        return 0.0, value / scale
    # A hair more than half a unit, so that a value that was rounded exactly there stays inside.
    half = 0.5 * 10.0**-digits * (1 + 1e-9)
    return max(0.0, (value - half) / scale), min(1.0, (value + half) / scale)


def common(intervals: Iterable[Interval]) -> Interval | None:
    """Return what all intervals share; None where they share nothing."""
    lows, highs = zip(*intervals, strict=True)
    low, high = max(lows), min(highs)
    return (low, high) if low <= high else None


def readings(
    f1: float | str, miou: float | str, *, digits: int = 4, scale: int = 1, share: Interval | None = None
) -> dict[str, Reading | None]:
    """Return what a printed F1 and mean IoU say under each reading of the module; None where it is not admitted.

    For `digits` and `scale` see `bounds`. `share` is the lowest and the highest share of landslide pixels that the test
    images can have, in 0..1; None is any.

    A landslide F1 of 0.5 and a background F1 of 0.98 average to 0.74, their IoUs to 0.6471:

    >>> found = readings(0.74, 0.6471)
    >>> [name for name, reading in found.items() if reading]
    ['two_class', 'per_image', 'mixed_f1', 'mixed_iou']
    >>> [round(x, 3) for x in found["two_class"].f1]
    [0.5, 0.5]
    >>> rare = readings(0.74, 0.6471, share=(0.0, 0.05))
    >>> [name for name, reading in rare.items() if reading]
    ['two_class', 'per_image']
    """
    f, m = (bounds(value, digits=digits, scale=scale) for value in (f1, miou))
    return _readings(f, m, share)


def _readings(f: Interval, m: Interval, share: Interval | None) -> dict[str, Reading | None]:
    pooled = common([f, _both(_f1, m)])
    background_iou = common([(2 * m[0] - _iou(f[1]), 2 * m[1] - _iou(f[0])), (0.0, 1.0)])
    landslide = _both(_f1, m)
    background = common([(2 * f[0] - landslide[1], 2 * f[1] - landslide[0]), (0.0, 1.0)])
    found = {
        "pooled": Reading(pooled, _both(_iou, pooled)) if pooled else None,
        "two_class": _two_class(f, m),
        "per_image": Reading(f, m) if _iou(f[0]) <= m[1] and m[0] <= f[1] else None,
        "mixed_f1": _classes(f, _both(_f1, background_iou)) if background_iou else None,
        "mixed_iou": _classes(landslide, background) if background else None,
    }
    for name, reading in found.items():
        if share and reading and reading.share and not common([reading.share, share]):
            found[name] = None
    return found


def _iou(f1: float) -> float:
    return f1 / (2 - f1)


def _f1(iou: float) -> float:
    return 2 * iou / (1 + iou)


def _both(how: Callable[[float], float], interval: Interval) -> Interval:
    return how(interval[0]), how(interval[1])


def _classes(landslide: Interval, background: Interval) -> Reading:
    """Return the reading of two known classes, with the share that they need."""
    (a_low, a_high), (b_low, b_high) = landslide, background
    # Both ends of the share rise with a and fall with b.
    lowest = a_low * (1 - b_high) / (2 - a_low - b_high) if a_low + b_high < 2 else 0.0
    highest = (2 - a_high) * (1 - b_low) / (2 - a_high - b_low) if a_high + b_low < 2 else 1.0
    return Reading(landslide, _both(_iou, landslide), background, _both(_iou, background), (lowest, highest))


def _two_class(f: Interval, m: Interval) -> Reading | None:
    # d^2 of the module's text where it is largest and where it is smallest.
    widest, narrowest = ((2 - x) * (2 - x - 2 / (1 + y)) for x, y in ((f[0], m[1]), (f[1], m[0])))
    if widest < 0:
        return None
    if narrowest >= 0:
        a_high, b_low = f[1] - sqrt(narrowest), f[1] + sqrt(narrowest)
        if a_high < 0 or b_low > 1:
            return None
    else:  # within rounding the two classes may be equal
        a_high, b_low = min(f[1], _f1(m[1])), max(f[0], _f1(m[0]))
    # Where the far corner leaves 0..1, the bound stands where the edge b = 1 or a = 0 is met.
    a_low = max(0.0, f[0] - sqrt(widest), 2 * f[0] - 1, _f1(max(0.0, 2 * m[0] - 1)))
    b_high = min(1.0, f[0] + sqrt(widest), 2 * f[1], _f1(min(1.0, 2 * m[1])))
    return _classes((a_low, a_high), (b_low, b_high))


def audit_table(table: Table, *, share: Interval | None = None) -> list[dict[str, Any]]:
    """Ask of every row that prints F1 and mean IoU what they can mean together, with a share as in `readings`.

    Returns:
        A dict a row and pair: `table`, `id`, `label`, `printed` (both as text), `f1` and `miou` (in 0..1), `readings`,
        `admitted` (the names of those that are) and `exchanged` (the readings of the pair with its cells exchanged).
    """
    found = []
    names = [[name for name in table.metrics if table.columns[name].score == score] for score in ("f1", "iou")]
    for row, pair in product(table.rows, list(zip(*names, strict=False))):
        if None in [row.reported.get(name) for name in pair]:
            continue
        columns = {name: table.columns[name] for name in pair}
        f, m = (bounds(str(row.reported[name]), digits=c.digits, scale=c.scale) for name, c in columns.items())
        admitted = _readings(f, m, share)
        found.append(
            {
                "table": table.name,
                "id": row.id,
                "label": row.label,
                "printed": [reported_text(table, row.model_dump(), name) for name in pair],
                "f1": sum(f) / 2,
                "miou": sum(m) / 2,
                "readings": admitted,
                "admitted": [name for name, reading in admitted.items() if reading],
                "exchanged": _readings(m, f, share),
            }
        )
    return found
