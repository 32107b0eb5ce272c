"""The command line: `landslide …`. torch is imported only by the commands that train."""

import gc
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from landslide_lib import paths
from landslide_lib.data.bands import OF_DATASET
from landslide_lib.geo import cli as geo
from landslide_lib.study import chapters, comparison, recipe, records, render, reports, runs
from landslide_lib.study.cli_data import DataRoot, SkipBad, data
from landslide_lib.study.comparison import known_runs
from landslide_lib.study.recipe import BUDGETS
from landslide_lib.study.records import RecordError


class Commands(typer.core.TyperGroup):
    """Commands whose errors are one line and exit status 2; with `LANDSLIDE_TRACEBACK=1` they are shown whole."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `| head` has read enough
            sys.stderr.close()
            raise typer.Exit(0) from None
        except (ValueError, OSError, FloatingPointError, ModuleNotFoundError) as error:
            if os.environ.get("LANDSLIDE_TRACEBACK"):
                raise
            remedy = "; pip install 'landslide-lib[geo]' brings what maps need" * isinstance(error, ModuleNotFoundError)
            typer.secho(f"landslide: {error}{remedy}", err=True, fg="red")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.secho("landslide: stopped; the same command goes on from here", err=True)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Re-run five reports on landslide detection, row by row.",
)
app.add_typer(data, name="data")
geo.register(app)

TableName = Annotated[str, typer.Argument(help="Such as raunet/losses; see `landslide list`.")]
RowNames = Annotated[list[str] | None, typer.Option("--row", help="Only this row; may be repeated.")]
Seed = Annotated[int, typer.Option(help="Of the run.", min=0, max=2**32 - 1)]
DatasetName = Annotated[str | None, typer.Option("--dataset", help="In place of the report's.")]
ProfileName = Annotated[str | None, typer.Option("--profile", help=f"The budget: {', '.join(BUDGETS)}.")]


@app.command("list")
def list_() -> None:
    """Show reports, tables, rows, chapters and datasets, each with what has been run."""
    from landslide_lib.data.registry import DATASETS, DatasetNotFoundError

    store = runs.open_store()
    typer.echo("beside each row: dataset, profile x seeds that have a record; - is none; needs weights: to be fetched")
    for report in reports.reports().values():
        typer.secho(f"{report.report}: {report.title} ({report.venue})", bold=True)
        for table in report.tables.values():
            known = [(d, p, comparison.collect_records(table, store, d, p)) for d, p, _ in known_runs(table, store)]
            typer.echo(f"  {table.name}: {table.title}")
            for row in table.rows:
                counts = [(d, p, len(found.get((table.name, row.id), ()))) for d, p, found in known]
                done = ", ".join(f"{d} {p} x{count}" for d, p, count in counts if count)
                kind = "" if row.kind == "run" else f" ({row.kind})"
                need = row.kind == "run" and reports.resolve(table, row, profile_name="cpu").needs_download
                typer.echo(f"    {row.id + kind:<30} {done or ('needs weights' if need else '-')}")
    typer.secho("chapters", bold=True)
    for path in chapters.chapters():
        made = chapters.executed(path.stem)
        typer.echo(f"  {path.stem:<20} {made if made.is_file() else '-'}")
    typer.secho(f"datasets (LANDSLIDE_DATA is {paths.data_root()})", bold=True)
    for name, dataset in DATASETS.items():
        try:
            state = f"{len(dataset.samples(paths.data_root()))} images"
        except (DatasetNotFoundError, ValueError):
            state = f"not here; {dataset.remedy}"
        count = sum(record.recipe.dataset == name for record in store.all())
        typer.echo(f"  {name:<20} {dataset.about} [{state}; {count} records]")


@app.command()
def train(
    table: TableName,
    row: RowNames = None,
    seed: Annotated[list[int] | None, typer.Option(help="May be repeated; 0 by default.", min=0, max=2**32 - 1)] = None,
    dataset: DatasetName = None,
    profile: ProfileName = "full",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads.", min=1, max=1024)] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Train again; the old stays.")] = False,
    skip_bad: SkipBad = False,
    data_root: DataRoot = None,
) -> None:
    """Train a row, or a whole table in one process; print the path of each record.

    What has been run is not run again, and a run that was killed goes on.
    """
    chosen = reports.table(table)
    if not chosen.chosen(row or (), dataset):
        others = {other.name for one in chosen.rows for other, _ in reports.leaves(chosen, one)} - {chosen.name}
        instead = f"its rows are derived: train {' and '.join(sorted(others))}" if others else "see `landslide list`"
        raise ValueError(f"{table}: no row of it can be run on {dataset or 'its dataset'}; {instead}")
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    store = runs.open_store(data_root)
    which: dict[str, Any] = {"rows": row or (), "seeds": seed or (0,), "dataset": dataset, "profile_name": profile}
    how: dict[str, Any] = {"device": device, "rerun": rerun, "skip_bad": skip_bad, "data_root": data_root}
    for record in runs.run_table(chosen, **which, store=store, **how):
        typer.echo(store.path(record))
        if record.excluded:
            gone = ", ".join(one["file"] for one in record.excluded)
            typer.secho(f"{len(record.excluded)} files left out: {gone}", err=True, fg="yellow")


@app.command()
def search(
    table: TableName,
    row: Annotated[str, typer.Option(help="Of the table.")],
    out: Annotated[Path, typer.Option(help="JSON file of the trials.")],
    trials: Annotated[int, typer.Option(help="Besides the row as it is.", min=1, max=10_000)] = 20,
    seed: Seed = 0,
    dataset: DatasetName = None,
    profile: ProfileName = "full",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    data_root: DataRoot = None,
) -> None:
    """Search the hyper-parameters of a row by Optuna, on validation data; what is searched is study/search.yaml."""
    from landslide_lib.study import search as searching

    wanted = _row(table, row, dataset, profile)[2]
    options: dict[str, Any] = {"store": runs.open_store(data_root), "device": device, "data_root": data_root}
    found = searching.search(wanted, trials, seed, **options)
    named = {"table": table, "row": row, "dataset": wanted.dataset, "profile": profile}
    with paths.atomic_write(out) as scratch:
        scratch.write_text(json.dumps({**named, **found}, indent=1) + "\n", "utf-8")
    best, own = found["trials"][found["best"]], found["trials"][0]
    typer.echo(
        f"{out}: best of {len(found['trials'])} on validation data {best['valid']:.4f}, as it is {own['valid']:.4f}"
    )
    typer.echo(", ".join(f"{name} {value:.3g}" for name, value in best["values"].items()) or "the row as it is")


@app.command()
def submit(
    table: TableName,
    row: Annotated[str, typer.Option(help="Of the table.")],
    out: Annotated[Path | None, typer.Option(help="By default submission.zip, or submission.csv of labels.")] = None,
    part: Annotated[str, typer.Option(help="Of Landslide4Sense, or a folder of boxes, valid or test.")] = "test",
    seed: Seed = 0,
    dataset: DatasetName = None,
    profile: ProfileName = "full",
    data_root: DataRoot = None,
) -> None:
    """Write what a trained row predicts: masks for Landslide4Sense, labels for Zindi, or boxes."""
    from landslide_lib.study import submission

    task, store = reports.table(table).task, runs.open_store(data_root)
    record = _record(store, table, row, seed, dataset or submission.DATASETS[task][0], profile)
    out = out or Path("submission.csv" if task == "classification" else "submission.zip")
    typer.echo(submission.submit(record, part, out, store=store, data_root=data_root))


def _row(table: str, row: str, dataset: str | None, profile: str | None) -> tuple[reports.Table, reports.Row, Any]:
    """Return a table, a row of it and the row's recipe."""
    chosen = reports.table(table)
    (one,) = chosen.chosen([row], dataset)
    return chosen, one, reports.resolve(chosen, one, dataset=dataset, profile_name=profile)


