"""Reading a CSV below the data root, with one clear error for what is wrong in it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from landslide_lib.paths import data_root


def find(name: str, root: Path | None = None) -> Path:
    """Return the file of a table, `tabular/NAME` below the data root. Raises FileNotFoundError: it is not there."""
    path = (root or data_root()) / "tabular" / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there. Set LANDSLIDE_DATA to the folder that holds tabular/{name}; it is not part of the "
            "study, and the book shows what was published of it without it"
        )
    return path


def read(path: Path, columns: Sequence[str], encoding: str = "utf-8") -> pd.DataFrame:
    """Read the given columns of a CSV as text: an empty cell is "", and `NA` is North America.

    Raises ValueError: it is no CSV, lacks a column, or has more cells in a row than in its head.
    """
    try:
        frame = pd.read_csv(path, dtype=str, encoding=encoding, keep_default_na=False)
    except ValueError as error:  # those of pandas are, and those of an encoding
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: is no CSV in {encoding} that can be read ({reason})") from error
    if not isinstance(frame.index, pd.RangeIndex):  # taken for the names of the rows
        raise ValueError(f"{path}: its rows have more cells than its head; get the file again")
    missing = [name for name in columns if name not in frame]
    if missing:
        raise ValueError(f"{path}: has no column {', '.join(missing)}; it has {', '.join(frame.columns)}")
    if frame.empty:
        raise ValueError(f"{path}: holds a head and no row")
    return frame[list(columns)]


def number(frame: pd.DataFrame, name: str, path: Path, low: float, high: float) -> "pd.Series[float]":
    """Return a column as numbers. Raises ValueError: a cell is no number from low to high."""
    values = pd.to_numeric(frame[name], errors="coerce")
    bad = ~values.between(low, high)
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise ValueError(
            f"{path}: {name} of row {row + 1} is {frame[name].iloc[row]!r}, no number from {low:g} to {high:g}; mend "
            "the row or remove it"
        )
    return values.astype(float)


def fingerprint(path: Path) -> str:
    """Return 16 hexadecimal digits that change when any byte does."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
