"""Write the networks of a table, and what they cost, to runs/onnx: checked, quantized, timed on one core.

    python -m tools.export TABLE [--row ROW]... [--seed SEED] [--dataset NAME] [--profile NAME]

They have the weights of the local run with this seed; without one they are not trained. The book shows the JSON files
that are copied to data/results/edge.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped, unused-ignore]
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib.metrics import scores
from landslide_lib.metrics.counts import Counter
from landslide_lib.models.checkpoints import fill
from landslide_lib.paths import atomic_write, runs_root
from landslide_lib.study import domains, machine, reports, runs
from landslide_lib.study.edge import Probability, quantize, to_onnx
from landslide_lib.study.recipe import Segmentation
from landslide_lib.study.records import Store
from landslide_lib.study.tasks.run import weights_of
from landslide_lib.study.tasks.segmentation import data_of, model_of

#: The largest difference of a probability that passes for rounding, or so many times the network's own rounding: what
#: PyTorch's float32 and its float64 differ by. From `NOISE` on, that is too much to compare anything.
TOLERANCE, TIMES, NOISE = 1e-4, 10, 0.01
#: Images whose statistics batch normalisation takes without training: a deep stage has a pixel an image, and of a few
#: the variance is near zero in some channel, which blows rounding up. As many tell the ranges of an int8 file.
CALIBRATION = 64
REPEATS, WARM_UP = 30, 5  # how many images are timed, after a few that are not

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]


def check(network: nn.Module, path: Path, *, bands: int, size: int) -> float:
    """Return by how much the probabilities of an ONNX file, in float32, and its network, in float64, differ at most.

    They look at one image and a batch of three. How much a network magnifies rounding is measured, and allowed. Raises
    ValueError: they differ by more, or the network's own rounding is above `NOISE`.
    """
    onnx, exact, rounded = _onnx(path), _torch(network, torch.float64), _torch(network)
    draw = np.random.default_rng(0)
    largest = own = 0.0
    for batch in (1, 3):
        images = _images(draw, batch, bands, size)
        truth = exact(images)
        largest, own = max(largest, _apart(onnx(images), truth)), max(own, _apart(rounded(images), truth))
    if own > NOISE:
        raise ValueError(f"{path}: PyTorch's float32 and float64 differ by up to {own:.2g}; train it longer")
    if largest > (allowed := max(TOLERANCE, TIMES * own)):
        raise ValueError(f"{path}: onnxruntime and PyTorch differ by up to {largest:.2g}, and {allowed:.2g} is allowed")
    return largest


def f1(path: Path, batches: Iterable[tuple[Tensor, Tensor]]) -> float | None:
    """Return the landslide F1, pooled, at 0.5 of an ONNX file on batches of a loader, None where it is undefined."""
    predict, counter = _onnx(path), Counter()
    for images, masks in batches:
        counter.update(torch.from_numpy(predict(images.numpy())), masks)
    return scores.scores(counter.images())["pooled"]["f1"]


def latency(network: nn.Module, path: Path, int8: Path, *, bands: int, size: int) -> dict[str, float]:
    """Return median milliseconds an image by `onnxruntime`, its `int8` and `torch`, which take turns on one thread.

    They are of the processor's time, which other programs that run beside do not lengthen.
    """
    run = {"onnxruntime": _onnx(path), "int8": _onnx(int8), "torch": _torch(network)}
    taken: dict[str, list[float]] = {name: [] for name in run}
    images = _images(np.random.default_rng(0), 1, bands, size)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(WARM_UP + REPEATS):
            for name, predict in run.items():
                start = time.process_time()
                predict(images)
                taken[name].append(1e3 * (time.process_time() - start))
    finally:
        torch.set_num_threads(before)
    return {name: median(times[WARM_UP:]) for name, times in taken.items()}


def network_of(recipe: Segmentation, seed: int, store: Store) -> tuple[nn.Module, str | None]:
    """Return the network of a recipe, without post-processing, and the local record whose weights it has, or None.

    Without one it is initialised by the seed, and batch normalisation takes the statistics of random images: otherwise
    some networks give nearly a constant, and a check would compare nothing.
    """
    recipe = recipe.trained
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = model_of(recipe, recipe.channels)
    for record in store.find(recipe, seed):
        path = store.weights(record)
        if path.is_file():
            fill(network, weights_of(record, path, record.fingerprint), path)
            return network.eval(), record.name
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.99  # and not 1: a channel without variance would blow rounding up
    images = _images(np.random.default_rng(seed), CALIBRATION, recipe.channels, recipe.image_size)
    with torch.no_grad():
        network.train()(torch.from_numpy(images))
    return network.eval(), None


def measure(recipe: Segmentation, seed: int, store: Store) -> dict[str, Any]:
    """Export the network of a recipe and seed to `runs/onnx`, check it, quantize it, time both; return the facts.

    `megabytes` are 10^6 bytes, `milliseconds` those of `latency`, `difference` that of `check`. A trained network is
    quantized by validation images and has its landslide `f1` on the test images; an untrained one, by random images,
    has None. Raises ValueError: the network cannot be exported, or what was exported is another; no file is left.
    """
    commit, dirty = machine.commit()
    network, record = network_of(recipe, seed, store)
    name = f"{recipe.dataset}-{recipe.model}-{recipe.trained.hash}-s{seed}.onnx"
    shape = {"bands": recipe.channels, "size": recipe.image_size}
    path = to_onnx(network, runs_root() / "onnx" / name, **shape)
    try:
        difference = check(network, path, **shape)
    except ValueError:
        path.unlink(missing_ok=True)  # nobody gets a file that is not what the network is
        raise
    data = data_of(recipe, domains.load(recipe)) if record else None
    known = _images(np.random.default_rng(seed), CALIBRATION, **shape)
    if data:
        known = data.valid.batch(np.arange(min(CALIBRATION, len(data.valid))))[0].numpy()
    int8 = quantize(path, known)
    scored = [f1(file, data.loader("test")) if data else None for file in (path, int8)]
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
        "milliseconds": {name: round(value, 3) for name, value in latency(network, path, int8, **shape).items()},
        "f1": scored[0],
        "int8": {"megabytes": round(int8.stat().st_size / 1e6, 3), "images": len(known), "f1": scored[1]},
        "repeats": REPEATS,
        "difference": float(f"{difference:.3g}"),
        "processor": machine.processor(),
        "threads": 1,
        "versions": machine.versions() | {name: version(name) for name in ("onnx", "onnxruntime")},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
    }


def write(table: str, profile: str, dataset: str, rows: Sequence[dict[str, Any]]) -> Path:
    """Write what `measure` says of rows of a table, each with its `row` and `label`, to `runs/onnx`.

    The book shows what is copied from there to `edge.FOLDER`.
    """
    facts = {"table": table, "profile": profile, "dataset": dataset, "rows": list(rows)}
    path = runs_root() / "onnx" / f"{table.replace('/', '-')}-{profile}.json"
    with atomic_write(path) as scratch:
        scratch.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _images(draw: np.random.Generator, batch: int, bands: int, size: int) -> NDArray[np.float32]:
    """Draw images around 1, of fine and of coarse noise: a deep stage sees the coarse alone."""
    fine = draw.normal(1, 0.7, (batch, bands, size, size))
    coarse = draw.normal(0, 0.7, (batch, bands, size // 16, size // 16))
    return (fine + coarse.repeat(16, 2).repeat(16, 3)).astype(np.float32)


def _apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the largest difference; NaN is infinity, which is not below any tolerance."""
    return float(np.nan_to_num(np.abs(one - other), nan=np.inf).max())


