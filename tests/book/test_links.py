"""Where the book's links lead: to pages and places that exist, to notebooks that exist."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

from .built import CHAPTERS, HOME, HTML, PAGES, soup


@cache
def places(path: Path) -> frozenset[str]:
    """The anchors of a page."""
    page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    found = [tag.get(key) for key in ("id", "name") for tag in page.find_all(attrs={key: True})]
    return frozenset(found)


def dead(name: str) -> Iterator[str]:
    """The links of a page, and the sources of its pictures, that lead nowhere in the book."""
    page = HTML / f"{name}.html"
    for tag in soup(name).select("a[href], img[src], script[src], link[href]"):
        link = tag.get("href") or tag.get("src")
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.is_file():
            yield f"{link}: no such file"
        elif target.suffix == ".html" and unquote(parts.fragment) not in {"", *places(target)}:
            yield f"{link}: no such place in {target.name}"


@pytest.mark.parametrize("name", [*PAGES, "genindex", "search"])
def test_every_link_within_the_book_leads_somewhere(name):
    assert not sorted(set(dead(name)))


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_colab_link_of_a_chapter_opens_its_notebook(name):
    address = yaml.safe_load((HOME / "_config.yml").read_text())["repository"]["url"]
    start = address.replace("https://github.com/", "https://colab.research.google.com/github/")
    links = {tag["href"] for tag in soup(name).select("a[href*='colab.research.google.com']")}
    assert links == {f"{start}/blob/main/{name}.ipynb"}
    assert (HOME / f"{name}.ipynb").is_file()


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_link_to_the_repository_names_a_file_that_is_there(name):
    address = yaml.safe_load((HOME / "_config.yml").read_text())["repository"]["url"]
    start = f"{address}/blob/main/"
    links = {tag["href"] for tag in soup(name).select(f"a[href^='{start}']")}
    assert not [link for link in links if not (HOME / unquote(link.removeprefix(start))).is_file()]


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_notebook_of_a_chapter_can_be_downloaded(name, visit):
    seen = visit(name)
    link = seen.page.locator("a.btn-download-source-button[href$='.ipynb']").first
    got = seen.page.request.get(link.evaluate("link => link.href"))
    assert got.ok
    assert got.text() == (HOME / f"{name}.ipynb").read_text()
