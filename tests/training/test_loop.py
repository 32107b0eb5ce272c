"""Where the progress of a training shows."""

import sys

import IPython
import pytest

from landslide_lib.training import loop


class ZMQInteractiveShell:
    """As a notebook's kernel calls its shell."""


@pytest.mark.parametrize(
    ("shell", "terminal", "shows"),
    [(None, False, False), (None, True, True), (ZMQInteractiveShell(), False, True), (object(), False, False)],
)
def test_a_bar_shows_on_a_terminal_and_in_a_notebook_and_never_in_a_log(monkeypatch, shell, terminal, shows):
    import ipykernel  # noqa: F401, imported as another test of this process may have done

    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    assert loop._bar(3).disable is not shows
    monkeypatch.setenv("TQDM_DISABLE", "1")  # as in a chapter that is executed for the book
    assert loop._bar(3).disable
