"""What all commands share: options, and errors that a user can mend as one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from landslide_lib import paths

DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="In place of LANDSLIDE_DATA.", exists=True, file_okay=False)
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave unusable files out, listed.")]


def plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors a user can mend into one line and exit status 2.

    With `LANDSLIDE_TRACEBACK=1` they are shown whole, for whoever works on the code.
    """

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except BrokenPipeError:  # `| head` has read enough
            sys.stderr.close()
            raise typer.Exit(0) from None
        except (ValueError, OSError, FloatingPointError) as error:
            if os.environ.get("LANDSLIDE_TRACEBACK"):
                raise
            typer.secho(f"landslide: {error}", err=True, fg="red")
            if isinstance(error, OSError) and error.errno is not None:
                typer.echo(
                    f"LANDSLIDE_RUNS is {paths.runs_root()}, LANDSLIDE_CACHE is "
                    f"{paths.cache_root()}: both must be writable",
                    err=True,
                )
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.secho("landslide: stopped; the same command goes on from here", err=True)
            raise typer.Exit(130) from None

    return wrapped
