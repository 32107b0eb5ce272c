"""The demo of `landslide serve`: drop a scene, see the landslides, move the threshold, take the polygons away."""

import html
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from landslide_lib.geo import work
from landslide_lib.geo.server import Jobs

KEPT, VISITS = 3600, 32  # seconds that the files of a visitor stay at most, and of how many visitors
SEEDS = 100  # of simulated scenes
FILES = {
    work.GEOJSON: "Polygons, GeoJSON",
    work.GEOPACKAGE: "Polygons, GeoPackage",
    work.PROBABILITY: "Probability, GeoTIFF",
}
SHOWN = 8  # of the landslides, the largest
FONTS = ("ui-sans-serif", "system-ui", "sans-serif"), ("ui-monospace", "monospace")
CSS = """
.error { color: var(--error-text-color); background: var(--error-background-fill); padding: .6em .8em;
         border: 1px solid var(--error-border-color); border-radius: 6px; }
.scene svg { width: 100%; height: auto; max-height: 85vh; }
.scene input:not(:checked) ~ svg .mask { display: none; }
.scene label { display: inline-block; margin-bottom: .4em; }
.found table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.found th, .found td { text-align: right; padding: .15em .5em; border-bottom: 1px solid var(--border-color-primary); }
.files a { display: inline-block; margin: .2em .6em .2em 0; padding: .45em .8em; border-radius: 6px;
           border: 1px solid var(--border-color-primary); text-decoration: none; color: var(--body-text-color); }
.files a:hover, .files a:focus { background: var(--background-fill-secondary); }
"""


