"""The probability of landslide over a whole scene, window by window, as a Cloud-Optimized GeoTIFF.

Windows overlap. The weight of a window is 0 in a margin along its edges, where the network has seen too little of the
surroundings, and passes linearly to the next window's after that; at the edges of the scene it is 1. Memory holds a row
of windows, not the scene.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.transform import array_bounds, rowcol
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from tqdm import tqdm

from landslide_lib.geo.cog import resample, rows_of, unknown_pixels, write_cog
from landslide_lib.geo.contract import Grid, Input, open_input
from landslide_lib.training.bundle import Bundle
from landslide_lib.training.postprocessing import probability

# Window and overlap, pixels. The margin of the smaller covers what a U-Net of four poolings sees; that of the larger
# what U-Nets on deep encoders feel of the surroundings, who see 500 pixels.
SMALL, LARGE = (768, 256), (1408, 640)
STEP = 32  # windows begin at multiples of it, as the networks halve five times at most: pooling has the same phase
MARGIN = 7 / 16  # of an overlap, on either side, has weight 0; what is left between is the ramp
BATCH = {"cpu": 2**18, "cuda": 2**22}  # pixels of the windows that are computed at once
# Bytes of what it decoded that GDAL keeps: tiles that two windows share, or the lines that all windows of a row share.
CACHE, CACHE_OF_LINES = 2**26, 2**29
RASTERS = (".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg")  # of a folder


@dataclass(frozen=True)
class Prediction:
    """What was written: the file, what was put right in the scene, and how much of it is unknown."""

    path: Path
    repairs: tuple[str, ...]
    seconds: float
    pixels: int
    unknown: int


def predict(
    scene: Path,
    bundle: Bundle,
    out: Path,
    *,
    window: int | None = None,
    overlap: int | None = None,
    bands: Sequence[str] | None = None,
    repair: bool = True,
    rows: tuple[int, int] | None = None,
    progress: bool = False,
) -> Prediction:
    """Write the probability of landslide, 0..1, on the grid of the scene; NaN is unknown.

    `window` and `overlap` are in pixels of the network, multiples of 32. Where 7/16 of the overlap cover the receptive
    field, the result is that of one pass over the whole scene. By default they are 768 and 256, or 1,408 and 640 where
    that does not cover it. Where the network's pixels are not those of the scene, a pixel is unknown if it is so in the
    scene, or if the network's pixel at its centre is. `bands` and `repair` are of `open_input`.

    `rows` limits it to rows of the scene, first and end; `cog.join` joins such files to that of a single call. A call
    that was stopped goes on at the last row of windows that was finished, from a file beside `out` that is gone at the
    end; where `out` is what the call would write, nothing is computed. Tags of the file are MODEL, THRESHOLD and
    REPAIRS. A GPU is used if there is one.

    Raises ContractError (a ValueError): the scene does not fit the network. ValueError: a window, an overlap or rows
    that cannot be.
    """
    started = time.monotonic()
    if out.resolve() == scene.resolve():
        raise ValueError(f"{out}: is the scene itself; name another file for the result")
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE),
        open_input(scene, bundle, bands=bands, repair=repair) as source,
        rasterio.Env(GDAL_CACHEMAX=CACHE_OF_LINES if _by_lines(scene) else CACHE),
    ):
        sides = _sides(source, bundle, window, overlap)
        first, end = rows or (0, source.scene.height)
        if not 0 <= first < end <= source.scene.height:
            raise ValueError(f"rows {first}:{end}: {scene} has rows 0:{source.scene.height}")
        target = rows_of(source.scene, first, end)
        tags = {
            "MODEL": str(bundle.about.get("record", "unnamed")),
            "THRESHOLD": repr(bundle.threshold),
            "REPAIRS": "\n".join(source.repairs),
            "FINGERPRINT": _fingerprint(
                (scene, *source.files), bundle, [*sides, list(bands or ()), repair, list(source.repairs)]
            ),
        }
        if not _is_there(out, target, tags):
            _write(source, bundle, sides, (first, end), out, tags, progress)
        for left in (_raw(out), _note(_raw(out)), _raw(out).with_suffix(".vrt")):
            left.unlink(missing_ok=True)
        repairs = source.repairs
        return Prediction(out, repairs, time.monotonic() - started, target.width * target.height, unknown_pixels(out))


def _write(
    source: Input,
    bundle: Bundle,
    sides: tuple[int, int],
    rows: tuple[int, int],
    out: Path,
    tags: dict[str, str],
    progress: bool,
) -> None:
    """Compute rows of the scene, or the rest of them, and write the file."""
    grid = Grid(source.crs, source.transform, source.width, source.height)
    raw = _raw(out)
    target, needed = rows_of(source.scene, *rows), rows if grid == source.scene else _rows_beneath(grid, source, rows)
    note = json.dumps({"fingerprint": tags["FINGERPRINT"], "rows": rows})
    begin, end = _compute(source, bundle, Tiling(grid.height, grid.width, *sides), needed, raw, note, progress)
    if grid == source.scene:
        write_cog(raw, target, out, tags, skip=rows[0] - begin)
    else:
        other = out.with_name(f".{out.name}.resampled")

        def known(first: int, end: int) -> NDArray[np.bool_]:
            return source.known(rows[0] + first, rows[0] + end)

        try:
            write_cog(resample(raw, rows_of(grid, begin, end), target, other, known), target, out, tags)
        finally:
            other.unlink(missing_ok=True)


def scenes_of(paths: Sequence[Path]) -> list[Path]:
    """Return rasters, those of a folder by name. Raises ValueError: a folder has none; two have the same name."""
    found: dict[str, Path] = {}
    for path in paths:
        inside = [path]
        if path.is_dir():  # what a run that was stopped left of its own begins with a dot
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in RASTERS and one.name[0] != ".")
        if not inside:
            raise ValueError(f"{path}: no raster in it ({', '.join(RASTERS)})")
        for one in inside:
            if one.stem in found:
                raise ValueError(f"{one}: has the name of {found[one.stem]}, and so would the results")
            found[one.stem] = one
    return list(found.values())


class Tiling:
    """Where the windows of one shape lie on a grid of `height` x `width` pixels, and what each weighs.

    They begin at multiples of 32, the last ones end with the grid, rounded up, and neighbours overlap by `overlap` at
    least. The weights of all windows on a pixel sum to 1.
    """

    def __init__(self, height: int, width: int, window: int, overlap: int) -> None:
        self.shape = tuple(min(window, -(-side // STEP) * STEP) for side in (height, width))
        self.tops, self.lefts = (
            _begins(side, size, overlap) for side, size in zip((height, width), self.shape, strict=True)
        )
        self.height, self.width = height, width
        self._down, self._right = _weights(self.tops, self.shape[0]), _weights(self.lefts, self.shape[1])

    def weight(self, row: int, column: int) -> NDArray[np.float32]:
        """Return the weights of the pixels of a window, (h, w)."""
        return np.outer(self._down[row], self._right[column])

    def ends(self) -> list[int]:
        """Return for each row of windows the row of pixels up to which all is finished when it is."""
        return [*self.tops[1:], self.height]


def _begins(length: int, window: int, overlap: int) -> list[int]:
    """Return where windows begin along a side, evenly."""
    if length <= window:
        return [0]
    steps = -(-(length - window) // STEP)
    count = -(-steps * STEP // (window - overlap))
    return [steps * i // count * STEP for i in range(count + 1)]


def _weights(begins: list[int], window: int) -> list[NDArray[np.float32]]:
    """Return the weights (window,) of each window along a side: it takes over from the one before, and is taken over.

    What has passed to a window and the ones after it only grows along the side, and less has passed to the next: the
    differences are not negative, and sum to 1.
    """
    found = []
    for number, begin in enumerate(begins):
        at = np.arange(begin, begin + window) + 0.5
        passed = [np.full(window, float(number == 0)), np.zeros(window)]
        for side, later in enumerate(begins[number : number + 2]):
            if number + side:
                end = begins[number + side - 1] + window
                margin = (end - later) * MARGIN
                passed[side] = np.clip((at - later - margin) / (end - later - 2 * margin), 0, 1)
        found.append((passed[0] - passed[1]).astype(np.float32))
    return found


def _compute(
    source: Input, bundle: Bundle, tiling: Tiling, rows: tuple[int, int], raw: Path, note: str, progress: bool
) -> tuple[int, int]:
    """Bring a raw file of probabilities to its end; return which rows of the grid it holds, `rows` among them.

    It goes on after those rows of windows that are in it whole, if what stands beside it is the same note.
    """
    ends = tiling.ends()
    wanted = [n for n, (top, end) in enumerate(zip(tiling.tops, ends, strict=True)) if top < rows[1] and end > rows[0]]
    begin, line = tiling.tops[wanted[0]], source.width * 4
    raw.parent.mkdir(parents=True, exist_ok=True)
    if not raw.is_file() or not _note(raw).is_file() or _note(raw).read_text("utf-8") != note:
        raw.write_bytes(b"")
        _note(raw).write_text(note, "utf-8")
    there = raw.stat().st_size
    left = [n for n in wanted if (ends[n] - begin) * line > there]
    with raw.open("r+b") as file:
        file.seek(((tiling.tops[left[0]] if left else ends[wanted[-1]]) - begin) * line)
        file.truncate()
        for strip in _strips(source, bundle, tiling, left, progress) if left else ():
            file.write(strip.astype("<f4").tobytes())
            file.flush()
    return begin, ends[wanted[-1]]


def _strips(
    source: Input, bundle: Bundle, tiling: Tiling, rows: list[int], progress: bool
) -> Iterator[NDArray[np.float32]]:
    """Compute rows of windows; yield what each finishes, (rows of pixels, width), NaN where unknown."""
    bundle, device = _ready(bundle)
    high, wide = tiling.shape
    sums = np.zeros((high, tiling.lefts[-1] + wide), np.float32)
    size = max(1, BATCH[device] // (high * wide))
    # A row begins with what the windows before it that reach into it have left.
    before = [n for n in range(rows[0]) if tiling.tops[n] + high > tiling.tops[rows[0]]]
    hidden = bool(os.environ.get("TQDM_DISABLE")) or (None if progress else True)
    with tqdm(total=len(before + rows) * len(tiling.lefts), unit="window", leave=False, disable=hidden) as bar:
        for number in before + rows:
            for start in range(0, len(tiling.lefts), size):
                columns = range(start, min(start + size, len(tiling.lefts)))
                windows = [Window(tiling.lefts[n], tiling.tops[number], wide, high) for n in columns]
                for column, values in zip(columns, _probabilities(source, windows, bundle, device), strict=True):
                    weight = tiling.weight(number, column)
                    part = sums[:, tiling.lefts[column] : tiling.lefts[column] + wide]
                    part += np.multiply(values, weight, out=np.zeros_like(values), where=weight > 0)
                bar.update(len(columns))
            end = tiling.ends()[number] - tiling.tops[number]
            if number in rows:
                yield sums[:end, : tiling.width].clip(0, 1)
            sums[: high - end], sums[high - end :] = sums[end:high], 0


def _probabilities(
    source: Input, windows: Sequence[Window], bundle: Bundle, device: str
) -> Iterator[NDArray[np.float32]]:
    """Yield the probability of each window (h, w), NaN where unknown; one that is all unknown is not computed.

    To the network an unknown pixel is the mean of its training images: the shift of a band, or its scale where the
    shift is 0.
    """
    stacks, every = list[torch.Tensor](), list[NDArray[np.bool_]]()
    mean = torch.where(bundle.shift == 0, bundle.scale, bundle.shift).cpu().numpy()
    for window in windows:
        stack, known = source.read(window)
        every.append(known)
        if known.any():
            np.copyto(stack, mean, where=~known)
            stacks.append(torch.from_numpy(stack))
    answers = iter(())
    if stacks:
        images = torch.stack(stacks) if len(stacks) > 1 else stacks[0][None]
        stacks.clear()
        answers = iter(bundle.predict(images.to(device))[:, 0].cpu().numpy())
    for known in every:
        yield np.where(known, next(answers) if known.any() else np.float32(0), np.float32(np.nan))


def _ready(bundle: Bundle) -> tuple[Bundle, str]:
    """Return a copy of a bundle on the GPU, if there is one, and the kind of the device.

    Weights whose channels are last make convolutions faster on either, and change nothing above 1e-6.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = deepcopy(bundle.network).to(device).to(memory_format=torch.channels_last)
    return replace(bundle, network=network, shift=bundle.shift.to(device), scale=bundle.scale.to(device)), device


