"""What `import landslide_lib` costs, in a fresh interpreter."""

from __future__ import annotations

import sys
from statistics import median

from benchmarks.clock import process, race
from benchmarks.results import Measurement

#: Seconds above the bare interpreter.
BOUND = 0.5
BARE = (sys.executable, "-c", "pass")
LIBRARY = (sys.executable, "-c", "import landslide_lib")
COMMAND = (sys.executable, "-c", "import landslide_lib.cli")
TORCH = (sys.executable, "-c", "import torch")


def measure(threads: int, *, repeats: int = 5) -> list[Measurement]:
    """Measure the library against a bare interpreter, and against what it puts off.

    Args:
        threads: Not used: an import has one.
        repeats: Fresh interpreters of each kind.

    Returns:
        The library, then all that the command line needs to print a table.
    """
    said = f"median of {repeats}"
    return [
        Measurement(
            "import",
            "import landslide_lib / bare interpreter",
            *race(process(LIBRARY), process(BARE), repeats, median),
            said,
            above=BOUND,
        ),
        Measurement(
            "import/torch",
            "import landslide_lib / import torch",
            *race(process(LIBRARY), process(TORCH), repeats, median),
            said,
        ),
        Measurement(
            "import/cli",
            "import landslide_lib.cli / import torch",
            *race(process(COMMAND), process(TORCH), repeats, median),
            said,
        ),
    ]
