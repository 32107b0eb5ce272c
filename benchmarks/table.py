"""Printing a table of the study against what importing torch alone would take."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from benchmarks.clock import process, race
from benchmarks.imports import TORCH
from benchmarks.results import Measurement

#: The console script beside this interpreter.
TABLE = (str(Path(sys.executable).with_name("landslide")), "table", "raunet/losses")


def measure(threads: int, *, repeats: int = 5) -> list[Measurement]:
    """Measure `landslide table raunet/losses`, from the shell's point of view.

    Args:
        threads: Not used: it has one.
        repeats: Fresh processes of each.

    Returns:
        One measurement, without a bound.
    """
    return [
        Measurement(
            "table",
            "landslide table raunet/losses / import torch",
            *race(process(TABLE), process(TORCH), repeats, median),
            f"median of {repeats}",
        )
    ]
