"""Samples of landslide susceptibility, Guizhou: thirteen factors as certainty factors. No torch.

Shortliffe and Buchanan 1975, doi:10.1016/0025-5564(75)90047-4, for landslides in the form of Chung and Fabbri 1993: of
a class of a map, such as a range of slopes, with the density f of landslides in it and p in the whole region,

    CF = (f - p) / (f (1 - p))  where f >= p,    CF = (f - p) / (p (1 - f))  where f < p.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landslide_lib.data.base import BadFileError
from landslide_lib.data.tabular import files

FILE = "susceptibility_cf.csv"
#: The columns of the file that are factors, in its order and spelling, and what they are.
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
BLOCK = 0.25  # of a block of samples that stay together, in degrees: about 25 km


def load(root: Path | None = None) -> pd.DataFrame:
    """Read and verify the samples, `tabular/susceptibility_cf.csv` below the data root.

    A row each: `lon`, `lat` in degrees, `target` in {0, 1}, and each of `FACTORS` in -1..1. Raises FileNotFoundError:
    it is not there. BadFileError: a column is missing, a cell is no number of its range, or there is one class only.
    """
    path = files.find(FILE, root)
    raw = files.read(path, ["lon", "lat", "target", *FACTORS])
    limits = {"lon": 180, "lat": 90} | dict.fromkeys(FACTORS, 1)
    columns = {name: files.number(raw, name, path, -limit, limit) for name, limit in limits.items()}
    target = files.number(raw, "target", path, 0, 1, among=(0, 1))
    if target.nunique() < 2:
        raise BadFileError(path, f"target is {target.iloc[0]:g} in all rows; both are needed", "Get it again")
    return pd.DataFrame({**columns, "target": target.astype(int)})


def twins(frame: pd.DataFrame) -> int:
    """Return how many samples stand at the place of an earlier one."""
    return int(frame.duplicated(["lon", "lat"]).sum())


def blocks(frame: pd.DataFrame, side: float = BLOCK) -> list[str]:
    """Return the square of a grid that each sample lies in, as a group for folds; `side` in degrees."""
    east, north = (np.floor(frame[name] / side).astype(int) for name in ("lon", "lat"))
    return [f"{x}/{y}" for x, y in zip(east, north, strict=True)]


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

    def codes(column: pd.Series[Any]) -> pd.Series[float]:
        density = known.groupby(column.iloc[learnt]).mean()
        return column.map(pd.Series(factor(density, prior), density.index)).fillna(0.0).astype(np.float64)

    return classes.apply(codes)
