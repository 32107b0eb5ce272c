"""The demo of `landslide serve`: drop a scene, see the landslides, move the threshold, take the polygons away."""

import html
import secrets
import shutil
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

from landslide_lib.data.bands import L4S
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
HINT = '<p class="hint">What is found in a scene will stand here.</p>'
FONTS = ("ui-sans-serif", "system-ui", "sans-serif"), ("ui-monospace", "monospace")
CSS = """
.error { color: var(--error-text-color); background: var(--error-background-fill); padding: .6em .8em;
         border: 1px solid var(--error-border-color); border-radius: 6px; }
.scene svg { width: 100%; height: auto; max-height: 85vh; }
.scene input:not(:checked) ~ svg .mask { display: none; }
.scene label { display: inline-block; margin-bottom: .4em; }
.found table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; border: 0 !important; }
.found th, .found td { text-align: right; padding: .15em .5em !important; border: 0 !important; }
.found tr { border-width: 0 0 1px !important; border-color: var(--border-color-primary) !important; }
.hint { padding: 1em 0; }
.files a { display: inline-block; margin: .2em .6em .2em 0; padding: .45em .8em; border-radius: 6px;
           border: 1px solid var(--border-color-primary); text-decoration: none; color: var(--body-text-color); }
.files a:hover, .files a:focus { background: var(--background-fill-secondary); }
"""


def mount(app: FastAPI, jobs: Jobs, networks: dict[str, str], about: dict[str, dict[str, Any]], root: Path) -> None:
    """Put the demo on `/` of the application, and what it gives away on `/results`.

    Args:
        app: The application, whose own routes come first.
        jobs: What work is done by.
        networks: By name, as `load_bundle` takes them; the first is the one that is chosen at first.
        about: What `GET /model` says of each.
        root: The folder in which each visitor has one, whose name nobody can guess.
    """

    @app.get("/results/{token}/{name}", include_in_schema=False)
    async def result(token: str, name: str) -> FileResponse:
        path = root / token / name
        if name not in FILES or not token.startswith("visit-") or not path.is_file():
            raise HTTPException(404, "not there, or no longer: what was found is kept for an hour")
        return FileResponse(path, filename=name)

    def forget(token: str | None) -> None:
        if token:
            shutil.rmtree(root / token, ignore_errors=True)

    async def start(file: str | None, network: str, token: str | None, area: float) -> dict[Any, Any]:
        """Map a file, or a simulated scene, and show it; its probability stays in a new folder of the visitor's."""
        forget(token)
        for old in sorted(root.glob("visit-*"), key=lambda one: one.stat().st_mtime)[: 1 - VISITS]:
            forget(old.name)
        folder = root / f"visit-{secrets.token_urlsafe(16)}"
        folder.mkdir()
        least = about[network]["threshold"]
        try:
            if file:
                await anyio.to_thread.run_sync(shutil.copyfile, file, folder / work.UPLOAD)
            else:
                await jobs.run(work.simulate, folder, secrets.randbelow(SEEDS))
            said = await jobs.run(work.explore, folder, networks[network], jobs.limits)
            return {token_: folder.name, status: _said(said), threshold: least, **await show(folder.name, least, area)}
        except HTTPException as refused:
            forget(folder.name)
            return {token_: None, status: _error(refused.detail), picture: HINT, found: ""}

    async def again(file: str | None, network: str, token: str | None, area: float) -> dict[Any, Any]:
        """Map the same file by another network."""
        if file:
            return await start(file, network, token, area)
        forget(token)
        return {token_: None, status: "", picture: HINT, found: "", threshold: about[network]["threshold"]}

    async def simulated(token: str | None, area: float) -> dict[Any, Any]:
        """Map a simulated scene by the network that reads such."""
        return {scene: None, chosen: able[0], needs: _needs(about[able[0]]), **await start(None, able[0], token, area)}

    async def show(token: str | None, threshold: float, area: float) -> dict[Any, Any]:
        if not token:
            return {picture: HINT, found: ""}
        if not (root / token).is_dir():
            return {status: _error("what was found is no longer kept; drop the scene again")}
        try:
            drawn, features = await jobs.run(work.redraw, root / token, float(threshold), float(area or 0))
        except HTTPException as refused:
            return {status: _error(refused.detail)}
        return {picture: _scene(drawn), found: _found(features) + _links(root / token)}

    able = [name for name, one in about.items() if set(one["bands"]) <= set(L4S)]  # they read a simulated scene
    with gr.Blocks(title="Landslides in a scene", analytics_enabled=False, delete_cache=(600, KEPT)) as blocks:
        token_ = gr.State(None, time_to_live=KEPT, delete_callback=forget)
        gr.Markdown(
            "# Landslides in a scene\nFor study and teaching; it is no warning system. Programs "
            "`POST` a file to `/predict`, see [the API](openapi.json)."
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=280):
                first = next(iter(about))
                chosen = gr.Dropdown(list(about), value=first, label="Network", visible=len(about) > 1)
                needs = gr.Markdown(_needs(about[first]))
                kinds = [".tif", ".tiff", ".png", ".jpg", ".jpeg"]
                scene = gr.File(label="A scene: GeoTIFF, PNG or JPEG", file_types=kinds, height=170)
                example = gr.Button("Take a simulated scene", visible=bool(able))
                threshold = gr.Slider(0, 1, about[first]["threshold"], step=0.001, label="Threshold of the probability")
                area = gr.Number(
                    0, minimum=0, label="Smallest landslide, m²", info="In pixels, if it has no coordinates"
                )
                status = gr.HTML("", elem_classes="status")
            with gr.Column(scale=2, min_width=300):
                picture = gr.HTML(HINT, elem_classes="scene")
                found = gr.HTML("", elem_classes="found")
        _only_uploads(scene)
        how: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        shown = [status, picture, found]
        scene.upload(start, [scene, chosen, token_, area], [token_, threshold, *shown], **how)
        example.click(simulated, [token_, area], [token_, threshold, scene, chosen, needs, *shown], **how)
        chosen.input(lambda name: _needs(about[name]), chosen, needs, api_visibility="private")
        chosen.input(again, [scene, chosen, token_, area], [token_, threshold, *shown], **how)
        gr.on([threshold.input, area.input], show, [token_, threshold, area], shown, trigger_mode="always_last", **how)
    blocks.queue(max_size=jobs.limits.waiting, default_concurrency_limit=jobs.limits.workers)
    theme = gr.themes.Default(font=FONTS[0], font_mono=FONTS[1])  # those of the machine: no other host is asked
    theme.set(body_text_color_subdued="*neutral_600", block_info_text_color="*neutral_600")  # its gray is too light
    gr.mount_gradio_app(
        app, blocks, "/", allowed_paths=[], max_file_size=jobs.limits.upload, ssr_mode=False, run_history=False,
        show_error=False, footer_links=["settings"], theme=theme, css=CSS,
    )  # fmt: skip


