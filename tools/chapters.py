"""Check that chapters show their code: prints a line a chapter, and exits with 1 if one does not.

Hidden is at most the cell that installs the study; the parameters may be folded. At least half of the lines of code are
visible, and none has more than 120 characters.
"""

import re
import sys
from pathlib import Path

import jupytext

HOME = Path(__file__).parent.parent
HIDING = {"remove-cell", "remove-input", "hide-cell"}


def measure(path: Path) -> dict[str, object]:
    """Return words, lines of code, the share of them that is visible, claims, long lines, cells that hide code."""
    cells = jupytext.read(path, fmt="md:myst").cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    lines = {id(cell): len([line for line in cell.source.splitlines() if line.strip()]) for cell in code}
    hidden = [cell for cell in code if HIDING & set(cell.metadata.get("tags", ()))]
    total = sum(lines.values())
    return {
        "chapter": path.stem,
        "words": sum(len(re.findall(r"[A-Za-z]{2,}", cell.source)) for cell in cells if cell.cell_type == "markdown"),
        "code": total,
        "visible": 1 - sum(lines[id(cell)] for cell in hidden) / total,
        "claims": sum(cell.source.count("claim(") for cell in code),
        "long": [line for cell in code for line in cell.source.splitlines() if len(line) > 120],
        "hidden": [cell.source for cell in hidden if "%pip install" not in cell.source],
    }


def main() -> int:
    """Print the measures; return the exit status."""
    bad = 0
    for path in sorted((HOME / "notebooks").glob("[0-9]*.md")):
        facts = measure(path)
        wrong = ", HIDES CODE" if facts["visible"] < 0.5 or facts["hidden"] else ""  # type: ignore[operator]
        wrong += ", LINES OVER 120 CHARACTERS" if facts["long"] else ""
        bad += bool(wrong)
        print(
            f"{facts['chapter']:24} {facts['words']:5} words {facts['code']:4} lines of code, "
            f"{facts['visible']:4.0%} visible, {facts['claims']:2} claims{wrong}"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
