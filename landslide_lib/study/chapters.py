"""Chapters through Papermill, with parameters that are checked before anything runs."""

import ast
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from landslide_lib.paths import NOTEBOOKS, cache_root, data_root, runs_root


def chapters(folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks in the order of their numbers."""
    return sorted(folder.glob("[0-9]*.ipynb"))


def chapter(name: str, folder: Path = NOTEBOOKS) -> Path:
    """Return the notebook of a chapter; a ValueError names those there are."""
    known = {path.stem: path for path in chapters(folder)}
    if name not in known:
        raise ValueError(f"chapter {name!r}: unknown; allowed: {', '.join(known)}")
    return known[name]


def sources(path: Path, kind: str = "code") -> list[str]:
    """Return the texts of a notebook's cells of a kind, `code` or `markdown`."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def title(path: Path) -> str:
    """Return the first heading of a chapter."""
    return next(line[2:] for text in sources(path, "markdown") for line in text.splitlines() if line.startswith("# "))


def showing(table: str, folder: Path = NOTEBOOKS) -> str | None:
    """Return the chapter of a table: the last one that runs its rows, else the last one that names it."""
    named = f'table\\("{re.escape(table)}"'
    for asked in (rf"{named}[^)]*\)\s*\.run\(", named):
        for path in reversed(chapters(folder)):
            if any(re.search(asked, source) for source in sources(path)):
                return path.stem
    return None


def claims(path: Path) -> list[str]:
    """Return the sentences that a chapter claims, in their order."""
    sentences = []
    for source in sources(path):
        if "claim(" in source:
            calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
            named = [call for call in calls if getattr(call.func, "attr", "") == "claim"]
            sentences += [ast.literal_eval(call.args[0]) for call in sorted(named, key=lambda call: call.lineno)]
    return sentences


def parameters(path: Path) -> dict[str, Any]:
    """Return the names and defaults of a notebook's parameters cell; a ValueError says that it has none."""
    from papermill import inspect_notebook

    with warnings.catch_warnings(action="ignore"):
        found = inspect_notebook(str(path))
    if not found:
        raise ValueError(f"{path}: no cell is tagged parameters, or nothing is set in it")
    return {name: ast.literal_eval(about["default"]) for name, about in found.items()}


def convert(given: Mapping[str, str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the words of a command line into values of the types of a chapter's defaults, see `parameters`.

    The members of a list are separated by commas and of the type of the default's first one, of an empty list text. A
    ValueError names the parameters that exist. Papermill alone only warns of an unknown name, and makes 7 of `007`.

    >>> convert({"seeds": "0,1", "rows": "ce"}, {"seeds": [0], "rows": []})
    {'seeds': [0, 1], 'rows': ['ce']}
    """

    def value(word: str, default: Any) -> Any:
        if isinstance(default, list):
            return [value(each, default[0] if default else "") for each in word.split(",")]
        text = isinstance(default, str) or default is None
        return word if text else TypeAdapter(type(default)).validate_json(word, strict=True)

    values = {}
    for name, word in given.items():
        try:
            values[name] = value(word, defaults[name])
        except (KeyError, ValueError):
            known = ", ".join(f"{name} (default {default!r})" for name, default in defaults.items())
            what = "not of the default's type" if name in defaults else "unknown"
            raise ValueError(f"parameter {name} = {word!r}: {what}; this chapter has: {known}") from None
    return values


def executed(name: str, ending: str = ".ipynb") -> Path:
    """Return where a chapter stands once it has been run; up to a cell that failed, with `.failed.ipynb`."""
    return runs_root() / "chapters" / f"{name}{ending}"


def run(name: str, given: Mapping[str, str], folder: Path = NOTEBOOKS) -> Path:
    """Execute a chapter with Papermill and words of the command line as its parameters; see `convert`.

    The notebook takes the place of an older one only when every cell has run, see `executed`. Raises ValueError: before
    anything has run, for a bad name or value. PapermillExecutionError: a cell failed.
    """
    path = chapter(name, folder)
    values = convert(given, parameters(path))
    if given_root := values.get("data_root"):
        if not Path(given_root).is_dir():
            raise ValueError(f"parameter data_root = {given_root!r}: there is no such folder")
        values["data_root"] = str(Path(given_root).absolute())  # the kernel starts in the notebook's folder
    import papermill

    target, unfinished = executed(name), executed(name, ".failed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    for variable, root in (("DATA", data_root()), ("RUNS", runs_root()), ("CACHE", cache_root())):
        os.environ[f"LANDSLIDE_{variable}"] = str(root)
    # To the kernel: text is UTF-8 whatever the locale, and no bar of progress stays in the page.
    os.environ.update(PYTHONUTF8="1", TQDM_DISABLE="1")
    # It is this very Python, whatever others a user's folder or JUPYTER_PATH names.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ.pop("JUPYTER_PATH", None)
    # A kernel that has imported torch needs two seconds to end by itself.
    how: dict[str, Any] = {"cwd": path.parent, "kernel_name": "python3", "shutdown_kernel": "immediate"}
    papermill.execute_notebook(path, unfinished, parameters=values, progress_bar=False, **how)
    unfinished.replace(target)
    return target