def _torch(network: nn.Module, dtype: torch.dtype = torch.float32) -> Predict:
    layout = torch.channels_last  # as in the study
    frozen = Probability(network).to(dtype=dtype).to(memory_format=layout)

    @torch.inference_mode()
    def predict(images: NDArray[np.float32]) -> NDArray[Any]:
        probability: Tensor = frozen(torch.from_numpy(images).to(dtype).contiguous(memory_format=layout))
        return probability.numpy()

    return predict


def _onnx(path: Path) -> Predict:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(["probability"], {"image": images})[0])


def export(table: str, rows: Sequence[str], seed: int, dataset: str | None, profile: str) -> Path:
    """Export rows of a table, print a line for each, and return the file of `write`; see `measure`."""
    chosen, store, done = reports.table(table), runs.open_store(), []
    named = chosen.chosen(rows, dataset)
    # All recipes first: a bad one is refused before anything is exported.
    recipes = [reports.resolve(chosen, one, dataset=dataset, profile_name=profile) for one in named]
    if not recipes or not all(isinstance(one, Segmentation) for one in recipes):
        raise ValueError(f"{table}: there is no segmentation network to export; see `landslide list`")
    for one, wanted in zip(named, recipes, strict=True):
        facts = measure(wanted, seed, store)  # type: ignore[arg-type]
        done.append({"row": one.id, "label": one.label, **facts})
        times = ", ".join(f"{name} {ms:.1f} ms" for name, ms in facts["milliseconds"].items())
        print(
            f"{runs_root() / 'onnx' / facts['file']}: {facts['parameters'] / 1e6:.2f} M parameters, "
            f"{facts['megabytes']:.1f} MB, int8 {facts['int8']['megabytes']:.1f} MB, {times} an image, "
            f"difference {facts['difference']:.1e}, {'trained' if facts['trained'] else 'not trained'}"
        )
    return write(table, profile, recipes[0].dataset, done)


def main(words: Sequence[str] | None = None) -> int:
    """Export what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", help="such as raunet/small-models; see `landslide list`")
    parser.add_argument("--row", action="append", default=[], help="only this row; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="of the run")
    parser.add_argument("--dataset", help="in place of the report's")
    parser.add_argument("--profile", default="full", help="the budget")
    given = parser.parse_args(words)
    try:
        print(export(given.table, given.row, given.seed, given.dataset, given.profile), file=sys.stderr)
    except (ValueError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
