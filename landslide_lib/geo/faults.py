"""What a fault of a scene costs if nobody notices it, and what the input contract makes of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

from landslide_lib.data.bands import TERRAIN
from landslide_lib.data.simulator.fields import PIXEL_M
from landslide_lib.geo.contract import ContractError, Grid, open_input
from landslide_lib.geo.metadata import OFFSET, QUANTIFICATION
from landslide_lib.geo.simulated import FAULTS, break_scene
from landslide_lib.training.bundle import Bundle

SIDES = 16  # of an image for a network: multiples of it


def fault_costs(bundle: Bundle, scene: Path, truth: Path) -> pd.DataFrame:
    """Return what each of `FAULTS` costs a network on a scene of `write_scene`, by fault.

    Columns: `f1` where the numbers are read in the file's order as if nothing were wrong; `cost`, the F1 of the
    unbroken scene less it; `contract`, what `open_input` says: `repaired: …` with what the unbroken scene does not
    need, `refused: …`, or `unnoticed`; `f1_after` with the contract, NaN where it refuses. F1 is of
    landslide over the pixels of the truth; one that the fault hides is no landslide in `f1` and left out in `f1_after`.
    `attrs["clean"]` is the F1 of the unbroken scene.
    """
    with rasterio.open(truth) as file:
        mask = file.read(1) == 1
        ground = Grid(file.crs, file.transform, file.width, file.height)
    clean, usual = _with_contract(bundle, scene, mask, ground)
    rows = {}
    with TemporaryDirectory() as folder:
        for number, fault in enumerate(FAULTS):
            broken = break_scene(scene, fault, Path(folder) / f"{number}.tif")
            f1 = _score(
                *_as_if_nothing_were_wrong(bundle, broken, fault), bundle.threshold, _seen(broken, mask), ground
            )
            try:
                after, repairs = _with_contract(bundle, broken, mask, ground)
                # The unbroken scene has the offset of 1000 already: what puts it right is no news.
                own = [one for one in repairs if one not in usual or (fault == "offset of 1000" and "1000" in one)]
                said = f"repaired: {'; '.join(own)}" if own else "unnoticed"
            except ContractError as error:
                after, said = float("nan"), f"refused: {str(error).removeprefix(f'{broken}: ')}"
            rows[fault] = {"f1": f1, "cost": clean - f1, "contract": said, "f1_after": after}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.attrs["clean"] = clean
    return table


def _with_contract(bundle: Bundle, scene: Path, mask: NDArray[np.bool_], ground: Grid) -> tuple[float, tuple[str, ...]]:
    with open_input(scene, bundle) as found:
        planes, known = found.read(Window(0, 0, _round_up(found.width), _round_up(found.height)))
        probability = np.where(known, _predict(bundle, planes), np.float32(np.nan))
        return _score(probability, found.crs, found.transform, bundle.threshold, mask, ground), found.repairs


def _as_if_nothing_were_wrong(bundle: Bundle, scene: Path, fault: str) -> tuple[NDArray[np.float32], object, Affine]:
    """Return probability, CRS and transform of a scene read as one of `write_scene`, whatever it says itself."""
    with rasterio.open(scene) as file:
        planes, crs, transform = file.read(), file.crs, file.transform
    planes = planes[: len(bundle.bands)]
    count, height, width = planes.shape
    planes = np.concatenate([planes, np.zeros((len(bundle.bands) - count, height, width), planes.dtype)])
    offset = 0.0 if fault == "offset of 1000" else OFFSET
    light = [place for place, band in enumerate(bundle.bands) if band not in TERRAIN]
    planes[light] = (planes[light] - offset) / QUANTIFICATION
    planes /= np.array(bundle.units, np.float32)[:, None, None]
    k = max(1, round(bundle.metres_per_pixel / PIXEL_M))
    planes = (
        planes[:, : height // k * k, : width // k * k].reshape(len(planes), height // k, k, width // k, k).mean((2, 4))
    )
    return _predict(bundle, planes), crs, transform * Affine.scale(k)


def _seen(scene: Path, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the truth without the landslides that a fault hides, where the scene lies on the grid of the truth."""
    with rasterio.open(scene) as file:
        first = file.read(1)
    return mask & np.isfinite(first) & (first != 0) if first.shape == mask.shape else mask


def _predict(bundle: Bundle, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probability (h, w) of an image (C, h, w)."""
    height, width = planes.shape[1:]
    around = ((0, 0), (0, _round_up(height) - height), (0, _round_up(width) - width))
    image = torch.from_numpy(np.pad(planes, around, mode="edge").astype(np.float32))
    with torch.no_grad():
        return np.asarray(bundle.predict(image[None])[0, 0, :height, :width].numpy())


def _score(
    probability: NDArray[np.float32],
    crs: object,
    transform: Affine,
    threshold: float,
    mask: NDArray[np.bool_],
    ground: Grid,
) -> float:
    """Return the F1 of landslide over the pixels of the truth that are known."""
    here = np.full(mask.shape, np.nan, np.float32)
    where = {"src_transform": transform, "src_crs": crs, "dst_transform": ground.transform, "dst_crs": ground.crs}
    reproject(probability, here, **where, src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.bilinear)
    called, truth = here > threshold, mask & np.isfinite(here)
    return float(2 * (called & truth).sum() / max(1, called.sum() + truth.sum()))


def _round_up(side: int) -> int:
    return -(-side // SIDES) * SIDES
