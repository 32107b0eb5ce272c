"""The server behind `landslide serve`: an API, and the demo of `geo.demo` on it."""

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import anyio.to_process
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from landslide_lib.geo import work
from landslide_lib.geo.work import Limits, RefusedError
from landslide_lib.paths import TRAINED
from landslide_lib.training.bundle import load_bundle

#: Where the demo uploads.
UPLOADS = "/gradio_api/upload"
#: Requests that take a place among those that are worked on or wait, while they are read and answered.
HEAVY = ("/predict", UPLOADS)
#: A page of ours asks no other host, whatever the demo's library would like.
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "landslides", "content": {"application/geo+json": {}, "image/tiff": {}}}
}
REFUSALS = {
    400: "no multipart form",
    408: "the upload came too slowly",
    413: "too large, in bytes or pixels",
    415: "no GeoTIFF, PNG or JPEG",
    422: "damaged, or not what the network needs",
    503: "too many requests, or no room for another upload; `Retry-After` says when to come back",
    504: "it took too long",
}
RESPONSES |= {status: {"description": text} for status, text in REFUSALS.items()}


class Jobs:
    """The work of requests, each in a process that is ended when it takes too long; how many wait is bounded."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.requests = 0
        self._processes = anyio.CapacityLimiter(limits.workers)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for a request, or raise HTTPException 503."""
        if self.requests >= self.limits.workers + self.limits.waiting:
            raise HTTPException(503, "the server is busy; come back later", {"Retry-After": "10"})
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    async def warm(self, models: Sequence[str]) -> None:
        """Start the processes and load what the first request needs, however long it takes."""
        async with anyio.create_task_group() as group:
            for _ in range(self.limits.workers):
                group.start_soon(anyio.to_process.run_sync, work.warm, tuple(models), self.limits.workers)

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function of `geo.work` returns; raise HTTPException where it refuses or takes too long."""
        try:
            with anyio.fail_after(self.limits.seconds):
                how: dict[str, Any] = {"cancellable": True, "limiter": self._processes}
                return await anyio.to_process.run_sync(function, *arguments, **how)
        except RefusedError as refused:
            raise HTTPException(refused.status, refused.detail) from None
        except TimeoutError:
            took = f"it took longer than {self.limits.seconds:g} s; send a smaller scene, or come back later"
            raise HTTPException(504, took) from None
        except anyio.BrokenWorkerProcess:
            ended = "the process that read the file came to an end; the file is damaged or needs too much memory"
            raise HTTPException(422, ended) from None


class Guard:
    """Refuse what is too large, too slow or one request too many before it is read; say what a page may load.

    `uploads` is the folder where the demo keeps what is uploaded to it.
    """

    def __init__(self, app: ASGIApp, jobs: Jobs, uploads: Path) -> None:
        self.app, self.jobs, self.limits, self.uploads = app, jobs, jobs.limits, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"], headers["x-content-type-options"] = POLICY, "nosniff"
            await send(message)

        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["method"] in ("GET", "HEAD"):
            # The demo's library would get a file of another host for whoever asks.
            if re.search(r"/file[=/]+https?:", scope["path"]) or "/proxy=" in scope["path"]:
                return await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, guarded_send)
            return await self.app(scope, receive, guarded_send)
        try:
            size = Headers(scope=scope).get("content-length", "0")
            if not size.isdigit() or int(size) > self.limits.upload:
                raise self._too_large()
            with self.jobs.place() if scope["path"] in HEAVY else contextlib.nullcontext():
                if scope["path"] == UPLOADS and await anyio.to_thread.run_sync(_size, self.uploads) > self.limits.kept:
                    full = "no room for another upload; those of others are kept for an hour, come back later"
                    raise HTTPException(503, full, {"Retry-After": "600"})
                return await self.app(scope, self._bounded(receive), guarded_send)
        except HTTPException as refused:
            answer = JSONResponse({"detail": refused.detail}, refused.status_code, refused.headers)
            return await answer(scope, receive, guarded_send)

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"more than the {self.limits.upload:,} bytes allowed; send a smaller file")

    def _bounded(self, receive: Receive) -> Receive:
        """Return a `receive` that gives up on a body that is too large or too slow."""
        size, more, until = 0, True, anyio.current_time() + self.limits.seconds

        async def bounded() -> Message:
            nonlocal size, more
            if not more:
                return await receive()
            try:
                with anyio.fail_after(max(0, until - anyio.current_time())):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the upload took longer than {self.limits.seconds:g} s") from None
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size > self.limits.upload:
                raise self._too_large()
            return message

        return bounded


def _size(folder: Path) -> int:
    """Return the bytes of the files below a folder, each at least a megabyte: so their number is bounded too."""
    size = 0
    for inside, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # it is being removed
                size += max((Path(inside) / name).stat().st_size, 1_000_000)
    return size


def describe(model: str) -> dict[str, Any]:
    """Return what `GET /model` says of a network: what it needs, its card (Markdown) and its licence.

    Raises FileNotFoundError, ValueError: as `load_bundle`.
    """
    bundle, path = load_bundle(model), Path(model) if Path(model).suffix else TRAINED / f"{model}.safetensors"
    card = path.with_suffix(".md").read_text("utf-8") if path.with_suffix(".md").is_file() else ""
    licence = re.search(r"\*\*Licence\*\*: (.*?)(?=\n- |\Z)", card, re.DOTALL)
    said = {name: getattr(bundle, name) for name in ("bands", "units", "metres_per_pixel", "threshold", "about")}
    return {"model": path.stem, **said, "licence": licence[1].strip() if licence else None, "card": card}


def create_app(models: Sequence[str] = ("bijie", "simulated"), limits: Limits | None = None) -> FastAPI:
    """Return the application: `POST /predict`, `GET /model`, `GET /health`, `/openapi.json`, and the demo on `/`.

    Args:
        models: Trained networks, by name or as files, see `landslide_lib.training.bundle.load_bundle`; a request that
            names none is answered by the first.
        limits: What a request may cost.

    Raises FileNotFoundError, ValueError: as `load_bundle`; no network, or two of one name.
    """
    limits = limits or Limits()
    networks = {Path(model).stem: model for model in models}
    if not models or len(networks) < len(models):
        raise ValueError(f"networks {', '.join(models) or 'none'}: one at least is needed, each of another name")
    about = {name: describe(model) for name, model in networks.items()}
    jobs = Jobs(limits)
    kept = tempfile.TemporaryDirectory(prefix="landslide-serve-", ignore_cleanup_errors=True)
    root = Path(kept.name)  # nobody else may read it

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await jobs.warm(models)
        try:
            yield
        finally:
            kept.cleanup()

    app = FastAPI(title="Landslides in a scene", lifespan=lifespan, docs_url=None, redoc_url=None)  # they ask a CDN
    app.add_middleware(Guard, jobs=jobs, uploads=root / "demo")
    app.state.jobs = jobs
    Network = Literal[*networks]  # type: ignore[valid-type]  # noqa: N806
    default = next(iter(networks))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors())
        return JSONResponse({"detail": said}, 422)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the server failed; what happened is in its log"}, 500)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Say that the server lives, and how many requests it works on."""
        return {"status": "ok", "requests": jobs.requests}

    @app.get("/model")
    async def card(model: Network = default) -> dict[str, Any]:
        """Say what a network needs, what it was trained on, how good it is, its licence; `models` names all."""
        return {**about[model], "models": list(networks)}

    @app.post("/predict", response_class=Response, responses=RESPONSES)
    async def predict(
        file: UploadFile,
        model: Network = default,
        format: Literal["geojson", "geotiff"] = "geojson",
        threshold: Annotated[float | None, Query(ge=0, le=1)] = None,
        minimum_area: Annotated[float, Query(ge=0, le=1e12)] = 0,
        bands: Annotated[list[str] | None, Query(max_length=64)] = None,
    ) -> Response:
        """Find landslides in a GeoTIFF or a picture (PNG, JPEG).

        GeoJSON has a polygon a landslide, with its area in square metres and its mean probability; of a picture without
        a place it is in pixels. GeoTIFF has the probability of each pixel. `threshold` is by default the network's,
        `minimum_area` is in square metres (pixels, where there is no place), `bands` names those of the file in its
        order, where it does not itself.
        """
        kind, suffix = ("image/tiff", "tif") if format == "geotiff" else ("application/geo+json", "geojson")
        with tempfile.TemporaryDirectory(dir=root) as name:
            with (Path(name) / work.UPLOAD).open("wb") as target:
                await anyio.to_thread.run_sync(shutil.copyfileobj, file.file, target)
            how = (format, threshold, minimum_area, bands)
            body = await jobs.run(work.answer, Path(name), networks[model], limits, *how)
        return Response(body, 200, {"content-disposition": f'attachment; filename="landslides.{suffix}"'}, kind)

    os.environ["GRADIO_TEMP_DIR"] = str(root / "demo")  # read when the demo is built
    from landslide_lib.geo.demo import mount

    mount(app, jobs, networks, about, root)
    return app


def run(app: FastAPI, host: str, port: int) -> None:
    """Serve an application until it is stopped. Raises ValueError: the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ValueError(f"{host}, port {port}: {error.strerror}; take another --port or --host") from None
    server = uvicorn.Server(uvicorn.Config(app, server_header=False))
    print(f"landslide: http://{host}:{listening.getsockname()[1]}", flush=True)
    server.run([listening])
