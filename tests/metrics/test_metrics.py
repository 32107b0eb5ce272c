"""Counts are exact, and the histogram knows the counts at every threshold."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from landslide_lib.metrics.counts import BINS, Counter
from landslide_lib.metrics.scores import scores, sweep

#: As float32, the probability of each threshold and its neighbours on both sides.
EDGES = (np.arange(BINS + 1) / BINS).astype(np.float32)
AROUND = np.concatenate([np.nextafter(EDGES, np.float32(-1)), EDGES, np.nextafter(EDGES, 2)])
AROUND = np.unique(AROUND.astype(np.float32).clip(0, 1))


def brute(p: np.ndarray, y: np.ndarray, threshold: float) -> list[list[int]]:
    """Count image by image in float32, as one would by hand."""
    rows = []
    for image, truth in zip(p.reshape(len(p), -1), y.reshape(len(y), -1) == 1, strict=True):
        called = image > np.float32(threshold)
        rows.append(
            [
                int((called & truth).sum()),
                int((called & ~truth).sum()),
                int((~called & truth).sum()),
                int((~called & ~truth).sum()),
            ]
        )
    return rows


def count(p: np.ndarray, y: np.ndarray, *thresholds: float, batch: int | None = None) -> Counter:
    counter = Counter(*thresholds)
    for start in range(0, len(p), batch or len(p)):
        part = slice(start, start + (batch or len(p)))
        counter.update(torch.from_numpy(p[part]), torch.from_numpy(y[part]))
    return counter


def pixels(seed: int, images: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, half of them on an edge or a hair beside one, and labels."""
    draw = np.random.default_rng(seed)
    shape = (images, 1, 24, 25)
    anywhere = draw.random(shape, np.float32)
    p = np.where(draw.random(shape) < 0.5, draw.choice(AROUND, shape), anywhere)
    return p, (draw.random(shape) < 0.3).astype(np.float32)


def test_counts_are_those_of_a_loop_at_every_threshold_asked_for():
    p, y = pixels(0)
    thresholds = 0.5, 0.0, 0.123, 0.9, 1.0
    counter = count(p, y, *thresholds)
    for place, threshold in enumerate(thresholds):
        assert counter.images(place).tolist() == brute(p, y, threshold)


def test_one_half_is_the_threshold_if_none_is_named():
    p, y = pixels(1)
    assert count(p, y).images().tolist() == brute(p, y, 0.5)


@pytest.mark.parametrize("seed", range(2))
def test_the_histogram_agrees_with_a_comparison_at_every_threshold(seed):
    p, y = pixels(seed)
    p[0, 0, 0, : len(EDGES[:25])] = EDGES[:25]
    landslide, background = count(p, y).histogram().numpy()
    assert landslide.sum() == (y == 1).sum()
    assert background.sum() == (y == 0).sum()
    found, flat, truth = sweep(landslide, background), p.ravel(), y.ravel() == 1
    # Bin 0 holds a probability of exactly 0 too: at threshold 0 all pixels are called.
    called = [np.ones_like(truth)] + [flat > np.float32(k / BINS) for k in range(1, BINS)]
    for k in range(BINS):
        tp, fp = landslide[k:].sum(), background[k:].sum()
        assert (tp, fp) == ((called[k] & truth).sum(), (called[k] & ~truth).sum()), k / BINS
        assert found["recall"][k] == tp / truth.sum()


@given(st.sampled_from(range(1, BINS)), st.lists(st.sampled_from(range(len(AROUND))), min_size=1))
def test_a_threshold_read_off_the_histogram_counts_what_the_evaluation_counts(k, places):
    """`best_threshold` is chosen on one and reported by the other."""
    p = AROUND[places].reshape(1, 1, 1, -1)
    y = np.ones_like(p)
    counter = count(p, y, k / BINS)
    assert counter.histogram()[0, k:].sum() == counter.images()[0, 0]


@given(st.integers(1, 5), st.integers(0, 5))
def test_how_images_are_batched_does_not_matter(batch, seed):
    p, y = pixels(seed)
    whole, pieces = count(p, y, 0.3), count(p, y, 0.3, batch=batch)
    assert torch.equal(whole.images(), pieces.images())
    assert torch.equal(whole.histogram(), pieces.histogram())


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32])
def test_the_type_of_the_mask_does_not_matter(dtype):
    p, y = pixels(2)
    counter = Counter()
    counter.update(torch.from_numpy(p), torch.from_numpy(y).to(dtype))
    assert counter.images().tolist() == brute(p, y, 0.5)


def test_channels_last_and_half_precision_are_counted_alike():
    p, y = pixels(3)
    half = torch.from_numpy(p).half().contiguous(memory_format=torch.channels_last)
    counter = Counter()
    counter.update(half, torch.from_numpy(y))
    assert counter.images().tolist() == brute(half.float().numpy(), y, 0.5)


def test_counts_of_an_image_add_up_to_its_pixels_in_whole_numbers():
    p, y = pixels(4)
    counter = count(p, y)
    images = counter.images()
    assert images.dtype == torch.int64
    assert counter.histogram().dtype == torch.int64
    assert images.sum(1).tolist() == [p[0].size] * len(p)
    assert counter.histogram().shape == (2, BINS)
    assert scores(images.numpy())["pooled"]["recall"] == images[:, 0].sum() / (y == 1).sum()
