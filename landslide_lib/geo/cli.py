"""The commands of `landslide` that make maps; each imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("polygons")(polygons)


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
