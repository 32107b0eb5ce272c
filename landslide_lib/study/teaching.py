"""What a chapter needs besides the library: source code on the page, and claims that must hold."""

import inspect
import os
from textwrap import dedent
from typing import Any


class ClaimError(AssertionError):
    """A claim of the published book does not hold."""


def show(thing: Any) -> Any:
    """Return the source of a function or class, coloured where a notebook shows it."""
    from IPython.display import Code

    return Code(dedent(inspect.getsource(thing)), language="python")


def claim(sentence: str, holds: bool) -> None:
    """Print what a chapter concludes, or that it does not hold: a ClaimError if the book is being built."""
    from IPython.display import Markdown, display

    if not holds and os.environ.get("LANDSLIDE_TRAIN") == "no":
        raise ClaimError(f"the records do not support this claim: {sentence}")
    display(Markdown(f"- **{sentence}**" if holds else f"- *Does not hold for these parameters:* {sentence}"))
