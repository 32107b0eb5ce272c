"""The record of a run and its store: append-only, atomic, safe between processes. No torch."""

import json
import os
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from landslide_lib.fields import Frozen
from landslide_lib.metrics.detection import Detections
from landslide_lib.paths import PUBLISHED, runs_root, write_once
from landslide_lib.study.machine import NO_COMMIT
from landslide_lib.study.recipe import AnyRecipe, Recipe, profile_of


class Epoch(Frozen):
    """One line of a history: means over the epoch, and F1 or mAP at IoU 0.5 of validation images, if it was scored."""

    train_loss: float
    valid_loss: float | None
    valid_f1: float | None = None
    valid_map_50: float | None = None
    seconds: float


class Outcome(Frozen):
    """What a model did on one part: `{convention: {score: value}}`, see `metrics.scores` and `metrics.detection`.

    A pixel, or an image, is called landslide above the threshold; a box is kept where its score is at least it.
    """

    threshold: float
    metrics: dict[str, dict[str, float | None]]


class Record(Frozen):
    """All that is kept of one run.

    Attributes:
        fingerprint: Of the dataset's files; `revisions` are those of the components used.
        excluded: Unusable files that were left out, each with what is wrong with it.
        test, valid: Scores at threshold 0.5; `test_tuned` and `valid_tuned` at the one best on validation images.
        test_ids: Of the test images; `test_groups` is the scene of each.
        test_counts: tp, fp, fn, tn of each at threshold 0.5: pixels, of a classification the image itself.
        histogram: Landslide and background pixels, or images, of the test part by probability, 100 bins each: bin k
            holds p in (k/100, (k+1)/100]. Like `test_counts` it is empty for detectors and pre-training.
        seconds_per_epoch: Median over epochs, validation included; 0 where nothing was trained.
        samples_per_second: Of training, or of prediction where nothing was trained.
        peak_memory_mb: Of the process so far (it may have run other rows before), or of this run's GPU.
        energy_wh: Of processor, memory and GPU while it trained, see `energy.Energy`; None where it was not metered.
        started, finished: UTC, ISO 8601; a resumed run keeps its first start.
        resumed: How many starts came before the one that ended it.
        depends_on: The records whose networks this one took up. Without training there is no history.
        start: What was taken of the weights that an encoder started from.
        tiles: Of each test tile of a classification, see `training.classification`.
        examples: The probabilities of six test images with landslides, by id, see `training.pictures.encode`.
        precision: It was trained in, see `loop.precision_on`; "" where nothing was, and in records from before, whose
            recipe says it.
        networks: The weight of each network of an ensemble of classifiers, and its threshold where they vote.
        threads_of_starts: CPU threads of each start of a resumed run; where they differ, digits may.
    """

    recipe: AnyRecipe
    hash: str
    seed: int
    fingerprint: str
    revisions: dict[str, int]
    excluded: list[dict[str, str]]
    images: dict[str, int]
    test: Outcome
    test_tuned: Outcome
    valid: Outcome
    test_ids: list[str]
    test_groups: list[str]
    test_counts: list[list[int]]
    histogram: list[list[int]]
    history: list[Epoch]
    parameters: int
    seconds_per_epoch: float
    samples_per_second: float
    peak_memory_mb: float
    energy_wh: float | None
    device: str
    threads: int
    versions: dict[str, str]
    commit: str
    dirty: bool
    started: str
    finished: str
    resumed: int
    depends_on: tuple[str, ...] = Field((), validation_alias="grown_from", serialization_alias="grown_from")
    valid_tuned: Outcome | None = None
    detections: Detections | None = None
    start: dict[str, Any] | None = None
    pseudo_labels: dict[str, float | None] | None = None
    energy_method: str = ""
    tiles: dict[str, list[float]] | None = None
    filtered: dict[str, Any] | None = None
    precision: str = ""
    networks: dict[str, list[float]] | None = None
    examples: dict[str, str] = Field(default_factory=dict)
    threads_of_starts: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The file name, without its ending."""
        stamp = self.finished.translate(str.maketrans("", "", "-:+.")).removesuffix("0000")
        return f"{self.recipe.dataset}-{self.run}-s{self.seed}-{stamp}"

    @property
    def run(self) -> str:
        """Recipe and data: what the seeds of one row have in common."""
        return f"{self.hash}-{self.fingerprint[:8]}"

    @property
    def stale(self) -> bool:
        """Whether a component that the run used has been changed since."""
        now = self.recipe.components
        # A component that came after the record, or went, had revision 1 while it was there.
        return self.hash != self.recipe.hash or any(
            self.revisions.get(name, 1) != now.get(name, 1) for name in {*self.revisions, *now}
        )

    def to_json(self) -> str:
        """Return readable JSON: a line a field, a line an epoch."""
        fields = self.model_dump(mode="json", by_alias=True)
        epochs = ",\n  ".join(json.dumps(one) for one in fields["history"])
        texts = {key: json.dumps(value, separators=(",", ":")) for key, value in fields.items()}
        texts["history"] = f"[\n  {epochs}\n ]"
        return "{\n " + ",\n ".join(f'"{key}": {text}' for key, text in texts.items()) + "\n}\n"


class RecordError(ValueError):
    """A record that cannot be read, or may not be published."""


class Store:
    """Folders of records: `home`, which new ones are written to, and `more`, such as `data/results`.

    `data` gives the fingerprints that the data of a recipe has now, see `domains.configured_data`. It is None where the
    data does not matter, as in the book, which shows what is published.
    """

    def __init__(
        self,
        home: Path | None = None,
        more: Sequence[Path] = (PUBLISHED,),
        *,
        data: Callable[[Recipe], Sequence[str]] | None = None,
    ) -> None:
        self.home = home or runs_root() / "records"
        self.folders = (self.home, *more)
        self.data = data
        self._read = cache(read)

    def all(self, hashes: Collection[str] | None = None) -> list[Record]:
        """Return every record that is not stale, of all recipes or some by hash, the oldest first, each once."""
        files: dict[str, Path] = {}
        for path in self.paths(hashes):
            files.setdefault(path.stem, path)
        records = [record for record in map(self._read, files.values()) if not record.stale]
        return sorted(records, key=lambda record: record.finished)

    def paths(self, hashes: Collection[str] | None = None) -> list[Path]:
        """Return the files of all records, or of some recipes' by hash, folder by folder."""
        wanted = None if hashes is None else {*hashes}  # a name holds the hash
        # A page asks thousands of times, and neither a glob nor `iterdir` is as fast.
        names = ((each, name) for each in self.folders if each.is_dir() for name in sorted(os.listdir(each)))  # noqa: PTH208
        mine = ((folder, name) for folder, name in names if wanted is None or wanted & {*name.split("-")})
        # No name of ours begins with a dot, as those of macOS's `._x.json` do.
        return [folder / name for folder, name in mine if name.endswith(".json") and name[0] != "."]

    def find(self, recipe: Recipe, seed: int | None = None, fingerprint: str | None = None) -> list[Record]:
        """Return the newest record of a seed, or of each in order, on the data of the fingerprint, else of `copies`."""
        seeds = None if seed is None else [seed]
        if fingerprint is None:
            fingerprint = self.copies([recipe], seeds).get(recipe.hash)
        there = [record for record in self.all({recipe.hash}) if record.fingerprint == fingerprint]
        by_seed = {record.seed: record for record in there if seed in (None, record.seed)}
        return [by_seed[key] for key in sorted(by_seed)]

    def copies(self, recipes: Sequence[Recipe], seeds: Collection[int] | None = None) -> dict[str, str]:
        """Return by hash the fingerprint of the copy of the data that a table's records are taken from.

        Records of two copies are no records of one table. The copy is the data that is here now; where no record of
        these seeds (None: of any) was made on it, or it is not here, that of the newest record.
        """
        mine = [record for record in self.all({one.hash for one in recipes}) if seeds is None or record.seed in seeds]
        here = {recipe.hash: list(self.data(recipe)) for recipe in recipes} if self.data else {}
        for record in reversed(mine):
            prints = here.get(record.hash, [])
            if record.fingerprint in prints:
                place = prints.index(record.fingerprint)
                return {key: each[place] for key, each in here.items() if len(each) > place}
        return dict.fromkeys((recipe.hash for recipe in recipes), mine[-1].fingerprint if mine else "")

    def made_on(self, record: Record) -> str:
        """Say which data a record was made on: what is `here`, an `other` copy, `absent`; `any` where all are equal."""
        if self.data is None:
            return "any"
        prints = self.data(record.recipe)
        return "here" if record.fingerprint in prints else "other" if prints else "absent"

    def path(self, record: Record) -> Path:
        """Return the file of a record: the published one if there is one."""
        name = f"{record.name}.json"
        return next((folder / name for folder in reversed(self.folders) if (folder / name).exists()), self.home / name)

    def weights(self, record: Record) -> Path:
        """Return the file of the weights of a local run; published ones have none."""
        return self.home.parent / "weights" / f"{record.name}.pt"

    def add(self, record: Record) -> Path:
        """Write a record, whole or not at all. Raises FileExistsError: none is ever overwritten."""
        return write_once(self.home / f"{record.name}.json", record.to_json())

    def lock(self, recipe: Recipe, seed: int, fingerprint: str) -> AbstractContextManager[Any]:
        """Hold the one right to run a recipe, at most until the process ends; another one waits for it, and says so."""
        folder = self.home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f"{recipe.hash}-{fingerprint[:8]}-s{seed}.lock")
        try:
            return lock.acquire(timeout=0)
        except Timeout:
            print("waiting for another process that trains this row", file=sys.stderr)
            return lock.acquire()


