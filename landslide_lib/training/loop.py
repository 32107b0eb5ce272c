"""The training loop: a Lightning Trainer, an optimizer and a learning rate, a history, checkpoints that resume.

Lightning's Trainer rather than Fabric: AMP, checkpoints that resume and early stopping come with it.
"""

import logging
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from landslide_lib.models.checkpoints import not_finite, read_checkpoint
from landslide_lib.training.task import Task

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only so
torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # unread; 7 % of a step

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": partial(torch.optim.SGD, fused=True),
    "adagrad": partial(torch.optim.Adagrad, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "nadam": torch.optim.NAdam,
}
CHECKPOINTS = 10  # a run is checkpointed about this many times
LAST = "last.ckpt"  # the file in a run's folder that the run goes on from
REMEDY = "lower the learning rate (optimizer.lr), or use precision 32-true"
#: Warnings of Lightning about what is so on purpose.
KNOWN = (
    "num_workers|does not have many workers|deterministic|Checkpoint directory|tensorboard|isinstance.*LeafSpec"
    "|`len` of|srun|lr_scheduler.step"
)


def device_of(name: str = "auto") -> torch.device:
    """Return the device to train on: `auto`, `cpu`, `cuda` or `cuda:1`. Raises ValueError: it is not here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    here = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if name not in here and not (name == "cuda" and len(here) > 1):
        raise ValueError(f"device {name!r}: not here; possible: auto, {', '.join(here)}")
    return torch.device(name)


def precision_on(device: torch.device, precision: str) -> str:
    """Return Lightning's name of a precision, `32-true` or `bf16-mixed`, on a device.

    A GPU without bfloat16, older than Ampere such as a T4, mixes float16 in, with scaled gradients: `16-mixed`.
    """
    if precision == "bf16-mixed" and device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "16-mixed"
    return precision


@dataclass(frozen=True)
class Plan:
    """How long and by which optimizer a network is trained."""

    epochs: int  # at least 1
    optimizer: str = "adam"  # of `OPTIMIZERS`
    lr: float = 1e-3  # at its peak
    lr_min: float = 0.0  # where the cosine ends
    weight_decay: float = 0.0
    momentum: float = 0.0  # of sgd alone, in [0, 1)
    nesterov: bool = False  # of momentum
    schedule: str = "warmup_cosine"  # or `constant`
    warmup: float = 0.1  # share of the steps, in [0, 1)
    precision: str = "bf16-mixed"  # or `32-true`; see `precision_on`
    averaging: float = 0.0  # decay of the moving average of the weights, which is validated and kept; 0 for none


def learning_rate(step: int, steps: int, schedule: str, warmup: float, least: float = 0.0) -> float:
    """Return the factor on the peak learning rate at a step from 0: warm-up, then a cosine to `least`; or 1 throughout.

    >>> [round(learning_rate(s, 10, "warmup_cosine", 0.2), 2) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    if schedule == "constant":
        return 1.0
    warm = round(warmup * steps)
    if step < warm:
        return (step + 1) / warm
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


class Loop(lightning.LightningModule):  # type: ignore[misc]
    """What Lightning asks for, answered by a task and a plan; see `train` for the arguments."""

    def __init__(self, task: Task, plan: Plan, name: str, about: dict[str, Any]) -> None:
        super().__init__()
        self.task, self.plan, self.name, self.about = task, plan, name, about
        self.history: list[dict[str, Any]] = []
        self.losses: dict[str, list[Tensor]] = {"training": [], "validation": []}
        self.validation_outputs: list[Any] = []
        self.started = 0.0
        self.bar: Any = None
        self.averaged: Any = None
        if plan.averaging:
            # Of the network alone: Lightning's callback copies the whole loop, and the images with it.
            average = get_ema_multi_avg_fn(plan.averaging)  # type: ignore[no-untyped-call]
            self.averaged = AveragedModel(task.network, multi_avg_fn=average, use_buffers=True)

    def configure_optimizers(self) -> Any:
        plan = self.plan
        trained = [value for value in self.task.parameters() if value.requires_grad]  # and not their average
        of_sgd = {"momentum": plan.momentum, "nesterov": plan.nesterov} if plan.momentum else {}
        optimizer = OPTIMIZERS[plan.optimizer](trained, lr=plan.lr, weight_decay=plan.weight_decay, **of_sgd)
        steps = self.trainer.estimated_stepping_batches
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(step, steps, plan.schedule, plan.warmup, plan.lr_min / plan.lr)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        # A resumed run goes on in the whole run's order.
        self.trainer.train_dataloader.set_epoch(self.current_epoch)
        self.task.start_epoch(self.current_epoch)
        self.started = time.perf_counter()
        self.losses["training"] = []

    def training_step(self, batch: Any, step: int) -> Tensor:
        loss = self.task.training_loss(batch, self.current_epoch, step)
        self.losses["training"].append(loss.detach())
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, step: int) -> None:
        if self.averaged:
            self.averaged.update_parameters(self.task.network)

    def on_validation_epoch_start(self) -> None:
        self.swap_average()
        self.losses["validation"], self.validation_outputs = [], []

    def validation_step(self, batch: Any, step: int) -> None:
        loss, output = self.task.validate(batch, step)
        self.validation_outputs.append(output)
        if loss is not None:
            self.losses["validation"].append(loss)

    def on_validation_epoch_end(self) -> None:
        """Write a line of the history: the only place where an epoch waits for the device."""
        self.swap_average()
        means = {part: float(torch.stack(each).mean()) if each else None for part, each in self.losses.items()}
        for part, loss in means.items():
            # Before the checkpoint of this epoch is written: the last one is still sound.
            if loss is not None and not math.isfinite(loss):
                where = f"the {part} loss is {loss} in epoch {self.current_epoch}"
                raise FloatingPointError(f"{self.name}: {where}; {REMEDY}")
        line = {
            "train_loss": means["training"],
            "valid_loss": means["validation"],
            **self.task.scores(self.validation_outputs),
        }
        self.history.append({**line, "seconds": time.perf_counter() - self.started})
        self.bar.update(len(self.history) - self.bar.n)
        self.trainer.should_stop = self.out_of_patience()

    def out_of_patience(self) -> bool:
        """Return whether the last epochs, as many as the task has patience, gained nothing."""
        of_f1 = self.task.patience_on == "f1"
        if self.task.patience is None:
            return False
        gains = [line["valid_f1"] or 0.0 if of_f1 else -line["valid_loss"] for line in self.history]
        return len(gains) - 1 - gains.index(max(gains)) >= self.task.patience

    def swap_average(self) -> None:
        """Put the averaged network in the place of the trained one, or back."""
        if self.averaged:
            self.task.network, self.averaged.module = self.averaged.module, self.task.network

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = self.history
        checkpoint.update(self.about)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = checkpoint["history"]
        self.trainer.should_stop = self.out_of_patience()  # it was stopped after its last epoch


