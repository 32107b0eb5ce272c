"""Hand-made features of tiles, for boosted trees: a plane a tile, then a number a plane. No torch.

`PLANES` is the table: what is looked at, the bands it takes, how it is computed. `STATISTICS` are
the numbers that are taken of each. A dataset gets the features that its bands allow.

Units: reflectances of light in 0..1, radar in decibel, `d…` after minus before the event. The
bands of Landslide4Sense are rescaled to about 1 each; of them an index orders tiles, and is none
of physics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from landslide_lib.data.bands import SENTINEL_2, index

Floats = NDArray[np.float64]

#: Light and shape of the ground; the passes of the radar.
OPTICAL = ("R", "G", "B", "NIR", "SWIR")
PASSES = {"desc": "descending", "asc": "ascending"}

#: What our names stand for in a Sentinel-2 image.
ALIASES = {**SENTINEL_2, "NIR": "B8", "SWIR": "B11"}

#: The soil's share in the SAVI, for a cover in between (Huete 1988).
L = 0.5

#: Tiles worked on at once: their planes stay in the cache.
CHUNK = 64


class Plane(NamedTuple):
    """What is looked at in a tile.

    Attributes:
        of: The bands that it takes.
        meaning: One line, with its unit.
        how: Their planes (N, S, S) to its own.
    """

    of: tuple[str, ...]
    meaning: str
    how: Callable[..., Floats]


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


def _less(one: Floats, other: Floats) -> Floats:
    return one - other


def _index(one: Floats, other: Floats) -> Floats:
    return np.asarray(index(one, other), np.float64)  # type: ignore[arg-type]


def _sums(one: Floats, more: Floats, other: Floats, last: Floats) -> Floats:
    return _index(one + more, other + last)


def _span(red: Floats, green: Floats, blue: Floats) -> Floats:
    three = np.stack([red, green, blue])
    return np.asarray(three.max(0) - three.min(0))


PLANES: dict[str, Plane] = {
    "R": Plane(("R",), "red, reflectance", _same),
    "G": Plane(("G",), "green, reflectance", _same),
    "B": Plane(("B",), "blue, reflectance", _same),
    "NIR": Plane(("NIR",), "near infrared, reflectance", _same),
    "SWIR": Plane(("SWIR",), "short-wave infrared, reflectance", _same),
    "slope": Plane(("slope",), "slope, as the dataset scales it", _same),
    "DEM": Plane(("DEM",), "elevation, as the dataset scales it", _same),
    "brightness": Plane(
        ("R", "G", "B"), "mean of red, green and blue: clouds, bare rock", lambda *rgb: np.mean(rgb, axis=0)
    ),
    "colour": Plane(("R", "G", "B"), "largest less smallest of them: 0 where gray, as clouds are", _span),
    "NGRDI": Plane(("G", "R"), "(G - R) / (G + R): green cover without infrared (Tucker 1979)", _index),
    "NDVI": Plane(("NIR", "R"), "(NIR - R) / (NIR + R): green cover (Tucker 1979)", _index),
    "SAVI": Plane(("NIR", "R"), "1.5 (NIR - R) / (NIR + R + 0.5): the same over bare soil (Huete 1988)", savi),
    "NDWI": Plane(("G", "NIR"), "(G - NIR) / (G + NIR): open water (McFeeters 1996)", _index),
    "BSI": Plane(
        ("SWIR", "R", "NIR", "B"), "((SWIR + R) - (NIR + B)) / their sum: bare soil (Rikimaru and others 2002)", _sums
    ),
    "bare": Plane(
        ("R", "G", "NIR", "B"), "((R + G) - (NIR + B)) / their sum: ours, like BSI where there is no SWIR", _sums
    ),
}
for _pass, _name in PASSES.items():
    _vv, _vh, _dvv, _dvh = (f"{band}_{_pass}" for band in ("VV", "VH", "dVV", "dVH"))
    PLANES |= {
        _vv: Plane((_vv,), f"VV of the {_name} pass after the event, dB", _same),
        _vh: Plane((_vh,), f"VH of the {_name} pass after the event, dB", _same),
        _dvv: Plane((_dvv,), f"change of VV of the {_name} pass, dB", _same),
        _dvh: Plane((_dvh,), f"change of VH of the {_name} pass, dB", _same),
        f"ratio_{_pass}": Plane(
            (_vv, _vh), f"VV - VH of the {_name} pass, dB: the ratio of the polarisations, high without a canopy", _less
        ),
        f"dratio_{_pass}": Plane((_dvv, _dvh), f"change of that ratio in the {_name} pass, dB", _less),
        f"change_{_pass}": Plane((_dvv, _dvh), f"length of the change (VV, VH) of the {_name} pass, dB", np.hypot),
    }
PLANES |= {
    f"d{band}_{name}": Plane((f"d{band}_desc", f"d{band}_asc"), meaning, how)
    for band in ("VV", "VH")
    for name, meaning, how in (
        ("mean", f"mean change of {band} over both passes, dB: less speckle", lambda one, other: (one + other) / 2),
        (
            "apart",
            f"how far the passes' changes of {band} are apart, dB: slopes that one of them sees badly",
            lambda one, other: np.abs(one - other),
        ),
    )
}


def _energy(planes: Floats) -> Floats:
    down, right = np.diff(planes, axis=1), np.diff(planes, axis=2)
    return np.asarray((down**2).mean((1, 2)) + (right**2).mean((1, 2)))


def _quantile(share: float) -> Callable[[Floats], Floats]:
    return lambda planes: np.quantile(planes.reshape(len(planes), -1), share, axis=1)


#: Of a plane (N, S, S) a number a tile, (N,): its meaning and how.
STATISTICS: dict[str, tuple[str, Callable[[Floats], Floats]]] = {
    "mean": ("mean of the pixels", lambda planes: planes.mean((1, 2))),
    "std": ("standard deviation of the pixels", lambda planes: planes.std((1, 2))),
    "p05": ("5 % quantile", _quantile(0.05)),
    "p50": ("median", _quantile(0.5)),
    "p95": ("95 % quantile", _quantile(0.95)),
    "energy": ("mean square of the steps to the next pixel below and to the right: texture", _energy),
}


def planes_of(bands: Iterable[str]) -> tuple[str, ...]:
    """Return the planes that some bands allow, in the order of `PLANES`.

    >>> planes_of(["R", "G", "B"])
    ('R', 'G', 'B', 'brightness', 'colour', 'NGRDI')
    """
    own = set(bands)
    return tuple(
        name for name, plane in PLANES.items() if all(band in own or ALIASES.get(band) in own for band in plane.of)
    )


def possible(bands: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the features that some bands allow: plane, underscore, statistic.

    >>> possible(["B8", "B4"])[-6:]
    ('SAVI_mean', 'SAVI_std', 'SAVI_p05', 'SAVI_p50', 'SAVI_p95', 'SAVI_energy')
    """
    return tuple(f"{plane}_{name}" for plane in planes_of(bands) for name in STATISTICS)


