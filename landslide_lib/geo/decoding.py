"""From the numbers of a file to those that a network learnt: reflectance, degrees of slope, metres, photographs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags

from landslide_lib.data.bands import TERRAIN
from landslide_lib.geo.ground import slope_degrees
from landslide_lib.geo.metadata import OFFSET, QUANTIFICATION, added, level_of
from landslide_lib.geo.source import Planes, Source
from landslide_lib.training.bundle import Bundle

#: The median of a band may be so many of the bundle's `scale` from its `shift`: deviations of the training pixels from
#: their mean, or, where that is 0, their mean. Whole scenes of the simulator stay below 1.7.
LIMIT = 3.0
DARKEST = -0.02  # reflectance; 1 % of a band of light may be darker
SMALL, LARGE = 5.0, 50.0  # medians of the brightest band: reflectance is below, digital numbers are above
HEIGHTS = (-500.0, 9000.0)  # metres: the land of the Earth
FEET = 0.3048  # metres of a foot
STEEP = 80.0  # degrees; where half of a scene is steeper, its slope is none
BLACK = 0.01  # the share of a photograph from which on black is no data
UNIT = {"slope": " degrees", "DEM": " m"}

#: Degrees from a slope in each unit, in the order in which they are believed.
SLOPES: dict[str, Callable[[Planes], NDArray[np.floating]]] = {
    "degrees": np.asarray,
    "per cent": lambda raw: np.degrees(np.arctan(raw / 100)),
    "radians": np.degrees,
}


@dataclass(frozen=True)
class Decoding:
    """How the numbers of a band become those of the network: the slope in degrees, then times `gain` plus `offset`."""

    gain: float = 1.0
    offset: float = 0.0
    slope: str = "degrees"

    def __call__(self, raw: Planes) -> Planes:
        """Return the numbers in the network's unit, of any shape; NaN stays."""
        return np.asarray(SLOPES[self.slope](raw) * np.float32(self.gain) + np.float32(self.offset), np.float32)


@dataclass
class Meaning:
    """What the numbers of a scene mean."""

    bands: dict[str, Decoding]  # of each band that is taken from the file
    said: list[str]  # what was put right
    height: Decoding | None = None  # to metres, where the slope has to be computed
    slope: Decoding | None = None  # from degrees, where it is


def decode(source: Source, bundle: Bundle, metres: tuple[float, float] | None) -> Meaning:
    """Find out what the numbers of a scene mean, from metadata and a sample; set `source.zero_is_unknown`.

    `metres` are the sides of a pixel, None where nobody knows them. Raises ValueError: they are nothing that the
    network can read; one line without the file's name.
    """
    light = [band for band in bundle.bands if band not in TERRAIN]
    names = list(dict.fromkeys([*bundle.bands, *(["DEM"] if "slope" in bundle.bands else [])]))
    names = [name for name in names if name in source.places]
    meaning = Meaning({}, [])
    sample = _sample(source, names, light, bundle, meaning.said)
    middle = {name: float(np.nanmedian(values)) for name, values in sample.items()}
    units = dict(zip(bundle.bands, bundle.units or (), strict=False))
    if bundle.units is None:
        meaning.bands = _as_they_are(sample, bundle)
    elif set(bundle.units) == {255.0}:
        meaning.bands = dict.fromkeys(light, _photograph(source, sample, meaning.said))
    elif _is_rescaled(middle, light, bundle):
        meaning.said.append("values of about 1 in every band, as Landslide4Sense's patches: taken as they are")
        meaning.bands = _as_they_are(sample, bundle)
    else:
        meaning.bands = _reflectance(source, middle, {name: units[name] for name in light}, bundle, meaning.said)
        _terrain(source, sample, bundle, metres, meaning)
    _check(source, sample, bundle, meaning)
    return meaning


def _sample(source: Source, names: list[str], light: list[str], bundle: Bundle, said: list[str]) -> dict[str, Planes]:
    """Return sample windows (n, h, w) by band, and find out whether pixels that are 0 in all bands have no data."""
    stack = source.sample(names)
    zero = np.ones((len(stack), *stack.shape[2:]), bool) & bool(light)
    for name in light:
        zero &= stack[:, names.index(name)] == np.float32(source.scales[name][1])
    # A satellite's product has 0 where it saw nothing; a photograph may well be black somewhere.
    least = BLACK if set(bundle.units or ()) == {255.0} else 0
    source.zero_is_unknown = bool(light) and (least == 0 or zero.mean() > least)
    if zero.mean() > least:
        said.append("pixels that are 0 in every band have no data, though the file does not say so: unknown")
    elif np.isnan(stack).any() and all(MaskFlags.all_valid in flags for flags in source.file.mask_flag_enums):
        said.append("pixels that are no number (NaN) have no data: unknown")
    if source.zero_is_unknown:
        stack = np.where(zero[:, None], np.float32(np.nan), stack)
    if not np.isfinite(stack).any():
        raise ValueError("nothing of it is known: all of it has no data or lies under clouds")
    return dict(zip(names, np.moveaxis(stack, 1, 0), strict=True))


