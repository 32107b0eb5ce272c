"""Reading what torch has saved, so that damage is one error and code in it is never run."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch


def load(path: Path) -> Any:
    """Read a file of `torch.save` that holds tensors and plain values, onto the CPU.

    Raises:
        OSError: It is not there, or may not be read.
        pickle.UnpicklingError: It is damaged, no such file, or holds more than that.
    """
    path.open("rb").close()  # after it, an OSError is torch's or zipfile's, of what they read
    try:
        # torch does not look at the checksums that are in the file.
        with zipfile.ZipFile(path) if zipfile.is_zipfile(path) else nullcontext() as archive:
            broken = archive and archive.testzip()
        if broken:
            raise pickle.UnpicklingError(f"{path}: the checksum of {broken} does not fit")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # as noise has
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # both fail on damage in a dozen ways, IndexError among them
        raise pickle.UnpicklingError(f"{path}: damaged ({type(error).__name__})") from error
