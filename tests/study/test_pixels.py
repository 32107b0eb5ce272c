"""What bands tell pixel by pixel: a band that tells helps, one that knows the scene misleads."""

import numpy as np
import pytest

from landslide_lib.study import pixels

SIDE = 48


def scenes(count: int, first: int = 0):
    """Landslides where the first band is high; the second is noise, the third the scene's own."""
    made = []
    for k in range(first, first + count):
        draw = np.random.default_rng(k)
        image = draw.normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
        image[..., 2] = k + 0.01 * image[..., 2]
        chance = 0.9 / (1 + np.exp(-6 * (image[..., 0] - 1.3)))
        made.append((image, (draw.random((SIDE, SIDE)) < chance).astype(np.uint8)))
    return made


def test_a_band_that_tells_is_worth_more_than_noise_which_is_worth_nothing():
    test = scenes(4, first=10)
    found = pixels.worth(scenes(8), test, {"told": [0], "noise": [1], "both": [0, 1]})
    value = found.set_index("bands")["average_precision"]
    share = np.mean([mask.mean() for _, mask in test])
    assert value["told"] > 4 * share
    assert value["noise"] == pytest.approx(share, abs=0.04)
    assert value["both"] == pytest.approx(value["told"], abs=0.06)


def test_the_same_seed_draws_the_same():
    one, other = (pixels.worth(scenes(3), scenes(2, 5), {"a": [0, 2]}, seed=4) for _ in range(2))
    assert one.equals(other)


@pytest.mark.parametrize("side", ["training", "test"])
def test_scenes_without_a_landslide_are_refused(side):
    empty = [(image, np.zeros_like(mask)) for image, mask in scenes(2)]
    sides = (empty, scenes(2)) if side == "training" else (scenes(2), empty)
    with pytest.raises(ValueError, match=f"the {side} scenes have no landslide"):
        pixels.worth(*sides, {"a": [0]})
