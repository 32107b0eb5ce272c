"""Reading a CSV below the data root, with one clear error for what is wrong in it."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from landslide_lib.data.base import BadFileError
from landslide_lib.paths import data_root


def find(name: str, root: Path | None = None) -> Path:
    """Return the file of a table, `tabular/NAME` below the data root. Raises FileNotFoundError: it is not there."""
    path = (root or data_root()) / "tabular" / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there. Set LANDSLIDE_DATA to the folder that holds tabular/{name}")
    return path


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


def number(
    frame: pd.DataFrame, name: str, path: Path, low: float, high: float, among: Collection[float] = ()
) -> "pd.Series[float]":
    """Return a column as numbers. Raises BadFileError: a cell is none from low to high, or among the given ones."""
    values = pd.to_numeric(frame[name], errors="coerce")
    good = values.isin(list(among)) if among else values.between(low, high)
    allowed = f"not {' or '.join(map(str, among))}" if among else f"no number from {low:g} to {high:g}"
    refuse(frame[name], good, path, allowed)
    return values.astype(float)


def refuse(column: "pd.Series[str]", good: "pd.Series[bool]", path: Path, problem: str) -> None:
    """Raise BadFileError for a column of which a cell is not good; the first of them is named."""
    if not good.all():
        row = int((~good).to_numpy().argmax())
        named = f"{column.name} of row {row + 1} is {column.iloc[row]!r}, {problem}"
        raise BadFileError(path, named, "Mend the row or remove it")


def fingerprint(path: Path) -> str:
    """Return 16 hexadecimal digits that change when any byte does."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
