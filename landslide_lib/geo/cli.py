"""The commands of `landslide` that make maps; each imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated, Any

import typer

MODELS = ("bijie", "simulated")  # what `landslide serve` takes by itself: photographs, and scenes of Sentinel-2


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (predict, polygons, score, scene, serve):
        app.command()(command)


def predict(
    scenes: Annotated[list[Path], typer.Argument(help="Rasters, or folders of them.", metavar="SCENE...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A GeoTIFF; of several scenes a folder.")],
    model: Annotated[str, typer.Option(help="A trained network: one of data/models by name, or a file.")] = "bijie",
    polygons: Annotated[
        Path | None, typer.Option(help="landslides.gpkg, or .geojson; of several scenes a folder, a .gpkg each.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Of --polygons; by default the network's.")] = None,
    missed: Annotated[
        float | None,
        typer.Option(help="Of --polygons: the share of the landslide area that may be missed; see the card."),
    ] = None,
    minimum_area: Annotated[float, typer.Option(help="Of --polygons: smaller ones are left out, square metres.")] = 0,
    bands: Annotated[str | None, typer.Option(help="What the bands of the file are, in its order: B4,B3,B2.")] = None,
    repair: Annotated[bool, typer.Option(help="Put right what can be, or refuse it.")] = True,
    rows: Annotated[str | None, typer.Option(metavar="A:B", help="Only rows of the scene from A up to B.")] = None,
    window: Annotated[int | None, typer.Option(help="Pixels: 768 unless said, or 1408 of a deep encoder.")] = None,
    overlap: Annotated[int | None, typer.Option(help="Of windows, pixels: 256 unless said, or 640.")] = None,
) -> None:
    """Write the probability of landslide over whole scenes as Cloud-Optimized GeoTIFFs, unknown where they are.

    What does not fit the network is put right, and said, or refused. A scene that is done is not computed again, and
    one that was stopped goes on. Where one of several is refused, the others are done all the same.
    """
    from landslide_lib.geo import polygons as making
    from landslide_lib.geo.predict import predict as run
    from landslide_lib.geo.predict import scenes_of
    from landslide_lib.training.bundle import load_bundle

    if (threshold is not None or missed is not None or minimum_area) and polygons is None:
        raise ValueError("--threshold, --missed and --minimum-area are of --polygons; name their file")
    if threshold is not None and missed is not None:
        raise ValueError("--threshold and --missed both choose the threshold; give one of them")
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"--threshold {threshold:g}: has to be from 0 to 1, as probabilities are")
    found = scenes_of(scenes)
    several = len(found) > 1 or scenes != found
    names = {path: (out / f"{path.stem}.tif", polygons and polygons / f"{path.stem}.gpkg") for path in found}
    jobs = names if several else {found[0]: (out, polygons)}
    if not several and polygons and polygons.suffix.lower() not in making.DRIVERS:
        raise ValueError(f"{polygons}: polygons are written to {' or '.join(making.DRIVERS)}; name the file so")
    bundle = load_bundle(model)
    if missed is not None:
        if f"{missed:g}" not in bundle.bounds:
            raise ValueError(f"--missed {missed:g}: {model} has {', '.join(bundle.bounds) or 'none'}")
        threshold = bundle.bounds[f"{missed:g}"]
    how: dict[str, Any] = {
        "bands": bands and bands.split(","),
        "repair": repair,
        "window": window,
        "overlap": overlap,
        "rows": _rows(rows),
    }
    refused = False
    for scene, (path, file) in jobs.items():
        try:
            if file:
                making.check_place(scene)
            made = run(scene, bundle, path, progress=True, **how)
        except (ValueError, FileNotFoundError) as error:
            if not several:
                raise
            typer.secho(f"landslide: {error}", err=True, fg="red")
            refused = True
            continue
        for one in made.repairs:
            typer.echo(f"{scene}: put right: {one}")
        typer.echo(f"{path}: {made.pixels} pixels, {made.unknown} unknown, {made.seconds:.1f} s")
        if file:
            least = bundle.threshold if threshold is None else threshold
            frame = making.polygons(path, least, minimum_area=minimum_area)
            typer.echo(f"{making.write_polygons(frame, file)}: landslides: {len(frame)}")
    if refused:
        raise typer.Exit(2)


def _rows(text: str | None) -> tuple[int, int] | None:
    """Return the rows that A:B names."""
    if text is None:
        return None
    try:
        first, end = map(int, text.split(":"))
    except ValueError:
        raise ValueError(f"--rows {text}: has to be A:B, such as 0:2048") from None
    return first, end


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


def score(
    predicted: Annotated[Path, typer.Argument(help="Folder of masks.", exists=True, file_okay=False)],
    truth: Annotated[Path, typer.Argument(help="Folder of the true ones.", exists=True, file_okay=False)],
    threshold: Annotated[
        float | None, typer.Option(help="The predicted are maps of `predict`, landslide above it.", min=0, max=1)
    ] = None,
) -> None:
    """Score a folder of predicted masks, or maps, beside the true masks, under every convention.

    Masks are PNG, TIFF or Landslide4Sense's mask_N.h5, paired by name; 1 or 255 is landslide. Rows are the landslide
    class over all pixels, the mean over both classes, and the mean over images; then whole landslides by size in
    pixels, one found where intersection is more than half of union. What is unknown in a map is not counted.
    """
    from landslide_lib.geo import objects, scoring

    counts, landslides = scoring.counts(predicted, truth, threshold)
    tp, fp, fn, tn = counts.sum(0)
    typer.echo(f"{len(counts)} masks; landslide pixels: tp {tp}, fp {fp}, fn {fn}; tn {tn}")
    for table in (scoring.table(counts), objects.table(landslides)):
        typer.echo(table.to_string(float_format="{:.4f}".format, na_rep="-"))


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
