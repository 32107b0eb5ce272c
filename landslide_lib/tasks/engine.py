"""How every task trains: a Lightning Trainer, checkpoints, and what a run costs.

Lightning's Trainer rather than Fabric: AMP, checkpoints that resume, early stopping and DDP
over nodes come with it, and a table runs in one process, so it is imported once.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar

from landslide_lib import checkpoints
from landslide_lib.paths import whole
from landslide_lib.recipe import Recipe

#: A run is checkpointed about this many times.
CHECKPOINTS = 10


def device(name: str = "auto") -> torch.device:
    """Return the device to train on: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        ValueError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        made = torch.device(name)
    except RuntimeError:
        made = torch.device("meta")
    if made.type not in ("cpu", "cuda"):
        raise ValueError(f"device {name!r}: unknown; allowed: auto, cpu, cuda, cuda:N")
    if made.type == "cuda" and (made.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {name}: this machine has {torch.cuda.device_count()} CUDA devices; "
            "use auto or cpu"
        )
    return made


def describe(made: torch.device, cpu: str) -> str:
    """Return a device's name as records print it."""
    return torch.cuda.get_device_name(made) if made.type == "cuda" else cpu


def fit(
    module: lightning.LightningModule,
    recipe: Recipe,
    seed: int,
    work: Path,
    on: torch.device,
    callbacks: Sequence[Callback] = (),
) -> bool:
    """Train a module; take it up from the last checkpoint in `work` if there is one.

    Args:
        module: With its own dataloaders.
        recipe: Epochs and precision are read off it.
        seed: Already used to initialise the module; seeds what is drawn while training.
        work: A folder of this run alone, for its checkpoints.
        on: The device.
        callbacks: More of Lightning's.

    Returns:
        Whether it was taken up from a checkpoint.

    Raises:
        ValueError: A batch is of one image, and batch normalisation cannot train on it.
    """
    lightning.seed_everything(seed, workers=False, verbose=False)
    keeper = ModelCheckpoint(
        work, filename="last", save_top_k=1, every_n_epochs=max(1, recipe.epochs // CHECKPOINTS),
        enable_version_counter=False,
    )  # fmt: skip
    last = work / "last.ckpt"
    resumed = _readable(last)
    if resumed:
        epoch = read_weights(last)["epoch"] + 1
        print(f"going on after epoch {epoch} of {recipe.epochs}", file=sys.stderr)
    with quiet():
        trainer = lightning.Trainer(
            max_epochs=recipe.epochs,
            accelerator="gpu" if on.type == "cuda" else "cpu",
            devices=[on.index or 0] if on.type == "cuda" else 1,
            precision=recipe.precision,
            deterministic="warn",
            logger=False,
            callbacks=[keeper, *callbacks, *_bar()],
            enable_progress_bar=bool(_bar()),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=work,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module, ckpt_path=last if resumed else None, weights_only=True)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):  # torch's own words
                raise
            raise ValueError(
                f"recipe {recipe.hash}: a batch of one image leaves batch normalisation one value "
                f"a channel, and no variance (batch is {recipe.batch}, image_size "
                f"{recipe.image_size}). Train on at least two images with a batch of at least two"
            ) from error
    return resumed


def _readable(last: Path) -> bool:
    """Return whether there is a checkpoint to go on from; set a broken one aside."""
    if not last.is_file():
        return False
    try:
        read_weights(last)
    except Exception as error:  # a damaged archive ends in whatever its readers raise
        aside = last.with_suffix(".broken")
        last.replace(aside)
        print(f"{last} is broken ({type(error).__name__}); kept as {aside.name}, the run starts "
              "afresh", file=sys.stderr)  # fmt: skip
        return False
    return True


def _bar() -> list[Callback]:
    """Return a progress bar on a terminal, nothing in a log."""
    return [TQDMProgressBar(leave=False)] if sys.stderr.isatty() else []


class quiet(warnings.catch_warnings):  # noqa: N801, a context manager named as one reads it
    """Silence what Lightning says of things that are so on purpose."""

    def __enter__(self) -> Any:
        """Filter."""
        entered = super().__enter__()
        for words in (".*num_workers.*", ".*does not have many workers.*", ".*deterministic.*",
                      ".*Checkpoint directory.*", ".*tensorboard.*", ".*isinstance.*LeafSpec.*",
                      ".*`len` of.*", ".*srun.*", ".*lr_scheduler.step.*"):  # fmt: skip
            warnings.filterwarnings("ignore", message=words)
        for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return entered


def threads(count: int | None = None) -> int:
    """Set, if given, and return the number of CPU threads torch computes with."""
    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def read_weights(path: Path) -> dict[str, Any]:
    """Read a checkpoint of tensors; code in it is never run.

    Raises:
        OSError: It is not there, or may not be read.
        pickle.UnpicklingError: It is damaged, or holds more than tensors and plain values by name.
    """
    loaded = checkpoints.load(path)
    if not isinstance(loaded, dict):
        raise pickle.UnpicklingError(f"{path}: holds a {type(loaded).__name__}")
    return loaded


def write_weights(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values that `read_weights` reads: whole or not at all."""
    with whole(path) as scratch:
        torch.save(content, scratch)


os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only so