def read(path: Path) -> Record:
    """Read one record. Raises RecordError: it is not one; the message names the file and the field."""
    try:
        record = Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{key}: " for key in first["loc"])
        raise RecordError(f"{path}: not a record ({where}{first['msg']}). Move it away, or restore it") from None
    of_images: dict[str, Sequence[Any]] = {"test_ids": record.test_ids, "test_groups": record.test_groups}
    if record.test_counts or record.recipe.task not in ("detection", "pretraining"):
        of_images["test_counts"] = record.test_counts
    if record.detections:
        of_images["detections"] = record.detections.truth
    expected = record.images.get("test")
    for name, values in (of_images | (record.tiles or {})).items():
        if len(values) != expected:
            wrong = f"{name}: of {len(values)} images, images.test: {expected}"
            raise RecordError(f"{path}: not a whole record ({wrong}). Move it away, or restore it")
    # Records of before hold what the last start of a resumed run used.
    return record.model_copy(update={"energy_wh": None, "energy_method": ""}) if record.resumed else record


def check_publishable(record: Record) -> None:
    """Raise RecordError for what may not be published: of the smoke profile, a dirty tree, no commit, or stale."""
    faults = {
        "it is of the smoke profile, which is for tests": profile_of(record.recipe) == "smoke",
        "no git says which code made it; run it again with --rerun in a clone": record.commit == NO_COMMIT,
        "the tree had uncommitted changes; commit them and run it again with --rerun": record.dirty,
        "a component it used has been changed since; run it again": record.stale,
    }
    for why, so in faults.items():
        if so:
            raise RecordError(f"{record.name} is not published: {why}")


def publish(record: Record, source: Path, folder: Path = PUBLISHED) -> Path:
    """Copy the file of a record, see `check_publishable`, to the published ones; what is there is left as it is."""
    check_publishable(record)
    target = folder / source.name
    if not target.exists():
        write_once(target, source.read_text(encoding="utf-8"))
    return target
