"""Batches: every image once, in an order that seed and epoch decide; augmentation keeps pairs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data import augment, batches
from landslide_lib.data.batches import Batches
from landslide_lib.data.prepare import band_means
from landslide_lib.data.registry import Packed

SIDE = 6
ONES = torch.ones(3, 1, 1)


def numbered(count: int = 23) -> Packed:
    """Images whose first band is their number, so that a batch says what is in it."""
    draw = np.random.default_rng(0)
    images = draw.normal(1, 0.3, (count, 3, SIDE, SIDE)).astype(np.float16)
    images[:, 0] = np.arange(count)[:, None, None]
    masks = (draw.random((count, SIDE, SIDE)) < 0.3).astype(np.uint8)
    names = tuple(str(i) for i in range(count))
    return Packed(
        "made", images, masks, ("number", "red", "slope"), names, names, ("train",) * count, ("",) * count, "0" * 16, ()
    )


PACKED = numbered()
EVERY = np.arange(len(PACKED))


def order(made: Batches, epoch: int = 0) -> list[int]:
    """The numbers of the images of an epoch as they come."""
    made.set_epoch(epoch)
    return [int(n) for images, _ in made for n in images[:, 0, 0, 0]]


@pytest.fixture(params=["in memory", "on disk"])
def where(request, monkeypatch):
    """Test what fits on the device and what does not."""
    if request.param == "on disk":
        monkeypatch.setattr(batches, "_free", lambda device: 0.0)
    return request.param


def test_without_a_seed_every_image_comes_once_in_the_order_given(where):
    indices = np.array([5, 3, 11, 2, 19, 7, 0])
    made = Batches(PACKED, indices, 3, ONES)
    assert (made.resident is None) == (where == "on disk")
    assert order(made) == indices.tolist()
    assert len(made) == 3
    assert [len(images) for images, _ in made] == [3, 3, 1]


def test_images_and_masks_are_those_of_the_dataset(where):
    made = Batches(PACKED, EVERY, 4, ONES)
    images, masks = (torch.cat(part) for part in zip(*made, strict=True))
    np.testing.assert_array_equal(images, PACKED.images.astype(np.float32))
    np.testing.assert_array_equal(masks[:, 0], PACKED.masks)
    assert images.dtype == masks.dtype == torch.float32
    assert next(iter(made))[0].is_contiguous(memory_format=torch.channels_last)


def test_a_training_epoch_holds_every_image_once_but_those_that_fill_no_batch(where):
    made = Batches(PACKED, EVERY, 5, ONES, seed=0)
    seen = order(made)
    assert len(made) == 4
    assert len(seen) == len(set(seen)) == 20
    assert seen != sorted(seen)


def test_seed_and_epoch_decide_the_order_and_nothing_else_does(where):
    first = Batches(PACKED, EVERY, 5, ONES, seed=3)
    straight = [order(first, epoch) for epoch in range(3)]
    torch.manual_seed(99)
    resumed = Batches(PACKED, EVERY, 5, ONES, seed=3)
    assert order(resumed, 2) == straight[2]
    assert straight[0] != straight[1] != straight[2]
    assert order(Batches(PACKED, EVERY, 5, ONES, seed=4)) != straight[0]


def test_what_fits_into_memory_does_not_change_a_single_bit(monkeypatch):
    def epoch(resident: bool) -> list[torch.Tensor]:
        made = Batches(PACKED, EVERY[::-1].copy(), 5, ONES, seed=1, augment=augment.compose(["rotation", "cutmix"]))
        assert (made.resident is not None) == resident
        return [part for pair in made for part in pair]

    kept = epoch(resident=True)
    monkeypatch.setattr(batches, "_free", lambda device: 0.0)
    read = epoch(resident=False)
    assert all(torch.equal(a, b) for a, b in zip(kept, read, strict=True))


def test_a_batch_is_the_callers_own(where):
    made = Batches(PACKED, EVERY, 5, ONES)
    for images, masks in made:
        images.fill_(-1)
        masks.fill_(-1)
    images, masks = next(iter(made))
    assert images.min() > -1
    assert masks.min() == 0


def test_changed_images_and_masks_of_a_packed_dataset_are_those_that_come(tmp_path):
    kept = replace(PACKED, folder=tmp_path)
    other = replace(kept, masks=1 - kept.masks, images=kept.images + 1)
    for packed in (kept, other, kept):
        images, masks = next(iter(Batches(packed, EVERY, len(EVERY), ONES)))
        assert np.array_equal(masks[:, 0].numpy(), packed.masks)
        assert np.array_equal(images.numpy(), packed.images.astype(np.float32))


def test_fewer_images_than_a_batch_are_one_batch():
    made = Batches(PACKED, EVERY[:3], 8, ONES, seed=0)
    assert sorted(order(made)) == [0, 1, 2]


# --- Bands ----------------------------------------------------------------------------------------


def test_means_are_those_of_the_chosen_images_alone():
    indices = np.array([2, 3, 4, 9])
    expected = PACKED.images[indices].astype(np.float64).mean((0, 2, 3))
    means = band_means(PACKED, indices)
    assert means.shape == (3, 1, 1)
    assert means.dtype == torch.float32
    np.testing.assert_allclose(means.flatten(), expected, rtol=1e-6)


def test_means_over_many_images_are_exact():
    many = numbered(700)
    expected = many.images[::2].astype(np.float64).mean((0, 2, 3))
    np.testing.assert_allclose(band_means(many, np.arange(0, 700, 2)).flatten(), expected, 1e-6)


def test_a_batch_is_divided_by_the_means(where):
    means = band_means(PACKED, EVERY)
    images = torch.cat([images for images, _ in Batches(PACKED, EVERY, 4, means)])
    np.testing.assert_allclose(images.mean((0, 2, 3)), np.ones(3), rtol=1e-5)


def test_a_band_of_zeros_is_left_as_it_is():
    dark = numbered()
    dark.images[:, 1] = 0
    assert band_means(dark, EVERY)[1].item() == 1


def test_bands_are_chosen_by_name_in_the_order_asked_for(where):
    made = Batches(PACKED, EVERY, 4, ONES[:2], bands=("slope", "number"))
    images, _ = next(iter(made))
    np.testing.assert_array_equal(images, PACKED.images[:4][:, [2, 0]].astype(np.float32))
    np.testing.assert_allclose(
        band_means(PACKED, EVERY, ("slope",)).item(), PACKED.images[:, 2].mean(dtype=np.float64), 1e-6
    )


def test_an_unknown_band_is_refused_with_those_there_are():
    says = "made has no NIR; allowed: number, red, slope"
    with pytest.raises(ValueError, match=says):
        band_means(PACKED, EVERY, ("red", "NIR"))
    with pytest.raises(ValueError, match=says):
        Batches(PACKED, EVERY, 5, ONES, bands=("red", "NIR"))


def test_a_channel_of_the_first_authors_code_is_left_as_it_is(where, tmp_path):
    colour = replace(PACKED, bands=("R", "G", "B"), folder=tmp_path)
    means = band_means(colour, EVERY, ("gaussian", "mean_10"))
    assert means[0] != 1
    assert means[1] == 1


def test_an_engineered_channel_is_a_band_like_any_other(where, tmp_path):
    colour = replace(PACKED, bands=("R", "G", "B"), folder=tmp_path)
    names = ("sobel_x", "G", "gray")
    means = band_means(colour, EVERY, names)
    images = torch.cat([some for some, _ in Batches(colour, EVERY, 4, means, bands=names)])
    x = PACKED.images.astype(np.float64)
    gray = x.mean(1).astype(np.float16)
    np.testing.assert_allclose(means[1:].flatten(), [x[:, 1].mean(), gray.mean(dtype=float)], 1e-4)
    np.testing.assert_allclose(images[:, 1] * means[1], x[:, 1], rtol=1e-5)
    np.testing.assert_allclose(images[:, 2] * means[2], gray, rtol=2e-3)


def test_a_gradient_is_divided_by_the_mean_of_its_size_because_its_own_mean_is_near_0(tmp_path):
    colour = replace(PACKED, bands=("R", "G", "B"), folder=tmp_path)
    means = band_means(colour, EVERY, ("sobel_x",))
    images = torch.cat([some for some, _ in Batches(colour, EVERY, 4, means, bands=("sobel_x",))])
    assert images.abs().mean().item() == pytest.approx(1, rel=1e-5)
    assert images.min() < 0 < images.max()


# --- Augmentation ---------------------------------------------------------------------------------


def pairs(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of distinct values, and masks that can be read off them: 1 where above a half."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, SIDE, SIDE, generator=generator)
    return images, (images[:, :1] > 0.5).float()


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("names", [["rotation"], ["cutmix"], ["rotation", "cutmix"]])
@pytest.mark.parametrize("seed", range(5))
def test_augmentation_keeps_image_and_mask_aligned_and_its_input_untouched(names, seed):
    images, masks = pairs(8, seed)
    before = images.clone(), masks.clone()
    apply = augment.compose(names)
    assert apply is not None
    made, made_masks = apply(images, masks, drawn(seed))
    assert torch.equal(made_masks, (made[:, :1] > 0.5).float())
    assert torch.equal(images, before[0])
    assert torch.equal(masks, before[1])
    again = apply(images, masks, drawn(seed))
    assert torch.equal(made, again[0])
    assert torch.equal(made_masks, again[1])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_a_rotation_moves_pixels_and_changes_none(count, seed):
    images, masks = pairs(count, seed)
    turned, turned_masks = augment.rotation(images, masks, drawn(seed))
    for before, after in ((images, turned), (masks, turned_masks)):
        assert torch.equal(before.flatten(2).sort().values, after.flatten(2).sort().values)
    for i in range(count):
        turns = [torch.rot90(images[i], k, (1, 2)) for k in range(4)]
        assert sum(torch.equal(turned[i], turn) for turn in turns) == 1


def test_each_quarter_turn_is_as_likely():
    images, masks = pairs(4000, 0)
    turned, _ = augment.rotation(images, masks, drawn(0))
    shares = [(torch.rot90(images, k, (2, 3)) == turned).flatten(1).all(1).float().mean().item() for k in range(4)]
    assert shares == pytest.approx([0.25] * 4, abs=0.03)
    assert sum(shares) == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 9), st.integers(0, 1000))
def test_cutmix_pastes_one_rectangle_of_one_other_image_from_the_same_place(count, seed):
    images, masks = pairs(count, seed)
    mixed, mixed_masks = augment.cutmix(images, masks, drawn(seed))
    for i in range(count):
        changed = (mixed[i] != images[i]).any(0)
        if not changed.any():
            continue
        rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
        box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        assert changed[box].all()
        sources = [j for j in range(count) if j != i and torch.equal(mixed[i][:, *box], images[j][:, *box])]
        assert len(sources) == 1
        assert torch.equal(mixed_masks[i][:, *box], masks[sources[0]][:, *box])


def test_cutmix_leaves_half_of_the_images_alone_or_as_many_as_asked():
    images, masks = pairs(4000, 0)
    for probability in (0.0, 0.5, 1.0):
        mixed, _ = augment.cutmix(images, masks, drawn(0), probability)
        changed = (mixed != images).flatten(1).any(1).float().mean().item()
        # A rectangle between pixel centres, or of the image itself, changes nothing.
        assert probability * 0.9 <= changed <= probability + 0.02


def test_no_name_is_no_augmentation():
    assert augment.compose([]) is None
