"""What seeds and test images leave open: intervals of scores and of their order. No torch.

How often each interval holds the truth is measured in `landslide_lib.coverage`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit  # scipy.stats takes seconds to import

from landslide_lib.scores import Floats, class_scores


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Return Student's t interval of the mean over seeds; None for fewer than two.

    >>> low, high = interval([0.5, 0.6, 0.7])
    >>> round(low, 3), round(high, 3)
    (0.352, 0.848)
    """
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), _error(values)
    reach = float(stdtrit(len(values) - 1, (1 + level) / 2)) * error
    return mean - reach, mean + reach


def paired_bootstrap(
    ours: Sequence[ArrayLike],
    base: Sequence[ArrayLike],
    blocks: Sequence[str],
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, float] | None:
    """Compare the pooled F1 of two rows over the same test images.

    Two things are left open, and their variances add. Which images there were to test on:
    whole blocks (scenes) are drawn with replacement, the same ones for both rows, because the
    tiles of a scene are neighbours and no independent evidence; the variance of the difference
    over those draws is stretched by B / (B - 1) for B blocks. A block without any landslide,
    found or called, says nothing of F1 and is left out; and B is not their number but the number
    of equal blocks that would weigh as much, (sum w)^2 / sum w^2 (Kish 1965), as one large scene
    decides more than ten small ones. Which networks came of the
    training: the variance of the F1 of each row's seeds over their number. To draw the seeds
    too would be far too narrow, as three seeds hold but two thirds of their variance. The
    interval is Student's, with the degrees of freedom of Welch (1947) and Satterthwaite (1946).

    Args:
        ours: Per-image counts (N, 4), one a seed.
        base: The same of the base row.
        blocks: (N,) the scene of each image.
        draws: Bootstrap samples.
        level: Of the interval.
        seed: Of the draws.

    Returns:
        `difference` (ours minus base, each the F1 of the counts summed over its seeds), `low`,
        `high`, and the standard errors `images` and `seeds`. With one seed a row nothing is
        known of the training: `seeds` is 0 and the interval is that of the test images alone.
        None where fewer than two blocks hold any landslide, found or called: there is
        nothing to draw from.

    Raises:
        ValueError: The two rows were not tested on the same number of images.
    """
    names, place = np.unique(np.asarray(blocks), return_inverse=True)
    sums, whole, by_seed = [], [], []
    for rows in (ours, base):
        tables = np.stack([np.asarray(counts, np.int64) for counts in rows])
        if tables.shape[1] != len(place):
            raise ValueError(
                f"paired bootstrap: a row has {tables.shape[1]} test images, {len(place)} are "
                "told apart by scene; both rows need the same test images"
            )
        sums.append(np.zeros((len(names), 4), np.int64))
        np.add.at(sums[-1], place, tables.sum(0))
        whole.append(float(_f1(tables.sum((0, 1)))))
        by_seed.append(_f1(tables.sum(1)))
    weight = sum(
        side[:, :3].sum(1) / len(rows) for side, rows in zip(sums, (ours, base), strict=True)
    )
    telling = np.flatnonzero(weight)
    if len(telling) < 2:
        return None
    drawn = drawn_blocks(len(telling), draws, seed)
    over_images = [_f1(drawn @ side[telling]) for side in sums]
    return both_open(
        whole[0] - whole[1], over_images[0] - over_images[1], weight, by_seed, level
    )  # fmt: skip


def drawn_blocks(blocks: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Return how often each block is in each bootstrap sample, (draws, blocks)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(blocks, np.full(blocks, 1 / blocks), draws)


def both_open(
    difference: float,
    over_images: Floats,
    weight: NDArray[Any],
    by_seed: Sequence[Floats],
    level: float,
) -> dict[str, float]:
    """Return what `paired_bootstrap` says of a difference, from its two sources of chance.

    Args:
        difference: Ours minus base.
        over_images: The same of each bootstrap sample.
        weight: Of each block; at least two are above 0.
        by_seed: Of each of the two rows the score of each seed.
        level: Of the interval.
    """
    parts = [(float(each.var(ddof=1)) / len(each), float(len(each) - 1))
             for each in by_seed if len(each) > 1]  # fmt: skip
    seeds = sum(variance for variance, _ in parts)
    equal = float(weight.sum() ** 2 / (weight**2).sum())
    images = float(over_images.var(ddof=1)) * equal / (equal - 1)
    parts.append((images, equal - 1))
    reach = _reach(parts, level)
    return {
        "difference": difference, "low": difference - reach, "high": difference + reach,
        "images": images**0.5, "seeds": seeds**0.5,
    }  # fmt: skip


def _error(values: Sequence[float]) -> float:
    """Return the standard error of the mean."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _reach(parts: Sequence[tuple[float, float]], level: float) -> float:
    """Return half the width of an interval from variances with their degrees of freedom."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(variance**2 / degrees for variance, degrees in parts)
    return float(stdtrit(freedom, (1 + level) / 2)) * float(np.sqrt(total))


def _f1(counts: NDArray[np.int64]) -> Floats:
    tp, fp, fn = counts[..., 0], counts[..., 1], counts[..., 2]
    return np.nan_to_num(class_scores(tp, fp, fn)["f1"])


def kendall(
    reported: Sequence[float], ours: Sequence[Sequence[float]], *, draws: int = 2000, seed: int = 0
) -> dict[str, float | None] | None:
    """Return Kendall's tau-b between the reported order of rows and ours.

    Args:
        reported: One number a row.
        ours: The seeds of each row, in the same order.
        draws: Samples of the row means.
        seed: Of the draws.

    Returns:
        `tau` of the row means with `low` and `high`, the central 95 % of tau when each row's
        mean is drawn from Student's t around it (a bootstrap of three seeds would be far
        too narrow). They are None for fewer than five rows or where a row has one seed only;
        for fewer than three rows, or where all tie, there is no order to compare, and None is
        returned.
    """
    means = np.array([np.mean(row) for row in ours])
    found = float(tau(np.asarray(reported), means))
    if len(reported) < 3 or not np.isfinite(found):
        return None
    if len(reported) < 5 or any(len(row) < 2 for row in ours):
        return {"tau": found, "low": None, "high": None}
    errors = np.array([_error(row) for row in ours])
    freedom = np.array([len(row) - 1 for row in ours])
    drawn = means + errors * np.random.default_rng(seed).standard_t(freedom, (draws, len(means)))
    low, high = np.nanquantile(tau(np.asarray(reported), drawn), [0.025, 0.975])
    return {"tau": found, "low": float(low), "high": float(high)}


def tau(one: ArrayLike, other: ArrayLike) -> Floats:
    """Return Kendall's tau-b of (N,) numbers with each line of (..., N) others; NaN if all tie.

    SciPy takes one pair of lists a call, which is too slow for thousands of draws.

    >>> float(tau([1, 2, 3], [10, 30, 20]).round(3))
    0.333
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    first, second = np.triu_indices(len(one), 1)
    x, y = np.sign(one[first] - one[second]), np.sign(other[..., first] - other[..., second])
    with np.errstate(invalid="ignore"):
        found = (x * y).sum(-1) / np.sqrt((x != 0).sum() * (y != 0).sum(-1))
    return np.asarray(found, np.float64)
