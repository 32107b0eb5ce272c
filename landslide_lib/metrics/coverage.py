"""How often an interval holds the truth, measured where the truth is known. No torch.

Each function simulates a study many times, asks `landslide_lib.metrics.intervals` each time, and counts: of 95 %
intervals about 95 of 100 should hold the truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from landslide_lib.metrics.intervals import interval, kendall, paired_bootstrap, tau
from landslide_lib.metrics.scores import class_scores

Counts = NDArray[np.int64]


def of_interval(seeds: int, *, mean: float = 0.7, spread: float = 0.02, trials: int = 400, seed: int = 0) -> float:
    """Return the share of `interval`s of some seeds that hold the mean of scores, normal in their log odds.

    >>> 0.9 < of_interval(3) < 0.99
    True
    """
    at, scale = logit(mean), spread / (mean * (1 - mean))
    truth = float(expit(np.random.default_rng(1).normal(at, scale, 10**6)).mean())
    held = 0
    for values in expit(np.random.default_rng(seed).normal(at, scale, (trials, seeds))):
        low, high = interval(list(values)) or (np.nan, np.nan)
        held += low <= truth <= high
    return held / trials


def study(
    draw: np.random.Generator, scenes: int, tiles: int, seeds: int, spread: float, uneven: float = 0, largest: float = 0
) -> tuple[Counts, Counts, list[str]]:
    """Simulate two rows that are tested on the same tiles; see `of_bootstrap` for the arguments.

    How much of a landslide is found depends on the scene, the same for both rows and a little for each alone, on the
    tile, and on the training.

    Returns:
        Counts (seeds, N, 4) of both rows, and the scene of each of the N tiles.
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
    return rows[0], rows[1], [str(number) for number in scene]


def of_bootstrap(
    scenes: int,
    seeds: int,
    *,
    tiles: int = 5,
    spread: float = 0.2,
    uneven: float = 0,
    largest: float = 0,
    blocked: bool = True,
    trials: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """Return how many `paired_bootstrap`s hold the true difference of two rows, that over very many scenes.

    Args:
        scenes: Test scenes of a study.
        seeds: Of each row.
        tiles: Of a scene.
        spread: Of the training, as a standard deviation on the scale of log odds.
        uneven: Standard deviation of the logarithm of a scene's tiles; 0 for scenes of one size.
        largest: Share of all tiles that lie in the first scene; 0 leaves it as it is.
        blocked: Tell the bootstrap which tiles are neighbours; else each stands for itself.
        trials: Simulated studies.
        seed: Of the simulation.

    Returns:
        The share of the intervals that hold the truth, NaN where there is none; and the share of the studies that have
        too few scenes for one.
    """
    total, generator = np.zeros((2, 4)), np.random.default_rng(1)
    for _ in range(100):  # a scene's skill is independent of its size
        ours, base, _ = study(generator, 1000, 1, 4, spread)
        total += ours.sum((0, 1)), base.sum((0, 1))
    better, worse = class_scores(total[:, 0], total[:, 1], total[:, 2])["f1"]
    draw = np.random.default_rng(seed)
    held = []
    for trial in range(trials):
        ours, base, names = study(draw, scenes, tiles, seeds, spread, uneven, largest)
        groups = names if blocked else [str(number) for number in range(len(names))]
        versus = paired_bootstrap(list(ours), list(base), groups, draws=400, seed=trial)
        if versus["low"] is not None:
            held.append(versus["low"] <= float(better - worse) <= versus["high"])
    return float(np.mean(held)) if held else np.nan, 1 - len(held) / trials


def of_kendall(rows: int, seeds: int, *, noise: float = 0.3, trials: int = 200, seed: int = 0) -> float:
    """Return the share of `kendall`'s intervals that hold the tau of the true means of rows, which are normal.

    `noise` is the standard deviation of a seed around its row's mean; that of the means is 1.
    """
    draw = np.random.default_rng(seed)
    reported = list(range(rows))
    held = 0
    for trial in range(trials):
        truth = draw.normal(0, 1, rows)
        values = truth[:, None] + draw.normal(0, noise, (rows, seeds))
        order = kendall(reported, values.tolist(), draws=400, seed=trial)
        if order is None or order["low"] is None or order["high"] is None:
            raise ValueError(f"{rows} rows with {seeds} seeds have no interval of tau")
        held += order["low"] <= float(tau(reported, truth)) <= order["high"]
    return held / trials
