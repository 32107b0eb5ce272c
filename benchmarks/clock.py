"""Two stretches of work, timed in turn."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from landslide_lib.paths import HOME

#: Does some work and returns the seconds that it took.
Timed = Callable[[], float]


def timed(work: Callable[[], object]) -> Timed:
    """Make a function that does the work and returns its wall time in seconds."""

    def clocked() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return clocked


def process(command: Sequence[str]) -> Timed:
    """Make a function that runs a command from the checkout and returns its seconds."""
    return timed(lambda: subprocess.run(command, cwd=HOME, check=True, capture_output=True))


def race(ours: Timed, peer: Timed, repeats: int, of: Callable[[list[float]], float] = min) -> tuple[float, float]:
    """Time ours and the peer in turn, after one untimed pass of each.

    Args:
        ours: What this library does.
        peer: The same done as usual.
        repeats: How often each is timed. They take turns, so that both see the same machine.
        of: What is made of the repetitions of a side. The best one is what the code can do:
            what else runs on the machine only ever adds.

    Returns:
        Seconds of ours, seconds of the peer.
    """
    ours()
    peer()
    pairs = [(ours(), peer()) for _ in range(repeats)]
    return of([pair[0] for pair in pairs]), of([pair[1] for pair in pairs])
