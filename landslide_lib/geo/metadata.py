"""What metadata say of the numbers of a Sentinel-2 scene: tags of a GeoTIFF, or the STAC item beside it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landslide_lib.geo.naming import band_name

OFFSET = 1000.0  # digital numbers that products have more since the processing baseline 04.00 (January 2022)
QUANTIFICATION = 10_000.0  # digital numbers of a reflectance of 1


def tags_of(dataset: Any, path: Path) -> dict[str, str]:
    """Return the tags of a file, of its bands and of a STAC item `NAME.json` beside it: in capitals, no prefix."""
    tags: dict[str, str] = {}
    item = _stac_item(path)
    for found in (item.get("properties", {}), *map(dataset.tags, dataset.indexes), dataset.tags()):
        tags |= _plain(found)
    return tags


def has_no_offset(properties: Mapping[str, Any]) -> bool:
    """Return whether properties of a STAC item, or tags, say that nothing is added to its digital numbers.

    That is so before the processing baseline 04.00, and where whoever delivers it has taken the offset off. Earth
    Search goes on to print an offset in the items of both.
    """
    tags = _plain(properties)
    baseline = _baseline(tags)
    return tags.get("BOA_OFFSET_APPLIED", "").lower() == "true" or (baseline is not None and baseline < 4)


def scales_of(dataset: Any, names: list[str], path: Path) -> list[tuple[float, float]]:
    """Return scale and offset of each band by GDAL's metadata or `raster:bands` of the STAC item; (1, 0) is none."""
    stac, none = {}, has_no_offset(tags_of(dataset, path))
    for key, asset in _stac_item(path).get("assets", {}).items():
        for one in asset.get("raster:bands", ())[:1]:
            stac[band_name(key)] = float(one.get("scale", 1)), 0.0 if none else float(one.get("offset", 0))
    found = zip(names, dataset.scales, dataset.offsets, strict=True)
    return [stac.get(name, (1.0, 0.0)) if (s, o) == (1, 0) else (s, o) for name, s, o in found]


def _stac_item(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        item = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return item if isinstance(item, dict) and "stac_version" in item else {}


def added(tags: dict[str, str]) -> float:
    """Return the digital numbers that were added to the reflectances, 0 or `OFFSET`, by the metadata and no date.

    The offset of the product's metadata counts most, then whether whoever delivers it has taken it off already (as
    Earth Search says), then the baseline. Raises ValueError: the bands have different offsets.
    """
    stated = {float(value) for name, value in tags.items() if re.match(r"(BOA|RADIO)_ADD_OFFSET", name)}
    if len(stated) > 1:
        raise ValueError(f"its bands have different offsets, {', '.join(f'{one:g}' for one in sorted(stated))}")
    if stated:
        return -stated.pop()
    return OFFSET if _baseline(tags) and not has_no_offset(tags) else 0.0


def _baseline(tags: Mapping[str, str]) -> int | None:
    """Return the processing baseline before its point, of 05.11, 5.1 or N0511; None where it is not said."""
    found = re.search(r"(\d+)\.|(\d?\d)\d\d", tags.get("PROCESSING_BASELINE", ""))
    return int(found[1] or found[2]) if found else None


def _plain(tags: Mapping[str, Any]) -> dict[str, str]:
    return {name.upper().rpartition(":")[2]: str(value) for name, value in tags.items()}


def level_of(tags: dict[str, str], path: Path) -> str:
    """Return the processing level, `L1C` (top of atmosphere) or `L2A` (ground), by tags or the name; or ''."""
    said = [tags.get(name, "") for name in ("PRODUCT_TYPE", "PROCESSING_LEVEL", "COLLECTION")]
    found = re.search(r"(?:MSIL?|LEVEL-?|\bL)(1C|2A)", " ".join([*said, path.name]).upper())
    return f"L{found[1]}" if found else ""
