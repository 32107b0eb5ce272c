"""What a run ran on: device, versions, commit, memory. No torch at import."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "lightning", "segmentation-models-pytorch", "numpy", "opencv-python-headless")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a number."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


@cache
def commit() -> tuple[str, bool]:
    """Return the git commit of this code and whether the tree differs from it.

    An installed copy outside a checkout has no commit: `("unknown", True)`. What is under
    `runs/`, `data/results` or ignored does not make a tree dirty.
    """
    here = Path(__file__).parent.parent
    try:
        sha = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--", ".", ":!data/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True
    return sha, bool(changed)


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def processor() -> str:
    """Return the name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} threads"


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if platform.system() == "Linux" else 1024**2)
