"""Chapters: their parameters are checked, they are in step, they run alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from landslide_lib.study import chapters

HOME = Path(__file__).parent.parent.parent
NAMES = [path.stem for path in chapters.chapters()]
DEFAULTS = {"profile": "cpu", "seeds": [0], "rows": [], "full": False, "rate": 0.5, "count": 3}


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_has_the_parameters_of_the_design(name):
    found = chapters.parameters(chapters.chapter(name))
    assert {"profile", "dataset", "seeds", "rows", "device", "data_root"} <= set(found)


@pytest.mark.parametrize("name", NAMES)
def test_every_chapter_stands_in_the_table_of_contents_with_its_ending(name):
    assert f"file: notebooks/{name}.ipynb" in (HOME / "_toc.yml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_holds_no_class_and_no_output(name):
    book = nbformat.read(chapters.chapter(name), as_version=4)
    nbformat.validate(book)
    for cell in book.cells:
        if cell.cell_type == "code":
            assert "class " not in cell.source
            assert not cell.outputs
            assert cell.execution_count is None


@pytest.mark.parametrize("name", NAMES)
def test_the_claims_of_a_chapter_are_plain_sentences_that_the_page_of_findings_repeats(name):
    assert all(claim.endswith(".") for claim in chapters.claims(chapters.chapter(name)))


def cells_of(name):
    book = nbformat.read(chapters.chapter(name), as_version=4)
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_code_cell_installs_the_study(name):
    first = cells_of(name)[0]
    address = yaml.safe_load((HOME / "_config.yml").read_text())["repository"]["url"]
    assert address in first
    assert "%pip install" in first
    assert first == cells_of("11_losses")[0]
    assert "==" not in (HOME / "requirements.txt").read_text()


def test_the_public_address_is_written_in_one_place_and_where_it_is_generated():
    address = yaml.safe_load((HOME / "_config.yml").read_text())["repository"]["url"]
    files = subprocess.run(
        ["git", "grep", "-l", address.split("/")[-2] + "/"], cwd=HOME, capture_output=True, text=True
    ).stdout.split()
    generated = {f"notebooks/{name}.ipynb" for name in NAMES}
    assert set(files) - generated <= {"_config.yml"}


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"profile": "quick"}, {"profile": "quick"}),
        ({"seeds": "0,1,2"}, {"seeds": [0, 1, 2]}),
        ({"seeds": "3"}, {"seeds": [3]}),
        ({"rows": "ce,focal"}, {"rows": ["ce", "focal"]}),
        ({"full": "true"}, {"full": True}),
        ({"rate": "1e3"}, {"rate": 1000.0}),
        ({"rate": "2"}, {"rate": 2.0}),
        ({"profile": "007"}, {"profile": "007"}),
    ],
)
def test_words_take_the_type_of_the_default(given, values):
    assert chapters.convert(given, DEFAULTS) == values


@pytest.mark.parametrize(
    "given",
    [
        {"sedes": "0"},
        {"seeds": "a"},
        {"seeds": "007"},
        {"seeds": "0,"},
        {"count": "1e3"},
        {"count": "2.0"},
        {"full": "yes"},
        {"rate": "fast"},
    ],
)
def test_an_unknown_name_or_a_wrong_type_is_refused_naming_what_there_is(given):
    with pytest.raises(ValueError, match=r"this chapter has: profile \(default 'cpu'\), seeds"):
        chapters.convert(given, DEFAULTS)


def test_a_notebook_without_a_parameters_cell_is_refused(small):
    book = nbformat.read(small / "01_small.ipynb", as_version=4)
    book.cells[0].metadata = {}
    nbformat.write(book, small / "01_small.ipynb")
    with pytest.raises(ValueError, match="tagged parameters"):
        chapters.parameters(small / "01_small.ipynb")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_runs_in_smoke_and_keeps_what_it_shows(name, bijie, tmp_path, monkeypatch):
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path / "runs"))
    given = {"profile": "smoke", "dataset": "bijie", "seeds": "0", "device": "cpu", "data_root": str(bijie)}
    target = chapters.run(name, given)
    assert target == tmp_path / "runs" / "chapters" / f"{name}.ipynb"
    book = nbformat.read(target, as_version=4)
    shown = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert not [out for out in shown if out.output_type == "error"]
    pieces = [out.data["text/html"] for out in shown if "text/html" in out.get("data", {})]
    trains = any(").run(rows" in cell.source for cell in book.cells)
    assert trains == any("smoke profile" in piece for piece in pieces if "<table" in piece)
    assert any('<img alt="' in piece for piece in pieces)


def test_the_chapter_of_a_table_is_the_last_that_runs_it_or_else_that_names_it():
    assert chapters.showing("raunet/rau-net") == "15_attention"
    assert chapters.showing("raunet/leaderboard") == "19_cross_validation"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder with a chapter that prints its Python and its data root; runs go elsewhere."""
    monkeypatch.setenv("LANDSLIDE_RUNS", str(tmp_path / "runs"))
    kernel = ("PYTHONUTF8", "TQDM_DISABLE", "JUPYTER_PREFER_ENV_PATH")
    for variable in ("LANDSLIDE_DATA", "LANDSLIDE_CACHE", *kernel):
        monkeypatch.setenv(variable, os.environ.get(variable, ""))  # put back at the end
    book = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}},
        cells=[
            nbformat.v4.new_code_cell('data_root = ""', metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell("import sys\nprint(sys.executable, data_root, sep='\\n')"),
        ],
    )
    (tmp_path / "books").mkdir()
    nbformat.write(book, tmp_path / "books" / "01_small.ipynb")
    return tmp_path / "books"


def printed(path):
    return nbformat.read(path, as_version=4).cells[-1].outputs[0].text.splitlines()


def test_a_chapter_runs_in_this_python_and_finds_a_relative_folder(small, tmp_path, monkeypatch):
    foreign = tmp_path / "kernels" / "python3" / "kernel.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my data").mkdir()
    target = chapters.run("01_small", {"data_root": "my data"}, small)
    assert printed(target) == [sys.executable, str(tmp_path / "my data")]


def test_a_chapter_that_fails_leaves_no_notebook_that_passes_for_whole(small, tmp_path):
    import papermill

    book = nbformat.read(small / "01_small.ipynb", as_version=4)
    book.cells[-1].source = "raise RuntimeError('unheard-of')"
    nbformat.write(book, small / "01_small.ipynb")
    with pytest.raises(papermill.PapermillExecutionError, match="unheard-of"):
        chapters.run("01_small", {}, small)
    made = tmp_path / "runs" / "chapters"
    assert [path.name for path in made.iterdir()] == ["01_small.failed.ipynb"]
