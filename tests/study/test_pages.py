"""The book's pages about the study: every table has its place, every run its line."""

import re
from html import escape
from pathlib import Path

import jupytext
import pytest

from landslide_lib.study import comparison, pages, render, reports
from landslide_lib.study.records import Store
from landslide_lib.study.table import table as study_table
from landslide_lib.training import energy

HOME = Path(__file__).parent.parent.parent
#: Those of the reports: not the one of our own recipe.
TABLES = [
    table
    for report in reports.reports().values()
    for table in report.tables.values()
    if not all(row.ours for row in table.rows)
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_stands_on_the_page_of_its_report_under_the_anchor_that_the_index_names(table):
    report, name = table.name.split("/")
    text = (HOME / "book" / f"{report}.md").read_text()
    assert f'pages.table("{table.name}")' in text
    assert f"({report}-{name})=" in text


@pytest.mark.parametrize("report", reports.reports())
def test_every_report_has_a_page_in_the_book_and_its_source_in_the_bibliography(report):
    assert f"file: book/{report}\n" in (HOME / "_toc.yml").read_text()
    cited = reports.reports()[report].cite
    assert f"{{{cited}," in (HOME / "book" / "references.bib").read_text()


def test_the_index_has_a_line_a_table():
    page = pages.tables()
    for table in TABLES:
        assert f'data-sort="{table.name}">{table.name}</td>' in page


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_printed_cell_is_shown(table, tmp_path):
    page = render.html(table, comparison.compare(table, Store(tmp_path, more=())))
    for row in table.rows:
        for name, value in row.reported.items():
            if isinstance(value, float):
                digits = table.columns[name].digits if name in table.columns else 4
                assert f"{value:.{digits}f}" in page


def test_energy_stands_beside_its_co2_equivalents_and_where_their_intensity_is_from(record):
    tiles = {"task": "classification", "dataset": "zindi", "model": "pyramid"}
    outcome = {"threshold": 0.5, "metrics": {"tiles": {"f1": 0.5}}}
    made = record(tiles, energy_wh=250.0, test=outcome, test_tuned=outcome)
    intensity = energy.carbon()
    shown = pages._shown(made)
    assert shown["Wh"] == 250
    assert shown["g CO2e"] == pytest.approx(intensity["grams_per_kwh"] / 4)
    assert pages._shown(record(tiles, test=outcome, test_tuned=outcome))["g CO2e"] is None
    page = pages.runs()
    assert f"by {intensity['grams_per_kwh']} g a kWh" in page
    assert escape(intensity["source"]) in page
    assert intensity["where"].startswith("https://")


def test_a_table_stands_beside_its_notes_and_its_chapter():
    page = pages.table("refinement/validation")
    assert all(escape(note) in page for note in reports.table("refinement/validation").notes)
    assert '<p>Its chapter: <a href="../notebooks/' in page


#: Those of each report and table; a text once a report, where several of its tables share it.
DEVIATIONS = {
    (name, line): [one.name for one in report.tables.values() if line in one.deviations]
    for name, report in reports.reports().items()
    for line in (*report.deviations, *(line for one in report.tables.values() for line in one.deviations))
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_notes_stand_below_a_table_and_deviations_below_the_notes(table):
    notes, lead, assumed = pages.table(table.name).partition("<p>Assumed, or other than printed:</p>")
    assert bool(lead) == bool(table.deviations)
    items = [re.findall("<li>(.+?)</li>", one) for one in (notes, assumed)]
    assert items == [[escape(line) for line in lines] for lines in (table.notes, table.deviations)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_chapter_shows_the_notes_of_a_table_and_below_them_its_deviations(table):
    notes, lead, assumed = study_table(table.name).notes().data.partition("Assumed, or other than printed:\n\n")
    assert bool(lead) == bool(table.deviations)
    assert notes.strip().splitlines() == [f"- {line}" for line in table.notes]
    assert assumed.splitlines() == [f"- {line}" for line in table.deviations]


def test_a_report_shows_its_notes_and_deviations():
    report = reports.reports()["raunet"]
    notes, _, assumed = pages.about(report).partition("**Assumed, or other than printed.**")
    assert all(f"- {line}" in notes.splitlines() for line in report.notes)
    assert assumed.strip().splitlines() == [f"- {line}" for line in report.deviations]


def test_the_page_of_deviations_holds_each_once_below_all_tables_that_have_it_and_counts_them():
    text, *parts = pages.deviations().split("\n\n## {doc}`")
    assert re.findall(r"\d+", text) == [str(len(DEVIATIONS))]
    found = {}
    for part in parts:
        name, _, lists = part.partition("`\n\n")
        for tables, lines in re.findall(r"\*\*(.+)\*\*\n\n((?:- .+\n?)+)", lists):
            for line in lines.strip().splitlines():
                assert (name, line[2:]) not in found
                found[name, line[2:]] = tables
    assert found.keys() == DEVIATIONS.keys()
    for (report, line), tables in found.items():
        linked = [anchor.replace("-", "/", 1) for anchor in re.findall(r'\.html#(.+?)"', tables)]
        assert linked == DEVIATIONS[report, line]
        assert ("The whole report" in tables) == (line in reports.reports()[report].deviations)


def test_a_link_of_the_page_of_deviations_leads_to_the_table():
    for page, anchor, title in re.findall(r'<a href="(\w+).html#(.+?)">(.+?)</a>', pages.deviations()):
        assert f"({anchor})=\n" in (HOME / "book" / f"{page}.md").read_text()
        assert reports.table(anchor.replace("-", "/", 1)).title == title


def test_what_a_report_states_outside_its_tables_is_shown():
    report = reports.reports()["raunet"]
    page = pages.facts(report)
    assert str(report.facts["landslide"].value) in page


def test_every_record_that_a_table_uses_has_a_line_and_every_run_one_anchor():
    page = pages.runs()
    store = Store()
    lines = re.findall(r"<tr><th>", page)
    used = {record.run for record in store.all() if not record.stale}
    anchors = re.findall(r'<span id="([^"]+)">', page)
    assert len(anchors) == len(set(anchors))
    assert set(anchors) <= used
    assert len(lines) >= len(anchors)


def test_what_is_published_names_budget_machine_and_commit():
    page = pages.published()
    table = reports.table("raunet/starts")
    recipe = reports.resolve(table, table.row("random"), dataset="bijie", profile_name="cpu")
    for record in Store().find(recipe):
        assert record.commit[:7] in page
        assert record.versions["torch"] in page


def test_every_benchmark_that_was_kept_stands_on_its_page():
    (cell,) = (cell for cell in jupytext.read(HOME / "book" / "speed.md").cells if cell.cell_type == "code")
    made: dict = {}
    exec(cell.source, made)
    # Some are run on a day of their own: a later file does not hide an earlier one.
    for name in ("loader/float32", "step", "sweep", "import", "channels", "tiles/npy"):
        assert f"<th>{name}</th>" in made["page"]
