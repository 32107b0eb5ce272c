"""Publish what a chapter shows: `python -m landslide_lib.study.tabular [DATASET …]`.

The two tables below `LANDSLIDE_DATA/tabular`, and the features of the tiles of each dataset named.
What is published stays as it is: remove its file to measure anew.
"""

import sys

from landslide_lib.study.tabular import images, published

if __name__ == "__main__":
    for table in published.MEASURED:
        print(published.publish(published.measure(table)))
    for dataset in sys.argv[1:]:
        print(published.publish(images.measure(dataset)))
