"""Certainty factors: how they are made of labels. No torch.

Shortliffe and Buchanan 1975, doi:10.1016/0025-5564(75)90047-4, for landslides in the form of Chung and Fabbri 1993: of
a class of a map, such as a range of slopes, with the density f of landslides in it and p in the whole region,

    CF = (f - p) / (f (1 - p))  where f >= p,    CF = (f - p) / (p (1 - f))  where f < p.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def factor(density: ArrayLike, prior: float) -> Floats:
    """Return the certainty factor of classes, in -1..1, of the share of positives in each and in all together.

    >>> factor([0.0, 0.1, 0.5, 1.0], 0.1).round(3)
    array([-1.   ,  0.   ,  0.889,  1.   ])
    """
    f = np.asarray(density, np.float64)
    above, below = np.maximum(f, prior), np.minimum(f, prior)
    return (above - prior) / (above * (1 - prior)) + (below - prior) / (prior * (1 - below))


def encode(classes: pd.DataFrame, labels: ArrayLike, learnt: NDArray[np.int64] | slice = slice(None)) -> pd.DataFrame:
    """Put in place of each class, a value of a column, its certainty factor among the labels of the `learnt` samples.

    A class that none of them has gets 0: nothing is known of it.
    """
    known = pd.Series(np.asarray(labels), classes.index).iloc[learnt]
    prior = float(known.mean())

    def codes(column: pd.Series[Any]) -> pd.Series[float]:
        density = known.groupby(column.iloc[learnt]).mean()
        return column.map(pd.Series(factor(density, prior), density.index)).fillna(0.0).astype(np.float64)

    return classes.apply(codes)
