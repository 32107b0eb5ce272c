"""A network as one ONNX file: written, checked against PyTorch, timed on one CPU core."""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped, unused-ignore]
import torch
from numpy.typing import NDArray
from onnxscript.ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

from landslide_lib.models.checkpoints import load_weights
from landslide_lib.models.heads import mask_of
from landslide_lib.paths import atomic_write, runs_root
from landslide_lib.study import machine
from landslide_lib.study.recipe import Segmentation, non_default_fields
from landslide_lib.study.records import Store
from landslide_lib.study.tasks import segmentation

#: The largest difference of a probability that passes for rounding, if the network's own rounding
#: is small: what PyTorch's float32 and its float64 differ by. Else it is so many times that.
TOLERANCE, TIMES = 1e-4, 10
#: From this much of its own rounding on, a network gives noise in float32; nothing can be compared.
NOISE = 0.01

#: Images whose statistics batch normalisation takes without training: a deep stage has a pixel an
#: image, and the variance of a few numbers is near zero in some channel, which blows rounding up.
CALIBRATION = 64

#: How many images are timed, after a few that are not.
REPEATS, WARM_UP = 30, 5


class Probability(nn.Module):
    """The landslide probability that a network gives at the image's own resolution.

    Shape:
        (B, bands, S, S) to (B, 1, S, S).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities."""
        return mask_of(self.network(image)).sigmoid()


def to_onnx(network: nn.Module, path: Path, *, bands: int, size: int) -> Path:
    """Write a network as one ONNX file, whole or not at all; an older one is replaced.

    Args:
        network: Gives logits, or several by name of which `mask` counts; it stays as it is.
        path: The file, with the weights in it.
        bands: Input channels.
        size: Side of the images, in pixels, a multiple of 16.

    Returns:
        The file. Its input `image` is float32 (B, bands, size, size) with any B, normalised as
        in training; its output `probability` is float32 (B, 1, size, size) in 0..1.

    Raises:
        ValueError: PyTorch cannot export this network.
        OSError: The file cannot be written.
    """
    with atomic_write(path) as scratch, _quiet():
        try:
            made = _exported(network, torch.zeros(2, bands, size, size))
        except RuntimeError as error:
            raise ValueError(
                f"{path.name}: PyTorch {torch.__version__} cannot export this "
                f"{type(network).__name__}: {str(error).splitlines()[0]}"
            ) from error
        made.save(scratch, external_data=False)
    return path


def check(network: nn.Module, path: Path, *, bands: int, size: int, tolerance: float = TOLERANCE) -> float:
    """Compare an ONNX file, in float32, with its network in float64, on the same images.

    They are one image and a batch of three, drawn by a fixed seed around 1, as bands that are
    divided by their means. How much a network magnifies rounding is its own: PyTorch's float32
    differs from itself between two layouts in memory. So it is measured, and allowed.

    Args:
        network: In PyTorch.
        path: Of `to_onnx`.
        bands: Input channels.
        size: Side of the images, in pixels, a multiple of 16.
        tolerance: The largest difference of a probability that passes, where `TIMES` the rounding
            of the network itself is less.

    Returns:
        The largest difference.

    Raises:
        ValueError: It is above what is allowed, the network's own rounding is above `NOISE`, or
            the file is none of such a network.
    """
    onnx, exact = _onnx(path, bands, size), _torch(network, torch.float64)
    layouts = (torch.contiguous_format, torch.channels_last)
    rounded = [_torch(network, layout=layout) for layout in layouts]
    draw = np.random.default_rng(0)
    largest = own = 0.0
    for batch in (1, 3):
        images = _images(draw, batch, bands, size)
        truth = exact(images)
        largest = max(largest, _apart(onnx(images), truth))
        own = max(own, *(_apart(predict(images), truth) for predict in rounded))
    if own > NOISE:
        raise ValueError(
            f"{path}: PyTorch's float32 and float64 differ by up to {own:.2g} in probability of "
            "this network, so that the file cannot be checked; train it longer, or on more images"
        )
    if largest > (allowed := max(tolerance, TIMES * own)):
        raise ValueError(
            f"{path}: onnxruntime and PyTorch differ by up to {largest:.2g} in probability, and "
            f"{allowed:.2g} is allowed; the file is of other weights, or the export is wrong"
        )
    return largest