def train(
    task: Task,
    plan: Plan,
    *,
    seed: int,
    folder: Path,
    device: torch.device,
    name: str = "this run",
    about: dict[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], bool]:
    """Train a task on a device, from the last checkpoint in a folder, which is this run's alone, if there is one.

    Returns the history, a dict an epoch, and whether it was taken up from a checkpoint. The weights are those of the
    last epoch: none is picked by its score. `seed` is of what is drawn while training, `name` is for messages; `about`
    are plain values by name, kept in the checkpoint, that tell this training from others. A SIGTERM, as clusters and
    the queue send it, ends the program with status 143.

    Raises FloatingPointError: a loss or a weight is NaN or infinite. ValueError: the folder is of another training; or
    a batch is of one image, and batch normalisation cannot train on it.
    """
    lightning.seed_everything(seed, workers=False, verbose=False)
    about, last = about or {}, folder / LAST
    loop, checkpoint = Loop(task, plan, name, about), _readable(last)
    if checkpoint:
        if other := [key for key, value in about.items() if checkpoint.get(key) != value]:
            problem = f"its checkpoint is of a training with another {', '.join(other)}"
            raise ValueError(f"folder {folder}: {problem}; take another folder, or remove the checkpoint")
        print(f"going on after epoch {checkpoint['epoch'] + 1} of {plan.epochs}", file=sys.stderr)
    keeper = ModelCheckpoint(
        folder, filename=last.stem, every_n_epochs=max(1, plan.epochs // CHECKPOINTS), enable_version_counter=False
    )
    task.train()  # Lightning trains a network in the mode that it has
    handler = signal.getsignal(signal.SIGINT)
    with _quiet(), _bar(plan.epochs) as loop.bar:
        trainer = lightning.Trainer(
            max_epochs=plan.epochs,
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=precision_on(device, plan.precision),
            deterministic="warn",
            logger=False,
            callbacks=[keeper],
            enable_progress_bar=False,  # it shows a bar a validation, and leaves them in a notebook
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        )
        try:
            loaders = task.loader("train"), task.loader("valid")
            trainer.fit(loop, *loaders, ckpt_path=last if checkpoint else None, weights_only=True)
        except SystemExit as stopped:  # Lightning turns Ctrl+C into one, and Ctrl+C off
            if isinstance(stopped, SIGTERMException):  # whose exit status would be that of a training that ended well
                raise SystemExit(128 + signal.SIGTERM) from None
            if not isinstance(stopped.__context__, KeyboardInterrupt):
                raise
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):  # torch's own words
                raise
            problem = "a batch of one image leaves batch normalisation one value a channel, and no variance"
            raise ValueError(f"{name}: {problem}. Train on at least two images with a batch of at least two") from error
    loop.swap_average()  # what is kept is the average
    if bad := not_finite(task.network.state_dict()):
        raise FloatingPointError(f"{name}: after the last epoch {bad[0]} is not finite: it has diverged; {REMEDY}")
    task.to(device)
    return loop.history, bool(checkpoint)


def _readable(last: Path) -> dict[str, Any] | None:
    """Return the checkpoint to go on from, if there is one; set a broken one aside."""
    try:
        return read_checkpoint(last)
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged archive ends in whatever its readers raise
        aside = last.replace(last.with_suffix(".broken"))
        kind = type(error).__name__
        print(f"{last} is broken ({kind}); kept as {aside.name}, the run starts afresh", file=sys.stderr)
        return None


def _bar(epochs: int) -> Any:
    """Return a bar of epochs, which shows on a terminal or in a notebook, not in a log or under `TQDM_DISABLE`."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    # A terminal's IPython has another shell; that a kernel's packages are imported says nothing.
    shows = sys.stderr.isatty() or type(shell).__name__ == "ZMQInteractiveShell"
    return tqdm(total=epochs, unit="epoch", leave=False, disable=not shows or bool(os.environ.get("TQDM_DISABLE")))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f".*({KNOWN})")
        for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