def rows(bands: Iterable[str] | None = None) -> list[dict[str, str]]:
    """Return the table of what is looked at, for a chapter: `feature`, `bands`, `meaning`.

    Args:
        bands: Those of a dataset; None for every plane there is.
    """
    names = PLANES if bands is None else planes_of(bands)
    return [{"feature": name, "bands": ", ".join(PLANES[name].of), "meaning": PLANES[name].meaning} for name in names]


def measure(planes: Mapping[str, NDArray[Any]], ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the features of some tiles.

    Args:
        planes: Of each band (N, S, S), any floats, S at least 2; may be memory-mapped, as
            `{name: packed.plane(name) for name in packed.bands}` is.
        ids: Of the N tiles, for the index; by default their numbers.

    Returns:
        (N, features) float64 with the names of `possible` as columns, all of them finite: of an
        index whose sum is 0 it is 0, of a constant tile `std` and `energy` are 0.

    Raises:
        ValueError: The bands allow no feature, differ in shape, or hold NaN or infinity.

    >>> measure({"R": np.array([[[0.0, 1.0], [0.0, 1.0]]])}).round(2).to_dict("records")
    [{'R_mean': 0.5, 'R_std': 0.5, 'R_p05': 0.0, 'R_p50': 0.5, 'R_p95': 1.0, 'R_energy': 1.0}]
    """
    names = planes_of(planes)
    if not names:
        raise ValueError(
            f"features: the bands {', '.join(planes) or '(none)'} allow none; any of these does: "
            f"{', '.join(name for name, plane in PLANES.items() if plane.of == (name,))}"
        )
    needed = {band: planes[band if band in planes else ALIASES[band]] for name in names for band in PLANES[name].of}
    shapes = {plane.shape for plane in needed.values()}
    shape = shapes.pop()
    if shapes or len(shape) != 3 or min(shape[1:]) < 2:
        each = ", ".join(f"{band} {plane.shape}" for band, plane in needed.items())
        raise ValueError(f"features: all bands need one shape (N, S, S), S at least 2; got {each}")
    made = np.empty((shape[0], len(names) * len(STATISTICS)))
    for start in range(0, shape[0], CHUNK):
        part = slice(start, start + CHUNK)
        some = {band: np.asarray(plane[part], np.float64) for band, plane in needed.items()}
        for band, plane in some.items():
            good = np.isfinite(plane).all((1, 2))
            if not good.all():
                raise ValueError(
                    f"features: band {band} of tile {start + int(np.argmin(good))} holds NaN or "
                    "infinity; repair the tile or leave it out"
                )
        looked = (PLANES[name].how(*(some[band] for band in PLANES[name].of)) for name in names)
        made[part] = np.stack([how(plane) for plane in looked for _, how in STATISTICS.values()], axis=1)
    where = None if ids is None else pd.Index(list(ids), name="id")
    return pd.DataFrame(made, index=where, columns=list(possible(planes)))
