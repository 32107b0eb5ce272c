"""Hand-made features of tiles, for boosted trees: `PLANES` of a tile, and `STATISTICS` of each plane. No torch.

Units: reflectances of light in 0..1, radar in decibel, `d…` after minus before the event. The bands of Landslide4Sense
are rescaled to about 1 each; an index of them orders tiles, and has no physical meaning.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.data.bands import RGB, SENTINEL_2, TERRAIN, Channel, normalized_difference

Floats = NDArray[np.float64]

OPTICAL = (*RGB, "NIR", "SWIR")  # light
PASSES = {"desc": "descending", "asc": "ascending"}
ALIASES = {**SENTINEL_2, "NIR": "B8", "SWIR": "B11"}  # our names in a Sentinel-2 image
L = 0.5  # the soil's share in the SAVI, for a cover in between (Huete 1988)
CHUNK = 64  # tiles processed at once: their planes stay in the cache


def _index_of_sums(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    return normalized_difference(a + b, c + d)


def savi(near: Floats, red: Floats) -> Floats:
    """Return the vegetation index that soil disturbs least, within ±1.5 (Huete 1988)."""
    total = near + red + L
    ratio = np.divide(near - red, total, out=np.zeros_like(total), where=total != 0)
    return (1 + L) * np.clip(ratio, -1, 1)


def _of_pass(name: str) -> dict[str, Channel]:
    bands = vv, vh, dvv, dvh = tuple(f"{band}_{name}" for band in ("VV", "VH", "dVV", "dVH"))
    return {
        **{band: Channel((band,), np.asarray) for band in bands},
        f"ratio_{name}": Channel((vv, vh), np.subtract),  # of the polarisations, high without a canopy
        f"dratio_{name}": Channel((dvv, dvh), np.subtract),  # change of that ratio
        f"change_{name}": Channel((dvv, dvh), np.hypot),  # length of the change (VV, VH)
    }


def _of_passes(band: str) -> dict[str, Channel]:
    of = (f"d{band}_desc", f"d{band}_asc")
    return {
        f"d{band}_mean": Channel(of, lambda a, b: (a + b) / 2),  # less speckle than in either
        f"d{band}_apart": Channel(of, lambda a, b: np.abs(a - b)),  # large on slopes that one pass sees badly
    }


PLANES: dict[str, Channel] = {
    **{band: Channel((band,), np.asarray) for band in (*OPTICAL, *TERRAIN)},
    "brightness": Channel(RGB, lambda *rgb: np.mean(rgb, axis=0)),  # clouds, bare rock
    "colour": Channel(RGB, lambda *rgb: np.ptp(np.stack(rgb), axis=0)),  # 0 where gray, as clouds are
    "NGRDI": Channel(("G", "R"), normalized_difference),  # green cover without infrared (Tucker 1979)
    "NDVI": Channel(("NIR", "R"), normalized_difference),  # green cover (Tucker 1979)
    "SAVI": Channel(("NIR", "R"), savi),  # the same over bare soil (Huete 1988)
    "NDWI": Channel(("G", "NIR"), normalized_difference),  # open water (McFeeters 1996)
    "BSI": Channel(("SWIR", "R", "NIR", "B"), _index_of_sums),  # bare soil (Rikimaru and others 2002)
    "bare": Channel(("R", "G", "NIR", "B"), _index_of_sums),  # ours, like BSI where there is no SWIR
    **{name: plane for of in PASSES for name, plane in _of_pass(of).items()},
    **_of_passes("VV"),
    **_of_passes("VH"),
}


def _energy(planes: Floats) -> Floats:
    """Return the mean square of the steps to the next pixel below and to the right: texture."""
    down, right = np.diff(planes, axis=1), np.diff(planes, axis=2)
    return np.asarray((down**2).mean((1, 2)) + (right**2).mean((1, 2)))


def _quantile(planes: Floats, share: float) -> Floats:
    return np.asarray(np.quantile(planes.reshape(len(planes), -1), share, axis=1))


#: Of a plane (N, S, S) a number for each tile, (N,).
STATISTICS: dict[str, Callable[[Floats], Floats]] = {
    "mean": lambda planes: planes.mean((1, 2)),
    "std": lambda planes: planes.std((1, 2)),
    "p05": partial(_quantile, share=0.05),
    "p50": partial(_quantile, share=0.5),
    "p95": partial(_quantile, share=0.95),
    "energy": _energy,
}


def planes_of(bands: Iterable[str]) -> tuple[str, ...]:
    """Return the planes that these bands allow, in the order of `PLANES`."""
    own = set(bands)
    return tuple(name for name, plane in PLANES.items() if all(own & {band, ALIASES.get(band)} for band in plane.of))


def possible(bands: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the features that these bands allow: plane, underscore, statistic."""
    return tuple(f"{plane}_{name}" for plane in planes_of(bands) for name in STATISTICS)


def measure(planes: Mapping[str, NDArray[Any]], ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the features of N tiles, (N, features) float64, the names of `possible` as columns, the ids as index.

    The planes of each band are (N, S, S), any floats, and may be memory-mapped. Raises ValueError: the bands allow no
    feature, or hold NaN or infinity.

    >>> measure({"R": np.array([[[0.0, 1.0], [0.0, 1.0]]])}).round(2).to_dict("records")
    [{'R_mean': 0.5, 'R_std': 0.5, 'R_p05': 0.0, 'R_p50': 0.5, 'R_p95': 1.0, 'R_energy': 1.0}]
    """
    names = planes_of(planes)
    if not names:
        raise ValueError(f"features: the bands {', '.join(planes) or '(none)'} allow none")
    needed = {band: planes[band if band in planes else ALIASES[band]] for name in names for band in PLANES[name].of}
    count = len(next(iter(needed.values())))
    table = np.empty((count, len(names) * len(STATISTICS)))
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        inputs = {band: np.asarray(plane[part], np.float64) for band, plane in needed.items()}
        for band, plane in inputs.items():
            if not np.isfinite(plane).all():
                tile = start + int(np.argmin(np.isfinite(plane).all((1, 2))))
                raise ValueError(f"features: band {band} of tile {tile} holds NaN or infinity; repair or leave it out")
        computed = (PLANES[name].function(*(inputs[band] for band in PLANES[name].of)) for name in names)
        table[part] = np.stack([function(plane) for plane in computed for function in STATISTICS.values()], axis=1)
    labels = None if ids is None else pd.Index(list(ids), name="id")
    return pd.DataFrame(table, index=labels, columns=list(possible(planes)))