def _record(store: records.Store, table: str, row: str, seed: int, dataset: str | None, profile: str | None) -> Any:
    """Return the record of a row and a seed."""
    found = store.find(_row(table, row, dataset, profile)[2], seed)
    if not found:
        how = f"--row {row} --profile {profile} --seed {seed}" + f" --dataset {dataset}" * bool(dataset)
        raise RecordError(f"{table}, row {row}: not run yet; `landslide train {table} {how}` first")
    return found[0]


@app.command()
def weights(
    table: TableName,
    row: Annotated[str, typer.Option(help="Of the table.")],
    address: Annotated[
        str, typer.Option("--from", envvar="LANDSLIDE_WEIGHTS", help="ADDRESS of ADDRESS/NAME.pt.")
    ] = "",
    seed: Seed = 0,
    dataset: DatasetName = None,
    profile: ProfileName = "full",
    data_root: DataRoot = None,
) -> None:
    """Get the networks of a published run, from a release or trained again; its scores are checked."""
    from landslide_lib.study.weights import get

    store = runs.open_store(data_root)
    record = _record(store, table, row, seed, dataset, profile)
    known = {one.name: one for one in (*store.all(), record)}
    names = [record.name] if record.recipe.trains else record.depends_on
    if lost := [name for name in names if name not in known]:
        raise RecordError(f"{record.name} is made of networks whose records are not here: {', '.join(lost)}")
    for name in names:
        typer.echo(get(known[name], store, address, data_root))


