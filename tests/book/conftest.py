"""The built book on a server of its own, in headless Chromium.

Only `make check-book`, or a path that leads here, runs these tests: they need `make book` before,
and a Chromium. Where one is missing they are skipped, under LANDSLIDE_BOOK=required they fail.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tools"))

from browser import executable, launch

from .built import HTML

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    start = config.invocation_params.dir
    named = [(start / word.split("::")[0]).resolve() for word in config.args]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


def _missing(what: str) -> None:
    if os.environ.get("LANDSLIDE_BOOK") == "required":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session", autouse=True)
def _book() -> None:
    if not (HTML / "index.html").is_file():
        _missing(f"no book in {HTML}: run `make book` first")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line each."""


@pytest.fixture(scope="session")
def address(_book: None) -> Iterator[str]:
    """The book's address, with a slash at its end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(HTML)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        try:
            executable(play.chromium.executable_path)
        except FileNotFoundError as error:
            _missing(str(error))
        # Other hosts are not there: what a page asks of them is seen, and no test waits for it.
        yield launch(play, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")


class Visit:
    """A page that was opened, and what went wrong or was asked of other hosts on the way."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.faults: list[str] = []
        self.elsewhere: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._said)
        page.on("request", self._asked)
        page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        where = message.location["url"]
        # Browsers ask for an icon by themselves, and not on every page.
        if message.type == "error" and not self._other(where) and "favicon.ico" not in where:
            self.faults.append(f"{message.text} {where}")

    def _asked(self, request: Request) -> None:
        if self._other(request.url):
            self.elsewhere.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and "favicon.ico" not in response.url:
            self.faults.append(f"{response.url}: status {response.status}")

    def _other(self, url: str) -> bool:
        return url.startswith("http") and not url.startswith(self.address)


@pytest.fixture(scope="session")
def _contexts() -> dict[tuple[object, ...], BrowserContext]:
    """One for each way of looking, so that what pages share is fetched once."""
    return {}


@pytest.fixture
def visit(
    browser: Browser, address: str, _contexts: dict[tuple[object, ...], BrowserContext]
) -> Iterator[Callable[..., Visit]]:
    """Open a page of the book: `visit("book/intro")`, `visit(page, width=390)`."""
    opened = []

    def visit(name: str, *, width: int = 1280, scripts: bool = True, query: str = "") -> Visit:
        way = (width, scripts)
        if way not in _contexts:
            _contexts[way] = browser.new_context(viewport={"width": width, "height": 844}, java_script_enabled=scripts)
        opened.append(_contexts[way].new_page())
        made = Visit(opened[-1], address)
        opened[-1].goto(f"{address}{name}.html{query}")
        return made

    yield visit
    for page in opened:
        page.close()