def mount(app: FastAPI, jobs: Jobs, model: str, about: dict[str, Any], root: Path) -> None:
    """Put the demo on `/` of the application, and what it gives away on `/results`.

    Args:
        app: The application, whose own routes come first.
        jobs: What work is done by.
        model: The network, by name or as a file.
        about: What `GET /model` says.
        root: The folder in which each visitor has one, whose name nobody can guess.
    """

    @app.get("/results/{token}/{name}", include_in_schema=False)
    async def result(token: str, name: str) -> FileResponse:
        path = root / token / name
        if name not in FILES or not token.startswith("visit-") or not token.isascii() or not path.is_file():
            raise HTTPException(404, "not there, or no longer: what was found is kept for an hour")
        return FileResponse(path, filename=name)

    def forget(token: str | None) -> None:
        if token:
            shutil.rmtree(root / token, ignore_errors=True)

    async def start(source: Any, token: str | None, threshold: float, area: float) -> Any:
        """Map the file that was dropped, or a simulated scene, and keep the probability in a folder of the visitor's."""
        forget(token)
        for folder in sorted(root.glob("visit-*"), key=lambda one: one.stat().st_mtime)[: -VISITS + 1]:
            forget(folder.name)
        folder = Path(tempfile.mkdtemp(prefix="visit-", dir=root))
        try:
            if isinstance(source, str):
                await anyio.to_thread.run_sync(shutil.copyfile, source, folder / work.UPLOAD)
            else:
                await jobs.run(work.simulate, folder, secrets.randbelow(SEEDS))
            said = await jobs.run(work.explore, folder, model, jobs.limits)
        except HTTPException as refused:
            forget(folder.name)
            return None, _error(refused), "", ""
        picture, files = await show(folder.name, threshold, area)
        return folder.name, _said(said), picture, files

    async def show(token: str | None, threshold: float, area: float) -> Any:
        if not token:
            return "", ""
        if not (root / token).is_dir():
            return _error(HTTPException(404, "what was found is no longer kept; drop the scene again")), ""
        try:
            picture, found = await jobs.run(work.redraw, root / token, float(threshold), float(area or 0))
        except HTTPException as refused:
            return _error(refused), ""
        return _scene(picture), _found(found) + _links(root / token)

    metres = f"{about['metres_per_pixel']:g} m"
    with gr.Blocks(title="Landslides in a scene", analytics_enabled=False, delete_cache=(600, KEPT)) as blocks:
        token = gr.State(None, time_to_live=KEPT, delete_callback=forget)
        gr.Markdown(
            f"# Landslides in a scene\nThe network *{about['model']}* says of each pixel how probable a landslide is. It "
            f"needs the bands {', '.join(about['bands'])} at {metres} a pixel. It is for study and teaching, no warning."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                kinds = [".tif", ".tiff", ".png", ".jpg", ".jpeg"]
                scene = gr.File(label="A scene: GeoTIFF, PNG or JPEG", file_types=kinds, height=140)
                example = gr.Button("Take a simulated scene")
                threshold = gr.Slider(0, 1, about["threshold"], step=0.001, label="Threshold of the probability")
                area = gr.Number(0, minimum=0, label="Smallest landslide, m² (pixels in a picture without a place)")
                status = gr.HTML("", elem_classes="status")
            with gr.Column(scale=2, min_width=300):
                picture = gr.HTML("", elem_classes="scene")
                files = gr.HTML("", elem_classes="found")
        how: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        out = [token, status, picture, files]
        scene.upload(start, [scene, token, threshold, area], out, **how)
        example.click(start, [gr.State(None), token, threshold, area], out, **how)
        gr.on([threshold.change, area.change], show, [token, threshold, area], [picture, files],
              trigger_mode="always_last", **how)  # fmt: skip
    blocks.queue(max_size=jobs.limits.waiting, default_concurrency_limit=jobs.limits.workers)
    theme = gr.themes.Default(font=FONTS[0], font_mono=FONTS[1])  # those of the machine: no other host is asked
    gr.mount_gradio_app(
        app, blocks, "/", allowed_paths=[], max_file_size=jobs.limits.upload, ssr_mode=False, run_history=False,
        show_error=False, footer_links=["settings", {"label": "API", "url": "openapi.json"}], theme=theme, css=CSS,
    )  # fmt: skip


def _error(refused: HTTPException) -> str:
    return f'<p class="error" role="alert">{html.escape(refused.detail)}</p>'


def _said(said: dict[str, Any]) -> str:
    """Return what was done with a scene, as HTML."""
    lines = [f"{said['pixels']:,} pixels in {said['seconds']:.1f} s"]
    if said["unknown"]:
        lines.append(f"{said['unknown'] / said['pixels']:.1%} of it is unknown (no data or cloud), grey on the map")
    lines += said["repairs"]
    if said["place"]:
        latitude, longitude = said["place"]
        where = f"{abs(latitude):.4f}° {'N' if latitude >= 0 else 'S'}, {abs(longitude):.4f}° {'E' if longitude >= 0 else 'W'}"
        address = f"https://www.openstreetmap.org/?mlat={latitude:.5f}&amp;mlon={longitude:.5f}#map=13/{latitude:.5f}/{longitude:.5f}"
        lines.append(f'its middle is at <a href="{address}" target="_blank" rel="noopener noreferrer">{where}</a>')
    else:
        lines.append("it has no coordinates: polygons are in pixels")
    return (
        "<ul>"
        + "".join(f"<li>{line if line.startswith('its middle') else html.escape(line)}</li>" for line in lines)
        + "</ul>"
    )


def _scene(picture: str) -> str:
    """Return a picture with a box to take the mask off."""
    return f'<input type="checkbox" id="mask" checked> <label for="mask">show the landslides</label>{picture}'


def _found(found: dict[str, Any]) -> str:
    """Return how many landslides there are, and the largest, as an HTML table."""
    rows = [one["properties"] for one in found["features"]]
    key, unit = ("area_m2", "m²") if rows and "area_m2" in rows[0] else ("area_pixels", "pixels")
    rows.sort(key=lambda row: -row[key])
    if not rows:
        return "<p>No landslide above this threshold.</p>"
    lines = "".join(f"<tr><td>{row[key]:,.0f}</td><td>{row['probability']:.2f}</td></tr>" for row in rows[:SHOWN])
    total, many = sum(row[key] for row in rows), "landslide" if len(rows) == 1 else "landslides"
    return (
        f"<p><b>{len(rows):,} {many}, {total:,.0f} {unit}</b>{'' if len(rows) <= SHOWN else f'; the {SHOWN} largest:'}</p>"
        f"<table><tr><th>Area, {unit}</th><th>Mean probability</th></tr>{lines}</table>"
    )


def _links(folder: Path) -> str:
    """Return links to the files of a visitor, as HTML."""
    there = [name for name in FILES if (folder / name).is_file()]
    links = (f'<a href="results/{folder.name}/{name}" download="{name}">{FILES[name]}</a>' for name in there)
    return f'<p class="files">{"".join(links)}</p>'
