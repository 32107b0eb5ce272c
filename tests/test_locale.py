"""Commands work, whatever the encoding of the locale and of the terminal."""

import os
import subprocess
import sys

import pytest

#: A locale of ASCII alone, which Python would by itself turn into UTF-8.
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
LATIN_1 = {"PYTHONIOENCODING": "latin-1"}


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (ASCII, ["list"], b"raunet/losses"),
        (ASCII, ["data", "verify", "bijie"], b"48 images"),
        (ASCII | {"PYTHONIOENCODING": "ascii"}, ["--help"], b"Re-run five reports"),
        # An em dash, which Latin-1 lacks, is printed as a question mark.
        (LATIN_1, ["table", "raunet/losses"], b"| ? |"),
        ({}, ["train", "raunet/heads", "--row=dual-head", "--dataset=bijie", "--profile=smoke"], b"records/bijie-"),
    ],
    ids=["list", "verify", "help", "table", "train"],
)
def test_a_command_prints_what_it_has_to_say(change, words, said, bijie):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    command = [sys.executable, "-X", "warn_default_encoding", "-m", "landslide_lib.cli", *words]
    done = subprocess.run(command, env=environment | change, capture_output=True)
    complaints = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, complaints
    assert said in done.stdout
    # Python warns of each text file that is opened in the encoding of the locale.
    warned = [line for line in complaints.splitlines() if "EncodingWarning" in line]
    assert not [line for line in warned if "landslide_lib" in line]
    assert "leak" not in complaints  # of what a library finds amiss when Python ends
