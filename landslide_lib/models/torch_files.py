"""Reading what torch has saved, so that damage is one error and code in it is never run."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from io import BytesIO
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
        source = _checked(path) if zipfile.is_zipfile(path) else path
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # as noise has
            return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # both fail on damage in a dozen ways, IndexError among them
        raise pickle.UnpicklingError(f"{path}: damaged ({type(error).__name__})") from error


def _checked(path: Path) -> BytesIO:
    """Return an archive anew, each of its files read against its checksum.

    torch looks at no checksum, and finds the files of a damaged archive in other places than
    zipfile does: it may take what lies in memory for weights.
    """
    copy = BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as whole:
        for entry in archive.infolist():
            whole.writestr(entry.filename, archive.read(entry))
    copy.seek(0)
    return copy
