"""Check that the library stays small: prints lines a room, and exits with 1 where a bound is broken.

A file has at most 400 lines, the library without `geo` 14,000; two modules stand at the top beside `__init__.py` and
`cli.py`.
"""

import sys
from collections import Counter
from pathlib import Path

LIBRARY = Path(__file__).parent.parent / "landslide_lib"
LINES_OF_A_FILE, LINES, MODULES_AT_THE_TOP = 400, 14_000, 4


def main() -> int:
    """Print the lines of each room; return the exit status."""
    rooms: Counter[str] = Counter()
    problems = []
    for path in sorted(LIBRARY.rglob("*.py")):
        lines = len(path.read_text("utf-8").splitlines())
        inside = path.relative_to(LIBRARY).parts
        rooms[inside[0] if len(inside) > 1 else "top"] += lines
        if lines > LINES_OF_A_FILE:
            problems.append(f"{path.relative_to(LIBRARY.parent)} has {lines} lines, at most {LINES_OF_A_FILE}")
    if len(list(LIBRARY.glob("*.py"))) > MODULES_AT_THE_TOP:
        problems.append(f"more than {MODULES_AT_THE_TOP} modules at the top of landslide_lib")
    counted = rooms.total() - rooms["geo"]
    if counted > LINES:
        problems.append(f"landslide_lib has {counted} lines without geo, at most {LINES}")
    print(
        ", ".join(f"{room} {lines}" for room, lines in rooms.items()),
        f"in all {rooms.total()}, without geo {counted}",
        sep=", ",
    )
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
