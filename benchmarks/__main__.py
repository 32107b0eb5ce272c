"""`python -m benchmarks [NAME ...] [--all]`: print and keep ratios; 1 if a bound is missed."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks import results

#: Name on the command line to module. Those of SLOW run only when named, or with --all.
BENCHMARKS = {
    "loader": "loader",
    "step": "step",
    "sweep": "sweep",
    "import": "imports",
    "table": "table",
    "channels": "channels",
    "tiles": "tiles",
    "second": "second",
    "scene": "scene",
    "book": "book",
}
SLOW = ("channels", "tiles", "second", "scene", "book")


def main(arguments: list[str] | None = None) -> int:
    """Run benchmarks; return 0, or 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--all", action="store_true", help=f"also {', '.join(SLOW)}")
    parser.add_argument("--threads", type=int, default=2, help="of torch; 2 by default")
    parser.add_argument("--no-csv", action="store_true", help="print only")
    given = parser.parse_args(arguments)
    for name in given.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    usual = [name for name in BENCHMARKS if given.all or name not in SLOW]
    made: list[results.Measurement] = []
    print(results.HEAD)
    for name in given.names or usual:
        for one in importlib.import_module(f"benchmarks.{BENCHMARKS[name]}").measure(given.threads):
            print(results.line(one), flush=True)
            if one.note:
                print(f"{'':<16} {one.note}", flush=True)
            made.append(one)
    if not given.no_csv:
        print(f"written to {results.write(made)}")
    return int(any(one.holds is False for one in made))


if __name__ == "__main__":
    sys.exit(main())
