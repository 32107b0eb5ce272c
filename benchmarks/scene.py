"""A whole scene by `landslide predict` against the tiled inference of geoai-py: time and memory, in fresh processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

from benchmarks.clock import race
from benchmarks.results import Measurement
from landslide_lib.data.bands import L4S
from landslide_lib.data.simulator.scenes import UNITS, simulate_scene
from landslide_lib.geo.metadata import OFFSET, QUANTIFICATION
from landslide_lib.geo.simulated import TAGS, TRANSFORM, Raster, write_scene
from landslide_lib.paths import HOME
from landslide_lib.study import machine

PEER = "geoai-py==0.40.1"
REGION = "alpine_valleys"
BLOCK = 512  # pixels of the simulated scene that is laid side by side

#: Times as much memory as a quarter of the scene.
GROWTH = 1.1


def lay_out(folder: Path, size: int) -> Path:
    """Write a scene of 14 bands, size x size: a virtual raster of one small simulated scene, side by side."""
    block = folder / "block.tif"
    if not block.is_file():
        write_scene(block, REGION, 0, BLOCK)
    tags = "".join(f'<MDI key="{key}">{value}</MDI>' for key, value in TAGS.items())
    bands = []
    for number, name in enumerate(L4S, 1):
        sources = "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{block.name}</SourceFilename>'
            f"<SourceBand>{number}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{BLOCK}" ySize="{BLOCK}"/>'
            f'<DstRect xOff="{x}" yOff="{y}" xSize="{BLOCK}" ySize="{BLOCK}"/></SimpleSource>'
            for y in range(0, size, BLOCK)
            for x in range(0, size, BLOCK)
        )
        bands.append(
            f'<VRTRasterBand dataType="Float32" band="{number}"><Description>{name}</Description>{sources}'
            "</VRTRasterBand>"
        )
    path = folder / f"{size}.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{size}" rasterYSize="{size}"><SRS>{Raster.crs}</SRS>'
        f"<GeoTransform>{', '.join(map(str, TRANSFORM.to_gdal()))}</GeoTransform><Metadata>{tags}</Metadata>"
        f"{''.join(bands)}</VRTDataset>",
        "utf-8",
    )
    return path


def write_model(folder: Path, width: int) -> Path:
    """Write a U-Net of 14 bands and pixels of 10 m, not trained."""
    import torch

    from landslide_lib.models import MODELS
    from landslide_lib.training.bundle import save_bundle

    torch.manual_seed(0)
    build = {"model": "unet", "in_channels": len(L4S), "width": width}
    image = simulate_scene(REGION, 0, BLOCK)[0].reshape(-1, len(L4S))
    fields: dict[str, Any] = {"bands": L4S, "threshold": 0.5, "post_processing": [], "metres_per_pixel": 10.0}
    fields |= {"shift": torch.from_numpy(image.mean(0)), "scale": torch.from_numpy(image.std(0))}
    fields |= {"units": UNITS.tolist(), "about": {}}
    network = MODELS["unet"](in_channels=len(L4S), width=width).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    return save_bundle(folder / "model.safetensors", network, build, **fields)


def ours(scene: Path, model: Path, out: Path, window: int | None, overlap: int | None) -> None:
    """Predict by this library."""
    from landslide_lib.geo.predict import predict
    from landslide_lib.training.bundle import load_bundle

    predict(scene, load_bundle(model), out, window=window, overlap=overlap)


def peer(scene: Path, model: Path, out: Path, window: int | None, overlap: int | None) -> None:
    """Predict by geoai-py, with its usual weights; a window at a time, as ours does of this size.

    It is installed without what it requires, which it imports for a function that is not called on a CPU.
    """
    stand_in: Any = ModuleType("geoai.utils")
    stand_in.get_device = None
    sys.modules["geoai.utils"] = stand_in
    import torch
    from geoai.inference import predict_geotiff

    from landslide_lib.training.bundle import load_bundle

    bundle = load_bundle(model)
    light = np.arange(len(L4S))[:, None, None] < 12
    divisor = (np.where(light, QUANTIFICATION, 1.0) * UNITS[:, None, None] * bundle.scale.numpy()).astype(np.float32)
    offset = (np.where(light, OFFSET, 0) + bundle.shift.numpy() * divisor / bundle.scale.numpy()).astype(np.float32)

    def normalised(tile: NDArray[np.float32]) -> NDArray[np.float32]:
        tile -= offset
        tile /= divisor
        return tile

    predict_geotiff(
        torch.nn.Sequential(bundle.network, torch.nn.Sigmoid()),
        str(scene),
        str(out),
        tile_size=window,
        overlap=overlap,
        batch_size=1,
        preprocess_fn=normalised,
        device="cpu",
        verbose=False,
    )


def run(side: str, folder: Path, scene: Path, threads: int, shape: tuple[int, int] | None) -> dict[str, float]:
    """Predict in a fresh process; return its `seconds` without the start, and the most `gigabytes` it held."""
    given = [side, str(folder), str(scene), str(threads), *map(str, shape or ())]
    done = subprocess.run([sys.executable, "-m", "benchmarks.scene", *given], cwd=HOME, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"scene: {side} failed: {done.stderr.strip()[-1000:]}")
    made: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return made


def install(folder: Path) -> None:
    """Put the peer's own files, without what they require, where only this benchmark finds them."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--no-deps", "--target", folder, PEER], check=True)


