"""Hand-made features of tiles, for boosted trees: `PLANES` of a tile, and `STATISTICS` of each plane. No torch.

A dataset gets the features that its bands allow. Units: reflectances of light in 0..1, radar in decibel, `d…` after
minus before the event. The bands of Landslide4Sense are rescaled to about 1 each; an index of them orders tiles, and
has no physical meaning.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.data.bands import RGB, SENTINEL_2, index

Floats = NDArray[np.float64]

#: Light and shape of the ground; the passes of the radar.
OPTICAL = (*RGB, "NIR", "SWIR")
PASSES = {"desc": "descending", "asc": "ascending"}
#: Our names in a Sentinel-2 image.
ALIASES = {**SENTINEL_2, "NIR": "B8", "SWIR": "B11"}
#: The soil's share in the SAVI, for a cover in between (Huete 1988).
L = 0.5
#: Tiles processed at once: their planes stay in the cache.
CHUNK = 64


class Plane(NamedTuple):
    """A plane of a tile: the bands it takes, its meaning with the unit, and their planes (N, S, S) to it."""

    of: tuple[str, ...]
    meaning: str
    function: Callable[..., Floats]


def savi(near: Floats, red: Floats) -> Floats:
    """Return the vegetation index that soil disturbs least, within ±1.5 (Huete 1988).

    >>> savi(np.array([0.5]), np.array([0.0])), savi(np.array([-0.5]), np.array([0.0]))
    (array([0.75]), array([0.]))
    """
    total = near + red + L
    ratio = np.divide(near - red, total, out=np.zeros_like(total), where=total != 0)
    return (1 + L) * np.clip(ratio, -1, 1)


def _same(band: Floats) -> Floats:
    return band


def _index(first: Floats, second: Floats) -> Floats:
    return np.asarray(index(first, second), np.float64)  # type: ignore[arg-type]


def _index_of_sums(first: Floats, more: Floats, second: Floats, last: Floats) -> Floats:
    return _index(first + more, second + last)


def _single(name: str, meaning: str) -> dict[str, Plane]:
    return {name: Plane((name,), meaning, _same)}


def _of_pass(name: str, title: str) -> dict[str, Plane]:
    vv, vh, dvv, dvh = (f"{band}_{name}" for band in ("VV", "VH", "dVV", "dVH"))
    ratio = f"VV - VH of the {title} pass, dB: the ratio of the polarisations, high without a canopy"
    return {
        **_single(vv, f"VV of the {title} pass after the event, dB"),
        **_single(vh, f"VH of the {title} pass after the event, dB"),
        **_single(dvv, f"change of VV of the {title} pass, dB"),
        **_single(dvh, f"change of VH of the {title} pass, dB"),
        f"ratio_{name}": Plane((vv, vh), ratio, np.subtract),
        f"dratio_{name}": Plane((dvv, dvh), f"change of that ratio in the {title} pass, dB", np.subtract),
        f"change_{name}": Plane((dvv, dvh), f"length of the change (VV, VH) of the {title} pass, dB", np.hypot),
    }


def _of_passes(band: str) -> dict[str, Plane]:
    of = (f"d{band}_desc", f"d{band}_asc")
    apart = f"how far the passes' changes of {band} are apart, dB: slopes that one of them sees badly"
    return {
        f"d{band}_mean": Plane(
            of, f"mean change of {band} over both passes, dB: less speckle", lambda a, b: (a + b) / 2
        ),
        f"d{band}_apart": Plane(of, apart, lambda a, b: np.abs(a - b)),
    }


PLANES: dict[str, Plane] = {
    **_single("R", "red, reflectance"),
    **_single("G", "green, reflectance"),
    **_single("B", "blue, reflectance"),
    **_single("NIR", "near infrared, reflectance"),
    **_single("SWIR", "short-wave infrared, reflectance"),
    **_single("slope", "slope, as the dataset scales it"),
    **_single("DEM", "elevation, as the dataset scales it"),
    "brightness": Plane(RGB, "mean of red, green and blue: clouds, bare rock", lambda *rgb: np.mean(rgb, axis=0)),
    "colour": Plane(
        RGB, "largest less smallest of them: 0 where gray, as clouds are", lambda *rgb: np.ptp(np.stack(rgb), axis=0)
    ),
    "NGRDI": Plane(("G", "R"), "(G - R) / (G + R): green cover without infrared (Tucker 1979)", _index),
    "NDVI": Plane(("NIR", "R"), "(NIR - R) / (NIR + R): green cover (Tucker 1979)", _index),
    "SAVI": Plane(("NIR", "R"), "1.5 (NIR - R) / (NIR + R + 0.5): the same over bare soil (Huete 1988)", savi),
    "NDWI": Plane(("G", "NIR"), "(G - NIR) / (G + NIR): open water (McFeeters 1996)", _index),
    "BSI": Plane(
        ("SWIR", "R", "NIR", "B"),
        "((SWIR + R) - (NIR + B)) / their sum: bare soil (Rikimaru and others 2002)",
        _index_of_sums,
    ),
    "bare": Plane(
        ("R", "G", "NIR", "B"),
        "((R + G) - (NIR + B)) / their sum: ours, like BSI where there is no SWIR",
        _index_of_sums,
    ),
    **{name: plane for of in PASSES.items() for name, plane in _of_pass(*of).items()},
    **_of_passes("VV"),
    **_of_passes("VH"),
}


def _energy(planes: Floats) -> Floats:
    down, right = np.diff(planes, axis=1), np.diff(planes, axis=2)
    return np.asarray((down**2).mean((1, 2)) + (right**2).mean((1, 2)))


def _quantile(planes: Floats, share: float) -> Floats:
    return np.asarray(np.quantile(planes.reshape(len(planes), -1), share, axis=1))


#: Of a plane (N, S, S) a number for each tile, (N,): its meaning, and the function.
STATISTICS: dict[str, tuple[str, Callable[[Floats], Floats]]] = {
    "mean": ("mean of the pixels", lambda planes: planes.mean((1, 2))),
    "std": ("standard deviation of the pixels", lambda planes: planes.std((1, 2))),
    "p05": ("5 % quantile", partial(_quantile, share=0.05)),
    "p50": ("median", partial(_quantile, share=0.5)),
    "p95": ("95 % quantile", partial(_quantile, share=0.95)),
    "energy": ("mean square of the steps to the next pixel below and to the right: texture", _energy),
}


def planes_of(bands: Iterable[str]) -> tuple[str, ...]:
    """Return the planes that these bands allow, in the order of `PLANES`.

    >>> planes_of(["R", "G", "B"])
    ('R', 'G', 'B', 'brightness', 'colour', 'NGRDI')
    """
    own = set(bands)
    return tuple(
        name for name, plane in PLANES.items() if all(band in own or ALIASES.get(band) in own for band in plane.of)
    )


def possible(bands: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the features that these bands allow: plane, underscore, statistic.

    >>> possible(["B8", "B4"])[-6:]
    ('SAVI_mean', 'SAVI_std', 'SAVI_p05', 'SAVI_p50', 'SAVI_p95', 'SAVI_energy')
    """
    return tuple(f"{plane}_{name}" for plane in planes_of(bands) for name in STATISTICS)


