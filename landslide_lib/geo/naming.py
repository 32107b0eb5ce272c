"""Which band of a file is which: the names that files give to the bands of Sentinel-2, to slope and to height."""

import re
from collections.abc import Sequence

from landslide_lib.data.bands import SENTINEL_2

#: The other names of our bands, as the common names of STAC's extension eo, and Copernicus's own, have them.
_OTHER = {
    "B1": "coastal aerosol coastal_aerosol",
    "B2": "blue b",
    "B3": "green g",
    "B4": "red r",
    "B5": "rededge1 rededge071",
    "B6": "rededge2 rededge075",
    "B7": "rededge3 rededge078",
    "B8": "nir nir1",
    "B8A": "nir08 narrow_nir",
    "B9": "nir09 watervapour water_vapour water_vapor",
    "B10": "cirrus",
    "B11": "swir1 swir16",
    "B12": "swir2 swir22",
    "slope": "slope",
    "DEM": "dem dsm dtm elevation altitude height heights",
    "SCL": "scl scene_classification scene_classification_map",
    "cloud mask": "cloud cloud_mask cloudmask clouds clm",
}
_NAMES = {other: name for name, others in _OTHER.items() for other in others.split()}
#: B04, B4, Band 4, band_04; what follows it after a space, comma or bracket (a wavelength) is no part of the name.
_NUMBER = re.compile(r"b(?:and)?[ _-]?0?(\d{1,2}a?)(?=$|[ ,;(:])")


def band_name(text: str) -> str:
    """Return our name of a band, such as B4 for `B04`, `red`, or `Band 4 (665 nm)`; a name of no known form as it is.

    >>> [band_name(text) for text in ("B08", "b8a", "Red", "Slope [degrees]", "VV_desc")]
    ['B8', 'B8A', 'B4', 'slope', 'VV_desc']
    """
    plain = text.strip().lower()
    if numbered := _NUMBER.match(plain):
        return "B" + numbered[1].upper()
    word = re.split(r"[,;(\[:]", plain)[0].strip()
    return _NAMES.get(re.sub(r"[ -]+", "_", word), text.strip())


def match(names: Sequence[str], wanted: Sequence[str]) -> dict[str, int]:
    """Return the place in a file, from 0, of each wanted band that is among the file's names, an empty one unnamed.

    Red, green and blue are B4, B3 and B2 to either side. Raises ValueError: two bands have the name of a wanted one.
    """
    found = [band_name(name) if name else "" for name in names]
    places: dict[str, int] = {}
    for band in wanted:
        here = [place for place, name in enumerate(found) if name in (band, SENTINEL_2.get(band))]
        if len(here) > 1:
            raise ValueError(f"bands {' and '.join(str(place + 1) for place in here)} are both {band} by their names")
        if here:
            places[band] = here[0]
    return places
