"""Augmentation of tiles: what may move, what a label becomes, and that a draw can be repeated."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landslide_lib.data import augment
from landslide_lib.data.augment import TILE_AUGMENTATIONS as CHANGES
from landslide_lib.data.augment import compose_tiles as compose

LABELS = torch.tensor([0.0, 1.0] * 32).view(-1, 1, 1, 1)
KEEPS = [name for name in CHANGES if name not in ("mixup", "cutmix")]


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiles(seed: int = 1) -> torch.Tensor:
    return torch.randn(64, 3, 16, 16, generator=draw(seed))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_repeated_by_its_generator_and_leaves_its_input_alone(name):
    images = tiles()
    before = images.clone()
    one, label = CHANGES[name](images, LABELS, draw())
    again, same = CHANGES[name](images, LABELS, draw())
    other, _ = CHANGES[name](images, LABELS, draw(5))
    assert torch.equal(one, again)
    assert torch.equal(label, same)
    assert not torch.equal(one, other)
    assert torch.equal(images, before)
    assert one.shape == images.shape
    assert one.isfinite().all()


@pytest.mark.parametrize("name", KEEPS)
def test_what_moves_nothing_between_images_keeps_their_labels(name):
    assert torch.equal(CHANGES[name](tiles(), LABELS, draw())[1], LABELS)


def test_flips_and_turns_keep_every_pixel():
    images = tiles()
    for name in ("flips", "rotation"):
        made = CHANGES[name](images, LABELS, draw())[0]
        assert torch.equal(made.flatten(2).sort(2).values, images.flatten(2).sort(2).values)


@pytest.mark.parametrize(
    ("name", "share"), [("shift_scale_rotate", 0.5), ("dropout", 0.5), ("erasing", 0.5), ("noise", 0.3)]
)
def test_a_change_meets_as_many_images_as_it_says(name, share):
    images = torch.randn(4000, 1, 8, 8, generator=draw(2))
    labels = torch.zeros(4000, 1, 1, 1)
    met = (CHANGES[name](images, labels, draw())[0] != images).flatten(1).any(1)
    assert met.float().mean() == pytest.approx(share, abs=0.04)


@pytest.mark.parametrize(("name", "most"), [("dropout", 8 / 64 * 1.6), ("erasing", 0.2 * 1.3)])
def test_what_is_erased_is_the_mean_of_the_bands_and_not_more_than_allowed(name, most):
    images = torch.ones(500, 2, 32, 32)
    made = CHANGES[name](images, torch.zeros(500, 1, 1, 1), draw())[0]
    assert set(made.unique().tolist()) == {0.0, 1.0}
    gone = (made == 0).float().mean((1, 2, 3))
    assert 0 < gone.max() <= most
    assert torch.equal(made[:, 0], made[:, 1])  # of every band


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["mixup", "cutmix"]), st.integers(0, 2**16))
def test_a_label_is_mixed_as_its_image_is(name, seed):
    # Each image shows its label: the mean of the mixed one has to be its mixed label.
    images = LABELS.expand(-1, 1, 16, 16).clone()
    made, labels = CHANGES[name](images, LABELS, draw(seed))
    torch.testing.assert_close(made.mean((1, 2, 3)), labels.flatten(), atol=1e-5, rtol=0)
    assert ((labels >= 0) & (labels <= 1)).all()


def test_shares_are_drawn_from_beta():
    for alpha in (augment.MIXUP, augment.CUTMIX):
        found = augment._shares(20_000, alpha, draw()).numpy()
        # Of Beta(a, a) the mean is a half, the variance 1 / (4 (2 a + 1)).
        assert found.mean() == pytest.approx(0.5, abs=0.02)
        assert found.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_a_batch_gets_mixup_or_cutmix_and_not_both():
    both = compose(["cutmix", "mixup"])
    images = LABELS.expand(-1, 1, 16, 16).clone()
    kinds = set()
    for seed in range(20):
        made = both(images, LABELS, draw(seed))[0]
        between = ((made > 0) & (made < 1)).flatten(1).any(1)
        cut = made.flatten(1).min(1).values < made.flatten(1).max(1).values
        assert not (between.any() and cut.any())
        kinds.add("mixup" if between.any() else "cutmix")
    assert kinds == {"mixup", "cutmix"}


def test_none_is_none():
    assert compose([]) is None
    assert np.isfinite(compose(["noise"])(tiles(), LABELS, draw())[0]).all()
