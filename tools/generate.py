"""Write what is generated from the sources, or check that it is in step.

- `notebooks/NAME.ipynb` from `notebooks/NAME.md` (jupytext), with the repository's address of
  `_config.yml` in place of `{{ repository }}`: Colab opens only .ipynb, and alone.
- `requirements.txt` from `pyproject.toml`, for Colab: lower bounds, so that its torch stays.

    python tools/generate.py            writes
    python tools/generate.py --check    exits with 1 and names what is out of step
"""

import json
import sys
import tomllib
from pathlib import Path

import jupytext
import yaml

HOME = Path(__file__).parent.parent


def requirements() -> str:
    """Return requirements.txt."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text("utf-8"))["project"]
    head = "# Generated from pyproject.toml by tools/generate.py; edit there.\n"
    return head + "\n".join(project["dependencies"]) + "\n"


def notebook(source: Path) -> str:
    """Return the notebook of a MyST text, without outputs, with stable cell ids."""
    address = yaml.safe_load((HOME / "_config.yml").read_text("utf-8"))["repository"]["url"]
    text = source.read_text("utf-8").replace("{{ repository }}", address)
    book = jupytext.reads(text, fmt="md:myst")
    for number, cell in enumerate(book.cells):
        cell["id"] = f"{source.stem}-{number:02d}"
    book.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    book.nbformat_minor = 5
    return json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Write or check; return the exit status."""
    wanted = {HOME / "requirements.txt": requirements()}
    for source in sorted((HOME / "notebooks").glob("*.md")):
        wanted[source.with_suffix(".ipynb")] = notebook(source)
    stray = set((HOME / "notebooks").glob("*.ipynb")) - set(wanted)
    old = [p for p, text in wanted.items() if not p.is_file() or p.read_text("utf-8") != text]
    if "--check" not in sys.argv:
        for path in old:
            path.write_text(wanted[path], "utf-8")
            print(f"wrote {path.relative_to(HOME)}")
        return 0
    for path in old:
        print(f"{path.relative_to(HOME)} is out of step, or has outputs; run `make generate`")
    for path in stray:
        print(f"{path.relative_to(HOME)} has no text beside it")
    return 1 if old or stray else 0


if __name__ == "__main__":
    sys.exit(main())
