"""`make records`: compute the records that the study lacks, the most valuable first.

`records.yaml` says which tables on which data, in which profile, with how many seeds. A row without any record comes
first, then what rows lack of three seeds (first those that others are compared with, then the quickest), then further
seeds. One process a core, at the lowest priority; what is stopped goes on at the next call. Each new record is
published and copied into the tree that asked for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Any, NamedTuple

import yaml

from landslide_lib.paths import PUBLISHED
from landslide_lib.study import reports, runs
from landslide_lib.study.recipe import Recipe
from landslide_lib.study.records import Record, Store

PLAN = Path(__file__).with_suffix(".yaml")
ENOUGH = 3  # seeds that a row needs before it is compared; two give a verdict, whose interval is wide


class Job(NamedTuple):
    """A record that is missing."""

    table: str
    row: str
    dataset: str
    profile: str
    seed: int
    #: Estimated seconds on one core of its training and of those that it grows from, as far as there is no record.
    trainings: dict[str, float]

    @property
    def seconds(self) -> float:
        """Return the seconds of all of them."""
        return sum(self.trainings.values())

    def __str__(self) -> str:
        return f"{self.table} {self.row}, {self.dataset}, seed {self.seed} (about {self.seconds / 60:.0f} min)"


def duration(record: Record) -> float:
    """Return the seconds that a run took; of one that was resumed, those of its epochs."""
    if record.resumed:
        return record.seconds_per_epoch * len(record.history)
    return (datetime.fromisoformat(record.finished) - datetime.fromisoformat(record.started)).total_seconds()


def missing(plan: Sequence[dict[str, Any]], store: Store) -> tuple[list[Job], int]:
    """Return the records that a plan asks for and that are not there, the most valuable first, and how many are."""
    waiting: list[tuple[int, str, Job]] = []  # with how many seeds of the row come before, and its recipe
    references = set()  # recipes that others are compared with: without their seeds there is no verdict
    there: dict[tuple[str, int], bool] = {}
    everywhere = median([duration(record) for record in store.all()] or [600.0])

    def trainings(recipe: Recipe, seed: int, otherwise: Sequence[float]) -> dict[str, float]:
        lacking = {}
        for one in (recipe, *recipe.ancestors):
            found = store.find(one)
            if seed not in {record.seed for record in found}:
                lacking[f"{one.hash}-s{seed}"] = median(map(duration, found) if found else otherwise)
        return lacking

    for entry in plan:
        dataset, profile = entry["dataset"], entry.get("profile", "cpu")
        for name in entry["tables"]:
            table = reports.table(name)
            rows = []
            for row in table.runnable(dataset):
                recipe = reports.resolve(table, row, dataset=dataset, profile_name=profile)
                if not recipe.needs_download:
                    rows.append((row.id, recipe, store.find(recipe)))
                    if row == table.reference_on(dataset):
                        references.add(recipe.hash)
            known = [duration(record) for *_, found in rows for record in found]
            for row_id, recipe, found in rows:
                seeds = [seed for seed in range(entry["seeds"]) if seed not in {record.seed for record in found}]
                for seed in range(entry["seeds"]):
                    if (recipe.hash, seed) not in there:  # tables share rows
                        there[recipe.hash, seed] = seed not in seeds
                        if seed in seeds:
                            costs = trainings(recipe, seed, known or [everywhere])
                            job = Job(name, row_id, dataset, profile, seed, costs)
                            waiting.append((len(found) + seeds.index(seed), recipe.hash, job))

    def value(one: tuple[int, str, Job]) -> tuple[bool, bool, bool, float]:
        before, recipe, job = one
        if not before:  # without a record in the plan's order
            return False, False, False, 0.0
        return True, before >= ENOUGH, recipe not in references, job.seconds

    return [job for *_, job in sorted(waiting, key=value)], sum(there.values())


def status(jobs: Sequence[Job], there: int, cores: int) -> str:
    """Say what is there, what is missing and how long it will take."""
    once = {name: seconds for job in jobs for name, seconds in job.trainings.items()}
    hours = sum(once.values()) / cores / 3600
    missing_of = Counter(f"{job.table} on {job.dataset}" for job in jobs)
    lines = [
        f"Of the {there + len(jobs)} records that workflow/records.yaml asks for, {there} are there.",
        f"The other {len(jobs)} take about {hours:.1f} hours on {cores} cores:",
    ]
    return "\n".join([*lines, *(f"  {name}: {count} missing" for name, count in missing_of.items())])


class Queue:
    """Runs jobs in processes of their own, and ends them when it is ended itself."""

    def __init__(self, out: Path, minutes: float, nice: str) -> None:
        self.out, self.end, self.nice = out, time.monotonic() + 60 * minutes, nice
        self.before = {path.name for path in PUBLISHED.glob("*.json")}  # which the tree that asks has, or has removed
        self.running: set[subprocess.Popen[str]] = set()
        self.publishing = Lock()

    def stop(self, *_: object) -> None:
        """Start nothing more and end what runs; a training goes on from its last epoch at the next call."""
        self.end = 0.0
        for process in list(self.running):
            process.terminate()

    def compute(self, job: Job) -> bool:
        """Train one row, publish its record and copy it; return whether that worked."""
        if time.monotonic() > self.end:
            return False
        print(f"{datetime.now():%H:%M} {job}", flush=True)
        where = ["--dataset", job.dataset, "--profile", job.profile]
        done = self.landslide("train", job.table, "--row", job.row, *where, "--seed", str(job.seed), "--threads", "1")
        if done and job.profile != "smoke":  # a smoke record is no result
            with self.publishing:
                done = self.landslide("publish", job.table, *where)
                for path in PUBLISHED.glob("*.json"):
                    if path.name not in self.before:
                        shutil.copy2(path, self.out)
        return done

    def landslide(self, *arguments: str) -> bool:
        """Run a command at the queue's priority; of one that fails say why."""
        command = ["nice", "-n", self.nice, sys.executable, "-m", "landslide_lib.cli", *arguments]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            self.running.add(process)
            _, errors = process.communicate()
            self.running.discard(process)
        if process.returncode and self.end:
            print(f"FAILED: landslide {' '.join(arguments)}\n{errors.strip()[-2000:]}", flush=True)
        return process.returncode == 0


def main() -> int:
    """Compute what is missing until all is there or the time is over; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--status", action="store_true", help="only say what is there and what is missing")
    parser.add_argument("--plan", type=Path, default=PLAN, help="which tables, on which data, how many seeds")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="processes, one thread each")
    parser.add_argument("--nice", default="19", help="priority: 19 is the lowest, 0 that of other programs")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start nothing after so many")
    parser.add_argument("--out", type=Path, default=PUBLISHED, help="where new records are copied to")
    given = parser.parse_args()
    jobs, there = missing(yaml.safe_load(given.plan.read_text(encoding="utf-8")), runs.open_store())
    print(status(jobs, there, given.cores), flush=True)
    if given.status:
        return 0
    queue = Queue(given.out, given.minutes, given.nice)
    signal.signal(signal.SIGTERM, queue.stop)
    signal.signal(signal.SIGINT, queue.stop)
    with ThreadPoolExecutor(given.cores) as pool:
        done = list(pool.map(queue.compute, jobs))
    print(f"{sum(done)} of {len(jobs)} computed", flush=True)
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