def _as_they_are(sample: dict[str, Planes], bundle: Bundle) -> dict[str, Decoding]:
    if "slope" in bundle.bands and "slope" not in sample:
        raise ValueError("no slope; add one in the scale of the other bands, as the network learnt it")
    return {band: Decoding() for band in bundle.bands}


def _photograph(source: Source, sample: dict[str, Planes], said: list[str]) -> Decoding:
    """Return the decoding of red, green and blue for a network that learnt on photographs of 8 bits."""
    high = max(float(np.nanmax(values)) for values in sample.values())
    if high <= 1 and "uint8" not in source.file.dtypes:
        said.append("values from 0 to 1, not digital numbers of 8 bits: taken as they are")
        return Decoding()
    if high <= 255:
        return Decoding(1 / 255)
    bits = int(source.file.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 0))
    if not bits and 2**15 <= high < 2**16:
        bits = 16
    if not bits or high >= 2**bits:
        raise ValueError(
            f"values up to {high:g}, and the network learnt on photographs of 8 bits (0 to 255); say what white is, "
            "such as 4095 of 12 bits: gdal_translate -ot Byte -scale 0 4095 0 255 IN OUT"
        )
    said.append(f"digital numbers of {bits} bits, not 8: divided by {2**bits - 1}")
    return Decoding(1 / (2**bits - 1))


def _away(value: float, band: str, bundle: Bundle) -> float:
    """Return how many deviations of the training pixels a number in the network's unit is from their mean."""
    place = bundle.bands.index(band)
    return abs(value - float(bundle.shift.flatten()[place])) / float(bundle.scale.flatten()[place])


def _is_rescaled(middle: dict[str, float], light: list[str], bundle: Bundle) -> bool:
    """Return whether numbers are those of the network already, and are no reflectances."""
    units = dict(zip(bundle.bands, bundle.units or (), strict=True))
    if max(middle[band] for band in light) > SMALL:
        return False
    as_reflectance, as_is = (
        max(_away(middle[band] / unit[band], band, bundle) for band in light)
        for unit in (units, dict.fromkeys(light, 1.0))
    )
    return as_is < as_reflectance and as_reflectance > LIMIT


def _reflectance(
    source: Source, middle: dict[str, float], units: dict[str, float], bundle: Bundle, said: list[str]
) -> dict[str, Decoding]:
    """Return the decodings of the bands of light to reflectances in the network's units."""
    # Landslide4Sense's bands have B10, which is in no product of level 2A.
    learnt = bundle.about.get("level") or ("L1C" if "B10" in bundle.bands else "")
    level = level_of(source.tags, source.path)
    if level and learnt and level != learnt:
        raise ValueError(
            f"Sentinel-2 of level {level}, and the network learnt on {learnt} (L1C is light above the atmosphere, L2A "
            f"that of the ground); take the product of level {learnt} of the same day"
        )
    if level and not learnt:
        said.append(f"Sentinel-2 of level {level}; nobody says which level the network learnt on")
    shifted = any(source.scales[band][1] for band in units)
    if shifted:
        said.append("digital numbers with an offset that the metadata of their bands give: taken off")
    brightest = max(middle[band] for band in units)
    if brightest <= SMALL:
        if all(source.scales[band] == (1.0, 0.0) for band in units):
            said.append("reflectances, not digital numbers: taken as they are")
        return {band: Decoding(1 / unit) for band, unit in units.items()}
    if brightest < LARGE or {source.file.dtypes[source.places[band]] for band in units} == {"uint8"}:
        raise ValueError(
            f"its brightest band has a median of {brightest:.4g}: neither reflectance (below 1) nor Sentinel-2's "
            f"digital numbers ({QUANTIFICATION:g} times that), but a picture for the eye; take the product's own bands"
        )
    offset = 0.0 if shifted else added(source.tags)
    if offset:
        said.append(f"digital numbers with {offset:g} added since the processing baseline 04.00: taken off")
    return {band: Decoding(1 / QUANTIFICATION / unit, -offset / QUANTIFICATION / unit) for band, unit in units.items()}