def _sides(source: Input, bundle: Bundle, window: int | None, overlap: int | None) -> tuple[int, int]:
    """Return window and overlap, what is not given as the network needs it. Raises ValueError: they cannot be."""
    if window is None or overlap is None:
        fits = max(source.height, source.width) <= SMALL[0] or receptive_field(bundle) <= MARGIN * SMALL[1]
        usual = SMALL if fits else LARGE
        window, overlap = (
            default if given is None else given for given, default in zip((window, overlap), usual, strict=True)
        )
    if window % STEP or overlap % STEP or not 0 < overlap < window:
        raise ValueError(f"window {window}, overlap {overlap}: multiples of {STEP} are needed, the overlap the smaller")
    return window, overlap


def receptive_field(bundle: Bundle) -> int:
    """Return how many pixels around one a network sees, up to 256; a pixel that is not a number makes those so."""
    middle, reach = 256, 0
    for at in (middle, middle + 7, middle + 15):  # it depends on the place in what is pooled to one pixel
        image = torch.zeros(1, len(bundle.bands), 2 * middle, 2 * middle)
        image[..., at, at] = torch.nan
        seen = probability(bundle.network, image)[0, 0].isnan().any(1).nonzero()
        reach = max([reach, *(int((row - at).abs()) for row in seen)])
    return reach


