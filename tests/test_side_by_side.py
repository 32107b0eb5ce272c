"""The book's pages are dealt to the processes that read, and so execute, them."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sphinx.util.parallel import make_chunks

sys.path.append(str(Path(__file__).parent.parent / "tools"))
import side_by_side


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize("pages", [1, 5, 13, 26, 60])
def test_each_page_is_read_once_and_no_process_has_all_the_long_ones(tmp_path, pages, processes):
    sizes = {f"page{number:02d}": 10 * number + 1 for number in range(pages)}
    for name, size in sizes.items():
        (tmp_path / name).write_text("x" * size)
    names = sorted(sizes)
    env = SimpleNamespace(doc2path=lambda name: str(tmp_path / name))
    side_by_side.deal(SimpleNamespace(parallel=processes), env, names)
    assert sorted(names) == sorted(sizes)
    longest = sorted(sizes, key=sizes.get)[-processes:]
    holders = [chunk for chunk in make_chunks(names, processes) if set(chunk) & set(longest)]
    assert len(holders) == min(processes, pages)
