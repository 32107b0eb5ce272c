"""What a chapter needs besides the library: source code on the page, claims that must hold, published tables."""

import inspect
import json
import os
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent
from typing import Any

from IPython.display import Code, Markdown, display

from landslide_lib.paths import PUBLISHED
from landslide_lib.study.cells import span

#: What `tools/tabular.py` measures of tables and of tiles, for who has no files.
TABULAR = PUBLISHED / "tabular"


class ClaimError(AssertionError):
    """A claim of the published book does not hold."""


def show(thing: Any) -> Any:
    """Return the source of a function or class, coloured where a notebook shows it."""
    return Code(dedent(inspect.getsource(thing)), language="python")


def claim(sentence: str, holds: bool, runs: Iterable[int] = ()) -> None:
    """Print what a chapter concludes, or that it does not hold: a ClaimError if the book is being built.

    In brackets behind it stands how many `runs` the rows have that it is about.
    """
    if counts := sorted(int(count) for count in runs if count > 0):
        number = "one run" if counts[-1] == 1 else f"{span(sorted({*counts}))} runs"
        sentence = f"{sentence.removesuffix('.')} ({number}{' each' * (len(counts) > 1)})."
    if not holds and os.environ.get("LANDSLIDE_TRAIN") == "no":
        raise ClaimError(f"the records do not support this claim: {sentence}")
    display(Markdown(f"- **{sentence}**" if holds else f"- *Does not hold for these parameters:* {sentence}"))


def published(name: str, folder: Path = TABULAR) -> dict[str, Any] | None:
    """Return what was published last under a name, with `made`, its time; None where nothing is."""
    facts = [json.loads(path.read_text("utf-8")) for path in folder.glob(f"{name}-*.json")]
    return max((one for one in facts if one["name"] == name), key=lambda one: str(one["made"]), default=None)
