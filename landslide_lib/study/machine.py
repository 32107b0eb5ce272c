"""What a run ran on: device, versions, commit, memory. No torch at import."""

import os
import platform
import re
import resource
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from landslide_lib.paths import HOME

NO_COMMIT = "unknown"  # in place of a commit where there is none


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a number."""
    packages = ("torch", "lightning", "segmentation-models-pytorch", "numpy", "opencv-python-headless")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


@cache
def commit() -> tuple[str, bool]:
    """Return the git commit of this code and whether the tree differs from it, but for new results.

    An installed copy, or one that was unpacked in another repository, has none: `(NO_COMMIT, True)`.
    """
    try:
        top = _git("rev-parse", "--show-toplevel")
        if not Path(top).samefile(HOME):
            return NO_COMMIT, True
        sha = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", ":!data/results")
    except (OSError, subprocess.CalledProcessError):
        return NO_COMMIT, True
    return sha, bool(changed)


def _git(*words: str) -> str:
    """Ask git of this project, whatever repository the environment names."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(["git", "-C", str(HOME), *words], check=True, capture_output=True, env=environment)
    return os.fsdecode(done.stdout).strip()


def processor() -> str:
    """Return the name of the CPU."""
    info = Path("/proc/cpuinfo")  # of Linux
    names = re.findall(r"^model name\s*: (.*)$", info.read_text("utf-8"), re.MULTILINE) if info.exists() else []
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} threads"


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if platform.system() == "Linux" else 1024**2)
