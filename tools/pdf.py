"""Print the book's one-page HTML as a PDF.

    python tools/pdf.py _build/singlehtml OUT.pdf

The first argument is the folder, or a page. The page is printed light, without the theme's bars;
what is wider than the paper is made smaller, not cut.
"""

import re
import sys
from pathlib import Path

from browser import launch
from playwright.sync_api import sync_playwright

#: A4 less margins of 15 mm, in CSS pixels (96 to 25.4 mm): the page is laid out at this width.
WIDTH = int((210 - 2 * 15) / 25.4 * 96)

CSS = """
.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header, .bd-header-article, .bd-footer,
.bd-footer-content, .prev-next-footer, .headerlink, .copybtn, .skip-link, .csv,
#pst-back-to-top, #pst-scroll-pixel-helper, .sbt-scroll-pixel-helper { display: none !important; }
html, body { font-size: 14px; background: #fff; }
.bd-container, .bd-container__inner, .bd-main, .bd-content, .bd-article-container, .bd-article {
  display: block !important; max-width: none !important; width: auto !important;
  margin: 0 !important; padding: 0 !important; overflow: visible !important; }
span[id^="document-"] + section { break-before: page; }
h1, h2, h3, h4 { break-after: avoid; }
pre { white-space: pre-wrap !important; overflow-wrap: anywhere; }
figure, img, tr, .admonition { break-inside: avoid; }
.cell, .cell_output, .study-table, table { break-inside: auto !important; }
table, .study-table { overflow: visible !important; }
.study-table th { position: static !important; }
img { max-width: 100%; }
a { overflow-wrap: anywhere; }
"""

READY = """
() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const image of document.images) image.loading = "eager";
  for (const link of document.querySelectorAll("a[href]")) {
    if (link.protocol !== "file:") continue;
    // A link to another page of the book leads into this one, or nowhere: there are no others.
    const target = decodeURIComponent(link.hash.slice(1));
    if (target && document.getElementById(target)) link.setAttribute("href", link.hash);
    else link.removeAttribute("href");
  }
  for (const table of document.querySelectorAll("article table")) {
    // The page is printed a hair narrower than it is laid out here.
    const room = 0.97 * table.parentElement.clientWidth;
    if (table.scrollWidth > room) table.style.zoom = room / table.scrollWidth;
  }
  return Promise.all([...document.images].map((image) => image.decode().catch(() => null)));
}
"""

LINE = (
    '<div style="font: 8px sans-serif; color: #555; width: 100%; margin: 0 15mm; '
    'display: flex; justify-content: {side}">{words}</div>'
)
PAGE = '<span><span class="pageNumber"></span> / <span class="totalPages"></span></span>'


def whole(folder: Path) -> Path:
    """Return the page of a folder that Jupyter Book's `singlehtml` builder wrote.

    The builder puts the page where the book's root is, `book/intro.html`, and writes its links as
    if it stood at the top, without styles or pictures then. A copy at the top sees them.

    Raises:
        FileNotFoundError: There is no index.html.
    """
    index = folder / "index.html"
    if not index.is_file():
        raise FileNotFoundError(f"{index}: no page to print; run `make pdf`, which builds it")
    text = index.read_text("utf-8")
    moved = re.search(r'http-equiv="refresh"[^>]*url=([^"#]+)', text, re.IGNORECASE)
    if not moved:
        return index
    copy = folder / "whole.html"
    copy.write_text((folder / moved[1]).read_text("utf-8"), "utf-8")
    return copy


def pdf(source: Path, target: Path) -> None:
    """Print an HTML page on A4.

    Args:
        source: A page, or a folder, see `whole`.
        target: The PDF; its folder is made.

    Raises:
        FileNotFoundError: There is no page, or no Chromium.
    """
    if not source.is_file():
        source = whole(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        page = launch(play).new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.emulate_media(media="print")
        page.goto(source.absolute().as_uri(), wait_until="networkidle")
        page.add_style_tag(content=CSS)
        page.evaluate(READY)
        page.pdf(
            path=target,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
            print_background=True,
            display_header_footer=True,
            header_template=LINE.format(side="flex-end", words='<span class="title"></span>'),
            footer_template=LINE.format(side="center", words=PAGE),
            outline=True,
            tagged=True,
        )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tools/pdf.py FOLDER OUT.pdf")
    try:
        pdf(Path(sys.argv[1]), Path(sys.argv[2]))
    except FileNotFoundError as error:
        sys.exit(str(error))
    print(f"The PDF: {sys.argv[2]}")
