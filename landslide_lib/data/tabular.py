"""Tables in place of images: CSV as text, and certainty factors. No torch.

Thirteen factors of susceptibility, Guizhou, are certainty factors (Shortliffe and Buchanan 1975,
doi:10.1016/0025-5564(75)90047-4) in the form of Chung and Fabbri 1993: of a class of a map, such as a range of slopes,
with the density f of landslides in it and p in the whole region,

    CF = (f - p) / (f (1 - p))  where f >= p,    CF = (f - p) / (p (1 - f))  where f < p.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landslide_lib.data.base import BadFileError

#: The columns of the samples that are factors, in the order and spelling of the file, and what they are.
FACTORS = {
    "slope": "slope",
    "landuse": "land use",
    "panarcurvature": "planar curvature",
    "profilecurvature": "profile curvature",
    "NDVI": "NDVI",
    "Soil": "soil",
    "sratumboundarydistance": "distance to a stratum boundary",
    "geomorphictype": "geomorphic type",
    "fracturedistance": "distance to a fracture",
    "geologicalrockdistance": "geological rock distance",
    "rivernetworkdistance": "distance to a river",
    "DEM": "elevation",
    "geologicalstructure": "geological structure",
}


def read(path: Path, columns: Sequence[str], encoding: str = "utf-8") -> pd.DataFrame:
    """Read the given columns of a CSV as text: an empty cell is "", and `NA` is North America. Raises BadFileError."""
    problem = ""
    try:
        frame = pd.read_csv(path, dtype=str, encoding=encoding, keep_default_na=False).fillna("")
    except (OSError, ValueError) as error:  # those of pandas are ValueErrors, and those of an encoding
        raise BadFileError(path, f"is no CSV in {encoding} that can be read ({error})", "Get it again") from None
    if not isinstance(frame.index, pd.RangeIndex):  # taken for the names of the rows
        problem = "its rows have more cells than its head"
    elif missing := [name for name in columns if name not in frame]:
        problem = f"has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}"
    elif frame.empty:
        problem = "holds a head and no row"
    if problem:
        raise BadFileError(path, problem, "Get it again")
    return frame[list(columns)]


def factor(density: ArrayLike, prior: float) -> NDArray[np.float64]:
    """Return the certainty factor of classes, in -1..1, of the share of positives in each and in all together.

    >>> factor([0.0, 0.1, 0.5, 1.0], 0.1).round(3)
    array([-1.   ,  0.   ,  0.889,  1.   ])
    """
    f = np.asarray(density, np.float64)
    above, below = np.maximum(f, prior), np.minimum(f, prior)
    return (above - prior) / (above * (1 - prior)) + (below - prior) / (prior * (1 - below))


def encode(classes: pd.DataFrame, labels: ArrayLike, learnt: NDArray[np.int64] | slice = slice(None)) -> pd.DataFrame:
    """Put certainty factors among the `learnt` samples in place of classes; 0 for a class that none of them has."""
    known = pd.Series(np.asarray(labels), classes.index).iloc[learnt]
    prior = float(known.mean())

    def codes(column: "pd.Series[Any]") -> "pd.Series[float]":
        density = known.groupby(column.iloc[learnt]).mean()
        return column.map(pd.Series(factor(density, prior), density.index)).fillna(0.0).astype(np.float64)

    return classes.apply(codes)
