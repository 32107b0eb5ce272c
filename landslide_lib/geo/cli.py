"""The commands of `landslide` that make maps; each imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(scene)


def scene(
    bbox: Annotated[str, typer.Option(help="W,S,E,N in degrees.")],
    date: Annotated[str, typer.Option(help="A day, 2024-07-01, or the first and the last: 2024-07-01/2024-07-15.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The GeoTIFF, such as scene.tif.")],
    bands: Annotated[str | None, typer.Option(help="Such as B4,B3,B2,slope,DEM; by default all but B8A.")] = None,
    model: Annotated[str | None, typer.Option(help="Takes the bands that this trained network needs.")] = None,
    source: Annotated[str, typer.Option(help="stac, or sentinel-hub, which needs an account.")] = "stac",
    collection: Annotated[
        str | None, typer.Option(help="By default sentinel-2-l2a; of Sentinel Hub sentinel-2-l1c.")
    ] = None,
    catalog: Annotated[str | None, typer.Option(help="Address of another STAC catalogue, or Sentinel Hub.")] = None,
) -> None:
    """Download the Sentinel-2 image, elevation and slope of a place and day as one GeoTIFF in UTM at 10 m.

    Of several days it is the one that shows most without clouds. Bands are reflectances, metres and degrees, and NaN
    under clouds. The STAC catalogue is Earth Search of Element 84. Sentinel Hub takes its account from SH_CLIENT_ID and
    SH_CLIENT_SECRET.
    """
    from landslide_lib.data.bands import L4S
    from landslide_lib.geo import scene as asked

    if bands and model:
        raise ValueError("--bands and --model both choose the bands; give one of them")
    if out.suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"{out}: a scene is a GeoTIFF; call it NAME.tif")
    if source not in ("stac", "sentinel-hub"):
        raise ValueError(f"source {source!r}: unknown; allowed: stac, sentinel-hub")
    where, days = asked.parse_box(bbox), asked.parse_days(date)
    names: tuple[str, ...] = L4S
    if bands:
        names = tuple(bands.split(","))
    elif model:
        from landslide_lib.training.bundle import load_bundle

        names = asked.bands_of(load_bundle(model).bands)
    asked.check_bands(names)
    how = {"collection": collection} if collection else {}
    if source == "stac":
        from landslide_lib.geo import stac

        how |= {"catalog": catalog} if catalog else {}
        written = stac.fetch(where, days, out, bands=names, optional=not bands, progress=True, **how)
    else:
        from landslide_lib.geo import sentinel_hub

        how |= {"service": catalog.rstrip("/")} if catalog else {}
        written = sentinel_hub.fetch(where, days, out, bands=names, optional=not bands, progress=True, **how)
    for note in written.notes:
        typer.secho(note, err=True, fg="yellow")
    typer.echo(f"{written.path}: {written.day}, {', '.join(written.passes)}")
