"""Sphinx extension: the pages are read, and so executed, side by side, a process a core.

Sphinx does it by itself, but `jupyter-book build` has no `--jobs`. Each process takes a run of
neighbours; the long pages are neighbours, and are dealt round.
"""

import os
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.parallel import make_chunks


def deal(app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
    """Reorder the pages to read: each process gets its share of the long ones, the long first."""
    ranked = sorted(names, key=lambda name: -Path(env.doc2path(name)).stat().st_size)
    shared = app.parallel * len(make_chunks(names, app.parallel)[0])
    dealt = [name for first in range(app.parallel) for name in ranked[first : shared : app.parallel]]
    names[:] = dealt + ranked[shared:]


def setup(app: Sphinx) -> dict[str, bool]:
    """Read with as many processes as this one may use cores."""
    app.parallel = min(os.cpu_count() or 1, 8)  # a kernel that draws takes half a gigabyte
    # It numbers once all pages are read, and does not say that this makes it safe.
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
    app.connect("env-before-read-docs", deal)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
