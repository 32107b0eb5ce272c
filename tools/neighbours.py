"""Which images lie side by side: raster order found in their edges, and the pairs a split cuts."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_lib.data.pack import Packed
from landslide_lib.data.split import Indices, Split, split

ROWS = range(2, 129)  # lengths of a row of tiles that are tried
FEW = 20  # fewer pairs than this show nothing about an order


def numbered(ids: Sequence[str]) -> list[tuple[str, int] | None]:
    """Read series and number from each id (row and column as a number in raster order); None where it ends in none."""
    places = [match for name in ids if (match := re.fullmatch(r"(.*/)?(\d+)/(\d+)", name))]
    if places and len(places) == len(ids):
        length = 1 + max(int(match[3]) for match in places)
        return [(match[1] or "", int(match[2]) * length + int(match[3])) for match in places]
    matches = [re.fullmatch(r"(.*?)(\d+)", name) for name in ids]
    return [(match[1], int(match[2])) if match else None for match in matches]


def pairs(ids: Sequence[str], lag: int = 1) -> tuple[Indices, Indices]:
    """Return the indices of all pairs of images n and n + lag."""
    index_of = {key: index for index, key in enumerate(numbered(ids)) if key is not None}
    following = [(i, index_of.get((series, number + lag))) for (series, number), i in index_of.items()]
    first, second = np.array([pair for pair in following if pair[1] is not None], np.int64).reshape(-1, 2).T
    return first, second


def likeness(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> Any:
    """Correlate edges (N, bands, S): (M,) mean of Pearson's r over bands that vary; pairs without any are left out."""
    varying = np.any(first, axis=2) & np.any(second, axis=2)
    total = np.einsum("nbs,nbs->n", first, second)
    count = varying.sum(axis=1)
    return total[count > 0] / count[count > 0]


def measure(packed: Packed, rows: Sequence[int] = ROWS, seed: int = 0) -> dict[str, Any] | None:
    """Find out whether the numbers in the ids of the images are a raster order; None for fewer than `FEW` pairs.

    If image n + 1 lies to the right of n, the right edge of n continues on its left edge; if a row has k images, the
    bottom of n continues on the top of n + k. Returns the number of `pairs` n and n + 1 and `right`, the median r of
    their edges; the k of `rows` with the highest median r, as `row`, `below` and `below_pairs`; median and 95 %
    quantile of r of random pairs; `ordered`, whether `right` is above that quantile; and `cut` (see `cuts`). r is None
    where all edges are constant.
    """
    first, second = pairs(packed.ids)
    if len(first) < FEW:
        return None
    left, right = _edges(packed.images[..., 0]), _edges(packed.images[..., -1])
    top, bottom = _edges(packed.images[:, :, 0]), _edges(packed.images[:, :, -1])
    r = likeness(right[first], left[second])
    drawn = np.random.default_rng(seed).integers(0, len(packed), (2, max(len(first), 2000)))
    chance = likeness(right[drawn[0]], left[drawn[1]])
    below: list[tuple[float, int, int]] = []
    for row in rows:
        over, under = pairs(packed.ids, row)
        down = likeness(bottom[over], top[under]) if len(over) >= FEW else np.zeros(0)
        if len(down):
            below.append((float(np.median(down)), row, len(over)))
    best, length, count = max(below) if below else (None, None, 0)
    high = float(np.quantile(chance, 0.95)) if len(chance) else None
    ordered = bool(len(r) and high is not None and np.median(r) > high)
    return {
        "pairs": len(first),
        "right": float(np.median(r)) if len(r) else None,
        "row": length,
        "below": best,
        "below_pairs": count,
        "random": float(np.median(chance)) if len(chance) else None,
        "random_high": high,
        "random_pairs": len(chance),
        "ordered": ordered,
        "cut": cuts(packed, length) if ordered else None,
    }


def cuts(packed: Packed, row: int | None) -> dict[str, dict[str, list[int]]]:
    """Count the neighbours that a split separates, of a dataset in raster order with `row` images in a row, if known.

    By split (`shipped`, where the publisher's parts share one numbering; `random` and `blocked`, ours) and kind
    (`right`, `below`): how many pairs are cut, of how many whose images are both in the split.
    """
    shipped = np.array([part.split(",")[0] for part in packed.parts])
    series = [key[0] if key else None for key in numbered(packed.ids)]
    parts_of = {(name, part) for name, part in zip(series, shipped.tolist(), strict=True) if name is not None}
    sides = {"shipped": shipped} if len(parts_of) > len({name for name, _ in parts_of}) else {}
    # Images without masks are not trained on yet, but their split can be computed.
    whole = packed if "train" in packed.parts else replace(packed, parts=("train",) * len(packed))
    for method in ("random", "blocked"):
        try:
            parts = split(whole, Split(method=method))
        except ValueError:  # too few scenes for it
            continue
        sides[method] = np.full(len(packed), "", dtype="U8")
        for name, indices in parts.items():
            sides[method][indices] = name
    lags = {"right": 1} | ({"below": row} if row is not None else {})
    return {
        method: {kind: cut(*pairs(packed.ids, lag), side) for kind, lag in lags.items()}
        for method, side in sides.items()
    }


def cut(first: Indices, second: Indices, sides: NDArray[np.str_]) -> list[int]:
    """Return how many pairs are on two sides, of how many whose images both have a side ("" is none)."""
    known = (sides[first] != "") & (sides[second] != "")
    return [int((sides[first] != sides[second])[known].sum()), int(known.sum())]


def _edges(edges: NDArray[np.float16]) -> NDArray[np.float32]:
    """Centre (N, bands, S) and scale it to length 1 along the edge; a constant edge is all 0."""
    centred = edges.astype(np.float32)
    high = np.abs(centred).max(axis=2, keepdims=True)
    centred -= centred.mean(axis=2, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=2, keepdims=True))
    # The mean of equal numbers differs from them by rounding, which is no pattern.
    flat = length <= 1e-5 * high * np.sqrt(centred.shape[2])
    return np.where(flat, 0, centred / np.where(flat, 1, length)).astype(np.float32)
