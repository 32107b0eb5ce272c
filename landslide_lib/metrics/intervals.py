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


def _simulated(
    draw: np.random.Generator, scenes: int, tiles: int, seeds: int, spread: float, uneven: float = 0, largest: float = 0
) -> tuple[NDArray[np.int64], ...]:
    """Simulate counts (seeds, N, 4) of two rows on the same tiles, and the scene of each; see `coverage`.

    How much of a landslide is found depends on the scene, mostly alike for both rows, on the tile and on the training.
    """
    sizes = np.maximum(1, np.round(tiles * np.exp(draw.normal(0, uneven, scenes)))).astype(int)
    if largest:
        sizes[0] = round(sizes[1:].sum() * largest / (1 - largest))
    scene = np.arange(scenes).repeat(sizes)
    size = draw.lognormal(5, 1, len(scene)) * np.exp(draw.normal(0, 0.5, scenes))[scene]
    common = draw.normal(0, 0.8, scenes)[scene] + draw.normal(0, 0.5, len(scene))
    rows = []
    for skill in (1.3, 1.0):
        own = draw.normal(0, 0.3, scenes)[scene]
        odds = skill + common + own + draw.normal(0, spread, (seeds, 1))
        share = 1 / (1 + np.exp(-(odds + draw.normal(0, 0.2, (seeds, len(scene))))))
        tp = np.round(size * share)
        fn, fp = np.round(size) - np.minimum(tp, np.round(size)), np.round(0.8 * size * (1 - share))
        rows.append(np.stack([tp, fp, fn, np.full_like(tp, 10_000)], -1).astype(np.int64))
    return rows[0], rows[1], scene


def coverage(
    scenes: int,
    seeds: int,
    *,
    tiles: int = 5,
    spread: float = 0.2,
    uneven: float = 0,
    largest: float = 0,
    blocked: bool = True,
    trials: int = 200,
) -> tuple[float, float]:
    """Return which share of `paired_bootstrap`s holds the true difference of two rows, that over very many scenes.

    A study has `scenes` test scenes of about `tiles` tiles, whose logarithm has the standard deviation `uneven`; the
    first holds the share `largest` of all, if given. Each row has `seeds` trainings, with a standard deviation of
    `spread` on the scale of log odds. `blocked` tells the bootstrap which tiles are neighbours. Returned is NaN where
    no study has an interval, and, second, the share of the studies that have too few scenes for one.
    """
    total, generator = np.zeros((2, 4)), np.random.default_rng(1)
    for _ in range(100):  # a scene's skill is independent of its size
        ours, base, _ = _simulated(generator, 1000, 1, 4, spread)
        total += ours.sum((0, 1)), base.sum((0, 1))
    better, worse = class_scores(total[:, 0], total[:, 1], total[:, 2])["f1"]
    draw = np.random.default_rng(0)
    held = []
    for trial in range(trials):
        ours, base, scene = _simulated(draw, scenes, tiles, seeds, spread, uneven, largest)
        groups = [str(name) for name in (scene if blocked else range(len(scene)))]
        versus = paired_bootstrap(list(ours), list(base), groups, draws=400, seed=trial)
        if versus["low"] is not None:
            held.append(versus["low"] <= float(better - worse) <= versus["high"])
    return float(np.mean(held)) if held else np.nan, 1 - len(held) / trials
