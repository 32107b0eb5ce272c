"""What small networks cost on one CPU core, as it is published. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_lib.paths import PUBLISHED, write_once
from landslide_lib.study import machine
from landslide_lib.study.records import RecordError

FOLDER = PUBLISHED / "edge"


def file_of(table: str, profile: str, folder: Path = FOLDER) -> Path:
    """Return the published file of a table.

    >>> file_of("raunet/small-models", "full").name
    'raunet-small-models-full.json'
    """
    return folder / f"{table.replace('/', '-')}-{profile}.json"


def check_publishable(table: str, profile: str, folder: Path = FOLDER) -> None:
    """Refuse what may not be published; best asked before anything is measured.

    Raises:
        RecordError: The profile is smoke, the tree is dirty, or the table is published.
    """
    path, why = file_of(table, profile, folder), None
    if profile == "smoke":
        why = "it is of the smoke profile, which is for tests"
    elif machine.commit()[1]:
        why = "the tree had uncommitted changes; commit them and run it again"
    elif path.exists():
        why = f"{path} is there; remove it to measure anew"
    if why:
        raise RecordError(f"{path.stem} is not published: {why}")


def publish(table: str, profile: str, dataset: str, rows: Sequence[Mapping[str, Any]], folder: Path = FOLDER) -> Path:
    """Write the measurements of a table to the published results.

    Args:
        table: Such as `raunet/small-models`.
        profile: The budget.
        dataset: Whose bands the networks take.
        rows: Of `export.measure`, each with `row` and `label` of the table.
        folder: Where to.

    Returns:
        The file.

    Raises:
        RecordError: See `check_publishable`.
    """
    check_publishable(table, profile, folder)
    facts = {"table": table, "profile": profile, "dataset": dataset, "rows": list(rows)}
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    return write_once(file_of(table, profile, folder), text + "\n")


def published(table: str, profile: str = "full", folder: Path = FOLDER) -> dict[str, Any] | None:
    """Return what is published of a table: `table`, `profile`, `dataset` and `rows`, or None."""
    path = file_of(table, profile, folder)
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return facts
