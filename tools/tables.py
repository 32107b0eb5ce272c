"""The two tables in `tabular/` below the data root, read and verified: susceptibility samples and NASA's landslides.

NASA's Global Landslide Catalog (Kirschbaum and others 2010, doi:10.1007/s11069-009-9401-4) has events in the news, each
with a place and a trigger: where nobody reports there are none in it. Thirteen factors of susceptibility, Guizhou, are
certainty factors, see `tools.tabular.factor`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from landslide_lib.data.base import BadFileError
from landslide_lib.data.tabular import read
from landslide_lib.paths import data_root

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

SAMPLES, EVENTS = "susceptibility_cf.csv", "nasa_glc_2016.csv"
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
