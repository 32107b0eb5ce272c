"""NASA's Global Landslide Catalog: events in the news, each with a place and a trigger. No torch.

Kirschbaum and others 2010, doi:10.1007/s11069-009-9401-4. It holds landslides only, found in reports: where nobody
reports there are none in it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landslide_lib.data.tabular import files

FILE = "nasa_glc_2016.csv"
CELL = 3  # of a cell of the map, in degrees


def load(root: Path | None = None) -> pd.DataFrame:
    """Read and verify the events, `tabular/nasa_glc_2016.csv` (latin-1) below the data root.

    A row each: `longitude`, `latitude` in degrees, `date` (NaT without one) and `trigger`, in words of one spelling, or
    "unknown". Raises FileNotFoundError: it is not there. BadFileError: a column is missing, or a place or date is none.
    """
    path = files.find(FILE, root)
    raw = files.read(path, ["date", "trigger", "longitude", "latitude"], "latin-1")
    date = pd.to_datetime(raw["date"], format="%m/%d/%Y", errors="coerce")
    files.refuse(raw["date"], date.notna() | (raw["date"] == ""), path, "not month/day/year")
    trigger = raw["trigger"].str.lower().str.replace("_", " ").replace("", "unknown")
    longitude = files.number(raw, "longitude", path, -180, 180)
    latitude = files.number(raw, "latitude", path, -90, 90)
    return pd.DataFrame({"longitude": longitude, "latitude": latitude, "date": date, "trigger": trigger})


def describe(events: pd.DataFrame) -> dict[str, Any]:
    """Return the catalogue in counts: `twins` have date and place of an earlier event, `months` are by hemisphere.

    `cells` are west and south edge of a square of `cell` degrees and its events, where there are any.
    """
    dated = events.dropna(subset="date")
    north, month = dated["latitude"] >= 0, dated["date"].dt.month
    places = np.floor(events[["longitude", "latitude"]].to_numpy() / CELL).astype(int) * CELL
    cells, counts = np.unique(places, axis=0, return_counts=True)
    years = dated["date"].dt.year.value_counts().sort_index()
    sides = {"north": north, "south": ~north}
    return {
        "events": len(events),
        "undated": len(events) - len(dated),
        "twins": int(events.duplicated(["date", "longitude", "latitude"]).sum()),
        "years": {str(year): int(n) for year, n in years.items()},
        "triggers": {str(name): int(n) for name, n in events["trigger"].value_counts().items()},
        "months": {name: [int(((month == m) & side).sum()) for m in range(1, 13)] for name, side in sides.items()},
        "cell": CELL,
        "cells": np.column_stack([cells, counts]).tolist(),
    }
