"""Recipe to record, and a table to its records. What has been run is not run again."""

import json
import os
import shutil
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from tqdm import tqdm

from landslide_lib.paths import atomic_write
from landslide_lib.study import machine
from landslide_lib.study.comparison import collect_records
from landslide_lib.study.recipe import Recipe
from landslide_lib.study.records import Epoch, Record, Store
from landslide_lib.study.reports import Table, resolve
from landslide_lib.training import energy

if TYPE_CHECKING:  # it imports torch
    from landslide_lib.study.tasks.run import Setting


class NotRunError(ValueError):
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
    weights: bool = False,
) -> Record:
    """Return the record of a recipe and a seed, training only if there is none.

    A run that was killed goes on from its last checkpoint. A second process that asks for the same run waits for the
    first one's record. The runs that it depends on are made first where their records or weights are not here. With
    `rerun` it is trained again, and the old record stays; with `weights` also if its weights are not here. `skip_bad`
    leaves unusable files out, listed in the record.

    Raises DatasetNotFoundError, BadFileError: the data is not here, whatever is published, or a file is damaged.
    FloatingPointError: the network diverged; it leaves no record. NotRunError: there is no record, and
    `LANDSLIDE_TRAIN=no`.
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

    def known() -> Record | None:
        of_run = (seed, packed.fingerprint)
        found = [one for one in store.all({wanted.hash}) if (one.seed, one.fingerprint) == of_run and not rerun]
        return next((one for one in reversed(found) if not weights or store.weights(one).is_file()), None)

    if record := known():
        return record
    # Of checkpoints, of these revisions of the components: no stale one is resumed.
    revisions = zlib.crc32(json.dumps(wanted.components).encode())
    name = f"{wanted.hash}-{packed.fingerprint[:8]}-s{seed}-{revisions:08x}"
    work = store.home.parent / "unfinished" / name
    with store.lock(wanted, seed, packed.fingerprint):
        if record := known():  # another process has made it meanwhile
            return record
        if weights and (found := store.find(wanted, seed, packed.fingerprint)):
            print(f"the weights of {found[0].name} are not here: it is trained again", file=sys.stderr)
        options: dict[str, Any] = {"store": store, "device": device, "data_root": data_root, "skip_bad": skip_bad}
        # What was not trained has no weights of its own: those of its members are asked for.
        bases = [run(other, seed, weights=other.trains, **options) for other in wanted.depends_on]
        from landslide_lib.study.tasks.run import Setting
        from landslide_lib.training.loop import device_of

        given = [(base, store.weights(base)) for base in bases]
        record = _make(wanted, Setting(packed, seed, device_of(device), work, given, data_root), store)
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
    **options: Any,
) -> Iterator[Record]:
    """Run rows of a table by id, or all that can be run on the dataset; `options` are those of `run`.

    Yields their records, seed by seed. Raises ValueError: there is no such row, or not to be run on this data.
    """
    # All recipes first: a bad one is refused before anything trains.
    chosen = table.chosen(rows, dataset)
    recipes = [resolve(table, row, dataset=dataset, profile_name=profile_name) for row in chosen]
    for seed, wanted in product(seeds, recipes):
        yield run(wanted, seed, **options)


def open_store(data_root: str | Path | None = None) -> Store:
    """Return the local and published records, those of the data that is here first.

    Under `LANDSLIDE_TRAIN=no` the data is not looked at: the book shows what is published, wherever it is built.
    """
    if os.environ.get("LANDSLIDE_TRAIN") == "no":
        return Store()
    from landslide_lib.study.domains import configured_data

    return Store(data=configured_data(Path(data_root) if data_root else None))


def ensure(table: Table, **options: Any) -> None:
    """Run what is missing of a table, see `run_table`, with a progress bar; nothing under `LANDSLIDE_TRAIN=no`.

    Without the data a line says so if there are records. DatasetNotFoundError: there is neither.
    """
    if os.environ.get("LANDSLIDE_TRAIN") == "no":
        return
    from landslide_lib.data.registry import DatasetNotFoundError

    rows = options.get("rows") or table.runnable(options.get("dataset"))
    with tqdm(total=len(rows) * len(options.get("seeds", (0,))), desc=table.name, disable=None, leave=False) as bar:
        try:
            for _ in run_table(table, **options):
                bar.update()
        except DatasetNotFoundError as error:
            where = options.get("dataset"), options.get("profile_name")
            records = collect_records(table, options.get("store") or Store(), *where)
            if options.get("rerun") or not any(records.values()):
                raise
            print(f"{error}. Until then {table.name} shows records of before", file=sys.stderr)


def _make(wanted: Recipe, setting: "Setting", store: Store) -> Record:
    """Train a recipe, or evaluate the trained networks that it takes up, and describe what came of it."""
    import torch

    from landslide_lib.training.loop import precision_on

    packed, device, bases = setting.packed, setting.device, [record for record, _ in setting.dependencies]
    task = import_module(f"landslide_lib.study.tasks.{wanted.task}")
    used, clock = energy.Energy(), time.perf_counter()
    if wanted.trains:
        work = setting.folder
        assert work is not None
        starts = _starts(work, torch.get_num_threads())
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            with energy.metered() as used:
                result = task.run(wanted, setting)
        except ValueError:
            if not (work / "last.ckpt").exists():  # refused before it trained: leave nothing
                shutil.rmtree(work, ignore_errors=True)
            raise
    else:
        starts = [_Start(_now(), *machine.commit(), torch.get_num_threads())]
        result = task.restore(wanted, setting)
    scores = result.evaluate()
    test = [] if "test_ids" in scores else result.parts["test"].tolist()
    described: dict[str, Any] = {
        "recipe": wanted,
        "parameters": sum(p.numel() for p in result.task.network.parameters() if p.requires_grad),
        "images": {part: len(indices) for part, indices in result.parts.items()},
        "test_ids": [packed.ids[i] for i in test],
        "test_groups": [packed.groups[i] for i in test],
        **scores,
    }
    images, peak = described["images"], machine.peak_memory_mb()
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 1024**2
    precision, seconds, speed = "", 0.0, (images["valid"] + images["test"]) / (time.perf_counter() - clock)
    if wanted.trains:
        seconds = median(line["seconds"] for line in result.history)
        speed, precision = images["train"] / seconds, precision_on(device, wanted.precision)
    record = Record(
        **described,
        hash=wanted.hash,
        seed=setting.seed,
        fingerprint=packed.fingerprint,
        revisions=wanted.components,
        excluded=list(packed.excluded),
        start=result.start,
        history=[Epoch(**line) for line in result.history],
        seconds_per_epoch=round(seconds, 4),
        samples_per_second=round(speed, 1),
        energy_wh=None if result.resumed else used.wh,  # of the last start alone
        energy_method="" if result.resumed else used.method,
        peak_memory_mb=round(peak, 1),
        precision=precision,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else machine.processor(),
        threads=torch.get_num_threads(),
        versions=machine.versions(),
        commit=starts[-1].commit,
        # A run that was taken up by other code than it was begun with is of no one commit.
        dirty=any([one.dirty for one in starts] + [one.dirty for one in bases])
        or len({one.commit for one in starts}) > 1,
        started=starts[0].time,
        finished=_now(),
        resumed=len(starts) - 1 if result.resumed else 0,
        depends_on=tuple(record.name for record in bases),
        threads_of_starts=tuple(one.threads for one in starts) if result.resumed else (),
    )
    if wanted.trains:
        result.save(store.weights(record), record)  # before the record is there: it says that all is
    return record


class _Start(NamedTuple):
    time: str
    commit: str
    dirty: bool
    threads: int


def _starts(work: Path, threads: int) -> list[_Start]:
    """Note another start of a run, and of which code; return all of them, the first one first."""
    note = work / "starts"
    lines = note.read_text(encoding="utf-8").splitlines() if (work / "last.ckpt").exists() else []
    try:
        before = [_Start(*json.loads(line)) for line in lines]
    except (ValueError, TypeError):  # of which code the checkpoint is, nobody knows
        raise ValueError(f"{note}: damaged; remove its folder, and the run starts afresh") from None
    starts = [*before, _Start(_now(), *machine.commit(), threads)]
    with atomic_write(note) as scratch:
        scratch.write_text("".join(f"{json.dumps(start)}\n" for start in starts), encoding="utf-8")
    return starts


def _now() -> str:
    return datetime.now(UTC).isoformat()
