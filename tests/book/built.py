"""The built book: its pages by name, and what stands in their HTML."""

from functools import cache
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

HOME = Path(__file__).parent.parent.parent
HTML = HOME / "_build" / "html"


def _names(part: object) -> list[str]:
    """Return the files and the root that a piece of `_toc.yml` names, in order."""
    if isinstance(part, list):
        return [name for one in part for name in _names(one)]
    if not isinstance(part, dict):
        return []
    own = [str(Path(part[key]).with_suffix("")) for key in ("root", "file") if key in part]
    return own + [name for one in part.values() for name in _names(one)]


#: As `notebooks/11_losses`, in the order of the table of contents.
PAGES = _names(yaml.safe_load((HOME / "_toc.yml").read_text()))
CHAPTERS = [page for page in PAGES if page.startswith("notebooks/")]


@cache
def soup(page: str) -> BeautifulSoup:
    """Return the parsed page."""
    return BeautifulSoup((HTML / f"{page}.html").read_text(), "html.parser")
