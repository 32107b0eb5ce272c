"""What `make` installs, and how it and the workflow pass paths on."""

import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from landslide_lib import cli

HOME = Path(__file__).parent.parent


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_malicious_releases_of_lightning_are_never_installed(version):
    lines = (HOME / "requirements.txt").read_text("utf-8").splitlines()
    (bounds,) = (Requirement(line) for line in lines if line.startswith("lightning"))
    assert not bounds.specifier.contains(version)
    assert bounds.specifier.contains("2.6.6")


def test_a_relative_folder_is_one_of_here_and_a_space_in_a_path_is_kept():
    given = {"LANDSLIDE_DATA": "my data", "LANDSLIDE_RUNS": "/x/my runs", "LANDSLIDE_CACHE": ""}
    command = ["make", "-s", "--eval", "show:\n\t@env", "show"]
    done = subprocess.run(command, cwd=HOME, env=os.environ | given, capture_output=True, text=True)
    shown = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert shown["LANDSLIDE_DATA"] == f"{HOME}/my data"
    assert shown["LANDSLIDE_RUNS"] == "/x/my runs"
    assert shown["LANDSLIDE_CACHE"] == ""
    assert shown["PYTHONUTF8"] == "1"


def test_a_folder_with_a_space_is_quoted_by_make(tmp_path):
    home = tmp_path / "a b"
    home.mkdir()
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        (home / name).symlink_to(HOME / name)
    command = ["make", "-n", "book"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True)
    (line,) = (line for line in done.stdout.splitlines() if "LANDSLIDE_RUNS=" in line)
    assert f"LANDSLIDE_RUNS={home}/_build/published" in shlex.split(line)


def test_a_folder_with_a_space_is_quoted_by_the_workflow(tmp_path, monkeypatch):
    """The environment, and with it every program that a job starts, and the local runs."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "venv").symlink_to(sys.prefix)
    runs = tmp_path / "my runs"
    monkeypatch.setenv("LANDSLIDE_RUNS", str(runs))
    done = f"{os.path.relpath(runs, HOME)}/done/synthetic-smoke/raunet.0.rows"
    python = tmp_path / "a b" / "venv" / "bin" / "python"
    command = [python, "-m", "snakemake", "-s", HOME / "workflow" / "Snakefile", "--cores", "1"]
    command += ["--nolock", "--dry-run", "--printshellcmds", "--config", "profile=smoke", "--"]
    ran = subprocess.run([*command, done], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (line,) = (one for one in (ran.stdout + ran.stderr).splitlines() if " train raunet/" in one)
    words = shlex.split(line.removeprefix("Shell command: "))
    assert words[:3] == [str(python), "workflow/together.py", "train"]
    assert words[-2:] == [">", done]


def test_commands_of_one_process_run_until_one_fails(monkeypatch):
    ran = []

    def main():
        ran.append(sys.argv[1:])
        sys.exit(3 if "bad" in sys.argv else 0)

    monkeypatch.setattr(cli, "main", main)
    monkeypatch.setattr(
        sys, "argv", ["together.py", "train", "a", "--row", "b", "--", "train", "bad", "--", "train", "c"]
    )
    with pytest.raises(SystemExit, match="3"):
        runpy.run_path(str(HOME / "workflow" / "together.py"))
    assert ran == [["train", "a", "--row", "b"], ["train", "bad"]]
