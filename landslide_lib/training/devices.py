"""The device to train on, and the number of CPU threads."""

from __future__ import annotations

import torch


def device(name: str = "auto") -> torch.device:
    """Return the device to train on: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        ValueError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(name)
    except RuntimeError:
        chosen = torch.device("meta")
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r}: unknown; allowed: auto, cpu, cuda, cuda:N")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices; use auto or cpu")
    return chosen


def describe(chosen: torch.device, cpu: str) -> str:
    """Return a device's name as records print it."""
    return torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else cpu


def threads(count: int | None = None) -> int:
    """Set, if given, and return the number of CPU threads torch computes with."""
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()
