"""No number changes: records frozen on 2026-11-29 load as they are, and every table made of them has the same values.

The archive holds `records/NAME.json`, as published that day, and `tables.json`, computed by the code of that day. Of
records of the first forms the two lines that have been migrated since are as migrated.
"""

import json
import math
import tarfile
from pathlib import Path
from typing import Any

import pytest

from landslide_lib.study import comparison, reports
from landslide_lib.study.records import Store

ARCHIVE = Path(__file__).parent / "golden" / "golden.tar.xz"


def tables_of(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return by table, dataset and profile what `landslide table --format json` prints of its rows."""
    tables = {}
    for report in reports.reports().values():
        for table in report.tables.values():
            for dataset, profile, _ in comparison.known_runs(table, store):
                rows = comparison.compare(table, store, dataset=dataset, profile_name=profile)
                tables[f"{table.name} {dataset} {profile}"] = rows
    return tables


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_every_record_loads_with_its_recipe_its_hash_and_its_scores(golden: Path):
    records = {record.name: record for record in Store(golden / "records", ()).all()}
    paths = sorted((golden / "records").glob("*.json"))
    assert len(records) == len(paths)
    for path in paths:
        frozen, record = json.loads(path.read_text(encoding="utf-8")), records[path.stem]
        again = json.loads(record.to_json())
        assert record.recipe.hash == frozen["hash"]
        assert not [where for where in differences(again["recipe"], frozen["recipe"]) if not where.endswith("was None")]
        for field in ("seed", "fingerprint", "test", "test_tuned", "valid", "test_counts", "histogram"):
            assert again[field] == frozen[field], f"{path.stem}: {field}"


def test_every_table_has_the_same_values_intervals_and_seeds(golden: Path):
    frozen = json.loads((golden / "tables.json").read_text(encoding="utf-8"))
    now = json.loads(json.dumps(tables_of(Store(golden / "records", ()))))
    assert list(now) == list(frozen)
    for name, rows in frozen.items():
        known = {was["id"] for was in rows}
        there = [row for row in now[name] if row["id"] in known]  # a table may have got rows since
        for row, was in zip(there, rows, strict=True):
            assert row["id"] == was["id"]
            if was["ours"] is None:
                continue  # a row that had no number may have got one since, by a network that stands in
            later = ("/ours/data", "/ours/threads")
            changed = [where for where in differences(row, was) if not where.startswith(later)]
            assert not changed, f"{name}, row {was['id']}: {changed[:5]}"


def differences(now: Any, was: Any, where: str = "") -> list[str]:
    """Return where two values of JSON differ; numbers may by rounding, 1e-12 of themselves."""
    if isinstance(was, dict) and isinstance(now, dict):
        keys = {*was, *now}
        return [place for key in sorted(keys) for place in differences(now.get(key), was.get(key), f"{where}/{key}")]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [
            place for i, pair in enumerate(zip(now, was, strict=True)) for place in differences(*pair, f"{where}/{i}")
        ]
    if isinstance(was, float) and isinstance(now, float):
        return [] if math.isclose(now, was, rel_tol=1e-12) else [f"{where}: {now} was {was}"]
    return [] if now == was else [f"{where}: {now} was {was}"]
