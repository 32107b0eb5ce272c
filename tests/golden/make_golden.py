"""Freezes the published records and every table that is made of them: `python tests/golden/make_golden.py`.

It was run on 2026-11-30, when the networks of the RAU-Net report became those of its first author; again only when a
number is meant to change.
"""

import io
import json
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from test_golden import ARCHIVE, tables_of

from landslide_lib.paths import PUBLISHED
from landslide_lib.study.records import Store


def freeze() -> None:
    """Write the archive: `records/NAME.json` as published, `tables.json` as computed now."""
    files = {f"records/{path.name}": path.read_bytes() for path in sorted(PUBLISHED.glob("*.json"))}
    files["tables.json"] = json.dumps(tables_of(Store(Path("none"))), indent=0).encode()
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    freeze()
