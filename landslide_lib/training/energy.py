"""What a run takes of energy, by CodeCarbon. No torch."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from landslide_lib.paths import CARBON

#: The counter of Intel's and AMD's processors that CodeCarbon reads where it may.
RAPL = "/sys/class/powercap/intel-rapl:0/energy_uj"


@dataclass
class Energy:
    """Watt hours of processor, memory and GPU, None where CodeCarbon cannot tell, and by which method.

    They are `measured` by the counters of the hardware, of all that ran on the machine, or `estimated` from the load of
    this process and what the processor's maker says it takes.
    """

    wh: float | None = None
    method: str = ""


@cache
def carbon() -> dict[str, Any]:
    """Return `grams_per_kwh` of CO2 equivalents of electricity, what it is `of`, its `source`, `where` it stands."""
    return dict(yaml.safe_load(CARBON.read_text("utf-8")))


@contextmanager
def metered() -> Iterator[Energy]:
    """Meter what runs inside; the result is filled in at its end. CodeCarbon, doi:10.5281/zenodo.11171501."""
    used, tracker = Energy(), _tracker()
    tracker.start_task()
    try:
        yield used
    finally:
        task = tracker.stop_task()
    if task is not None:
        used.wh = round(max(0.0, task.energy_consumed * 1000), 4)
        used.method = "measured" if os.access(RAPL, os.R_OK) else "estimated"


@cache
def _tracker() -> Any:
    from codecarbon import OfflineEmissionsTracker  # it takes seconds, and here needs no network

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    return OfflineEmissionsTracker(
        country_iso_code="USA",
        output_methods=[],
        log_level="critical",
        allow_multiple_runs=True,
        tracking_mode="process",
        measure_power_secs=5,
    )
