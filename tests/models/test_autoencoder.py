"""Masked autoencoders: what they see, what they are asked for, and what they leave behind."""

import math
from functools import cache

import pytest
import timm
import torch
from torch import Tensor, nn

from landslide_lib.models.autoencoder import Restored, autoencoder

BANDS = 4
TINY = {
    "vit_tiny": ("vit_tiny_patch16_224", {"depth": 2, "embed_dim": 32, "num_heads": 2}),
    "swin_tiny": (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 4, 8), "drop_path_rate": 0.0},
    ),
}
TINY["swin_mae"] = TINY["swin_tiny"]
SIZES = [64, 128]


def encoder(name: str, size: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    of_timm, small = TINY[name]
    return timm.create_model(of_timm, num_classes=0, in_chans=BANDS, img_size=size, **small)


def build(name: str, size: int, masked: float = 0.75) -> nn.Module:
    return autoencoder(encoder(name, size), size, BANDS, masked, *(["swin_mae"] if name == "swin_mae" else []))


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(size: int, count: int = 2) -> Tensor:
    return 2 + torch.rand(count, BANDS, size, size, generator=draw(9))


def unit(name: str, size: int) -> int:
    """Return the side of what is masked."""
    return 16 if name in ("vit_tiny", "swin_mae") or size == 64 else 32


def squares(image: Tensor, side: int) -> Tensor:
    """Return the squares of a plane (B, S, S) as (B, N, side, side)."""
    return image.unfold(1, side, side).unfold(2, side, side).flatten(1, 2)


@cache
def made(name: str, size: int) -> tuple[Tensor, Restored, nn.Module]:
    """Return images, what an untrained autoencoder made of them, and it."""
    network = build(name, size).eval()
    images = noise(size)
    return images, network(images, draw()), network


cases = pytest.mark.parametrize(("name", "size"), [(name, size) for name in TINY for size in SIZES])


# --- What is masked ----------------------------------------------------------------------------


@cases
def test_whole_squares_are_masked_as_many_as_the_share_says(name, size):
    images, told, _ = made(name, size)
    assert told.mask.shape == (2, 1, size, size)
    assert told.mask.dtype == torch.bool
    each = squares(told.mask[:, 0], unit(name, size)).flatten(2).double().mean(2)
    assert set(each.unique().tolist()) == {0, 1}
    assert (each.sum(1) == 0.75 * each.shape[1]).all()
    assert not torch.equal(each[0], each[1])  # each image has its own
    assert torch.equal(told.restored[~told.mask.expand_as(images)], images[~told.mask.expand_as(images)])
    assert not torch.isclose(told.restored, images)[told.mask.expand_as(images)].all()


@pytest.mark.parametrize(("share", "hidden"), [(0.01, 1), (0.6, 10), (0.99, 15)])
def test_the_masked_share_is_the_nearest_that_leaves_something_to_see_and_to_restore(share, hidden):
    network = build("vit_tiny", 64, masked=share)
    assert (network.masked, network.visible) == (hidden, 16 - hidden)


@cases
def test_the_generator_decides_and_nothing_else(name, size):
    images, told, network = made(name, size)
    for way in (network.train, network.eval):
        way()
        torch.manual_seed(5)
        again = network(images, draw())
        assert torch.equal(again.mask, told.mask)
        torch.testing.assert_close(again.loss, told.loss)
        torch.testing.assert_close(again.restored, told.restored)
    assert not torch.equal(network(images, draw(1)).mask, told.mask)


@cases
def test_what_is_masked_is_not_seen(name, size):
    """Other values under the mask change the loss, and not what is made of the image."""
    images, told, network = made(name, size)
    if name.startswith("vit"):
        # Restored with mean and spread of the true patch: other values that keep both.
        other = images.unfold(2, 16, 16).unfold(3, 16, 16).flip(1, 4, 5)
        other = other.permute(0, 1, 2, 4, 3, 5).reshape(images.shape)
    else:
        other = 5 * torch.rand(images.shape, generator=draw(1))
    changed = network(torch.where(told.mask, other, images), draw())
    torch.testing.assert_close(changed.restored, told.restored)
    assert not torch.isclose(changed.loss, told.loss)


@cases
def test_what_is_seen_is_used(name, size):
    images, told, network = made(name, size)
    other = torch.where(told.mask, images, images.flip(3))
    with torch.no_grad():
        changed = network(other, draw()).restored
    hidden = told.mask.expand_as(images)
    assert not torch.isclose(changed[hidden], told.restored[hidden], atol=1e-6).all()


def test_patches_are_put_back_where_they_were():
    """Without attention a masked patch of a ViT knows its place and nothing that is seen."""
    network = build("vit_tiny", 128).eval()
    network.encoder.blocks, network.decoder = nn.Sequential(), network.decoder[-2:]
    images = noise(128)
    told = network(images, draw())
    other = torch.where(told.mask, images, images.flip(3))
    hidden = told.mask.expand_as(images)
    restored = network(other, draw()).restored
    torch.testing.assert_close(restored[hidden], told.restored[hidden])


# --- The loss ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_loss_of_a_vit_is_that_of_the_masked_patches_each_normalised(size):
    images, told, _ = made("vit_tiny", size)
    errors = []
    for image, restored, mask in zip(images, told.restored, told.mask[:, 0], strict=True):
        for top in range(0, size, 16):
            for left in range(0, size, 16):
                here = slice(None), slice(top, top + 16), slice(left, left + 16)
                if mask[here[1:]].all():
                    scale = image[here].std()
                    errors.append(((restored[here] - image[here]) / scale).square().mean())
    assert len(errors) == 2 * 0.75 * (size // 16) ** 2
    torch.testing.assert_close(told.loss, torch.stack(errors).mean(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", SIZES)
def test_the_loss_of_a_swin_is_the_mean_absolute_error_under_the_mask(size):
    images, told, _ = made("swin_tiny", size)
    hidden = told.mask.expand_as(images)
    torch.testing.assert_close(told.loss, (told.restored - images)[hidden].abs().mean())


@pytest.mark.parametrize("size", SIZES)
def test_the_loss_of_swin_mae_is_the_mean_square_error_under_the_mask(size):
    images, told, _ = made("swin_mae", size)
    torch.testing.assert_close(told.loss, (told.restored - images)[told.mask.expand_as(images)].square().mean())


def test_the_decoder_of_swin_mae_has_the_blocks_of_the_encoder_but_for_its_last_stage():
    network = build("swin_mae", 128)
    kind = type(network.encoder.layers[0])
    stages = [step for step in network.head if isinstance(step, kind)]
    mirrored = list(network.encoder.layers[:-1])[::-1]
    assert [(s.depth, s.dim, s.output_resolution) for s in stages] == [
        (s.depth, s.blocks[0].dim, s.output_resolution) for s in mirrored
    ]


def test_a_vit_is_asked_for_no_brightness_and_no_contrast():
    images, told, network = made("vit_tiny", 64)
    patches = torch.where(told.mask, 3 * images + 7, images)
    torch.testing.assert_close(network(patches, draw()).loss, told.loss, rtol=1e-4, atol=0)


@cases
def test_a_flat_image_has_a_finite_loss(name, size):
    _, _, network = made(name, size)
    told = network(torch.zeros(2, BANDS, size, size), draw())
    told.loss.backward()
    assert told.loss.isfinite()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    network.zero_grad()


@cases
def test_all_of_the_encoder_learns(name, size):
    network = build(name, size)
    network(noise(size), draw()).loss.backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", TINY)
def test_half_precision_gives_a_loss_in_single(name):
    images, told, network = made(name, 64)
    with torch.autocast("cpu", torch.bfloat16):
        half = network(images, draw())
    assert half.loss.dtype == half.restored.dtype == torch.float32
    assert half.loss.item() == pytest.approx(told.loss.item(), rel=0.05)


@pytest.mark.parametrize("name", ["vit_tiny", "swin_tiny"])
def test_it_learns_to_restore(name):
    """Stripes of which only the phase is random: what is seen says all of the rest.

    Swin-MAE does so too, at a third of the rate and after three times as many steps, too many for a test.
    """
    network = build(name, 64, masked=0.25)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def stripes(seed: int) -> Tensor:
        phase = 2 * math.pi * torch.rand(8, 1, 1, 1, generator=draw(seed))
        place = torch.arange(64) * 2 * math.pi / 16
        return 1 + (place + phase).sin().expand(8, BANDS, 64, 64) / 2

    for step in range(120):
        optimizer.zero_grad()
        network(stripes(step), draw(step)).loss.backward()
        optimizer.step()
    held_out = stripes(10_000)
    with torch.no_grad():
        told = network(held_out, draw())
    # A gray patch is what it could give without having understood any image.
    hidden = told.mask.expand_as(held_out)
    gray = (held_out - held_out.mean())[hidden].abs().mean()
    assert (told.restored - held_out)[hidden].abs().mean() < 0.5 * gray


# --- What is left behind -----------------------------------------------------------------------


@cases
def test_its_encoder_fits_a_fresh_one_and_says_the_same(name, size):
    network = build(name, size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    network(noise(size), draw()).loss.backward()
    optimizer.step()
    fresh = encoder(name, size, seed=1).eval()
    fresh.load_state_dict(network.encoder.state_dict(), strict=True)
    trained, images = network.encoder.eval(), noise(size)
    assert torch.equal(fresh(images), trained(images))
    assert not torch.allclose(fresh(images), encoder(name, size).eval()(images))


@cases
def test_weights_that_are_loaded_after_it_is_built_are_those_it_starts_from(name, size):
    given = encoder(name, size, seed=3).state_dict()
    network = build(name, size)
    network.encoder.load_state_dict(given, strict=True)
    for key, value in network.encoder.state_dict().items():
        assert torch.equal(value, given[key])


def test_the_positions_of_a_vit_tell_all_patches_apart():
    network = build("vit_tiny", 128)
    for positions in (network.positions, network.encoder.pos_embed[0, 1:].detach()):
        apart = torch.cdist(positions, positions) + 9 * torch.eye(64)
        assert apart.min() > 0.1
        # What is next, in a row or in a column, is nearer than what is two steps away.
        assert apart[0, 1] < apart[0, 2]
        assert apart[0, 8] < apart[0, 16]
    assert "positions" not in network.state_dict()  # made anew


def test_a_convolutional_encoder_restores_what_it_does_not_see():
    torch.manual_seed(0)
    learner = timm.create_model("test_efficientnet", num_classes=0, in_chans=BANDS)
    network = autoencoder(learner, 64, BANDS, 0.75)
    images = noise(64)
    network(images, draw()).loss.backward()  # in training all of it learns
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())
    network.eval()
    told = network(images, draw())
    hidden = told.mask.expand_as(images)
    torch.testing.assert_close(told.loss, (told.restored - images)[hidden].abs().mean())
    assert torch.equal(told.restored[~hidden], images[~hidden])
    other = network(torch.where(told.mask, 5 * images, images), draw())
    torch.testing.assert_close(other.restored, told.restored)  # the masked pixels are not seen
    seen = network(torch.where(told.mask, images, images.flip(3)), draw())
    assert not torch.isclose(seen.restored[hidden], told.restored[hidden], atol=1e-6).all()
    fresh = timm.create_model("test_efficientnet", num_classes=0, in_chans=BANDS).eval()
    fresh.load_state_dict(network.encoder.state_dict(), strict=True)
    assert torch.equal(fresh(images), network.encoder(images))


@pytest.mark.parametrize(("name", "size"), [("swin_tiny", 80), ("vit_tiny", 16)])
def test_an_image_that_is_no_whole_number_of_squares_or_one_is_refused(name, size):
    with pytest.raises(ValueError, match=f"image_size {size} is no multiple of"):
        build(name, size)
