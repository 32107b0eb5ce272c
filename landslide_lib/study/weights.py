"""Weights of published runs: fetched from a release or made again, and checked by the scores of their record."""

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pooch

from landslide_lib.data.base import DownloadError
from landslide_lib.study import domains, runs
from landslide_lib.study.records import Outcome, Record, Store

TOLERANCE = 1e-3  # of a test score at threshold 0.5: another processor rounds in another way


def get(record: Record, store: Store, address: str | None = None, data_root: Path | None = None) -> Path:
    """Return the weights of a record that was trained: those that are here, or ADDRESS/NAME.pt, or trained again.

    What is fetched, with NAME.filter.json where there is a filter of tiles, is read without running code, scored on the
    data that is here, and only then put in its place. What is trained again is a new record. Raises DownloadError: it
    cannot be fetched. ValueError: it is damaged or of something else, the data is another copy, or a score differs.
    """
    path = store.weights(record)
    if path.is_file():
        return path
    if not address:
        made = runs.run(record.recipe, record.seed, store=store, weights=True, data_root=data_root)
        _compare(record, made.test, f"{store.weights(made)}, trained again")
        return store.weights(made)
    from landslide_lib.study.tasks.classification import filter_path
    from landslide_lib.study.tasks.run import Setting
    from landslide_lib.training.loop import device_of

    packed = domains.load(record.recipe, root=data_root)
    if packed.fingerprint != record.fingerprint:
        raise ValueError(f"{record.name} was made on another copy of {packed.name}: its scores cannot be checked here")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", dir=path.parent) as folder:
        scratch = Path(folder) / path.name
        files = [filter_path(scratch)] * bool(getattr(record.recipe, "filter", None)) + [scratch]
        source = f"{address.rstrip('/')}/{path.name}"
        try:
            for file in files:
                pooch.retrieve(f"{address.rstrip('/')}/{file.name}", None, path=folder, fname=file.name)
        except OSError as error:
            raise DownloadError(
                f"{source} cannot be fetched ({error}). Without --from they are trained again"
            ) from error
        setting = Setting(packed, record.seed, device_of(), None, [(record, scratch)], data_root)
        task = import_module(f"landslide_lib.study.tasks.{record.recipe.task}")
        try:
            scores = task.restore(record.recipe, setting).evaluate()["test"]
        except ValueError as error:
            raise ValueError(f"{source}: not the weights of {record.name} ({str(error).split('. ')[0]})") from None
        _compare(record, Outcome.model_validate(scores), source)
        for file in files:  # the network last: where it is, all is there
            file.replace(path.with_name(file.name))
    return path


def _compare(record: Record, test: Outcome, what: str) -> None:
    # A score that is None becomes NaN.
    old, new = (np.array([s for of in one.metrics.values() for s in of.values()], float) for one in (record.test, test))
    if not np.allclose(old, new, rtol=0, atol=TOLERANCE, equal_nan=True):
        far = np.nanmax(np.abs(old - new))
        raise ValueError(f"{what}: its scores differ from those of {record.name} by up to {far:.4f}")
