"""Building the whole book."""

from __future__ import annotations

from benchmarks.clock import process
from benchmarks.results import Measurement


def measure(threads: int) -> list[Measurement]:
    """Measure `make book` once. There is no peer and no bound.

    Args:
        threads: Not used: nothing is computed, only records are read.

    Returns:
        One measurement.
    """
    return [Measurement("book", "make book", process(("make", "book"))(), None, "once")]
