"""Tables in place of images, `tabular/` below the data root: susceptibility samples and NASA's landslides. No torch.

Thirteen factors of susceptibility, Guizhou, are certainty factors (Shortliffe and Buchanan 1975,
doi:10.1016/0025-5564(75)90047-4) in the form of Chung and Fabbri 1993: of a class of a map, such as a range of slopes,
with the density f of landslides in it and p in the whole region,

    CF = (f - p) / (f (1 - p))  where f >= p,    CF = (f - p) / (p (1 - f))  where f < p.

NASA's Global Landslide Catalog (Kirschbaum and others 2010, doi:10.1007/s11069-009-9401-4) has events in the news, each
with a place and a trigger: where nobody reports there are none in it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from landslide_lib.data.base import BadFileError
from landslide_lib.paths import data_root

SAMPLES, EVENTS = "susceptibility_cf.csv", "nasa_glc_2016.csv"
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
BLOCK = 0.25  # of a block of samples that stay together, in degrees: about 25 km


def find(name: str, root: Path | None = None) -> Path:
    """Return the file of a table. Raises FileNotFoundError: it is not there."""
    path = (root or data_root()) / "tabular" / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there. Set LANDSLIDE_DATA to the folder that holds tabular/{name}")
    return path


def samples(root: Path | None = None) -> pd.DataFrame:
    """Read and verify the samples of susceptibility.

    A row each: `lon`, `lat` in degrees, `target` in {0, 1}, and each of `FACTORS` in -1..1. Raises FileNotFoundError:
    it is not there. BadFileError: a column is missing, a cell is no number of its range, or there is one class only.
    """
    path = find(SAMPLES, root)
    limits = {"lon": 180, "lat": 90} | dict.fromkeys(FACTORS, 1)
    raw = read(path, [*limits, "target"])
    refuse(raw["target"], pd.to_numeric(raw["target"], errors="coerce").isin([0, 1]), path, "not 0 or 1")
    target = raw["target"].astype(float).astype(int)
    if target.nunique() < 2:
        raise BadFileError(path, f"target is {target.iloc[0]} in all rows; both are needed", "Get it again")
    return pd.DataFrame({name: number(raw, name, path, limit) for name, limit in limits.items()} | {"target": target})


def events(root: Path | None = None) -> pd.DataFrame:
    """Read and verify the events of the catalogue.

    A row each: `longitude`, `latitude` in degrees, `date` (NaT without one) and `trigger`, in words of one spelling, or
    "unknown". Raises FileNotFoundError: it is not there. BadFileError: a column is missing, or a place or date is none.
    """
    path = find(EVENTS, root)
    raw = read(path, ["date", "trigger", "longitude", "latitude"], "latin-1")
    date = pd.to_datetime(raw["date"], format="%m/%d/%Y", errors="coerce")
    refuse(raw["date"], date.notna() | (raw["date"] == ""), path, "not month/day/year")
    trigger = raw["trigger"].str.lower().str.replace("_", " ").replace("", "unknown")
    place = {name: number(raw, name, path, limit) for name, limit in (("longitude", 180), ("latitude", 90))}
    return pd.DataFrame({**place, "date": date, "trigger": trigger})


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


def number(frame: pd.DataFrame, name: str, path: Path, limit: float) -> "pd.Series[float]":
    """Return a column as numbers. Raises BadFileError: a cell is no number from -limit to limit."""
    values = pd.to_numeric(frame[name], errors="coerce")
    refuse(frame[name], values.between(-limit, limit), path, f"no number from {-limit:g} to {limit:g}")
    return values.astype(float)


def refuse(column: "pd.Series[str]", good: "pd.Series[bool]", path: Path, problem: str) -> None:
    """Raise BadFileError for a column of which a cell is not good; the first of them is named."""
    if not good.all():
        row = int((~good).to_numpy().argmax())
        named = f"{column.name} of row {row + 1} is {column.iloc[row]!r}, {problem}"
        raise BadFileError(path, named, "Mend the row or remove it")


def blocks(frame: pd.DataFrame) -> list[str]:
    """Return the square of a grid that each sample lies in, as a group for folds."""
    east, north = (np.floor(frame[name] / BLOCK).astype(int) for name in ("lon", "lat"))
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

    def codes(column: "pd.Series[Any]") -> "pd.Series[float]":
        density = known.groupby(column.iloc[learnt]).mean()
        return column.map(pd.Series(factor(density, prior), density.index)).fillna(0.0).astype(np.float64)

    return classes.apply(codes)
