"""What seeds and test images leave open: intervals of scores and of their differences, 95 % each. No torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, stdtrit  # scipy.stats takes seconds to import

from landslide_lib.metrics.scores import Floats, class_scores

UPPER = 0.975  # the upper quantile of Student's t that an interval reaches to
SCORE = (0.0, 1.0)  # where a score lies
DIFFERENCE = (-1.0, 1.0)

#: Why a difference has no interval: its scenes weigh no more than so many equal ones would. Of two a variance is hardly
#: known; `02_metrics` shows how often such an interval would miss the truth.
FEW_SCENES = "too few scenes"
FEWEST = 2

Comparison = dict[str, Any]  # a difference with its interval, see `paired_bootstrap`


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return Student's t interval of the mean of scores in 0..1 over seeds, see `limits`; None for fewer than two.

    >>> low, high = interval([0.62, 0.64, 0.13])  # Student's alone: -0.256 to 1.182
    >>> round(low, 3), round(high, 3)
    (0.046, 0.939)
    """
    if len(values) < 2:
        return None
    error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return limits(float(np.mean(values)), float(stdtrit(len(values) - 1, UPPER)) * error)


def limits(value: float, reach: float, within: tuple[float, float] = SCORE) -> tuple[float, float]:
    """Return the ends of an interval that holds no impossible value, none below or above those `within`.

    Where value - reach to value + reach leaves the range, it is taken on the scale of the log odds, to which the error
    is carried by the derivative (the delta method); cut off it would be too short, as values near an end are skewed.
    """
    lowest, highest = within
    if lowest <= value - reach and value + reach <= highest:
        return value - reach, value + reach
    share = (value - lowest) / (highest - lowest)
    if not 0 < share < 1:
        return max(value - reach, lowest), min(value + reach, highest)
    ends = expit(logit(share) + np.array([-1, 1]) * reach / (highest - lowest) / share / (1 - share))
    low, high = lowest + (highest - lowest) * ends
    return float(low), float(high)


def paired_bootstrap(
    ours: Sequence[ArrayLike], base: Sequence[ArrayLike], blocks: Sequence[str], *, draws: int = 2000, seed: int = 0
) -> Comparison:
    """Compare the pooled F1 of two rows over the same test images.

    Rows are per-image counts (N, 4), one a seed; `blocks` (N,) are the scenes. Two things are left open, and their
    variances add. Which images there were to test on: whole scenes are drawn with replacement, the same ones for both
    rows, because the tiles of a scene are no independent evidence; the variance of the difference over those draws is
    stretched by B / (B - 1) for B blocks. A block without any landslide, found or called, is left out; B is the number
    of equal blocks that would weigh as much, (sum w)^2 / sum w^2 (Kish 1965). Which networks came of the training: the
    variance of the F1 of each row's seeds over their number; to draw the seeds too would be far too narrow, as three
    hold but two thirds of their variance. The interval is Student's, with the degrees of freedom of Welch (1947) and
    Satterthwaite (1946).

    Returns `difference` (ours minus base, each the F1 of the counts summed over its seeds), `low`, `high`, and the
    standard errors `images` and `seeds`, this 0 with one seed a row. Where B is two or less, `low`, `high` and `images`
    are None, and `reason` says "too few scenes". Raises ValueError: the rows differ in their number of test images.
    """
    names, place = np.unique(np.asarray(blocks), return_inverse=True)
    sums, by_seed = [], []
    for row in (ours, base):
        counts = np.stack([np.asarray(each, np.int64) for each in row])
        if counts.shape[1] != len(place):
            raise ValueError(f"paired bootstrap: rows of {counts.shape[1]} and {len(place)} test images")
        sums.append(np.zeros((len(names), 4), np.int64))
        np.add.at(sums[-1], place, counts.sum(0))
        by_seed.append(_f1(counts.sum(1)))
    weight = sum(side[:, :3].sum(1) / len(row) for side, row in zip(sums, (ours, base), strict=True))
    drawn = drawn_blocks(weight > 0, draws, seed)
    return difference_interval(_f1(drawn @ sums[0]) - _f1(drawn @ sums[1]), weight, by_seed)


def drawn_blocks(counted: NDArray[np.bool_], draws: int, seed: int) -> NDArray[np.int64]:
    """Return how often each block is taken: once each, then as in `draws` bootstrap samples of those that count."""
    drawn, blocks = np.ones((1 + draws, len(counted)), np.int64), max(1, int(counted.sum()))
    drawn[1:] = 0
    drawn[1:, counted] = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), draws)
    return drawn


def difference_interval(differences: Floats, weight: NDArray[Any], by_seed: Sequence[Floats]) -> Comparison:
    """Return what `paired_bootstrap` says of a difference, from its two sources of chance.

    `differences` are those of `drawn_blocks`, `weight` that of each block, `by_seed` the scores of the seeds of a row.
    """
    difference = float(differences[0])
    # A variance and its degrees of freedom: of the seeds of each row, and of the images.
    parts = [(float(each.var(ddof=1)) / len(each), float(len(each) - 1)) for each in by_seed if len(each) > 1]
    seeds = sum(variance for variance, _ in parts) ** 0.5
    weight = np.asarray(weight, np.float64)
    blocks = float(weight.sum() ** 2 / (weight**2).sum()) if weight.any() else 0.0
    if blocks <= FEWEST:
        none = dict.fromkeys(("low", "high", "images"))
        return {"difference": difference, **none, "seeds": seeds, "reason": FEW_SCENES}
    images = float(differences[1:].var(ddof=1)) * blocks / (blocks - 1)
    parts.append((images, blocks - 1))
    total, reach = sum(variance for variance, _ in parts), 0.0
    if total:
        freedom = total**2 / sum(variance**2 / degrees for variance, degrees in parts)
        reach = float(stdtrit(freedom, UPPER)) * float(np.sqrt(total))
    low, high = limits(difference, reach, DIFFERENCE)
    return {"difference": difference, "low": low, "high": high, "images": images**0.5, "seeds": seeds}


def _f1(counts: NDArray[np.int64]) -> Floats:
    return np.nan_to_num(class_scores(counts[..., 0], counts[..., 1], counts[..., 2])["f1"])
