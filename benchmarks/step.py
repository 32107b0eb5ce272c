"""The training step of the study against the plain float32 loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.clock import race
from benchmarks.results import Measurement
from landslide_lib.data.bands import L4S
from landslide_lib.data.registry import Packed
from landslide_lib.study.recipe import Recipe, recipe
from landslide_lib.study.tasks.run import Setting, train
from landslide_lib.study.tasks.segmentation import build, model_of
from landslide_lib.training.loop import Loop

BOUND = 1.8
SEED = 0
CPU = torch.device("cpu")


def per_step(ends: Sequence[float]) -> float:
    """Return the seconds of the fastest step; all before the first one ends is start-up."""
    return float(np.diff(ends).min())


def data(images: int, size: int) -> Packed:
    """Return random patches in memory, each a scene of its own."""
    draw = np.random.default_rng(SEED)
    names = tuple(str(i) for i in range(images))
    return Packed(
        "random",
        draw.normal(1, 0.3, (images, len(L4S), size, size)).astype(np.float16),
        (draw.random((images, size, size)) < 0.03).astype(np.uint8),
        L4S,
        names,
        names,
        ("train",) * images,
        ("",) * images,
        "0" * 16,
        (),
    )


def ours(wanted: Recipe, packed: Packed) -> tuple[float, float]:
    """Train an epoch as the study does: `Segmentation` in `training.loop`, nothing taken out.

    Returns:
        Seconds a step, mean training loss.
    """
    ends: list[float] = []

    def note(*_: Any) -> None:
        ends.append(time.perf_counter())

    with (
        tempfile.TemporaryDirectory() as work,
        mock.patch.object(Loop, "on_train_batch_end", note),  # Lightning calls it after each step
    ):
        setting = Setting(packed, SEED, CPU, Path(work))
        try:
            history, _ = train(build(wanted, setting), wanted, setting)
        finally:
            torch.use_deterministic_algorithms(False)  # Lightning sets it for the whole process
    return per_step(ends), history[-1]["train_loss"]


def plain(wanted: Recipe, batches: Sequence[tuple[Tensor, Tensor]], loss: nn.Module) -> tuple[float, float]:
    """Train over the same batches as any tutorial does: float32, default layout, default Adam.

    Returns:
        Seconds a step, mean training loss.
    """
    torch.manual_seed(SEED)
    network = model_of(wanted, batches[0][0].shape[1]).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=wanted.optimizer.lr)
    losses, ends = [], []
    for images, masks in batches:
        optimizer.zero_grad()
        value = loss(network(images), masks)
        value.backward()
        optimizer.step()
        losses.append(value.item())
        ends.append(time.perf_counter())
    return per_step(ends), float(np.mean(losses))


def measure(
    threads: int, *, size: int = 128, width: int = 32, batch: int = 8, steps: int = 3, repeats: int = 3
) -> list[Measurement]:
    """Measure a step of U-Net on 14 bands, forward, backward and Adam.

    Args:
        threads: Of torch.
        size: Of the images, in pixels.
        width: Channels of the first stage; the `full` profile has 64.
        batch: Images a step.
        steps: Timed in a repetition, after a first one that is not.
        repeats: Repetitions, each a new training.

    Returns:
        One measurement.

    Raises:
        RuntimeError: The two trainings do not have the same loss to 5 %.
    """
    torch.set_num_threads(threads)
    wanted = recipe(
        {
            "dataset": "landslide4sense",
            "image_size": size,
            "width": width,
            "batch": batch,
            "epochs": 1,
            "augmentation": [],
            "split": {"method": "random"},
            "optimizer": {"schedule": "constant"},
        }
    )
    # Four of five images train, a tenth of them validates; the rest of the last batch is dropped.
    packed = data(-(-(steps + 1) * batch * 100 // 72) + 2, size)
    task = build(wanted, Setting(packed, SEED, CPU))
    same = [(images.contiguous(), masks) for images, masks in task.loader("train")]
    losses: dict[str, float] = {}

    def clocked_ours() -> float:
        seconds, losses["ours"] = ours(wanted, packed)
        return seconds

    def clocked_peer() -> float:
        seconds, losses["peer"] = plain(wanted, same, task.loss)
        return seconds

    seconds = race(clocked_ours, clocked_peer, repeats)
    if abs(losses["ours"] - losses["peer"]) > 0.05 * losses["peer"]:
        raise RuntimeError(f"step: the trainings differ, mean losses {losses}")
    return [
        Measurement(
            "step",
            f"a training step, U-Net of width {width}, batch {batch} of {size} px: "
            "Segmentation in Lightning, channels_last, fused Adam / plain loop, batches in memory",
            *seconds,
            f"best step of {repeats} x {steps}",
            threads,
            f"{wanted.precision} / 32-true",
            at_least=BOUND,
        )
    ]
