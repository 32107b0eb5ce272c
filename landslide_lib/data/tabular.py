"""Tables in place of images: CSV as text. No torch."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from landslide_lib.data.base import BadFileError


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
