"""The commands of `landslide` that make maps; each imports what it needs when it is called."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(serve)


def serve(
    model: Annotated[str, typer.Option(help="A trained network: one of data/models by name, or a file.")] = "bijie",
    host: Annotated[str, typer.Option(help="Of this machine; 0.0.0.0 is every address it has.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    upload: Annotated[float, typer.Option(help="Megabytes of a file, at most.", min=0.001, max=4096)] = 64,
    pixels: Annotated[float, typer.Option(help="Millions of pixels of a scene, at most.", min=0.01, max=1000)] = 16.8,
    seconds: Annotated[float, typer.Option(help="Of an answer, at most.", min=1, max=3600)] = 120,
    workers: Annotated[int, typer.Option(help="Scenes that are worked on at once.", min=1, max=64)] = 2,
    waiting: Annotated[int, typer.Option(help="Requests that may wait.", min=0, max=1000)] = 16,
) -> None:
    """Serve a demo and an API: a scene or a picture in, landslides as polygons or the probability out."""
    from landslide_lib.geo.server import Limits, create_app, run

    limits = Limits(int(upload * 1e6), int(pixels * 1e6), seconds=seconds, workers=workers, waiting=waiting)
    run(create_app(model, limits), host, port)
