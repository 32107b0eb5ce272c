"""Run several `landslide` commands, separated by `--`, in one process: importing torch takes some seconds.

The first one that fails ends the program, as it would on its own.
"""

import sys
from itertools import groupby

from landslide_lib.cli import main

for separator, words in groupby(sys.argv[1:], "--".__eq__):
    if not separator:
        sys.argv[1:] = words
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise
