"""A study's table sorts, and its CSV holds what it shows."""

import csv
import re
from pathlib import Path

import pytest

from .built import PAGES, soup

DASH = "—"
TABLES = ".study-table table.sortable"
CSV = 'a[download$=".csv"]'


#: Click a heading twice; what its column shows before, after the first and after the second.
CLICKS = """
async (table, place) => {
  const shown = () => [...table.tBodies[0].rows].map(row => row.cells[place].textContent.trim());
  const found = [shown()];
  for (let click = 0; click < 2; click++) {
    const done = new Promise(after => table.addEventListener("sort-end", after, {once: true}));
    table.tHead.lastElementChild.cells[place].click();
    await Promise.race([done, new Promise(after => setTimeout(after, 500))]);
    found.push(shown());
  }
  return found;
}
"""


def number(text: str) -> float | None:
    """The number that a cell begins with, after a sign such as ≈; 1,234 is one, 2m40s is none."""
    bare = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", text)
    found = re.match(r"[^\d+-]{0,2}([+-]?\d*\.?\d+)(?:[\s%]|$)", bare)
    return float(found[1]) if found else None


@pytest.mark.parametrize("name", PAGES)
def test_a_click_on_a_heading_sorts_by_number_and_leaves_dashes_last(visit, name):
    if not soup(name).select(TABLES):
        return
    page = visit(name).page
    for table in page.locator(TABLES).all():
        headings = table.locator("thead tr").last.locator("th").all_text_contents()
        assert len(headings) == table.locator("tbody tr").first.locator("th, td").count()
        for place, heading in enumerate(headings[1:], start=1):
            before, falling, rising = table.evaluate(CLICKS, place)
            numbers = [number(text) for text in before if text != DASH]
            # The seeds of a row are sorted by how many they are.
            if None in numbers or heading in ("seeds", "runs, by seed"):
                continue
            where = f"{table.get_attribute('id')}, column {heading!r}"
            for after, downwards in ((falling, True), (rising, False)):
                assert sorted(after) == sorted(before), where
                shown = [number(text) for text in after if text != DASH]
                assert shown == sorted(numbers, reverse=downwards), where
                assert after[len(shown) :] == [DASH] * (len(after) - len(shown)), where


@pytest.mark.parametrize("name", PAGES)
def test_the_csv_of_a_table_has_its_rows(visit, name):
    if not soup(name).select(TABLES):
        return
    page = visit(name).page
    for table in page.locator(TABLES).all():
        link = table.locator(CSV)
        text = link.evaluate("link => fetch(link.href).then(got => got.text())")
        head, *lines = csv.reader(text.splitlines())
        where = link.get_attribute("download")
        assert all(len(line) == len(head) for line in lines), where
        named = head.index("label") if "label" in head else 0
        labels = table.locator("tbody tr > :first-child").all_text_contents()
        # A row says more than its CSV: that it is derived, or quoted. The CSV may have more rows: those folded.
        rows = list(dict.fromkeys(line[named].strip() for line in lines)) if named else [line[0] for line in lines]
        for label in labels:
            assert any(label.strip().startswith(row) for row in rows), where


@pytest.mark.parametrize("name", PAGES)
def test_a_click_on_a_csv_saves_it_under_its_name(visit, name):
    if not soup(name).select(CSV):
        return
    # One a page: a browser asks back when a page saves many files.
    link = visit(name).page.locator(CSV).first
    with link.page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == link.get_attribute("download")
    head, *lines = csv.reader(Path(download.value.path()).read_text("utf-8").splitlines())
    assert lines
    assert all(len(line) == len(head) for line in lines)


@pytest.mark.parametrize("name", PAGES)
def test_a_table_of_results_is_sortable_and_has_a_caption_and_a_csv(name):
    for table in soup(name).select(".study-table table"):
        assert "sortable" in table.get("class", [])
        assert table.caption.get_text(strip=True)
        assert table.select(CSV)


def test_the_study_has_tables_to_test():
    assert any(soup(name).select(TABLES) for name in PAGES)
