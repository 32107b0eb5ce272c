"""What is done with an upload, in a process of its own that the server can end; see `geo.server`."""

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landslide_lib.geo.predict import Prediction
    from landslide_lib.training.bundle import Bundle

#: Names of files in the folder of a request.
UPLOAD, SCENE, PREVIEW = "upload", "scene.tif", "preview.jpg"
PROBABILITY, GEOJSON, GEOPACKAGE = "probability.tif", "landslides.geojson", "landslides.gpkg"
#: How a file of each GDAL driver begins. No driver but these sees an upload: others (VRT) name files of their own.
BEGINNINGS = {
    "GTiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
}
#: An upload has no files beside it, and nothing is asked of another machine.
GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}"}


@dataclass(frozen=True)
class Limits:
    """What one request may cost, and how many there may be."""

    upload: int = 64_000_000  # bytes
    pixels: int = 16_800_000  # of the scene, and of the grid that the network reads
    bands: int = 32
    block: int = 2**28  # bytes that GDAL decodes at a time
    seconds: float = 120  # to read an upload, and again to answer it, waiting included
    workers: int = 2  # processes
    waiting: int = 16  # requests beside those that are worked on
    kept: int = 2**31  # bytes of uploads that the demo keeps; each counts a megabyte at least


class RefusedError(ValueError):
    """An upload that is refused: one sentence, and the status of HTTP."""

    def __init__(self, detail: str, status: int = 422) -> None:
        super().__init__(detail, status)
        self.detail, self.status = detail, status


