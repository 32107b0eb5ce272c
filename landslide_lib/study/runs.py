"""Recipe to record, and a table to its records. What has been run is not run again."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tqdm import tqdm

from landslide_lib.paths import atomic_write
from landslide_lib.study import machine
from landslide_lib.study.comparison import records_of
from landslide_lib.study.recipe import Recipe
from landslide_lib.study.records import Epoch, Record, Store
from landslide_lib.study.reports import Row, Table, resolve
from landslide_lib.training import energy


class NotRunError(RuntimeError):
    """There is no record, and `LANDSLIDE_TRAIN=no` forbids to make one."""


def run(
    wanted: Recipe,
    seed: int,
    *,
    store: Store | None = None,
    rerun: bool = False,
    device: str = "auto",
    data_root: Path | None = None,
    skip_bad: bool = False,
) -> Record:
    """Return the record of a recipe and a seed, training only if there is none.

    A run that was killed goes on from its last checkpoint. A second process that asks for the same run waits for the
    first one's record. Post-processing grows from the kept weights of the same recipe without it, which is trained
    first where there are none.

    Args:
        wanted: The recipe.
        seed: Of initialisation, order and augmentation.
        store: Of records; by default the local runs and the published ones.
        rerun: Train again; the old record stays.
        device: `auto`, `cpu`, `cuda`.
        data_root: In place of `LANDSLIDE_DATA`.
        skip_bad: Leave unusable files out, listed in the record.

    Returns:
        The record.

    Raises:
        DatasetNotFoundError: The data is not here. A published record does not stand in for it.
        BadFileError: A file cannot be used.
        FloatingPointError: The network diverged. No record is written.
        NotRunError: There is no record, and `LANDSLIDE_TRAIN=no` (the book is being built).
    """
    store = store or Store()
    if os.environ.get("LANDSLIDE_TRAIN") == "no":
        found = store.find(wanted, seed)
        if not found:
            raise NotRunError(f"{wanted.dataset} {wanted.hash} seed {seed} has not been run")
        return found[0]
    machine.commit()  # now, not after the training: the tree may change meanwhile
    from landslide_lib.study import domains

    packed = domains.load(wanted, root=data_root, skip_bad=skip_bad)
    found = store.find(wanted, seed, packed.fingerprint)
    if found and not rerun:
        return found[0]
    with store.lock(wanted, seed, packed.fingerprint):
        found = store.find(wanted, seed, packed.fingerprint)
        if found and not rerun:
            return found[0]
        options = {"device": device, "data_root": data_root, "skip_bad": skip_bad}
        bases = [_base(other, seed, store, options) for other in wanted.depends_on]
        if not wanted.trains:
            record = _make(wanted, packed, seed, store, bases, device)
            store.add(record)
            return record
        name = f"{wanted.hash}-{packed.fingerprint[:8]}-s{seed}"
        work = store.home.parent / "unfinished" / f"{name}-{_code(wanted)}"
        try:
            record = _make(wanted, packed, seed, store, bases, device, work=work, data_root=data_root)
        except ValueError:
            if not (work / "last.ckpt").exists():  # refused before it trained: leave nothing
                shutil.rmtree(work, ignore_errors=True)
            raise
        store.add(record)
        shutil.rmtree(work, ignore_errors=True)
        return record


def run_table(
    table: Table,
    *,
    rows: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    dataset: str | None = None,
    profile_name: str | None = None,
    store: Store | None = None,
    **options: Any,
) -> Iterator[tuple[Row, int, Record]]:
    """Run the rows of a table in one process, seed by seed, the data loaded once.

    Args:
        table: Of a report.
        rows: Ids; () for every row of kind `run` that the dataset fits.
        seeds: To run.
        dataset: In place of the report's own.
        profile_name: A budget.
        store: Of records.
        **options: Of `run`.

    Yields:
        Row, seed and record, as they come.

    Raises:
        ValueError: The table has no such row, or a row has nothing to run, or not on this data.
    """
    store = store or Store()
    chosen = table.chosen(rows, dataset)
    # All recipes first: a bad one is refused before anything trains.
    recipes = [resolve(table, row, dataset=dataset, profile_name=profile_name) for row in chosen]
    for seed in seeds:
        for row, wanted in zip(chosen, recipes, strict=True):
            yield row, seed, run(wanted, seed, store=store, **options)


def open_store(data_root: str | Path | None = None) -> Store:
    """Return the local and published records, those of the data that is here first.

    Args:
        data_root: In place of `LANDSLIDE_DATA`; "" is none.

    Returns:
        The store. Under `LANDSLIDE_TRAIN=no` the data is not looked at: the book shows what is published, on whatever
        machine it is built.
    """
    if os.environ.get("LANDSLIDE_TRAIN") == "no":
        return Store()
    from landslide_lib.study.configured_data import configured_data

    return Store(data=configured_data(Path(data_root) if data_root else None))


def ensure(table: Table, **options: Any) -> None:
    """Run what is missing of a table, with a progress bar; a chapter's one call.

    A reader without the data still has the published records: where there are any of this table, a line says so and
    nothing is run.

    Args:
        table: Of a report.
        **options: Of `run_table`. Under `LANDSLIDE_TRAIN=no` nothing is run: what is not there stays an em dash.

    Raises:
        DatasetNotFoundError: The data is not here, and there is no record of the table either.
    """
    if os.environ.get("LANDSLIDE_TRAIN") == "no":
        return
    rows, seeds = (options.get("rows") or table.runnable(options.get("dataset")), options.get("seeds", (0,)))
    from landslide_lib.data.registry import DatasetNotFoundError

    bar = tqdm(total=len(rows) * len(seeds), desc=table.name, disable=None, leave=False)
    with bar:
        try:
            for _ in run_table(table, **options):
                bar.update()
        except DatasetNotFoundError as error:
            names = {key: options.get(key) for key in ("dataset", "profile_name")}
            records = records_of(table, options.get("store") or Store(), **names)
            if options.get("rerun") or not any(records.values()):
                raise
            print(f"{error}. Until then {table.name} shows records of before", file=sys.stderr)


def _code(wanted: Recipe) -> str:
    """Identify the revisions of the components, so that no stale checkpoint is resumed."""
    return f"{zlib.crc32(json.dumps(wanted.components).encode()):08x}"


def _base(wanted: Recipe, seed: int, store: Store, options: dict[str, Any]) -> Record:
    """Return the record of a run that another one grows from, with its weights here."""
    base = run(wanted, seed, store=store, **options)
    # What was not trained has no weights of its own: those of its members are asked for.
    if wanted.trains and not store.weights(base).is_file():
        print(f"the weights of {base.name} are not here: it is trained again", file=sys.stderr)
        base = run(wanted, seed, store=store, rerun=True, **options)
    return base


def _make(
    wanted: Recipe,
    packed: Any,
    seed: int,
    store: Store,
    bases: Sequence[Record],
    device_name: str,
    *,
    work: Path | None = None,
    data_root: Path | None = None,
) -> Record:
    """Train a recipe, or evaluate the trained networks that it takes up, and describe what came of it.

    Args:
        wanted: The recipe.
        packed: Its data.
        seed: Of the run.
        store: Where the weights are, and are kept.
        bases: The records that the run depends on.
        device_name: `auto`, `cpu`, `cuda`.
        work: The folder of checkpoints of a training; None where nothing is trained.
        data_root: In place of `LANDSLIDE_DATA`.
    """
    import torch

    from landslide_lib.study import tasks
    from landslide_lib.training import loop

    on = loop.device_of(device_name)
    given = [(record, store.weights(record)) for record in bases]
    setting = tasks.run.Setting(packed, seed, on, work, given, data_root)
    module = tasks.module_of(wanted.task)
    used = energy.Energy()
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        starts = _starts(work, torch.get_num_threads())
        if on.type == "cuda":
            torch.cuda.reset_peak_memory_stats(on)
        with energy.metered() as used:
            made = module.run(wanted, setting)
        seconds = median(line["seconds"] for line in made.history)
        fields = _described(made)
        images, taken = fields["images"]["train"], seconds
    else:
        starts = [_Start(_now(), *machine.commit(), torch.get_num_threads())]
        clock, seconds = time.perf_counter(), 0.0
        made = module.restore(wanted, setting)
        fields = _described(made)
        images, taken = fields["images"]["valid"] + fields["images"]["test"], time.perf_counter() - clock
    record = Record(
        **fields,
        history=[Epoch(**line) for line in made.history],
        seconds_per_epoch=round(seconds, 4),
        samples_per_second=round(images / taken, 1),
        energy_wh=used.wh,
        energy_method=used.method,
        commit=starts[-1].commit,
        # A run that was taken up by other code than it was begun with is of no one commit.
        dirty=any(s.dirty for s in starts)
        or len({s.commit for s in starts}) > 1
        or any(record.dirty for record in bases),
        started=starts[0].time,
        finished=_now(),
        resumed=len(starts) - 1 if made.resumed else 0,
        grown_from=tuple(record.name for record in bases),
        threads_of_starts=tuple(s.threads for s in starts) if made.resumed else (),
    )
    if work is not None:
        made.save(store.weights(record))  # before the record is there: it says that all is
    return record


def _described(made: Any) -> dict[str, Any]:
    """Return what a record says of a network (a `tasks.run.Run`): scores, and what it ran on."""
    import torch

    scores, wanted, setting = made.evaluate(), made.recipe, made.setting
    packed, on = setting.packed, setting.device
    peak = machine.peak_memory_mb()
    if on.type == "cuda":
        peak = torch.cuda.max_memory_allocated(on) / 1024**2
    where = [] if "test_ids" in scores else made.parts["test"].tolist()
    network = made.task.network
    return {
        "recipe": wanted,
        "hash": wanted.hash,
        "seed": setting.seed,
        "fingerprint": packed.fingerprint,
        "revisions": wanted.components,
        "excluded": list(packed.excluded),
        "images": {part: len(indices) for part, indices in made.parts.items()},
        "test_ids": [packed.ids[i] for i in where],
        "test_groups": [packed.groups[i] for i in where],
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "peak_memory_mb": round(peak, 1),
        "device": torch.cuda.get_device_name(on) if on.type == "cuda" else machine.processor(),
        "threads": torch.get_num_threads(),
        "versions": machine.versions(),
        "start": made.start,
        **scores,
    }


class _Start(NamedTuple):
    time: str
    commit: str
    dirty: bool
    threads: int


def _starts(work: Path, threads: int) -> list[_Start]:
    """Note another start of a run, and of which code; return all of them, the first one first.

    Where the note is damaged, it is not known which code the checkpoint beside it is of: both are set aside.
    """
    note, before = work / "starts", []
    if note.exists():
        try:
            lines = note.read_text(encoding="utf-8").splitlines()
            before = [_Start(*json.loads(line)) for line in lines]
        except (ValueError, TypeError):
            for path in (note, work / "last.ckpt"):
                if path.exists():
                    path.replace(path.with_suffix(".broken"))
            print(f"{note} is damaged; kept as starts.broken, the run starts afresh", file=sys.stderr)
    starts = [*before, _Start(_now(), *machine.commit(), threads)]
    with atomic_write(note) as scratch:
        scratch.write_text("".join(f"{json.dumps(start)}\n" for start in starts), encoding="utf-8")
    return starts


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat()
