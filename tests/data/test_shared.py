"""What runs share: the same images are read once, others never in their place, few are kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from landslide_lib.data import batches
from landslide_lib.data.batches import Batches
from landslide_lib.data.pack import Packed as _Packed
from landslide_lib.data.prepare import band_means
from landslide_lib.data.registry import Packed

SOME, OTHER = np.arange(6), np.arange(3, 9)


@pytest.fixture(autouse=True)
def _empty():
    batches._shelf.clear()
    yield
    batches._shelf.clear()


@pytest.fixture
def packed(tmp_path) -> Packed:
    draw = np.random.default_rng(0)
    names = tuple(map(str, range(9)))
    return Packed(
        "made",
        draw.normal(1, 0.3, (9, 3, 4, 4)).astype(np.float16),
        (draw.random((9, 4, 4)) < 0.3).astype(np.uint8),
        ("R", "G", "B"),
        names,
        names,
        ("train",) * 9,
        ("",) * 9,
        "0" * 16,
        (),
        tmp_path,
    )


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """How many images each reading took."""
    counts: list[int] = []
    really = _Packed.read

    def counted(self, rows, names=()):
        counts.append(len(rows))
        return really(self, rows, names)

    monkeypatch.setattr(_Packed, "read", counted)
    return counts


def made(packed: Packed, indices=SOME, **how) -> torch.Tensor:
    means = band_means(packed, indices, how.get("bands", ()))
    return torch.cat([images for images, _ in Batches(packed, indices, 4, means, **how)])


def test_the_second_run_reads_nothing_and_sees_the_same(packed, read):
    first = made(packed)
    assert read
    read.clear()
    # Another opening of the same folder, as the next run makes it.
    assert torch.equal(made(replace(packed)), first)
    assert not read


@pytest.mark.parametrize("how", [{"indices": OTHER}, {"bands": ("R", "B")}], ids=["images", "bands"])
def test_what_differs_is_read_anew_and_is_what_it_would_be_alone(packed, read, how):
    made(packed)
    read.clear()
    after = made(packed, **how)
    assert read
    batches._shelf.clear()
    assert torch.equal(made(packed, **how), after)


@pytest.mark.parametrize("field", ["fingerprint", "folder"])
def test_another_dataset_is_never_mistaken_for_this_one(packed, tmp_path, field):
    first = made(packed)
    changed = {"fingerprint": "1" * 16, "folder": tmp_path / "other"}[field]
    other = replace(packed, images=packed.images[::-1].copy(), **{field: changed})
    assert not torch.equal(made(other), first)
    assert torch.equal(made(packed), first)


def test_an_array_without_a_folder_is_read_each_time(packed, read):
    loose = replace(packed, folder=None)
    first = made(loose)
    read.clear()
    loose.images[:] *= 2
    assert read == []
    # Divided by its mean, an image twice as bright is the same; the reading is what counts.
    torch.testing.assert_close(made(loose), first, rtol=2e-3, atol=2e-3)
    assert read


def test_a_fold_reads_its_images_but_not_the_means(packed, read):
    made(packed)
    read.clear()
    made(packed, OTHER)
    assert sum(read) == len(OTHER)


def test_augmentation_leaves_what_is_shared_as_it_was(packed):
    def spoil(images, masks, _):
        return images.zero_(), masks.zero_()

    first = made(packed)
    made(packed, seed=0, augment=spoil)
    assert torch.equal(made(packed), first)


def test_few_things_are_kept_and_one_choice_of_bands(packed):
    for start in range(6):
        made(packed, np.arange(start, start + 3))
    assert len(batches._shelf) == batches.MOST
    made(packed, bands=("G",))
    assert len(batches._shelf) == 2


def test_what_no_longer_fits_makes_room_first(packed, monkeypatch):
    made(packed)
    monkeypatch.setattr(batches, "_free", lambda device: 0.0)
    assert Batches(packed, OTHER, 4, torch.ones(3, 1, 1)).resident is None
    assert not batches._shelf
