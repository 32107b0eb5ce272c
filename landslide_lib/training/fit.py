"""The front door of training: any network, any loss, one call."""

import re
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from landslide_lib.data import augment as augmentations
from landslide_lib.data.prepare import Data
from landslide_lib.losses import CrossEntropyLoss
from landslide_lib.metrics import scores as scoring
from landslide_lib.models.heads import mask_of
from landslide_lib.training import loop, pictures
from landslide_lib.training.segmentation import SegmentationTask


def fit(
    network: nn.Module,
    data: Data,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    epochs: int = 12,
    seed: int = 0,
    batch: int = 16,
    lr: float = 1e-3,
    optimizer: str = "adam",
    augment: tuple[str, ...] = ("rotation", "cutmix"),
    precision: str = "bf16-mixed",
    device: str = "auto",
    folder: str | Path | None = None,
) -> "Run":
    """Train a segmentation network.

    Args:
        network: Yours or one of `landslide_lib.models`: images (B, C, S, S) to logits (B, 1, S, S), trained in place.
            Seed torch before you build it if its initial weights are to be the same next time.
        data: Of `landslide_lib.load`, with C bands.
        loss: Of logits and masks in {0, 1}, both (B, 1, S, S): a scalar; by default cross entropy.
        epochs: Passes over the training images.
        seed: Of the order of the images and of the augmentation.
        batch: Images a batch.
        lr: Peak learning rate; it warms up for a tenth of the steps, then falls to 0 as a cosine.
        optimizer: `adam`, `adamw`, `nadam`, `sgd`, `rmsprop` or `adagrad`.
        augment: Names out of `rotation`, `flips`, `zoom`, `cutmix`, `paste`, `colour`, in the order given; () for none.
        precision: `bf16-mixed`, on a GPU without bfloat16 with float16 and scaled gradients; or `32-true`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        folder: For checkpoints, from which a call that was stopped goes on; None keeps none.

    Raises ValueError: an argument does not fit; one line says which. FloatingPointError: the network diverged.
    """
    known = augmentations.AUGMENTATIONS
    for fits, given, allowed in (
        (isinstance(network, nn.Module), f"network {network!r}", "an nn.Module"),
        (optimizer in loop.OPTIMIZERS, f"optimizer {optimizer!r}", ", ".join(loop.OPTIMIZERS)),
        (epochs >= 1, f"epochs {epochs}", "1 or more"),
        (batch >= 1, f"batch {batch}", "1 or more"),
        (seed >= 0, f"seed {seed}", "0 or more"),
        (lr > 0, f"lr {lr}", "above 0"),
        (precision in ("bf16-mixed", "32-true"), f"precision {precision!r}", "bf16-mixed, 32-true"),
        *((name in known, f"augment {name!r}", ", ".join(known)) for name in augment),
    ):
        if not fits:
            raise ValueError(f"{given}: not allowed; possible: {allowed}")
    where = loop.device_of(device)
    task = SegmentationTask(
        network,
        loss or CrossEntropyLoss(),
        data,
        batch=batch,
        seed=seed,
        augment=augmentations.compose(augment, data.bands),
        device=where,
    )
    _try(task)
    plan = loop.Plan(epochs=epochs, optimizer=optimizer, lr=lr, precision=precision)
    about = _describe(task, plan, augment)
    with tempfile.TemporaryDirectory() as scratch:
        history, _ = loop.train(task, plan, seed=seed, folder=Path(folder or scratch), device=where, about=about)
    return Run(task, history)


