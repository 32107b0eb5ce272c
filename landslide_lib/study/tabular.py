"""What is measured of tables and of tiles (`tools/tabular.py`), published for who has no files."""

import json
from pathlib import Path
from typing import Any

from landslide_lib.paths import PUBLISHED

FOLDER = PUBLISHED / "tabular"


def published(name: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """Return what was published last under a name, with `made`, its time; None where nothing is."""
    facts = [json.loads(path.read_text("utf-8")) for path in folder.glob(f"{name}-*.json")]
    return max((one for one in facts if one["name"] == name), key=lambda one: str(one["made"]), default=None)
