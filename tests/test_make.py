"""What `make` installs, and how it and the workflow pass paths on."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

HOME = Path(__file__).parent.parent


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_malicious_releases_of_lightning_are_never_installed(version):
    lines = (HOME / "requirements.txt").read_text("utf-8").splitlines()
    (bounds,) = (Requirement(line) for line in lines if line.startswith("lightning"))
    assert not bounds.specifier.contains(version)
    assert bounds.specifier.contains("2.6.6")
