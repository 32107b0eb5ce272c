"""Files of tensors: written whole or not at all, read so that damage is one error and code in them is never run."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from landslide_lib.paths import atomic_write


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file of tensors and plain values by name, onto the CPU; code in it is never run.

    Raises OSError: it cannot be opened. pickle.UnpicklingError: it is damaged (then it has a cause), or holds something
    else.
    """
    path.open("rb").close()  # after it, an OSError is torch's or zipfile's, of what they read
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():  # torch looks at no checksum, and may load stray memory
                    raise zipfile.BadZipFile(damaged)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # as noise has
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # both fail on damage in a dozen ways, IndexError among them
        raise pickle.UnpicklingError(f"{path}: damaged ({type(error).__name__})") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise pickle.UnpicklingError(f"{path}: holds a {kind}, not weights by name") from TypeError(kind)
    return content


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values that `read_checkpoint` reads: whole or not at all."""
    with atomic_write(path) as scratch:
        torch.save(content, scratch)


def save_weights(path: Path, network: nn.Module, **about: Any) -> None:
    """Write the weights of a network, with plain values that say what they are of."""
    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_checkpoint(path, {**about, "weights": weights})


def load_weights(path: Path, **about: Any) -> dict[str, Tensor]:
    """Read the weights that `save_weights` has written with the same `about`, of which None matches anything.

    Raises FileNotFoundError: it is not there. ValueError: they are of something else, or damaged; the message names the
    file.
    """
    try:
        content = read_checkpoint(path)
    except pickle.UnpicklingError as error:
        raise _refused(path, f"damaged ({type(error.__cause__ or error).__name__})") from None
    weights = content.get("weights")
    if not isinstance(weights, dict):
        raise _refused(path, "damaged (it holds no weights)")
    wrong = [k for k, value in about.items() if value is not None and content.get(k) != value]
    if wrong:
        raise _refused(path, f"the weights are of another {', '.join(wrong)}")
    if not_finite(weights):
        raise _refused(path, "damaged (not all weights are finite)")
    return weights


def fill(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load weights of `load_weights` into a network. Raises ValueError: they are not those of such a network."""
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise _refused(path, "damaged (its tensors are not those of the recipe's network)") from None


def not_finite(weights: dict[str, Tensor]) -> list[str]:
    """Return the names of the tensors that hold NaN or infinity."""
    return [name for name, value in weights.items() if not value.isfinite().all()]


def _refused(path: Path, problem: str) -> ValueError:
    return ValueError(f"{path}: {problem}. Move the file away and get it again, or the network is trained anew")
