"""The commands of `landslide` that make maps; each imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated

import typer

MODELS = ("bijie", "simulated")  # what `landslide serve` takes by itself: photographs, and scenes of Sentinel-2


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(serve)
    app.command("polygons")(polygons)


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(help="One of data/models by name, or a file; may be repeated. Default: bijie, simulated."),
    ] = None,
    host: Annotated[str, typer.Option(help="Of this machine; 0.0.0.0 is every address it has.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    upload: Annotated[float, typer.Option(help="Megabytes of a file, at most.", min=0.001, max=4096)] = 64,
    pixels: Annotated[float, typer.Option(help="Millions of pixels of a scene, at most.", min=0.01, max=1000)] = 16.8,
    seconds: Annotated[float, typer.Option(help="Of an answer, at most.", min=1, max=3600)] = 120,
    workers: Annotated[int, typer.Option(help="Scenes that are worked on at once.", min=1, max=64)] = 2,
    waiting: Annotated[int, typer.Option(help="Requests that may wait.", min=0, max=1000)] = 16,
) -> None:
    """Serve a demo and an API: a scene or a picture in, landslides as polygons or the probability out."""
    from landslide_lib.geo.server import create_app, run
    from landslide_lib.geo.work import Limits

    limits = Limits(int(upload * 1e6), int(pixels * 1e6), seconds=seconds, workers=workers, waiting=waiting)
    run(create_app(model or MODELS, limits), host, port)


def polygons(
    probability: Annotated[Path, typer.Argument(help="GeoTIFF of one band, as `landslide predict` writes it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="landslides.gpkg, or .geojson.")],
    threshold: Annotated[float | None, typer.Option(help="0 to 1; by default that of the network.")] = None,
    minimum_area: Annotated[float, typer.Option(help="Smaller ones are left out, square metres.")] = 0,
    simplify: Annotated[float, typer.Option(help="Corners up to so many metres are taken off.")] = 0,
) -> None:
    """Write the landslides of a map of probability as polygons, with area and mean probability."""
    from landslide_lib.geo import polygons as making

    threshold = making.threshold_of(probability) if threshold is None else threshold
    found = making.polygons(probability, threshold, minimum_area=minimum_area, simplify=simplify)
    typer.echo(
        f"{making.write_polygons(found, out)}: landslides: {len(found)}, area: {found.area_m2.sum() / 1e4:.2f} ha"
    )
