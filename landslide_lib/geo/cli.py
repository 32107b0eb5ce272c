"""The commands of `landslide` that make maps; each imports what it needs when it is called."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
