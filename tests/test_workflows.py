"""The workflows of GitHub Actions name what exists here; `actionlint` knows the rest of them."""

import re
from pathlib import Path

import pytest
import yaml

HOME = Path(__file__).parent.parent
PATHS = sorted((HOME / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([\w-]+):", (HOME / "Makefile").read_text(), re.MULTILINE))
#: What a step makes before it, or a later one, names it.
MADE = ("_build/", "alone/")
CHAPTER = re.compile(r"\b\d\d_\w+")

every = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)


def steps(path: Path) -> list[dict]:
    return [step for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values() for step in job["steps"]]


def test_the_workflows_of_the_design_are_there():
    assert {path.stem for path in PATHS} >= {"tests", "book", "colab", "links"}


@every
def test_what_is_made_is_a_target_of_the_makefile(path):
    called = re.findall(r"\bmake ([\w-]+)", "\n".join(step.get("run", "") for step in steps(path)))
    assert set(called) <= TARGETS


def test_a_change_has_to_pass_what_the_design_names():
    called = {step.get("run") for step in steps(HOME / ".github/workflows/tests.yml")}
    assert {"make lint", "make test", "make book", "make check-book"} <= called


@every
def test_a_path_that_is_named_is_there(path):
    words = re.findall(
        r"[\w./*\[\]-]+", "\n".join(str(step.get("run", "")) + str(step.get("with", "")) for step in steps(path))
    )
    ours = {entry.name for entry in HOME.iterdir()}
    named = {word for word in words if word.split("/")[0] in ours and not word.startswith(MADE)}
    assert not [word for word in named if not list(HOME.glob(word))]


@every
def test_no_chapter_is_named_so_that_none_is_forgotten(path):
    assert not CHAPTER.findall(path.read_text())


def test_colab_runs_every_notebook_of_the_folder():
    assert "notebooks/[0-9]*.ipynb" in (HOME / ".github/workflows/colab.yml").read_text()


@every
def test_a_workflow_has_least_rights_an_end_and_no_twin(path):
    whole = yaml.safe_load(path.read_text())
    assert whole["permissions"] == {"contents": "read"}
    assert whole["concurrency"]["group"]
    assert all(job["timeout-minutes"] for job in whole["jobs"].values())


@every
def test_an_action_is_pinned_to_its_major_version(path):
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert not [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", name)]
