"""What a reader's browser gets: sort keys, links, CSV, words for pictures."""

import csv
import io
import re
from base64 import b64decode

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from landslide_lib.study import comparison, plots, render, reports
from landslide_lib.study.recipe import non_default_fields
from landslide_lib.study.records import Store

TABLE = reports.table("raunet/losses")


def saved(html):
    """The CSV behind a link, as lines."""
    data = re.search(r'href="data:text/csv;base64,([^"]+)"', html)[1]
    return list(csv.reader(io.StringIO(b64decode(data).decode())))


@pytest.fixture
def rows(tmp_path, record):
    store = Store(tmp_path / "records", more=())
    wanted = reports.resolve(TABLE, TABLE.row("ce"), dataset="bijie", profile_name="cpu")
    for seed in (0, 1):
        store.add(record(non_default_fields(wanted), [[30 + seed, 10, 10, 50], [0, 5, 0, 95]], seed=seed))
    return comparison.compare(TABLE, store)


def test_a_table_that_was_not_run_shows_what_the_report_prints(tmp_path):
    none = comparison.compare(TABLE, Store(tmp_path, more=()))
    page = render.html(TABLE, none)
    assert "0.6001" in page
    assert 'class="ours"' not in page
    assert "not run yet" in page


def test_a_cell_has_the_reported_number_and_below_it_ours(rows):
    line = next(line for line in render.html(TABLE, rows).split("<tr") if "Cross Entropy</th>" in line)
    assert re.search(r'<span class="reported">0\.6783</span> <br><span class="ours">0\.\d{3}', line)


def test_the_time_of_an_epoch_stands_below_the_printed_one_and_the_caption_names_the_machine(rows):
    page = render.html(TABLE, rows)
    line = next(line for line in page.split("<tr") if "Cross Entropy</th>" in line)
    assert '<span class="reported">≈ 2m37s (gpu T4)</span> <br><span class="ours">1.5 s</span>' in line
    assert "on a CPU, 2 threads (1 used)." in page
    heads = reports.table("raunet/heads")  # whose print has no times
    assert "Seconds:" not in render.html(heads, rows)


def test_a_cell_of_ours_leads_to_its_runs_where_the_book_is_built(rows, monkeypatch):
    monkeypatch.delenv("LANDSLIDE_TRAIN", raising=False)
    assert "runs.html" not in render.html(TABLE, rows)
    monkeypatch.setenv("LANDSLIDE_TRAIN", "no")
    run = rows[0]["ours"]["run"]
    assert f'<a href="../book/runs.html#{run}">' in render.html(TABLE, rows)


def test_a_table_carries_its_csv_with_a_line_a_row_and_a_score(rows):
    heading, *lines = saved(render.html(TABLE, rows))
    assert list(dict.fromkeys(line[0] for line in lines)) == [row.id for row in TABLE.rows]
    first = dict(zip(heading, lines[0], strict=True))
    assert float(first["ours"]) == rows[0]["ours"]["metrics"]["two_class"]["iou"]["mean"]


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("0.720 ± 0.019", "0.720"),
        ("-0.192 [-0.232, -0.153]", "-0.192"),
        ("≈ 2m37s", "2"),
        ("<0.0010", "0.0010"),
        ("12.5 M", "12.5"),
        ("—", ""),
        (None, ""),
        ("none", "none"),
        ("F1 (%)", "F1 (%)"),
    ],
)
def test_a_cell_is_sorted_by_the_number_it_begins_with_and_a_dash_comes_last(value, key):
    page = render.plain(pd.DataFrame({"row": ["a"], "x": [value]}), name="t")
    assert f'data-sort="{key}"' in page


def test_any_frame_is_escaped_and_saved_as_it_stands():
    frame = pd.DataFrame({"what": ["a<b", "c&d"], "number": [1.5, None]})
    page = render.plain(frame, name="some", caption="x < y")
    assert "a&lt;b" in page
    assert "x &lt; y" in page
    assert 'download="some.csv"' in page
    assert saved(page) == [["what", "number"], ["a<b", "1.5"], ["c&d", ""]]


def test_links_in_cells_are_kept_and_left_out_of_the_csv():
    frame = pd.DataFrame({"page": ['<a href="x.html">X</a>'], "n": [3]})
    page = render.plain(frame, name="some", links=True)
    assert '<a href="x.html">X</a>' in page
    assert saved(page)[1] == ["X", "3"]


def test_a_picture_says_what_it_shows_carries_its_numbers_and_is_shown_once():
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    picture = plots.Picture(figure, alt='a "line"', name="line", data=pd.DataFrame({"y": [1, 2]}))
    page = picture._repr_html_()
    assert 'alt="a &quot;line&quot;"' in page
    assert saved(page) == [["y"], ["1"], ["2"]]
    assert not plt.get_fignums()
    assert b64decode(re.search(r"base64,([^\"]+)\">", page)[1]).startswith(b"\x89PNG")
