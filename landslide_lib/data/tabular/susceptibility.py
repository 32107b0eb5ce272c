"""Samples of landslide susceptibility, Guizhou: thirteen factors as certainty factors. No torch."""

from pathlib import Path

import numpy as np
import pandas as pd

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
#: Of a block of samples that stay together, in degrees: about 25 km.
BLOCK = 0.25


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
    """Return the square of a grid that each sample lies in, as a group for folds; `side` in degrees.

    >>> blocks(pd.DataFrame({"lon": [109.1, 109.2], "lat": [27.1, 27.3]}))
    ['436/108', '436/109']
    """
    east, north = (np.floor(frame[name] / side).astype(int) for name in ("lon", "lat"))
    return [f"{x}/{y}" for x, y in zip(east, north, strict=True)]