def disagreement(folder: Path) -> float:
    """Return the mean difference of both results."""
    with rasterio.open(folder / "ours.tif") as one, rasterio.open(folder / "peer.tif") as other:
        return float(np.abs(one.read(1) - other.read(1)).mean())


def measure(
    threads: int,
    *,
    size: int = 4096,
    large: int = 10_980,
    width: int = 8,
    shape: tuple[int, int] = (768, 256),
    repeats: int = 2,
    install: Callable[[Path], None] = install,
) -> list[Measurement]:
    """Measure both on the same scene and network, and ours on one that is larger than memory.

    Args:
        threads: Of torch.
        size: Of the scene, in pixels, a multiple of 512.
        large: Of the larger one.
        width: Of the network.
        shape: Window and overlap, of both sides.
        repeats: Runs timed of each side, after one that is not.
        install: Puts the peer into a folder.

    Returns:
        Time, memory, and memory of the larger scene against a quarter of it.

    Raises:
        RuntimeError: The results differ, or a side fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder / "peer")
        write_model(folder, width)
        scene = folder / "scene.tif"
        rasterio.shutil.copy(lay_out(folder, size), scene, driver="GTiff", tiled=True, compress="deflate")
        peak = {"ours": 0.0, "peer": 0.0}

        def side(which: str) -> Callable[[], float]:
            def timed() -> float:
                made = run(which, folder, scene, threads, shape)
                peak[which] = max(peak[which], made["gigabytes"])
                return made["seconds"]

            return timed

        fast, slow = race(side("ours"), side("peer"), repeats)
        differs = disagreement(folder)
        if differs > 0.02:
            raise RuntimeError(f"scene: the two results differ by {differs:.3f} on average")
        whole, quarter = (run("ours", folder, lay_out(folder, n), threads, None) for n in (large, large // 2))
    said = f"{size} x {size} pixels of 14 bands, U-Net of width {width}, windows of {shape[0]}, {shape[1]} overlap"
    least = f"{large} x {large} pixels: peak memory, GB"
    note = f"mean difference of the results {differs:.1e}"
    return [
        Measurement("scene", f"landslide predict / {PEER}: {said}", fast, slow, f"best of {repeats}", threads,
                    "float32", at_least=1.0, note=note),
        Measurement("scene/memory", "the same: peak memory, GB", peak["ours"], peak["peer"], "highest", threads,
                    "float32", at_least=2.0),
        Measurement("scene/large", f"{least} / of a quarter of it", whole["gigabytes"], quarter["gigabytes"], "once",
                    threads, "float32", at_least=1 / GROWTH, note=f"{whole['seconds']:.0f} s"),
    ]  # fmt: skip


def main(which: str, folder: Path, scene: Path, threads: int, shape: tuple[int | None, int | None]) -> None:
    """Be one of the fresh processes."""
    import torch

    torch.set_num_threads(threads)
    sys.path.insert(0, str(folder / "peer"))
    out = folder / f"{which}.tif"
    out.unlink(missing_ok=True)
    start = time.perf_counter()
    {"ours": ours, "peer": peer}[which](scene, folder / "model.safetensors", out, *shape)
    print(json.dumps({"seconds": time.perf_counter() - start, "gigabytes": machine.peak_memory_mb() / 1024}))


if __name__ == "__main__":
    side_, folder_, scene_, threads_, *shape_ = sys.argv[1:]
    window_, overlap_ = map(int, shape_) if shape_ else (None, None)
    main(side_, Path(folder_), Path(scene_), int(threads_), (window_, overlap_))
