"""Of which version of the code a record is."""

import subprocess
import sys
from pathlib import Path

import pytest

from landslide_lib.paths import HOME
from landslide_lib.study import machine, records


def git(folder, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(project, **environment):
    """Ask a copy of the code which commit it is of."""
    code = "from landslide_lib.study import machine; print(*machine.commit())"
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= environment
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd="/", check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.fixture
def project(tmp_path):
    """The few files of the code that tell its commit, unpacked in a folder."""
    home = tmp_path / "outer" / "project"
    (home / "landslide_lib" / "study").mkdir(parents=True)
    for name in ("__init__.py", "study/__init__.py", "study/machine.py", "paths.py"):
        text = (HOME / "landslide_lib" / name).read_text(encoding="utf-8")
        (home / "landslide_lib" / name).write_text(text, encoding="utf-8")
    return home


def test_code_unpacked_in_another_repository_has_no_commit(project):
    outer = project.parent
    git(outer, "init", "-q")
    (outer / ".gitignore").write_text("project/\n")
    git(outer, "add", ".")
    git(outer, "commit", "-qm", "another project")
    assert commit(project) == ["unknown", "True"]
    assert commit(project, GIT_DIR=str(outer / ".git")) == ["unknown", "True"]


def test_a_checkout_has_its_own_commit_whatever_git_dir_names(project, tmp_path):
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "the project")
    sha = git(project, "rev-parse", "HEAD")
    assert commit(project) == [sha, "False"]
    assert commit(project, GIT_DIR=str(HOME / ".git"), GIT_WORK_TREE="/") == [sha, "False"]
    (project / "landslide_lib" / "study" / "machine.py").open("a").write("# changed\n")
    assert commit(project) == [sha, "True"]


def test_without_git_or_a_repository_there_is_no_commit(project, tmp_path):
    assert commit(project) == ["unknown", "True"]
    assert commit(project, PATH=str(tmp_path / "nothing")) == ["unknown", "True"]


def test_a_record_without_a_commit_is_refused_for_that_and_not_for_changes(record):
    made = record({"epochs": 12}, commit=machine.NO_COMMIT, dirty=True)
    with pytest.raises(records.RecordError, match="no git says which code made it") as caught:
        records.check_publishable(made)
    assert "uncommitted" not in str(caught.value)


def test_this_checkout_knows_its_commit():
    assert machine.commit()[0] == git(Path(HOME), "rev-parse", "HEAD")