def measure(planes: Mapping[str, NDArray[Any]], ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the features of N tiles, (N, features) float64, the names of `possible` as columns, the ids as index.

    The planes of each band are (N, S, S), any floats, S at least 2, and may be memory-mapped. All features are finite:
    of an index whose sum is 0 it is 0, of a constant tile `std` and `energy` are 0. Raises ValueError: the bands allow
    no feature, differ in shape, or hold NaN or infinity.

    >>> measure({"R": np.array([[[0.0, 1.0], [0.0, 1.0]]])}).round(2).to_dict("records")
    [{'R_mean': 0.5, 'R_std': 0.5, 'R_p05': 0.0, 'R_p50': 0.5, 'R_p95': 1.0, 'R_energy': 1.0}]
    """
    names = planes_of(planes)
    if not names:
        single = ", ".join(name for name, plane in PLANES.items() if plane.of == (name,))
        raise ValueError(f"features: the bands {', '.join(planes) or '(none)'} allow none; any of these does: {single}")
    needed = {band: planes[band if band in planes else ALIASES[band]] for name in names for band in PLANES[name].of}
    shapes = {plane.shape for plane in needed.values()}
    shape = shapes.pop()
    if shapes or len(shape) != 3 or min(shape[1:]) < 2:
        sizes = ", ".join(f"{band} {plane.shape}" for band, plane in needed.items())
        raise ValueError(f"features: all bands need one shape (N, S, S), S at least 2; got {sizes}")
    table = np.empty((shape[0], len(names) * len(STATISTICS)))
    for start in range(0, shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        inputs = {band: np.asarray(plane[part], np.float64) for band, plane in needed.items()}
        for band, plane in inputs.items():
            good = np.isfinite(plane).all((1, 2))
            if not good.all():
                raise ValueError(
                    f"features: band {band} of tile {start + int(np.argmin(good))} holds NaN or infinity; repair the "
                    "tile or leave it out"
                )
        computed = (PLANES[name].function(*(inputs[band] for band in PLANES[name].of)) for name in names)
        table[part] = np.stack([function(plane) for plane in computed for _, function in STATISTICS.values()], axis=1)
    labels = None if ids is None else pd.Index(list(ids), name="id")
    return pd.DataFrame(table, index=labels, columns=list(possible(planes)))
