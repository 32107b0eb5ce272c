"""`landslide data …`: verify, download or pack a dataset."""

from pathlib import Path
from typing import Annotated

import typer

from landslide_lib import paths
from landslide_lib.data.bands import BOXES, LABELS
from landslide_lib.study import recipe

data = typer.Typer(no_args_is_help=True, help="Verify, download or pack a dataset.")

Dataset = Annotated[str, typer.Argument(help="Of a dataset; see `landslide list`.")]
ImageSize = Annotated[int, typer.Option(help="Of the packed images, in pixels.", min=16, max=4096)]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="In place of LANDSLIDE_DATA.", exists=True, file_okay=False)
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave unusable files out, listed.")]


@data.command()
def verify(name: Dataset, data_root: DataRoot = None) -> None:
    """Read every file; print counts, shapes, ranges, labels, and what is wrong with which file."""
    from landslide_lib.data.registry import get_dataset
    from landslide_lib.data.statistics import verify_files

    verdict = verify_files(get_dataset(name), data_root)
    parts = ", ".join(f"{count} {part}" for part, count in verdict.parts.items())
    share = verdict.landslide_share
    much = "a label each and no masks" if share is None else f"{share:.2%} of pixels"
    if verdict.boxes is not None:
        much = f"{verdict.boxes} boxes"
    typer.echo(
        f"{name}: {verdict.images} images ({parts}; {', '.join(verdict.sizes)} px), of those with "
        f"truth {verdict.with_landslide} with a landslide, {much}"
    )
    for band, facts in verdict.bands.items():
        typer.echo(f"  {band:<6} " + "  ".join(f"{key} {value:.3f}" for key, value in facts.items()))
    for line in verdict.remarks:
        typer.secho(f"  {line}", fg="yellow")
    for problem in verdict.bad:
        typer.secho(f"  {problem.file}: {problem.problem}", fg="red")
    if verdict.bad:
        typer.echo(f"{len(verdict.bad)} unusable files; fetch them again, or use --skip-bad")
        raise typer.Exit(1)


@data.command()
def download(name: Dataset, data_root: DataRoot = None) -> None:
    """Fetch a dataset below LANDSLIDE_DATA."""
    from landslide_lib.data.registry import get_dataset

    typer.echo(get_dataset(name).download(data_root or paths.data_root()))


@data.command()
def make(
    name: Dataset,
    image_size: ImageSize = 128,
    profile: Annotated[str | None, typer.Option(help="Take the size from a profile.")] = None,
    skip_bad: SkipBad = False,
    data_root: DataRoot = None,
) -> None:
    """Pack a dataset into memory-mapped arrays, as its first use would."""
    from landslide_lib.data.formats import duplicates
    from landslide_lib.data.registry import get_dataset, load_packed

    task = "detection" if name in BOXES else "classification" if name in LABELS else "segmentation"
    size = recipe.profile(profile, task)["image_size"] if profile else image_size
    packed = load_packed(get_dataset(name), size, root=data_root, skip_bad=skip_bad)
    typer.echo(f"{name}: {len(packed)} images, {size} px, fingerprint {packed.fingerprint}")
    parts = dict(zip(packed.ids, packed.parts, strict=True))
    gone = [f"left out {one['file']}: {one['problem']}" for one in packed.excluded]
    for line in (*gone, *duplicates.lines(packed.copies, parts)):
        typer.secho(f"  {line}", fg="yellow")