def _rows_beneath(grid: Grid, source: Input, rows: tuple[int, int]) -> tuple[int, int]:
    """Return the rows of the grid that is read, first and end, that are beneath rows of the scene."""
    part = rows_of(source.scene, *rows)
    west, south, east, north = transform_bounds(
        part.crs, grid.crs, *array_bounds(part.height, part.width, part.transform), densify_pts=101
    )
    corners = zip(*product((west, east), (south, north)), strict=True)
    reached, _ = rowcol(grid.transform, *corners)
    # Bilinear interpolation reads the pixel next to it.
    return max(0, int(min(reached)) - 2), min(grid.height, int(max(reached)) + 3)


def _raw(out: Path) -> Path:
    """Return the file that holds what is finished of another."""
    return out.with_name(f".{out.name}.raw")


def _note(partial: Path) -> Path:
    """Return the file that says what a partial one is of."""
    return partial.with_suffix(".json")


def _is_there(out: Path, target: Grid, tags: dict[str, str]) -> bool:
    """Tell whether a file is what would be written."""
    if not out.is_file():
        return False
    try:
        with rasterio.open(out) as file:
            same = (file.width, file.height, file.transform) == (target.width, target.height, target.transform)
            return same and bool(file.tags().get("FINGERPRINT") == tags["FINGERPRINT"])
    except RasterioIOError:
        return False


def _by_lines(scene: Path) -> bool:
    """Tell whether a raster is stored by lines, not by tiles."""
    with rasterio.open(scene) as file:
        return bool(file.block_shapes[0][1] == file.width)


def _fingerprint(files: Sequence[Path], bundle: Bundle, options: list[Any]) -> str:
    """Return a hash of what decides the result: the scene's files by name, size and time, the network, the options."""
    read = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    steps = [vars(step) for step in bundle.post_processing]
    network = [bundle.bands, bundle.metres_per_pixel, bundle.units, bundle.threshold, bundle.about]
    found = hashlib.sha256(json.dumps([read, options, steps, network], default=str).encode())
    for name, value in (*bundle.network.state_dict().items(), ("shift", bundle.shift), ("scale", bundle.scale)):
        found.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