def latency(
    network: nn.Module, path: Path, *, bands: int, size: int, repeats: int = REPEATS, warm_up: int = WARM_UP
) -> dict[str, float]:
    """Time one image at a time on one thread, the two in turn, so that other load hits both.

    Args:
        network: In PyTorch; its images are in channels_last, as in the study.
        path: Of `to_onnx`.
        bands: Input channels.
        size: Side of the images, in pixels, a multiple of 16.
        repeats: Images that are timed.
        warm_up: Images before them that are not.

    Returns:
        Median milliseconds an image, by `onnxruntime` and `torch`.

    Raises:
        ValueError: The file is none of such a network.
    """
    run = {"onnxruntime": _onnx(path, bands, size), "torch": _torch(network)}
    taken: dict[str, list[float]] = {name: [] for name in run}
    images = _images(np.random.default_rng(0), 1, bands, size)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(warm_up + repeats):
            for name, predict in run.items():
                start = time.perf_counter()
                predict(images)
                taken[name].append(1e3 * (time.perf_counter() - start))
    finally:
        torch.set_num_threads(before)
    return {name: median(times[warm_up:]) for name, times in taken.items()}


def network_of(recipe: Segmentation, seed: int, store: Store) -> tuple[nn.Module, str | None]:
    """Return the network of a recipe, with the weights of a local run if there are any.

    Without them it is initialised by the seed, and batch normalisation takes the statistics of
    random images, as it takes those of its batch in training. Otherwise what some networks
    give is nearly constant, and a check would compare nothing.

    Args:
        recipe: What is run; post-processing is no part of the network.
        seed: Of the run.
        store: Of records.

    Returns:
        The network, for evaluation, and the name of the record whose weights it has, or None.

    Raises:
        ValueError: The weights are those of another run, or damaged.
    """
    recipe, bands = recipe.trained, recipe.channels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # The weights that an encoder starts from are not fetched: they are not what is kept.
        network = segmentation.model_of(recipe.model_copy(update={"pretrained": False}), bands)
    for record in store.find(recipe, seed):
        path = store.weights(record)
        if path.is_file():
            about = {"recipe": non_default_fields(recipe), "seed": seed, "fingerprint": record.fingerprint}
            network.load_state_dict(load_weights(path, **about))
            return network.eval(), record.name
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Nearly 1, the images' own: a channel without variance would blow rounding up.
            module.momentum = 0.99
    with torch.no_grad():
        network.train()(torch.from_numpy(_images(np.random.default_rng(seed), CALIBRATION, bands, recipe.image_size)))
    return network.eval(), None


