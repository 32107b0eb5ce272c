"""Chapters through Papermill, with parameters that are checked before anything runs."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_lib.paths import NOTEBOOKS, cache_root, data_root, runs_root


def chapters(folder: Path = NOTEBOOKS) -> list[Path]:
    """Return the notebooks in the order of their numbers."""
    return sorted(folder.glob("[0-9]*.ipynb"))


def chapter(name: str, folder: Path = NOTEBOOKS) -> Path:
    """Return the notebook of a chapter.

    Raises:
        ValueError: There is none of this name.
    """
    path = folder / f"{name}.ipynb"
    if path not in chapters(folder):
        known = ", ".join(path.stem for path in chapters(folder))
        raise ValueError(f"chapter {name!r}: unknown; allowed: {known}")
    return path


def showing(table: str, folder: Path = NOTEBOOKS) -> str | None:
    """Return the chapter of a table, the last one that runs its rows.

    >>> showing("raunet/rau-net"), showing("raunet/leaderboard")
    ('15_attention', '19_cross_validation')
    """
    asked = f'table("{table}"'
    for path in reversed(chapters(folder)):
        sources = ("".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"])
        if any(asked in source and ("runs.ensure(" in source or ".run(" in source) for source in sources):
            return path.stem
    return None


def parameters(path: Path) -> dict[str, Any]:
    """Return the names and defaults of a notebook's parameters cell.

    Raises:
        ValueError: It has no parameters cell, or a value in it is no literal.
    """
    cells = json.loads(path.read_text("utf-8"))["cells"]
    tagged = [c for c in cells if "parameters" in c["metadata"].get("tags", ())]
    if len(tagged) != 1:
        raise ValueError(f"{path}: {len(tagged)} cells are tagged parameters; it needs one")
    found = {}
    for node in ast.parse("".join(tagged[0]["source"])).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def take_pairs(words: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Take `-p name value …` out of a command line: a name has all values up to the next option.

    Returns:
        The values by name, and the words that are left.

    Raises:
        ValueError: A name without a value, or named twice.

    >>> take_pairs(["11_losses", "-p", "seeds", "0", "1", "--profile", "quick"])
    ({'seeds': ['0', '1']}, ['11_losses', '--profile', 'quick'])
    """
    found: dict[str, list[str]] = {}
    rest: list[str] = []
    taking: list[str] | None = None
    for word in words:
        if word == "-p":
            taking = []
        elif word.startswith("--"):
            taking = None
            rest.append(word)
        elif taking is None:
            rest.append(word)
        elif not taking:
            if word in found:
                raise ValueError(f"-p {word}: given twice")
            taking.append(word)
            found[word] = []
        else:
            found[taking[0]].append(word)
    empty = [name for name, values in found.items() if not values]
    if empty or taking == []:
        raise ValueError(f"{' '.join(['-p', *empty])} needs a name and a value, such as -p dataset bijie")
    return found, rest


def convert(given: Mapping[str, Sequence[str]], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the words of a command line into values of the types that a chapter declares.

    Papermill alone only warns of an unknown name, and makes 7 of `007` and a float of `1e3`.

    Args:
        given: Words by name.
        defaults: From `parameters`; a default's type is the type demanded. A list takes the
            type of its members, or of whole numbers for an empty one called `seeds`.

    Raises:
        ValueError: An unknown name, or a word that is not of the type; the message names
            the parameters that exist.

    >>> convert({"seeds": ["0", "1"]}, {"seeds": [0]})
    {'seeds': [0, 1]}
    """
    known = ", ".join(f"{name} ({_type(value)})" for name, value in defaults.items())
    values: dict[str, Any] = {}
    for name, words in given.items():
        if name not in defaults:
            raise ValueError(f"parameter {name!r}: unknown; this chapter has: {known}")
        default = defaults[name]
        try:
            if isinstance(default, list):
                member = default[0] if default else ""
                values[name] = [_one(word, member) for word in words]
            elif len(words) > 1:
                raise ValueError
            else:
                values[name] = _one(words[0], default)
        except ValueError:
            raise ValueError(
                f"parameter {name} = {' '.join(words)!r}: not of type {_type(default)}; this chapter has: {known}"
            ) from None
    return values


def _one(word: str, like: Any) -> Any:
    """Convert one word to the type of a default; `None` as a default takes text."""
    if isinstance(like, bool):
        if word.lower() not in {"true", "false"}:
            raise ValueError
        return word.lower() == "true"
    if isinstance(like, int | float):
        number = type(like)(word)
        if isinstance(like, int) and str(number) != word:
            raise ValueError  # 007 and 1_000 are more likely a slip than a number
        return number
    return word


def _type(value: Any) -> str:
    if isinstance(value, list):
        return f"list of {_type(value[0]) if value else 'text'}"
    return {"str": "text", "NoneType": "text", "int": "whole number", "float": "number", "bool": "true or false"}[
        type(value).__name__
    ]


def executed(name: str) -> Path:
    """Return where the executed notebook of a chapter stands once it has been run."""
    return runs_root() / "chapters" / f"{name}.ipynb"


def failed(name: str) -> Path:
    """Return where a notebook is kept that ended at a cell that failed."""
    return executed(name).with_suffix(".failed.ipynb")


def run(name: str, given: Mapping[str, Sequence[str]], folder: Path = NOTEBOOKS) -> Path:
    """Execute a chapter with Papermill.

    Args:
        name: Of the chapter.
        given: Words of the command line, by parameter.
        folder: Of the notebooks.

    Returns:
        The executed notebook in `runs/chapters`; it takes the place of an older one only
        when every cell has run.

    Raises:
        ValueError: Unknown chapter or parameter, a wrong type, or a value that no run can have;
            or no kernel can be started. Nothing has been run then.
        papermill.PapermillExecutionError: A cell failed; the notebook up to it is kept as
            `NAME.failed.ipynb`.
    """
    path = chapter(name, folder)
    values = _checked(convert(given, parameters(path)))
    if importlib.util.find_spec("ipykernel") is None:
        raise ValueError("ipykernel is not installed, which runs notebooks: pip install ipykernel")
    import papermill

    target, unfinished = executed(name), failed(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    roots = {"LANDSLIDE_DATA": data_root(), "LANDSLIDE_RUNS": runs_root(), "LANDSLIDE_CACHE": cache_root()}
    os.environ.update({variable: str(folder) for variable, folder in roots.items()})
    os.environ["PYTHONUTF8"] = "1"  # to the kernel, whatever the locale
    papermill.execute_notebook(
        path,
        unfinished,
        parameters=values,
        cwd=path.parent,
        progress_bar=False,
        kernel_name="python3",
        kernel_manager_class=_kernel_manager(),
        request_save_on_cell_execute=True,
    )
    unfinished.replace(target)
    return target


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Refuse what a chapter would refuse at its first run; name a folder from the root.

    The kernel starts in the notebook's folder; what is relative to here must stay so.
    """
    for seed in values.get("seeds", ()):
        if not 0 <= seed < 2**32:
            raise ValueError(f"parameter seeds = {seed}: a seed is from 0 to {2**32 - 1}")
    if root := values.get("data_root"):
        if not Path(root).is_dir():
            raise ValueError(f"parameter data_root = {root!r}: there is no such folder")
        values["data_root"] = str(Path(root).absolute())
    return values


def _kernel_manager() -> type:
    """Return a manager whose kernel is this very Python, whatever others JUPYTER_PATH names."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        def _kernel_spec_manager_default(self) -> KernelSpecManager:
            return KernelSpecManager(kernel_dirs=[])

    return Manager
