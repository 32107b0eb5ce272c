"""Every page of the book as a reader meets it: whole, on a phone, on a dark screen, unscripted."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from .built import CHAPTERS, PAGES, soup

PHONE = 390

#: What stands in the article and leaves the screen without a box of its own to scroll in.
LOST = """
() => [...document.querySelectorAll("article :is(table, pre, img, figure, p, li)")].filter(one => {
  if (one.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let box = one; box && box.tagName != "ARTICLE"; box = box.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)
        && box.getBoundingClientRect().right <= innerWidth + 1) return false;
  return true;
}).map(one => one.outerHTML.slice(0, 80))
"""

#: Text of tables with its contrast to what is behind it (WCAG 2, where 4.5 is the least for text).
# A canvas of one pixel mixes the grounds of all parents, and reads every notation of a colour.
CONTRAST = """
() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const paint = (colour) => { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); };
  const light = () => {
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll("article table :is(th, td, a, caption)")]
    .filter(one => one.textContent.trim()).map(one => {
      const parents = [];
      for (let box = one; box; box = box.parentElement) parents.unshift(box);
      paint("white");
      for (const box of parents) paint(getComputedStyle(box).backgroundColor);
      const ground = light();
      paint(getComputedStyle(one).color);
      const text = light();
      return [one.textContent.trim().slice(0, 40),
              (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)];
    });
}
"""


@pytest.mark.parametrize("name", [*PAGES, "genindex", "search"])
def test_a_page_opens_without_an_error_and_without_another_host(visit, name):
    seen = visit(name)
    assert seen.page.title()
    assert not seen.faults
    # A reader without a network, or behind a wall, reads the same book: vendor what is asked for.
    assert not seen.elsewhere


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_a_page_without_scrolling_sideways_and_tables_can_be_read(visit, name):
    page = visit(name, width=PHONE).page
    page.add_style_tag(content="* { transition: none !important }")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(f"document.documentElement.dataset.theme == '{theme}'", timeout=5000)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE, theme
        assert not page.evaluate(LOST), theme
        faint = {text: round(ratio, 2) for text, ratio in page.evaluate(CONTRAST) if ratio < 4.5}
        assert not faint, theme


@pytest.mark.parametrize("width", [1280, PHONE])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_keeps_the_rules_of_accessibility(visit, name, width):
    """Those whose violation axe calls serious or critical; in both themes."""
    page = visit(name, width=width).page
    page.add_style_tag(content="* { transition: none !important }")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(f"document.documentElement.dataset.theme == '{theme}'", timeout=5000)
        # What docutils makes of a bibliography is a list whose entries have a role of their own.
        found = Axe().run(page, context={"exclude": [[".citation-list"]]}).response["violations"]
        broken = {
            each["id"]: each["nodes"][0]["html"][:120] for each in found if each["impact"] in ("serious", "critical")
        }
        assert not broken, theme


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_reads_without_scripts(visit, name):
    page = visit(name, scripts=False).page
    assert page.locator("article h1").first.is_visible()
    for table in page.locator(".study-table > table").all():  # more stand folded below it
        assert table.locator("caption").is_visible()
        assert table.locator("tbody tr").last.is_visible()


def test_the_search_finds_a_chapter_by_a_word_of_it(visit):
    page = visit("search", query="?q=focal").page
    found = page.locator("#search-results a[href*='notebooks/11_losses']").first
    found.wait_for(timeout=10_000)
    assert found.is_visible()


@pytest.mark.parametrize("name", PAGES)
def test_no_page_shows_the_name_of_an_object_for_what_it_holds(name):
    """An empty Markdown or HTML falls back to its class."""
    assert "IPython.core" not in soup(name).text


@pytest.mark.parametrize("name", PAGES)
def test_no_page_shows_what_a_cell_says_on_the_side(name):
    """Warnings and bars of progress are for who runs it."""
    assert not soup(name).select("article .stderr")


@pytest.mark.parametrize("name", PAGES)
def test_a_figure_has_words_for_who_cannot_see_it(name):
    images = soup(name).select("article img")
    wordless = [
        image["src"][:80] for image in images if not image.get("alt", "").strip() or image["alt"] == image["src"]
    ]
    assert not wordless
