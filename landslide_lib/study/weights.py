"""Weights of published runs: from a release or made again, and checked by the scores of their record."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pooch

from landslide_lib.study import runs
from landslide_lib.study.records import Record, Store

TOLERANCE = 1e-3  # of a test score at threshold 0.5: another processor rounds in another way


def get(record: Record, store: Store, address: str = "", data_root: Path | None = None) -> Path:
    """Return the weights of a record that was trained: those that are here, or ADDRESS/NAME.pt, or trained again.

    What is fetched, with NAME.filter.json where there is a filter of tiles, is read without running code, scored on the
    data that is here, and only then put in its place. What is trained again is a new record. Raises OSError: it cannot
    be fetched. ValueError: it is damaged or of something else, such as another copy of the data, or a score differs.
    """
    path = store.weights(record)
    if path.is_file():
        return path
    if not address:
        made = runs.run(record.recipe, record.seed, store=store, weights=True, data_root=data_root)
        _compare(record, made.test.metrics, f"{store.weights(made)}, trained again")
        return store.weights(made)
    from landslide_lib.study.tasks.classification import filter_path
    from landslide_lib.study.tasks.run import reopen

    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        scratch = Path(folder) / path.name
        files = [filter_path(scratch)] * bool(getattr(record.recipe, "filter", None)) + [scratch]
        for file in files:
            pooch.retrieve(f"{address.rstrip('/')}/{file.name}", None, path=folder, fname=file.name)
        task, setting = reopen(record, [(record, scratch)], data_root)
        scores = task.restore(record.recipe, setting).evaluate()["test"]["metrics"]
        _compare(record, scores, f"{address}: {path.name}")
        for file in files:  # the network last: where it is, all is there
            file.replace(path.with_name(file.name))
    return path


def _compare(record: Record, scores: dict[str, Any], what: str) -> None:
    both = (record.test.metrics, scores)  # a score that is None becomes NaN
    old, new = (np.array([score for of in each.values() for score in of.values()], float) for each in both)
    if not np.allclose(old, new, rtol=0, atol=TOLERANCE, equal_nan=True):
        far = np.nanmax(np.abs(old - new))
        raise ValueError(f"{what}: its scores differ from those of {record.name} by up to {far:.4f}")