def _describe(task: SegmentationTask, plan: loop.Plan, augment: tuple[str, ...]) -> dict[str, str]:
    data, loss = task.data, task.loss
    parts = [zlib.crc32(where.tobytes()) for where in data.parts.values()]
    terms = [vars(term).items() for term in loss.modules()] if isinstance(loss, nn.Module) else []
    numbers = [(k, v) for term in terms for k, v in term if isinstance(v, int | float | str) and k != "training"]
    name = re.sub(" at 0x[0-9a-f]+", "", getattr(loss, "__qualname__", repr(loss)))  # an address tells nothing apart
    return {
        "network": repr(task.network),
        "loss": f"{name} {numbers}",
        "data": f"{data.packed.name} {data.packed.fingerprint} {data.bands} {parts} {data.scale} {data.shift}",
        "plan": repr(plan),
        "seed, batch, augment": f"{task.seed}, {task.batch}, {list(augment)}",
    }


@torch.no_grad()
def _try(task: SegmentationTask) -> None:
    """Give two images to the network and the loss, so that what does not fit is refused at once."""
    data, network = task.data, task.network
    largest = max(int(data.packed.masks[where].max(initial=0)) for where in data.parts.values())
    if largest > 1:
        raise ValueError(f"labels: masks of {data.packed.name} hold {largest}; landslide is 1 and everything else 0")
    images, masks = next(iter(data.loader("valid", batch=2)))
    was_training = network.training
    try:
        given: Any = tuple(mask_of(network.cpu().eval()(images)).shape)
    except Exception as error:  # whatever a user's code raises
        given = (str(error) or repr(error)).splitlines()[0]
    finally:
        network.train(was_training)
    if given != tuple(masks.shape):
        raise ValueError(
            f"network: of the data's images {tuple(images.shape)} it gives {given}, not logits of shape "
            f"{tuple(masks.shape)}; build it with in_channels={len(data.bands)} for {', '.join(data.bands)}"
        )
    # Of both signs, as an untrained network may not give them: a loss of probabilities fails here.
    trial = torch.linspace(-4, 4, masks.numel()).view_as(masks).requires_grad_()
    try:
        with torch.enable_grad():
            value: Any = task.loss(trial, masks)
            value.backward()
    except Exception as error:
        why = (str(error) or repr(error)).splitlines()[0]
        shape = tuple(masks.shape)
        raise ValueError(f"loss: of logits and masks {shape} it gives no scalar with a gradient ({why})") from error


@dataclass
class Run:
    """A trained network, with its scores and its pictures; `lines` are those of the history, a dict an epoch."""

    task: SegmentationTask
    lines: list[dict[str, Any]]

    @property
    def network(self) -> nn.Module:
        return self.task.network

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch, from 1: losses, F1 on the validation images, seconds."""
        return pd.DataFrame(self.lines, index=pd.RangeIndex(1, len(self.lines) + 1, name="epoch"))

    def scores(self, threshold: float | None = 0.5) -> pd.DataFrame:
        """Return the scores of the landslide class on `valid` and `test`, over all their pixels; NaN where undefined.

        A pixel is called landslide above the threshold, a multiple of 0.001; None takes the best on the validation
        images.
        """
        histograms = {part: self.task.count(part).histogram().numpy() for part in ("valid", "test")}
        if threshold is None:
            threshold = scoring.best_threshold(*histograms["valid"])
        at = {part: scoring.at_threshold(*each, threshold=threshold)["pooled"] for part, each in histograms.items()}
        frame = pd.DataFrame.from_dict(at, orient="index", dtype=float)
        return frame[["precision", "recall", "f1", "iou"]].assign(threshold=threshold)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return the probability of landslide of images as the loader gives them, (B, 1, S, S)."""
        return self.task.eval().probability(images.to(self.task.device)).cpu()

    def show(self, count: int = 3, part: str = "test") -> Figure:
        """Draw image, truth and probability of the `count` images of a part that hold most landslide."""
        shown, data = self.task.data.part(part), self.task.data
        where = data.parts[part]
        most = np.argsort(-data.packed.masks[where].mean((1, 2)), kind="stable")[:count]
        images, _ = shown.batch(most)
        return pictures.image_grid(data.packed, where[most], {"": self.predict(images)[:, 0].numpy()})
