"""The perturbation of colour: what it changes, what it leaves, and that a run can be resumed."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from landslide_lib.data import augment
from landslide_lib.data.bands import ENGINEERED, L4S, RGB, SPECTRAL

BANDS = ("DEM", "B4", "NDVI", "B", "slope", "B12")
LIGHT = [1, 3, 5]
OTHERS = [0, 2, 4]


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pairs(count: int, seed: int, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(count, len(BANDS), size, size, generator=drawn(seed))
    return images, (images[:, :1] > 0).float()


def test_light_makes_the_bands_of_the_satellite_and_of_a_photograph_and_no_others():
    assert set(L4S) - SPECTRAL == {"slope", "DEM"}
    assert set(RGB) <= SPECTRAL
    assert SPECTRAL.isdisjoint(ENGINEERED)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_colour_changes_every_band_of_light_and_nothing_else(count, seed):
    images, masks = pairs(count, seed)
    before = images.clone(), masks.clone()
    made, made_masks = augment.colour(images, masks, drawn(seed), BANDS)
    assert torch.equal(images, before[0])
    assert torch.equal(made_masks, before[1])
    assert torch.equal(made[:, OTHERS].view(torch.int32), before[0][:, OTHERS].view(torch.int32))
    assert (made[:, LIGHT] != images[:, LIGHT]).flatten(2).any(2).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 1000), st.floats(0, 0.9))
def test_a_band_is_stretched_about_its_mean_and_shifted_within_the_range(count, seed, most):
    images, masks = pairs(count, seed)
    made, _ = augment.colour(images, masks, drawn(seed), BANDS, most)
    was, now = images[:, LIGHT].flatten(2), made[:, LIGHT].flatten(2)
    gain = now.std(2) / was.std(2)
    shift = now.mean(2) - was.mean(2)
    assert (gain - 1).abs().max() <= most + 1e-5
    assert shift.abs().max() <= most + 1e-5
    mean = was.mean(2, keepdim=True)
    expected = mean + gain[..., None] * (was - mean) + shift[..., None]
    torch.testing.assert_close(now, expected, rtol=1e-4, atol=1e-5)


def test_over_many_draws_nothing_gets_brighter_or_richer_and_no_two_bands_go_together():
    images, masks = pairs(4000, 0, size=4)
    made, _ = augment.colour(images, masks, drawn(0), BANDS)
    was, now = images[:, LIGHT].flatten(2), made[:, LIGHT].flatten(2)
    shift, change = now.mean(2) - was.mean(2), now.std(2) / was.std(2) - 1
    for each in (shift, change):
        # Uniform in ±0.2: deviation 0.2 / sqrt(3), that of the mean of 4000 is 0.0018.
        assert each.mean(0).abs().max() < 0.01
        assert each.std(0).tolist() == pytest.approx([0.2 / 3**0.5] * 3, rel=0.05)
    together = torch.corrcoef(torch.cat([shift, change], 1).T) - torch.eye(6)
    assert together.abs().max() < 0.1


def test_a_photograph_changes_in_all_of_its_bands():
    images, masks = pairs(3, 0)
    made, _ = augment.colour(images[:, :3], masks, drawn(0), RGB)
    assert (made != images[:, :3]).flatten(2).any(2).all()


@pytest.mark.parametrize("names", [["colour"], ["rotation", "colour"]])
def test_what_is_drawn_is_the_generators(names):
    images, masks = pairs(5, 0)
    apply = augment.compose(names, BANDS)
    assert apply is not None
    torch.manual_seed(1)
    one, again, other = drawn(3), drawn(3), drawn(4)
    first = apply(images, masks, one)[0]
    torch.manual_seed(2)
    assert torch.equal(first, apply(images, masks, again)[0])
    # A resumed epoch goes on where the generator is.
    assert torch.equal(apply(images, masks, one)[0], apply(images, masks, again)[0])
    assert not torch.equal(first, apply(images, masks, other)[0])


def test_colour_beside_a_rotation_moves_the_terrain_as_the_rotation_does():
    images, masks = pairs(8, 0)
    turned, turned_masks = augment.rotation(images, masks, drawn(0))
    both = augment.compose(["rotation", "colour"], BANDS)
    assert both is not None
    made, made_masks = both(images, masks, drawn(0))
    assert torch.equal(made[:, OTHERS], turned[:, OTHERS])
    assert torch.equal(made_masks, turned_masks)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_colour_keeps_type_and_layout_of_a_batch(dtype):
    images, masks = pairs(3, 0)
    images = images.to(dtype).contiguous(memory_format=torch.channels_last)
    made, _ = augment.colour(images, masks, drawn(0), BANDS)
    assert made.dtype == dtype
    assert made.is_contiguous(memory_format=torch.channels_last)
    expected, _ = augment.colour(images.double(), masks, drawn(0), BANDS)
    torch.testing.assert_close(made.double(), expected, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("bands", [(), ("slope", "DEM", "NDVI")])
def test_colour_without_a_band_of_light_is_refused(bands):
    with pytest.raises(ValueError, match=r"colour changes spectral bands, and of .* none"):
        augment.compose(["rotation", "colour"], bands)


def test_other_augmentations_need_no_bands():
    images, masks = pairs(3, 0)
    with_bands, without = augment.compose(["rotation"], BANDS), augment.compose(["rotation"])
    assert with_bands is not None
    assert without is not None
    assert torch.equal(with_bands(images, masks, drawn(0))[0], without(images, masks, drawn(0))[0])


def test_flips_mirror_a_mask_with_its_image():
    images, _ = pairs(40, 0)
    made, masks = augment.flips(images, images[:, :1], drawn(0))
    assert torch.equal(made[:, :1], masks)
    mirrored = [images, images.flip(2), images.flip(3), images.flip((2, 3))]
    found = torch.stack([(made == each).flatten(1).all(1) for each in mirrored])
    assert found.any(0).all()
    assert found.any(1).all()  # each way occurs


def test_zoom_scales_a_mask_with_its_image_within_its_range():
    side = 64
    place = torch.arange(side).expand(side, side).float()  # a ramp: its slope says the scale
    images = place.expand(200, 1, side, side).clone()
    mask = (place >= side / 2).float().expand(200, 1, side, side)
    made, masks = augment.zoom(images, mask, drawn(0), most=1.25)
    slope = (made[:, 0, side // 2, side // 2 + 4] - made[:, 0, side // 2, side // 2 - 4]) / 8
    assert 1 / 1.25 <= slope.min() < 0.85
    assert 1.15 < slope.max() <= 1.25
    assert slope.log().mean() == pytest.approx(0, abs=0.03)
    expected = (made > side / 2 - 0.5).float()
    inner = slice(side // 2 - 8, side // 2 + 8)  # the mirror is outside
    assert torch.equal(masks[..., inner], expected[..., inner])


def test_zoom_by_one_changes_nothing():
    images, masks = pairs(3, 0)
    made, made_masks = augment.zoom(images, masks, drawn(0), most=1.0)
    torch.testing.assert_close(made, images, rtol=0, atol=1e-4)
    assert torch.equal(made_masks, masks)


def test_paste_joins_the_landslides_of_the_batch_and_leaves_all_else():
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(64, 1, 8, 8)
    masks[0, 0, :2, :2] = masks[1, 0, 4:, 4:] = 1.0
    images = torch.arange(64.0)[:, None, None, None].expand(64, 3, 8, 8).clone()
    changed, joined = augment.paste(images, masks, generator)
    assert (joined >= masks).all()  # no landslide goes
    pasted = (joined == 1) & (masks == 0)
    assert set(changed[pasted.expand_as(changed)].unique().tolist()) == {0.0, 1.0}  # of the two that have one
    assert torch.equal(changed[~pasted.expand_as(changed)], images[~pasted.expand_as(images)])
    given = joined[2:].flatten(1).sum(1)
    assert set(given.tolist()) == {0.0, 4.0, 16.0, 20.0}  # none, either, or both
    assert 10 < (given == 0).sum() < 35  # a third, of 62


def test_paste_without_a_landslide_changes_nothing():
    images, masks = torch.rand(4, 3, 8, 8), torch.zeros(4, 1, 8, 8)
    assert all(map(torch.equal, augment.paste(images, masks, torch.Generator().manual_seed(0)), (images, masks)))
