"""A measurement as a row: what is printed and what is kept."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from landslide_lib.paths import HOME
from landslide_lib.study import machine

RESULTS = HOME / "benchmarks" / "results"
PACKAGES = ("torch", "numpy", "h5py", "scikit-learn", "lightning")
COLUMNS = (
    "name",
    "what",
    "ours_seconds",
    "peer_seconds",
    "ratio",
    "bound",
    "holds",
    "statistic",
    "device",
    "threads",
    "precision",
    "python",
    *PACKAGES,
    "commit",
    "dirty",
    "date",
    "note",
)


@dataclass(frozen=True)
class Measurement:
    """Ours against a peer.

    Attributes:
        name: The benchmark's, then what is varied in it: `loader/float32`.
        what: Ours, then the peer.
        ours: Seconds.
        peer: Seconds; None where there is nothing to compare with.
        statistic: What was made of the repetitions.
        threads: Torch's, in this process; None where no torch computes in it.
        precision: Of ours, then of the peer where it differs.
        at_least: The bound on peer / ours; None is no bound.
        above: The bound on ours - peer, in seconds; None is no bound.
        within: The bound on ours, in seconds; None is no bound.
        note: What a reader of the number has to know.
    """

    name: str
    what: str
    ours: float
    peer: float | None
    statistic: str
    threads: int | None = None
    precision: str = ""
    at_least: float | None = None
    above: float | None = None
    within: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster than the peer; None without one."""
        return None if self.peer is None else self.peer / self.ours

    @property
    def bound(self) -> str:
        """The bound in words, empty where there is none."""
        if self.at_least is not None:
            return f">= {self.at_least:g}x"
        if self.within is not None:
            return f"<= {self.within:g} s"
        return "" if self.above is None else f"<= peer + {self.above:g} s"

    @property
    def holds(self) -> bool | None:
        """Whether the bound holds; None where there is none."""
        if self.within is not None:
            return self.ours <= self.within
        if self.peer is None:
            return None
        if self.at_least is not None:
            return self.peer / self.ours >= self.at_least
        return None if self.above is None else self.ours - self.peer <= self.above


def line(made: Measurement) -> str:
    """Return a line of the table that is printed."""
    peer = "" if made.peer is None else f"{made.peer:.4f}"
    ratio = "" if made.ratio is None else f"{made.ratio:.2f}x"
    holds = {True: "holds", False: "MISSED", None: ""}[made.holds]
    return f"{made.name:<16} {made.ours:>9.4f} {peer:>9} {ratio:>8}  {made.bound:<15} {holds:<6}  {made.what}"


HEAD = f"{'':<16} {'ours, s':>9} {'peer, s':>9} {'ratio':>8}  {'bound':<15} {'':<6}"


def row(made: Measurement) -> dict[str, str]:
    """Return a row of the CSV: the measurement and what it was measured on."""
    commit, dirty = machine.commit()
    versions = {name: version(name) for name in PACKAGES}
    values = {
        "name": made.name,
        "what": made.what,
        "ours_seconds": f"{made.ours:.5f}",
        "peer_seconds": "" if made.peer is None else f"{made.peer:.5f}",
        "ratio": "" if made.ratio is None else f"{made.ratio:.3f}",
        "bound": made.bound,
        "holds": {True: "yes", False: "no", None: ""}[made.holds],
        "statistic": made.statistic,
        "device": machine.processor(),
        "threads": made.threads or "",
        "precision": made.precision,
        "python": machine.versions()["python"],
        **versions,
        "commit": commit,
        "dirty": "yes" if dirty else "no",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "note": made.note,
    }
    return {column: str(values[column]) for column in COLUMNS}


def write(made: Sequence[Measurement], folder: Path = RESULTS) -> Path:
    """Write rows to the file of this machine and day; a name measured anew replaces its row.

    Returns:
        The file.
    """
    machine_name = re.sub(r"[^a-z0-9]+", "-", machine.processor().lower()).strip("-")
    path = folder / f"{machine_name}-{datetime.now(UTC).date()}.csv"
    kept: dict[str, dict[str, str]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            kept = {old["name"]: old for old in csv.DictReader(file)}
    kept |= {one.name: row(one) for one in made}
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept.values())
    return path
