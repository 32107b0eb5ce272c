"""The benchmark of tiles compares like with like; no time is asserted here."""

import numpy as np
import pytest

from benchmarks import tiles


def test_all_ways_of_keeping_tiles_deliver_the_same():
    measured = tiles.measure(1, tiles=6, batch=4, repeats=1)
    assert [one.name for one in measured] == ["tiles/npy", "tiles/npz", "tiles/cache"]
    assert all(one.peer and "6 tiles in batches of 4" in one.what for one in measured)


def test_another_content_is_noticed(monkeypatch):
    monkeypatch.setattr(tiles, "read_npz", lambda path: np.zeros((64, 64, 12), np.float32))
    with pytest.raises(RuntimeError, match=r"differs from that of a compressed \.npz a tile"):
        tiles.measure(1, tiles=4, batch=2, repeats=1)


def test_an_epoch_that_lacks_tiles_is_noticed():
    def half(order, batch):
        yield order[: len(order) // 2]

    with pytest.raises(RuntimeError, match="held 2 tiles of 4"):
        tiles.pass_over(half, 4, 2)
