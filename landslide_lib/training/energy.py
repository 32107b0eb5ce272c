"""What a run takes of energy, by CodeCarbon. No torch."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

#: The counter of Intel's and AMD's processors that CodeCarbon reads where it may.
RAPL = "/sys/class/powercap/intel-rapl:0/energy_uj"
#: Seconds between two looks at the load.
EVERY = 5


@dataclass
class Energy:
    """What was used, as far as it is known.

    Attributes:
        wh: Watt hours of processor, memory and GPU; None where CodeCarbon cannot tell.
        method: `measured`, by the counters of the hardware, or `estimated`, from the load of this process and what the
            processor's maker says it takes; "" where nothing is known.
    """

    wh: float | None = None
    method: str = ""


@contextmanager
def metered() -> Iterator[Energy]:
    """Meter what runs inside; the result is filled in at its end.

    It is an estimate of this process alone where the processor shows no counter, and of all that ran on the machine
    where it does.

    Reference:
        CodeCarbon, doi:10.5281/zenodo.11171501.

    >>> with metered() as used:
    ...     _ = sum(range(1000))
    >>> used.method in ("measured", "estimated")
    True
    """
    used = Energy()
    before = _kwh()
    yield used
    after = _kwh()
    if before is not None and after is not None:
        used.wh = round(max(0.0, (after - before) * 1000), 4)
        used.method = "measured" if os.access(RAPL, os.R_OK) else "estimated"


def _kwh() -> float | None:
    """Return what this process has used since it first asked."""
    tracker, kept = _tracker()
    tracker.flush()
    found: float | None = kept.kwh
    return found


@cache
def _tracker() -> tuple[Any, Any]:
    """Start CodeCarbon once a process: it takes seconds to look at the hardware.

    Its own notes about every start are no news; no network is asked where we are, as the carbon of an energy is not
    looked at.
    """
    from codecarbon import OfflineEmissionsTracker
    from codecarbon.output_methods.base_output import BaseOutput

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)

    class Kept(BaseOutput):  # type: ignore[misc, unused-ignore]
        kwh: float | None = None

        def out(self, total: Any, delta: Any) -> None:
            self.kwh = float(total.energy_consumed)

        live_out = out

    kept = Kept()
    tracker = OfflineEmissionsTracker(
        country_iso_code="USA",
        output_methods=[],
        log_level="critical",
        allow_multiple_runs=True,
        tracking_mode="process",
        measure_power_secs=EVERY,
        output_handlers=[kept],
    )
    tracker.start()
    return tracker, kept
