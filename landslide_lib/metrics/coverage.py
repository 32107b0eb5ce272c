"""How often the interval of a difference holds the truth, measured where the truth is known. No torch."""

import numpy as np
from numpy.typing import NDArray

from landslide_lib.metrics.intervals import paired_bootstrap
from landslide_lib.metrics.scores import class_scores

Counts = NDArray[np.int64]


def study(
    draw: np.random.Generator, scenes: int, tiles: int, seeds: int, spread: float, uneven: float = 0, largest: float = 0
) -> tuple[Counts, Counts, NDArray[np.int64]]:
    """Simulate counts (seeds, N, 4) of two rows on the same tiles, and the scene of each; see `of_bootstrap`.

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
) -> tuple[float, float]:
    """Return which share of `paired_bootstrap`s holds the true difference of two rows, that over very many scenes.

    A study has `scenes` test scenes of about `tiles` tiles, whose logarithm has the standard deviation `uneven`; the
    first holds the share `largest` of all, if given. Each row has `seeds` trainings, with a standard deviation of
    `spread` on the scale of log odds. `blocked` tells the bootstrap which tiles are neighbours. Returned is NaN where
    no study has an interval, and, second, the share of the studies that have too few scenes for one.
    """
    total, generator = np.zeros((2, 4)), np.random.default_rng(1)
    for _ in range(100):  # a scene's skill is independent of its size
        ours, base, _ = study(generator, 1000, 1, 4, spread)
        total += ours.sum((0, 1)), base.sum((0, 1))
    better, worse = class_scores(total[:, 0], total[:, 1], total[:, 2])["f1"]
    draw = np.random.default_rng(0)
    held = []
    for trial in range(trials):
        ours, base, scene = study(draw, scenes, tiles, seeds, spread, uneven, largest)
        groups = [str(name) for name in (scene if blocked else range(len(scene)))]
        versus = paired_bootstrap(list(ours), list(base), groups, draws=400, seed=trial)
        if versus["low"] is not None:
            held.append(versus["low"] <= float(better - worse) <= versus["high"])
    return float(np.mean(held)) if held else np.nan, 1 - len(held) / trials