@app.command()
def bundle(
    table: TableName,
    row: Annotated[str, typer.Option(help="Of the table.")],
    out: Annotated[Path, typer.Option(help="NAME.safetensors; NAME.md beside it is the card.")],
    seed: Seed = 0,
    dataset: DatasetName = None,
    profile: ProfileName = "full",
    metres: Annotated[float | None, typer.Option(help="Of a pixel in training; by default the dataset's.")] = None,
    data_root: DataRoot = None,
) -> None:
    """Write the network of a row that was trained here as one file with its card, for `landslide predict`."""
    from landslide_lib.study import bundling

    typer.echo(
        bundling.bundle(*_row(table, row, dataset, profile), seed, out, runs.open_store(data_root), metres, data_root)
    )


@app.command("check-submission")
def check_submission(
    path: Annotated[Path, typer.Argument(help="The ZIP.")],
    count: Annotated[int | None, typer.Option(help="Of masks there have to be.")] = None,
) -> None:
    """Check a submission to the Landslide4Sense competition."""
    from landslide_lib.study import submission

    submission.validate(path, count)
    typer.echo(f"{path}: every mask is as the competition asks")


@app.command("table")
def table_(
    table: TableName,
    dataset: DatasetName = None,
    profile: ProfileName = None,
    format: Annotated[str, typer.Option(help="md, csv, json or html.")] = "md",
    data_root: DataRoot = None,
) -> None:
    """Print a table, reported beside ours; by default our run with the most records.

    Where nothing was run on the data that is here now, runs on another copy of it are shown, as the caption says.
    """
    for option, given, allowed in (("format", format, render.FORMATS), ("dataset", dataset, OF_DATASET)):
        if given is not None and given not in allowed:
            raise ValueError(f"{option} {given!r}: unknown; allowed: {', '.join(allowed)}")
    chosen = reports.table(table)
    rows = comparison.compare(chosen, runs.open_store(data_root), dataset=dataset, profile_name=profile)
    typer.echo(render.FORMATS[format](chosen, rows), nl=False)


@app.command()
def publish(
    table: TableName, dataset: DatasetName = None, profile: ProfileName = None, data_root: DataRoot = None
) -> None:
    """Copy the local records of a table to data/results.

    Of each row and seed the newest record counts. Where one is of a tree with uncommitted changes nothing is published;
    smoke records are passed over, and refused where the profile is named.
    """
    store, chosen = runs.open_store(data_root), reports.table(table)
    found, left = dict[str, records.Record](), list[records.Record]()
    for d, p, _ in known_runs(chosen, store, smoke=profile == "smoke"):
        if dataset in (None, d) and profile in (None, p):
            for row in chosen.runnable(d):
                left += store.find(reports.resolve(chosen, row, dataset=d, profile_name=p))
    every = {record.name: record for record in store.all()}
    while left:  # what a record grew from is part of what it says
        record = left.pop()
        found[record.name] = record
        left += [every[name] for name in record.depends_on if name in every]
    if not found:
        raise RecordError(f"{table}: nothing to publish; `landslide train {table}` first")
    for record in found.values():
        records.check_publishable(record)
    for record in found.values():
        typer.echo(records.publish(record, store.path(record)))


@app.command()
def run(
    chapter: Annotated[str, typer.Argument(help="Such as 11_losses.")],
    dataset: DatasetName = None,
    profile: ProfileName = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="NAME=VALUE of a parameter of the chapter, such as seeds=0,1,2.")
    ] = None,
) -> None:
    """Run a chapter through Papermill; the executed notebook goes to runs/chapters.

    A parameter that the chapter does not have, or a value of another type, is refused before anything runs.
    """
    from papermill import PapermillExecutionError

    from landslide_lib.data.registry import get_dataset

    given = {"dataset": dataset, "profile": profile}
    for pair in parameter or ():
        name, equals, given[name] = pair.partition("=")
        if not equals:
            raise ValueError(f"-p {pair}: has to be NAME=VALUE, such as -p seeds=0,1,2")
    if given["dataset"]:
        get_dataset(given["dataset"])
    if given["profile"]:
        recipe.profile(given["profile"])
    try:
        typer.echo(chapters.run(chapter, {name: value for name, value in given.items() if value is not None}))
    except PapermillExecutionError as error:
        typer.secho(f"landslide: {chapter}: {error.ename}: {error.evalue}", err=True, fg="red")
        typer.echo(f"the cells up to it: {chapters.executed(chapter, '.failed.ipynb')}", err=True)
        raise typer.Exit(1) from None


def main() -> None:
    """Run the command line; a character that the terminal's encoding lacks is printed as `?`."""
    # What torch's imports leave stays: to search it for garbage takes a second of the start.
    gc.set_threshold(100_000)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()


if __name__ == "__main__":
    main()