def measure(
    recipe: Segmentation,
    seed: int = 0,
    *,
    store: Store | None = None,
    folder: Path | None = None,
    repeats: int = REPEATS,
) -> dict[str, Any]:
    """Export the network of a recipe, check it and time it.

    Args:
        recipe: What is run.
        seed: Of the run, or of the initialisation where there is no run.
        store: Of records; by default the local runs.
        folder: Of the ONNX file; by default `runs/onnx`.
        repeats: Images that are timed.

    Returns:
        `file`, `model`, `trained` (whether the weights are those of a run), `record` (of that
        run, or None), `seed`, `parameters`, `width`, `bands`, `size` (px), `megabytes` (of the
        file, 10^6 bytes), `milliseconds` (see `latency`), `repeats`, `difference` (see
        `check`), `processor`, `threads`, `versions`, `made` (UTC), `commit` and `dirty`.

    Raises:
        ValueError: The network cannot be exported, or what was exported is another.
    """
    commit, dirty = machine.commit()
    network, record = network_of(recipe, seed, store or Store())
    name = f"{recipe.dataset}-{recipe.model}-{recipe.trained.hash}-s{seed}.onnx"
    shape = {"bands": recipe.channels, "size": recipe.image_size}
    path = to_onnx(network, (folder or runs_root() / "onnx") / name, **shape)
    try:
        difference = check(network, path, **shape)
    except ValueError:
        path.unlink(missing_ok=True)  # nobody gets a file that is not what the network is
        raise
    taken = latency(network, path, **shape, repeats=repeats)
    return {
        "file": path.name,
        "model": recipe.model,
        "trained": record is not None,
        "record": record,
        "seed": seed,
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "width": recipe.width,
        **shape,
        "megabytes": round(path.stat().st_size / 1e6, 3),
        "milliseconds": {name: round(value, 3) for name, value in taken.items()},
        "repeats": repeats,
        "difference": float(f"{difference:.3g}"),
        "processor": machine.processor(),
        "threads": 1,
        "versions": machine.versions() | {name: version(name) for name in ("onnx", "onnxruntime")},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
    }


def _images(draw: np.random.Generator, batch: int, bands: int, size: int) -> NDArray[np.float32]:
    """Draw images around 1, of fine and of coarse noise: a deep stage sees the coarse alone."""
    fine = draw.normal(1, 0.7, (batch, bands, size, size))
    coarse = draw.normal(0, 0.7, (batch, bands, size // 16, size // 16))
    return (fine + coarse.repeat(16, 2).repeat(16, 3)).astype(np.float32)


def _frozen(network: nn.Module) -> nn.Module:
    """Return a copy for evaluation on the CPU that gives probabilities."""
    return Probability(copy.deepcopy(network)).cpu().float().eval()


Predict = Callable[[NDArray[np.float32]], NDArray[Any]]


def _apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest difference; NaN is infinity, which is not below any tolerance."""
    return float(np.nan_to_num(np.abs(one - other), nan=np.inf).max())


def _torch(
    network: nn.Module, dtype: torch.dtype = torch.float32, layout: torch.memory_format = torch.channels_last
) -> Predict:
    frozen = _frozen(network).to(dtype=dtype).to(memory_format=layout)

    @torch.inference_mode()
    def predict(images: NDArray[np.float32]) -> NDArray[Any]:
        batch = torch.from_numpy(images).to(dtype).contiguous(memory_format=layout)
        probability: NDArray[Any] = frozen(batch).numpy()
        return probability

    return predict


def _onnx(path: Path, bands: int, size: int) -> Predict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes share no other base
        raise ValueError(f"{path}: onnxruntime cannot read it ({error}); export it again") from None
    (shape,) = (one.shape for one in session.get_inputs())
    if shape[1:] != [bands, size, size]:
        raise ValueError(f"{path}: takes images of {shape[1:]}, not of {[bands, size, size]}")

    def predict(images: NDArray[np.float32]) -> NDArray[np.float32]:
        probability: NDArray[np.float32] = session.run(["probability"], {"image": images})[0]
        return probability

    return predict


def _exported(network: nn.Module, images: Tensor) -> Any:
    """Return torch's ONNX program of a network for any number of images in a batch."""
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    trace = partial(torch.export.export, _frozen(network), (images,), dynamic_shapes=shapes)
    try:
        program = trace(strict=False)
    except RuntimeError:
        # `len(images)` is a constant to this tracer. The slower one reads the code, and torch's
        # ONNX exporter by itself would silently write a file for two images.
        program = trace(strict=True)
    made = torch.onnx.export(
        program,
        (),
        dynamo=True,
        verbose=False,
        dynamic_shapes=shapes,
        input_names=["image"],
        output_names=["probability"],
    )
    assert made is not None  # None is of a program that torch has written to a file itself
    # A line of source and its path beside every operation would make a small file twice as large.
    ClearMetadataAndDocStringPass()(made.model)
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says of its own workings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