@contextlib.contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Read an upload: what is wrong with it becomes one sentence without paths, and it leads to no other file."""
    import rasterio
    from rasterio._err import CPLE_BaseError  # of GDAL; some of its errors come through rasterio as they are
    from rasterio.errors import RasterioError

    try:
        with rasterio.Env(**GDAL):
            yield
    except RefusedError:
        raise
    except (ValueError, RasterioError, CPLE_BaseError, OSError) as error:
        text = " ".join(str(error).replace(f"{folder}{os.sep}", "").split())
        if not isinstance(error, ValueError):  # the words of a parser
            text = f"the file is damaged ({text}); get it again, or write it again"
        # The contract speaks to the command line; a coordinate system that cannot be is quoted whole.
        text = text.replace("--bands", "the parameter bands of the API")[:400]
        raise RefusedError(re.sub(r"(?<![\w.])/[\w.-]+/[\w./-]*", "", text)) from None


@lru_cache(8)
def _bundle(model: str, workers: int) -> "Bundle":
    import torch

    from landslide_lib.training.bundle import load_bundle

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    return load_bundle(model)


def warm(models: Sequence[str], workers: int) -> None:
    """Load what the first request needs."""
    for module in ("contract", "draw", "polygons", "predict"):
        import_module(f"landslide_lib.geo.{module}")
    for model in models:
        _bundle(model, workers)


def open_upload(folder: Path, limits: Limits) -> Path:
    """Return the scene of an upload, a GeoTIFF, once its header says that it may be read; no pixel is read before.

    A picture, PNG or JPEG, becomes a GeoTIFF without a place, so that what reads it later asks no other driver.

    Raises RefusedError: 415, no such file; 413, more pixels or bands than `limits`; 422, damaged.
    """
    import numpy as np
    import rasterio

    upload, scene = folder / UPLOAD, folder / SCENE
    with upload.open("rb") as file:
        start = file.read(8)
    driver = next((name for name, known in BEGINNINGS.items() if start.startswith(known)), None)
    if driver is None:
        raise RefusedError("the file is no GeoTIFF, PNG or JPEG; send one of these", 415)
    with _refusals(folder), rasterio.open(upload, driver=driver) as source:
        if source.tags(ns="OVERVIEWS"):  # GDAL would open what it names, by any driver, and at any address
            raise RefusedError("it names overviews in another file; write it again without (gdal_translate)")
        pixels = source.width * source.height
        if pixels > limits.pixels:
            what = f"{source.width} x {source.height} pixels"
            raise RefusedError(f"{what} are more than the {limits.pixels:,} allowed; cut the scene", 413)
        if source.count > limits.bands:
            raise RefusedError(f"{source.count} bands are more than the {limits.bands} allowed", 413)
        if any(dtype.startswith("complex") for dtype in source.dtypes):
            raise RefusedError("its numbers are complex; send reflectance, digital numbers or a photograph")
        together = source.count if source.profile.get("interleave") == "pixel" else 1
        size = (
            max(h * w for h, w in source.block_shapes) * together * max(np.dtype(one).itemsize for one in source.dtypes)
        )
        if size > limits.block:
            raise RefusedError("a block of it is too large to be decoded; write it with tiles of 512 pixels", 413)
    with _refusals(folder):
        if driver == "GTiff":
            upload.rename(scene)
        else:
            _picture(upload, scene)
    return scene


def _picture(upload: Path, scene: Path) -> None:
    """Write a picture as a GeoTIFF of 8 bits, turned as it is shown; what is transparent is unknown."""
    import numpy as np
    import rasterio

    from landslide_lib.data.formats.pictures import colours, open_picture, turn

    picture = open_picture(upload)
    pixels = np.rint(turn(colours(picture), picture.orientation) * 255).astype(np.uint8)
    height, width, count = pixels.shape
    with rasterio.open(scene, "w", "GTiff", width, height, count, dtype="uint8", photometric="RGB") as target:
        target.write(pixels.transpose(2, 0, 1))
        if "alpha" in picture.names:
            alpha = turn(picture.pixels[..., picture.names.index("alpha")], picture.orientation)
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                target.write_mask(alpha > 0)


def probability(folder: Path, model: str, limits: Limits, bands: Sequence[str] | None = None) -> "Prediction":
    """Write the probability of the upload in a folder beside it, `PROBABILITY`; raise as `open_upload`.

    `bands` names those of the file in its order, where it does not itself.
    """
    from landslide_lib.geo.contract import open_input
    from landslide_lib.geo.predict import predict

    scene, bundle = open_upload(folder, limits), _bundle(model, limits.workers)
    with _refusals(folder):
        with open_input(scene, bundle, bands=bands) as grid:  # a coarse scene has more pixels once it is resampled
            if grid.width * grid.height > limits.pixels:
                size = f"{grid.width} x {grid.height} pixels at the network's {bundle.metres_per_pixel:g} m"
                raise RefusedError(f"{size} are more than the {limits.pixels:,} allowed; cut the scene", 413)
        return predict(scene, bundle, folder / PROBABILITY, bands=bands)


def answer(
    folder: Path,
    model: str,
    limits: Limits,
    form: str,
    threshold: float | None,
    minimum_area: float,
    bands: Sequence[str] | None = None,
) -> bytes:
    """Return what `POST /predict` answers for the upload in a folder: GeoJSON, or a GeoTIFF; raise as `open_upload`."""
    made, bundle = probability(folder, model, limits, bands), _bundle(model, limits.workers)
    if form == "geotiff":
        return made.path.read_bytes()
    threshold = bundle.threshold if threshold is None else threshold
    with _refusals(folder):
        found = landslides(folder, threshold, minimum_area)
    said = {"model": Path(model).stem, "threshold": threshold, "minimum_area": minimum_area}
    said |= {"pixels": made.pixels, "unknown": made.unknown, "repairs": list(made.repairs)}
    return json.dumps(found | {"properties": said}).encode()


def landslides(folder: Path, threshold: float, minimum_area: float) -> dict[str, Any]:
    """Return the landslides of the probability in a folder as GeoJSON, and write files of it: GeoJSON, GeoPackage.

    A picture without a place has no GeoPackage.
    """
    import rasterio

    from landslide_lib.geo.polygons import polygons, write_polygons

    path = folder / PROBABILITY
    with rasterio.open(path) as source:
        placed = bool(source.crs)
    if not placed:
        found = in_pixels(path, threshold, minimum_area)
        (folder / GEOJSON).write_text(json.dumps(found), "utf-8")
        return found
    frame = polygons(path, threshold, minimum_area=minimum_area)
    write_polygons(frame, folder / GEOPACKAGE)
    read: dict[str, Any] = json.loads(write_polygons(frame, folder / GEOJSON).read_text("utf-8"))
    return read


def in_pixels(probability: Path, threshold: float, minimum_area: float) -> dict[str, Any]:
    """Return the landslides of a picture without a place as GeoJSON, in pixels: x to the right, y down.

    `minimum_area` is in pixels too.
    """
    import numpy as np
    import rasterio
    from rasterio.features import shapes
    from scipy import ndimage

    with rasterio.open(probability) as source:
        values = source.read(1)
    parts, count = ndimage.label(values > threshold)
    areas, means = np.bincount(parts.ravel()), ndimage.mean(values, parts, np.arange(count + 1))  # 0 is the rest
    found = [
        {"type": "Feature", "geometry": geometry,
         "properties": {"area_pixels": int(areas[int(n)]), "probability": float(means[int(n)])}}
        for geometry, n in shapes(parts.astype(np.int32), parts > 0)
        if areas[int(n)] >= minimum_area
    ]  # fmt: skip
    return {"type": "FeatureCollection", "features": found}


def explore(folder: Path, model: str, limits: Limits) -> dict[str, Any]:
    """Map the upload in a folder for the demo; return what to say of it; raise as `open_upload`."""
    from landslide_lib.geo.draw import place, preview

    made = probability(folder, model, limits)
    with _refusals(folder):
        (folder / PREVIEW).write_bytes(preview(folder / SCENE))
        said = {"repairs": made.repairs, "seconds": made.seconds, "pixels": made.pixels, "unknown": made.unknown}
        return said | {"place": place(made.path)}


def redraw(folder: Path, threshold: float, minimum_area: float) -> tuple[str, dict[str, Any]]:
    """Return the picture and the landslides of what `explore` left in a folder, without the network."""
    from landslide_lib.geo.draw import svg

    with _refusals(folder):
        return svg(folder / PREVIEW, folder / PROBABILITY, threshold), landslides(folder, threshold, minimum_area)


def simulate(folder: Path, seed: int) -> None:
    """Write a simulated scene in a folder as an upload."""
    from landslide_lib.geo.simulated import write_scene

    write_scene(folder / SCENE, "humid_mountains", seed).rename(folder / UPLOAD)