def _terrain(
    source: Source, sample: dict[str, Planes], bundle: Bundle, metres: tuple[float, float] | None, meaning: Meaning
) -> None:
    """Add the decodings of slope and height."""
    units = dict(zip(bundle.bands, bundle.units or (), strict=True))
    slope, unit = None, source.unit_of("DEM")
    if "DEM" in sample:
        metre = 1.0
        if unit in ("ft", "foot", "feet", "us survey foot", "us-ft"):
            meaning.said.append("heights in feet: taken for metres after times 0.3048")
            metre = FEET
        height = sample["DEM"] * np.float32(metre)
        low, high = (float(q) for q in np.nanquantile(height, (0.001, 0.999)))
        if low < HEIGHTS[0] or high > HEIGHTS[1]:
            raise ValueError(
                f"band DEM: from {low:g} to {high:g}, which are no metres above the sea; heights in metres are needed"
            )
        if "DEM" in units:
            meaning.bands["DEM"] = Decoding(metre / units["DEM"])
        slope = None if metres is None else slope_degrees(height, *metres)
    if "slope" not in units:
        return
    if "slope" in sample:
        form = _unit_of_slope(source, sample["slope"], slope)
        degrees = SLOPES[form](sample["slope"])
        if np.nanmedian(degrees) < STEEP:
            if slope is not None and np.nanmedian(degrees) > 5 and np.nanmedian(slope) < np.nanmedian(degrees) / 10:
                raise ValueError(
                    f"band DEM: its heights give a slope of {np.nanmedian(slope):.2g} degrees, and the band slope says "
                    f"{np.nanmedian(degrees):.2g} (medians); heights in metres are needed"
                )
            if form != "degrees":
                meaning.said.append(f"slope in {form}: turned into degrees")
            meaning.bands["slope"] = Decoding(1 / units["slope"], slope=form)
            return
        problem = f"a slope of {np.nanmedian(degrees):.0f} degrees on half of it, as from heights on a grid in degrees"
    else:
        problem = "no slope"
    if slope is None:
        raise ValueError(
            f"{problem}, and no heights to compute it from; add slope in degrees, or heights in metres as a band DEM"
        )
    meaning.height, meaning.slope = Decoding(metre), Decoding(1 / units["slope"])
    meaning.said.append(f"{problem}: computed from the heights of the band DEM")


def _unit_of_slope(source: Source, raw: Planes, slope: Planes | None) -> str:
    """Return the unit of a slope, by metadata, by the heights of the scene, or else by its range."""
    said = source.unit_of("slope")
    for unit, words in {"degrees": ("deg", "°"), "per cent": ("%", "percent", "per cent"), "radians": ("rad",)}.items():
        if said.startswith(words):
            return unit
    steepest = float(np.nanquantile(raw, 0.999))
    if steepest > 91:  # 90 and what rounding adds
        return "per cent"
    if np.nanmedian(raw) > STEEP:
        return "degrees"
    if steepest <= np.pi / 2:
        return "radians"
    if slope is None:
        return "degrees"
    error = {unit: float(np.nanmedian(np.abs(degrees(raw) - slope))) for unit, degrees in SLOPES.items()}
    best = min(error, key=lambda unit: error[unit])
    # Heights that are smoother than the slope's own are less steep: only a clear fit speaks against degrees.
    return best if error[best] < error["degrees"] / 2 else "degrees"


def _check(source: Source, sample: dict[str, Planes], bundle: Bundle, meaning: Meaning) -> None:
    """Refuse a scene, one of whose bands is unlike what the network learnt from. Raises ValueError."""
    units = bundle.units or (1.0,) * len(bundle.bands)
    for band, unit, shift, scale in zip(
        bundle.bands, units, bundle.shift.flatten(), bundle.scale.flatten(), strict=True
    ):
        if band not in meaning.bands:
            continue
        values = meaning.bands[band](sample[band]) * unit
        middle, away = float(np.nanmedian(values)), _away(float(np.nanmedian(values)) / unit, band, bundle)
        if away > LIMIT:
            learnt = f"{shift * unit:.3g} ± {scale * unit:.2g}" if shift else f"{scale * unit:.3g} on average"
            raise ValueError(
                f"band {band}: its median is {middle:.3g}{UNIT.get(band, '')}, and the network learnt on {learnt}; "
                f"{_cause(source, band, bundle)}"
            )
        if band not in TERRAIN and bundle.units and np.nanquantile(values, 0.01) < DARKEST:
            raise ValueError(
                f"band {band}: reflectances below 0, down to {np.nanquantile(values, 0.01):.2g}: its offset seems to "
                f"be taken off already, though the metadata say that {OFFSET:g} was added; set a tag BOA_ADD_OFFSET=0"
            )


def _cause(source: Source, band: str, bundle: Bundle) -> str:
    """Return what may be wrong with a band, and what to do."""
    if source.by_order:
        return "the file does not name its bands; name them in its order by --bands"
    if set(bundle.units or ()) == {255.0}:
        return "another exposure, or another thing than a photograph; stretch it to 0..255, or take another network"
    if band in TERRAIN:
        return "another unit, or a place unlike any that it has seen; give metres and degrees, or take another network"
    return (
        "another unit or offset, or snow or cloud all over. Sentinel-2's digital numbers are reflectance times 10000; "
        "where 1000 was added, as since the baseline 04.00, a tag has to say so (gdal_edit -mo BOA_ADD_OFFSET=-1000)"
    )
