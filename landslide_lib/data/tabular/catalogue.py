"""NASA's Global Landslide Catalog: events in the news, each with a place and a trigger. No torch.

Kirschbaum and others 2010, doi:10.1007/s11069-009-9401-4. It holds landslides only, found in
reports: where nobody reports there are none in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landslide_lib.data.tabular import files

FILE = "nasa_glc_2016.csv"

#: Of a cell of the map, in degrees.
CELL = 3

#: What the file calls no trigger at all, or not known.
UNKNOWN = ("", "unknown")


def load(root: Path | None = None) -> pd.DataFrame:
    """Read and verify the events.

    Args:
        root: The data root; by default `LANDSLIDE_DATA`. The file is `tabular/nasa_glc_2016.csv`
            below it, in latin-1.

    Returns:
        A row an event: `longitude`, `latitude` in degrees, `date` (NaT where there is none) and
        `trigger`, in words of one spelling; "unknown" also where the file is silent.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: A column is missing, a place is none on Earth, or a date that is given cannot
            be read as month/day/year.
    """
    path = files.find(FILE, root)
    raw = files.read(path, ["date", "trigger", "longitude", "latitude"], "latin-1")
    date = pd.to_datetime(raw["date"], format="%m/%d/%Y", errors="coerce")
    bad = date.isna() & (raw["date"] != "")
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise ValueError(f"{path}: date of row {row + 1} is {raw['date'].iloc[row]!r}, not month/day/year")
    trigger = raw["trigger"].str.lower().str.replace("_", " ")
    return pd.DataFrame(
        {
            "longitude": files.number(raw, "longitude", path, -180, 180),
            "latitude": files.number(raw, "latitude", path, -90, 90),
            "date": date,
            "trigger": trigger.mask(trigger.isin(UNKNOWN), "unknown"),
        }
    )


def describe(events: pd.DataFrame) -> dict[str, Any]:
    """Return the catalogue in counts.

    Returns:
        `events`, `undated`, `twins` (of a date and place that an earlier event has), `years`
        (events by year), `triggers` (events by trigger, most first), `months` (events of each
        of twelve, by `north` and `south` of the equator) and `cells`: west and south edge of a
        square of `cell` degrees and its events, those with any.
    """
    dated = events.dropna(subset="date")
    north = dated["latitude"] >= 0
    month = dated["date"].dt.month
    places = events[["longitude", "latitude"]].to_numpy()
    cells, counts = np.unique(np.floor(places / CELL).astype(int) * CELL, axis=0, return_counts=True)
    return {
        "events": len(events),
        "undated": len(events) - len(dated),
        "twins": int(events.duplicated(["date", "longitude", "latitude"]).sum()),
        "years": {str(year): int(n) for year, n in dated["date"].dt.year.value_counts().sort_index().items()},
        "triggers": {str(name): int(n) for name, n in events["trigger"].value_counts().items()},
        "months": {
            side: [int(((month == m) & here).sum()) for m in range(1, 13)]
            for side, here in (("north", north), ("south", ~north))
        },
        "cell": CELL,
        "cells": np.column_stack([cells, counts]).tolist(),
    }