def _only_uploads(scene: gr.File) -> None:
    """Keep the demo's library from fetching an address that stands where a file was uploaded to."""
    take = scene.async_move_resource_to_block_cache

    async def uploaded(path: str | Path | None) -> str | None:
        if "://" in str(path):
            raise ValueError("a file has to be uploaded; no address is fetched")
        taken: str | None = await take(path)
        return taken

    scene.async_move_resource_to_block_cache = uploaded


def _needs(about: dict[str, Any]) -> str:
    """Return what a network needs, as Markdown."""
    return f"It reads {', '.join(about['bands'])} at {about['metres_per_pixel']:g} m a pixel."


def _error(said: str) -> str:
    return f'<p class="error" role="alert">{html.escape(said)}</p>'


def _said(said: dict[str, Any]) -> str:
    """Return what was done with a scene, as HTML."""
    lines = [f"{said['pixels']:,} pixels in {said['seconds']:.1f} s"]
    if said["unknown"]:
        lines.append(f"{said['unknown'] / said['pixels']:.1%} of it is unknown (no data or cloud): grey")
    lines += map(html.escape, said["repairs"])
    if said["place"]:
        latitude, longitude = said["place"]
        where = f"{latitude:.4f}°, {longitude:.4f}°".replace("-", "−")
        address = f"https://www.openstreetmap.org/?mlat={latitude:.5f}&amp;mlon={longitude:.5f}#map=13/{latitude:.5f}/{longitude:.5f}"  # fmt: skip # noqa: E501
        lines.append(f'its middle: <a href="{address}" target="_blank" rel="noopener">{where} on OpenStreetMap</a>')
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>"


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
    largest = f"; the {SHOWN} largest:" if len(rows) > SHOWN else ""
    return (
        f"<p><b>{len(rows):,} {many}, {total:,.0f} {unit}</b>{largest}</p>"
        f"<table><tr><th>Area, {unit}</th><th>Mean probability</th></tr>{lines}</table>"
    )


def _links(folder: Path) -> str:
    """Return links to the files of a visitor, as HTML."""
    there = [name for name in FILES if (folder / name).is_file()]
    links = (f'<a href="results/{folder.name}/{name}" download="{name}">{FILES[name]}</a>' for name in there)
    return f'<p class="files">{"".join(links)}</p>'
