"""What is done to a network's answers, against SciPy and by hand."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from torch import nn

from landslide_lib.models.heads import MultiResolutionHead
from landslide_lib.study.recipe.parts import Averaging, Morphology
from landslide_lib.training.postprocessing import morphology, probability, voted

LEVELS = arrays(np.float32, (2, 1, 9, 11), elements=st.sampled_from([0, 0.25, 0.5, 0.75, 1]))


class Ramp(nn.Module):
    """Answers with where a pixel stands, whatever the image: turning must be undone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        line = torch.arange(x.shape[-1], dtype=torch.float32)
        return line.expand(x.shape[0], 1, *x.shape[2:]) - 2


@given(LEVELS, st.sampled_from(["opening", "closing"]), st.sampled_from([3, 5]))
def test_morphology_is_that_of_scipy_and_commutes_with_the_threshold(images, name, kernel):
    made = morphology(torch.from_numpy(images), name, kernel).numpy()
    # What lies outside takes no part: padded so far that SciPy's border does not reach the image.
    first, second = (1, 0) if name == "opening" else (0, 1)
    footprint = np.ones((1, 1, kernel, kernel), bool)
    for threshold in (0.3, 0.6):
        mask = images > threshold
        steps = {1: ndimage.binary_erosion, 0: ndimage.binary_dilation}
        inner = steps[first](mask, footprint, border_value=first)
        expected = steps[second](inner, footprint, border_value=second)
        np.testing.assert_array_equal(made > threshold, expected)


@pytest.mark.parametrize(("name", "sign"), [("opening", -1), ("closing", 1)])
def test_opening_never_adds_and_closing_never_takes_away(name, sign):
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    made = morphology(images, name, 3)
    assert (sign * (made - images) >= 0).all()
    torch.testing.assert_close(morphology(made, name, 3), made)  # twice is once


@pytest.mark.parametrize("name", ["opening", "closing"])
def test_an_even_square_moves_the_mask_by_a_pixel_as_in_the_report_s_code(name):
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 5:12, 6:13] = 1
    assert torch.equal(morphology(mask, name, 4), mask.roll((1, 1), (2, 3)))
    steps = [cv2.erode, cv2.dilate] if name == "opening" else [cv2.dilate, cv2.erode]
    image = np.random.default_rng(0).random((40, 40), np.float32)
    made = morphology(torch.from_numpy(image)[None, None], name, 4).numpy()[0, 0]
    np.testing.assert_array_equal(made, steps[1](steps[0](image, np.ones((4, 4))), np.ones((4, 4))))


def test_the_double_mask_votes_with_the_mean_of_its_pixels_which_is_bilinear():
    logits = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    p = logits.sigmoid()
    resized = torch.nn.functional.interpolate(p, scale_factor=0.5, mode="bilinear", align_corners=False)
    flat = torch.full((1, 1, 4, 4), 0.0)
    made = voted({"mask": flat, "half": torch.zeros(1, 1, 2, 2), "double": logits})
    torch.testing.assert_close(made, (0.5 + 0.5 + resized) / 3)


def test_a_network_that_turns_with_its_image_answers_the_same_at_every_angle():
    network = nn.Conv2d(3, 1, 1).eval()  # pixel by pixel
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = probability(network, images)
    torch.testing.assert_close(probability(network, images, [Averaging(name="multi_angles")]), plain)
    torch.testing.assert_close(plain, network(images).sigmoid())


def test_angles_are_averaged_as_probabilities_each_turned_back():
    images = torch.zeros(1, 3, 4, 4)
    ramp = Ramp()(images).sigmoid()
    turned = [torch.rot90(ramp, -quarter, (2, 3)) for quarter in range(4)]
    expected = sum(turned) / 4
    made = probability(Ramp(), images, [Averaging(name="multi_angles")])
    torch.testing.assert_close(made, expected)


def test_masks_vote_with_their_probabilities_at_the_image_s_size():
    logits = {
        "mask": torch.full((1, 1, 4, 4), 2.0),
        "half": torch.full((1, 1, 2, 2), -1.0),
        "double": torch.full((1, 1, 8, 8), 0.5),
    }
    mean = np.mean([1 / (1 + np.exp(-x)) for x in (2.0, -1.0, 0.5)])
    torch.testing.assert_close(voted(logits), torch.full((1, 1, 4, 4), float(mean)))


def test_steps_are_taken_in_their_order_after_the_network_was_asked():
    network = MultiResolutionHead(nn.Conv2d(3, 4, 3, padding=1), features=4, width=4).eval()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    asked = probability(network, images, [Averaging(name="voting")])
    both = [Morphology(name="opening"), Averaging(name="voting"), Morphology(name="closing")]
    expected = morphology(morphology(asked, "opening", 3), "closing", 3)
    torch.testing.assert_close(probability(network, images, both), expected)


def test_one_mask_cannot_vote():
    with pytest.raises(ValueError, match="three masks of head multi_resolution"):
        probability(nn.Conv2d(3, 1, 1), torch.zeros(1, 3, 4, 4), [Averaging(name="voting")])
