"""The weight maps of the boundary and the centre loss, against SciPy's distance transforms."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage  # type: ignore[import-untyped, unused-ignore]
from torch import Tensor

from landslide_lib.losses.weight_maps import boundary_weights, center_weights

EIGHT = np.ones((3, 3), dtype=int)


def blobs(seed: int, shape: tuple[int, int], share: float = 0.25, size: float = 2.0) -> Tensor:
    """Four random masks of smooth regions, as landslides are."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(4, *shape))
    smooth = np.stack([ndimage.gaussian_filter(image, size, mode="reflect") for image in noise])
    return torch.from_numpy(smooth > np.quantile(smooth, 1 - share))[:, None]


def specks(seed: int, shape: tuple[int, int], share: float = 0.1) -> Tensor:
    """Four random masks of single pixels and small clusters."""
    return torch.from_numpy(np.random.default_rng(seed).random((4, 1, *shape)) < share)


MASKS: dict[str, Tensor] = {
    "blobs": blobs(0, (24, 24)),
    "wide": blobs(1, (16, 30)),
    "tall": blobs(2, (31, 13)),
    "much landslide": blobs(3, (20, 20), share=0.8),
    "large regions": blobs(4, (40, 40), share=0.5, size=6.0),
    "specks": specks(5, (20, 20)),
    "holes": ~specks(6, (20, 20), share=0.05),
    "one row": specks(7, (1, 17), share=0.6),
    "one column": specks(8, (17, 1), share=0.6),
}
BOTH = {name: mask[mask.flatten(1).any(1) & ~mask.flatten(1).all(1)] for name, mask in MASKS.items()}


def distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Chessboard distance to the nearest pixel that is 0, infinite where there is none."""
    if mask.all():
        return np.full(mask.shape, math.inf)
    return np.asarray(ndimage.distance_transform_cdt(mask, "chessboard"), dtype=np.float64)


def exact_center(mask: NDArray[np.bool_], weight: float) -> NDArray[np.float64]:
    depth = np.minimum(distance(mask), max(mask.shape) // 2)
    labels, count = ndimage.label(mask, EIGHT)
    deepest = np.asarray([1.0, *ndimage.maximum(depth, labels, range(1, count + 1))])
    return np.asarray(1 + weight * depth / deepest[labels])


# --- Boundary -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.3])
def test_boundary_weights_are_those_of_the_distance_transform(name: str, sigma: float) -> None:
    masks = BOTH[name]
    ours = boundary_weights(masks, weight=5.0, sigma=sigma)
    for mask, weights in zip(masks[:, 0].numpy(), ours[:, 0].numpy(), strict=True):
        # To the other class, of which one is at distance 1 where a pixel is on the boundary.
        d = np.where(mask, distance(mask), distance(~mask)) - 1
        expected = 1 + 5 * np.exp(-(d**2) / (2 * sigma**2)) * (d <= math.ceil(3 * sigma))
        np.testing.assert_allclose(weights, expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0, 1])
def test_without_a_boundary_all_weights_are_1(value: int) -> None:
    weights = boundary_weights(torch.full((2, 1, 5, 7), value), weight=5.0, sigma=2.0)
    assert torch.equal(weights, torch.ones(2, 1, 5, 7))


def test_boundary_of_one_pixel() -> None:
    y = torch.zeros(1, 1, 7, 7)
    y[0, 0, 3, 3] = 1
    weights = boundary_weights(y, weight=4.0, sigma=1.0)[0, 0]
    assert (weights[2:5, 2:5] == 5).all()  # the pixel and its eight neighbours
    assert weights[0, 3].item() == pytest.approx(1 + 4 * math.exp(-2))


def test_boundary_weights_are_symmetric_in_the_classes() -> None:
    y = MASKS["blobs"]
    ours = boundary_weights(y, weight=5.0, sigma=2.0)
    assert torch.equal(ours, boundary_weights(~y, weight=5.0, sigma=2.0))


def test_widest_zone_fits_its_counter() -> None:
    y = torch.zeros(1, 1, 1, 200)
    y[..., 0] = 1
    weights = boundary_weights(y, weight=1.0, sigma=32.0).flatten()
    assert weights[97].item() == pytest.approx(1 + math.exp(-(96**2) / (2 * 32**2)))
    assert weights[98].item() == 1


# --- Centre -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MASKS)
def test_center_weights_are_those_of_the_distance_transform(name: str) -> None:
    masks = MASKS[name]
    ours = center_weights(masks, weight=5.0)
    for mask, weights in zip(masks[:, 0].numpy(), ours[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(weights, exact_center(mask, 5.0), rtol=1e-6)


@pytest.mark.parametrize("name", MASKS)
def test_every_region_has_a_center(name: str) -> None:
    ours = center_weights(MASKS[name], weight=5.0)
    for mask, weights in zip(MASKS[name][:, 0].numpy(), ours[:, 0].numpy(), strict=True):
        labels, count = ndimage.label(mask, EIGHT)
        np.testing.assert_array_equal(ndimage.maximum(weights, labels, range(1, count + 1)), 6)
        assert (weights[~mask] == 1).all()
        assert (weights[mask] > 1).all()


def test_center_limits() -> None:
    empty, full = torch.zeros(1, 1, 6, 8), torch.ones(1, 1, 6, 8)
    assert torch.equal(center_weights(empty, weight=5.0), empty + 1)
    assert torch.equal(center_weights(full, weight=5.0), full + 5)
    pixel = empty.clone()
    pixel[0, 0, 2, 2] = 1
    assert torch.equal(center_weights(pixel, weight=5.0), 1 + 5 * pixel)
    assert center_weights(torch.ones(1, 1, 1, 1), weight=5.0).item() == 6


def test_border_of_the_image_is_no_background() -> None:
    y = torch.ones(1, 1, 8, 8)
    y[..., 0] = 0
    weights = center_weights(y, weight=4.0)[0, 0]
    assert torch.equal(weights[0], torch.tensor([1.0, 2, 3, 4, 5, 5, 5, 5]))  # capped at 8 // 2
    assert (weights == weights[0]).all()


def test_winding_region_is_one() -> None:
    # A corridor, longer than the image's sides, that ends in a deep chamber.
    size = 24
    y = torch.zeros(1, 1, size, size)
    y[..., :12:2, :] = 1
    for turn, row in enumerate(range(1, 12, 2)):
        y[..., row, size - 1 if turn % 2 == 0 else 0] = 1
    y[..., 12:, :] = 1
    ours, exact = (center_weights(y, weight=5.0)[0, 0].numpy(), exact_center(y[0, 0].bool().numpy(), 5.0))
    np.testing.assert_allclose(ours, exact, rtol=1e-6)


def test_depths_beyond_a_byte() -> None:
    y = torch.ones(1, 1, 520, 2)
    y[..., 0, :] = 0
    expected = 1 + 5 * np.minimum(np.arange(520), 260) / 260
    ours = center_weights(y, weight=5.0)[0, 0, :, 0].numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


# --- Both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.bfloat16])
def test_weights_have_no_gradient_and_take_any_type(dtype: torch.dtype) -> None:
    y = MASKS["blobs"]
    for target in (y.to(dtype), y.float().requires_grad_()):
        for give in (partial(boundary_weights, sigma=2.0), center_weights):
            weights = give(target, weight=5.0)
            assert torch.equal(weights, give(y, weight=5.0))
            assert weights.dtype == torch.float32
            assert not weights.requires_grad


def test_images_of_a_batch_are_apart() -> None:
    y = MASKS["blobs"]
    for give in (partial(boundary_weights, sigma=2.0), center_weights):
        single = [give(image[None], weight=5.0) for image in y]
        assert torch.equal(give(y, weight=5.0), torch.cat(single))
