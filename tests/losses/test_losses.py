"""Every loss against its definition, computed another way, and against its limits."""

import inspect
import itertools
import math
from collections.abc import Callable
from typing import get_args

import hypothesis.strategies as st
import numpy as np
import pytest
import segmentation_models_pytorch as smp  # type: ignore[import-untyped, unused-ignore]
import torch
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib.fields import Part
from landslide_lib.losses import LOSSES, FocalLoss, IoULoss, TverskyLoss, WeightedSum
from landslide_lib.study.recipe.parts import TERMS

Array = NDArray[np.float64]
NAMES = sorted(LOSSES)
#: Those that are least where the network is sure and right; a softened label is never sure.
OF_SURE_LABELS = [name for name in NAMES if name != "soft_ce"]
SHAPE = (2, 1, 5, 6)


# --- Definitions, in plain loops over pixels ---------------------------------------------------


def pixels(logits: Array, target: Array) -> list[tuple[float, float]]:
    """List (probability of landslide, label) of every pixel."""
    return [(1 / (1 + math.exp(-z)), y) for z, y in zip(logits.ravel().tolist(), target.ravel().tolist(), strict=True)]


def entropy(z: float, y: float) -> float:
    """Softmax cross entropy of one pixel with the two logits 0 and z."""
    return -math.log((math.exp(z) if y else 1.0) / (1.0 + math.exp(z)))


def ce(logits: Array, target: Array) -> float:
    return float(np.mean([entropy(z, y) for z, y in zip(logits.flat, target.flat, strict=True)]))


def focal(logits: Array, target: Array, alpha: float = 0.25, gamma: float = 2.0) -> float:
    total = 0.0
    for p, y in pixels(logits, target):
        p_t, alpha_t = (p, alpha) if y else (1 - p, 1 - alpha)
        total -= alpha_t * (1 - p_t) ** gamma * math.log(p_t)
    return total / target.size


def log_cosh(logits: Array, target: Array, power: float = 1.0) -> float:
    return float(np.mean([math.log(math.cosh(abs(p - y) ** power)) for p, y in pixels(logits, target)]))


def tversky(
    logits: Array, target: Array, alpha: float = 0.7, beta: float = 0.3, smooth: float = 1.0, background: float = 0.0
) -> float:
    if background:  # the loss of a landslide where the classes have changed places
        parts = [tversky(z, y, alpha, beta, smooth) for z, y in ((logits, target), (-logits, 1 - target))]
        return (1 - background) * parts[0] + background * parts[1]
    tp = sum(p * y for p, y in pixels(logits, target))
    fn = sum((1 - p) * y for p, y in pixels(logits, target))
    fp = sum(p * (1 - y) for p, y in pixels(logits, target))
    return -math.log((tp + smooth) / (tp + alpha * fn + beta * fp + smooth))


def iou(logits: Array, target: Array, smooth: float = 1.0, background: float = 0.0) -> float:
    if background:
        parts = [iou(z, y, smooth) for z, y in ((logits, target), (-logits, 1 - target))]
        return (1 - background) * parts[0] + background * parts[1]
    intersection = sum(p * y for p, y in pixels(logits, target))
    union = sum(p + y - p * y for p, y in pixels(logits, target))
    return -math.log((intersection + smooth) / (union + smooth))


def jaccard_loss(wrong: set[int], truth: set[int]) -> float:
    """1 - IoU of the hard prediction that is wrong on just these pixels; 0 where both are empty."""
    predicted = truth ^ wrong
    union = predicted | truth
    return 1 - len(predicted & truth) / len(union) if union else 0.0


def lovasz_in_order(errors: Array, truth: set[int], order: tuple[int, ...]) -> float:
    """Sum the errors, each times what its pixel adds to the Jaccard loss of those before it."""
    total, wrong = 0.0, set[int]()
    for i in order:
        total += errors[i] * (jaccard_loss(wrong | {i}, truth) - jaccard_loss(wrong, truth))
        wrong |= {i}
    return float(total)


def lovasz(logits: Array, target: Array) -> float:
    errors = np.maximum(0, 1 - (2 * target - 1) * logits).ravel()
    truth = set(np.flatnonzero(target).tolist())
    order = sorted(range(errors.size), key=lambda i: -errors[i])
    return lovasz_in_order(errors, truth, tuple(order))


def lovasz_probability(logits: Array, target: Array) -> float:
    """By the level sets: the integral of -log(IoU) of the pixels whose error is above a level, over the levels."""
    total = 0.0
    for z, y in ((logits, target), (-logits, 1 - target)):
        truth = set(np.flatnonzero(y).tolist())
        errors = np.sqrt(np.abs(1 / (1 + np.exp(-z)) - y)).ravel()
        levels = [0.0, *sorted(set(errors.tolist()))]
        for low, high in itertools.pairwise(levels):
            predicted = truth ^ set(np.flatnonzero(errors > low).tolist())
            hits, union = len(predicted & truth) + 1e-7, len(predicted | truth) + 1e-7
            total += (high - low) * -math.log(hits / union) / 2
    return total


def chessboard(a: tuple[int, int], b: tuple[int, int]) -> int:
    return max(abs(a[0] - b[0]), abs(a[1] - b[1]))


def weighted(weights: list[Array], logits: Array, target: Array) -> float:
    w = np.concatenate([x.ravel() for x in weights])
    losses = [entropy(z, y) for z, y in zip(logits.flat, target.flat, strict=True)]
    return float((w * losses).sum() / w.sum())


def boundary(logits: Array, target: Array, weight: float = 5.0, sigma: float = 2.0) -> float:
    maps = []
    for (mask,) in target:
        where = list(np.ndindex(mask.shape))
        edge = [a for a in where if any(chessboard(a, b) == 1 and mask[a] != mask[b] for b in where)]
        w = np.ones(mask.shape)
        for a in where:
            d = min((chessboard(a, b) for b in edge), default=math.inf)
            if d <= math.ceil(3 * sigma):
                w[a] += weight * math.exp(-(d**2) / (2 * sigma**2))
        maps.append(w)
    return weighted(maps, logits, target)


def center(logits: Array, target: Array, weight: float = 5.0) -> float:
    maps = []
    for (mask,) in target:
        where = list(np.ndindex(mask.shape))
        background = [a for a in where if not mask[a]]
        cap = max(mask.shape) // 2
        depth = {a: min([cap, *(chessboard(a, b) for b in background)]) for a in where if mask[a]}
        w = np.ones(mask.shape)
        for start in depth:
            region, todo = {start}, [start]
            while todo:
                a = todo.pop()
                new = {b for b in depth if chessboard(a, b) == 1} - region
                region |= new
                todo += new
            w[start] += weight * depth[start] / max(depth[a] for a in region)
        maps.append(w)
    return weighted(maps, logits, target)


def depth(logits: Array, target: Array, rim: float = 0.0) -> float:
    """With the conditions of the first author's code; distances are of the centres of pixels."""
    total = 0.0
    for (z,), (y,) in zip(logits, target, strict=True):
        where = list(np.ndindex(y.shape))
        far = {a: min((math.dist(a, b) for b in where if y[b] != y[a]), default=0) + 1 for a in where}
        most = {side: max((far[a] for a in where if y[a] == side), default=1) for side in (0, 1)}
        for a in where:
            weight = far[a]
            if rim and len({*y.flat}) == 2:
                weight = (most[1] if far[a] < 1 + rim else 1) if y[a] else 0.8 * most[0]
            total += weight * entropy(z[a], y[a])
    return total / target.size


def soft_ce(logits: Array, target: Array, smoothing: float = 0.1) -> float:
    """With that probability the label is drawn anew, as likely 0 as 1."""
    drawn = (ce(logits, np.zeros_like(target)) + ce(logits, np.ones_like(target))) / 2
    return (1 - smoothing) * ce(logits, target) + smoothing * drawn


def weighted_ce(logits: Array, target: Array, weight: float = 1.0) -> float:
    weights = np.where(target == 1, weight, 1.0)
    each = [entropy(z, y) for z, y in zip(logits.flat, target.flat, strict=True)]
    return float(np.mean(weights.flat * np.array(each)))


def ohem(logits: Array, target: Array, share: float = 0.25) -> float:
    losses = sorted(entropy(z, y) for z, y in zip(logits.flat, target.flat, strict=True))
    return float(np.mean(losses[-math.ceil(share * target.size) :]))


REFERENCES: dict[str, Callable[..., float]] = {
    "ce": ce,
    "focal": focal,
    "log_cosh": log_cosh,
    "iou": iou,
    "tversky": tversky,
    "lovasz": lovasz,
    "lovasz_probability": lovasz_probability,
    "boundary": boundary,
    "center": center,
    "depth": depth,
    "soft_ce": soft_ce,
    "ohem": ohem,
    "weighted_ce": weighted_ce,
}
OTHER_ARGUMENTS: dict[str, dict[str, float]] = {
    "focal": {"alpha": 0.6, "gamma": 1.0},
    "weighted_ce": {"weight": 4.0},
    "log_cosh": {"power": 2.0},
    "iou": {"smooth": 1e-7, "background": 0.5},
    "tversky": {"alpha": 0.2, "beta": 1.5, "smooth": 0.1, "background": 0.3},
    "boundary": {"weight": 2.0, "sigma": 0.5},
    "center": {"weight": 1.5},
    "depth": {"rim": 1.5},
    "soft_ce": {"smoothing": 0.3},
    "ohem": {"share": 0.7},
}


# --- Inputs -------------------------------------------------------------------------------------


def one_pixel(shape: tuple[int, ...] = SHAPE) -> Tensor:
    target = torch.zeros(shape)
    target[0, 0, 2, 3] = 1
    return target


def random_target(seed: int = 0, share: float = 0.3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(SHAPE, generator=generator) < share).float()


def random_logits(seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1000 + seed)
    return (2 * torch.randn(SHAPE, generator=generator)).to(dtype)


TARGETS: dict[str, Tensor] = {
    "all background": torch.zeros(SHAPE),
    "all landslide": torch.ones(SHAPE),
    "one pixel": one_pixel(),
    "one image empty": torch.cat([torch.zeros(SHAPE)[:1], random_target()[:1]]),
    "random": random_target(),
}

# float64, and a few units from 0, so that rounding decides nothing.
some_logits = arrays(np.float64, SHAPE, elements=st.floats(-4, 4))
some_target = arrays(np.float64, SHAPE, elements=st.sampled_from([0.0, 1.0]))
few = settings(max_examples=20, deadline=None)


@pytest.fixture(params=NAMES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    """Each loss of the registry in turn: what follows holds for the whole family."""
    return str(request.param)


# --- The whole family ---------------------------------------------------------------------------


def test_every_loss_has_a_reference() -> None:
    assert set(REFERENCES) == set(LOSSES)


@pytest.mark.parametrize("kind", TARGETS)
def test_value_is_the_definition(name: str, kind: str) -> None:
    for arguments in ({}, OTHER_ARGUMENTS.get(name, {})):
        logits, target = random_logits(), TARGETS[kind]
        expected = REFERENCES[name](logits.numpy(), target.double().numpy(), **arguments)
        loss = LOSSES[name](**arguments)
        assert loss(logits, target).item() == pytest.approx(expected, rel=1e-6)
        assert loss(logits.float(), target).item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("kind", TARGETS)
def test_gradient_is_that_of_the_value(name: str, kind: str) -> None:
    logits = random_logits(seed=1)[..., :4, :4].requires_grad_()
    assert torch.autograd.gradcheck(LOSSES[name](), (logits, TARGETS[kind][..., :4, :4]))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_value_and_gradient_are_finite(name: str, kind: str, dtype: torch.dtype) -> None:
    target = TARGETS[kind]
    right = 100 * target - 50
    for values in (torch.zeros(SHAPE), right, -right, right.abs(), -right.abs()):
        logits = values.to(dtype).requires_grad_()
        loss = LOSSES[name]()(logits, target)
        loss.backward()
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        assert loss.isfinite()
        assert loss >= 0
        assert logits.grad is not None
        assert logits.grad.dtype == dtype
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", OF_SURE_LABELS)
def test_perfect_prediction_costs_nothing(name: str) -> None:
    for target in TARGETS.values():
        assert LOSSES[name]()(100 * target - 50, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", OF_SURE_LABELS)
def test_false_alarms_are_pushed_down_where_there_is_no_landslide(name: str) -> None:
    logits = random_logits().requires_grad_()
    LOSSES[name]()(logits, torch.zeros(SHAPE)).backward()
    assert logits.grad is not None
    assert (logits.grad >= 0).all()
    assert logits.grad.flatten()[logits.argmax()] > 0


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.bfloat16, torch.float32, torch.float64])
def test_target_of_any_type(name: str, dtype: torch.dtype) -> None:
    logits, target = random_logits(), random_target()
    loss = LOSSES[name]()
    assert loss(logits, target.to(dtype)) == loss(logits, target)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_widened_first(name: str, dtype: torch.dtype) -> None:
    logits, target = random_logits(dtype=dtype), random_target()
    loss = LOSSES[name]()
    assert loss(logits, target) == loss(logits.float(), target)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(logits, target) == loss(logits.float(), target)


def test_double_stays_double(name: str) -> None:
    assert LOSSES[name]()(random_logits(), random_target()).dtype == torch.float64


@pytest.mark.parametrize("name", sorted({*NAMES} - {"boundary", "center", "depth"}))
def test_waits_for_no_value(name: str) -> None:
    # The meta device has shapes and no values: what asks for one (.item(), if tensor:) fails.
    logits = torch.zeros(SHAPE, device="meta", requires_grad=True)
    LOSSES[name]()(logits, torch.zeros(SHAPE, device="meta")).backward()
    assert logits.grad is not None


def test_strided_logits(name: str) -> None:
    wide = torch.cat([random_logits(), random_logits(seed=1)], dim=3)
    target = random_target()
    loss = LOSSES[name]()
    assert loss(wide[..., ::2], target) == loss(wide[..., ::2].contiguous(), target)


def test_holds_no_state(name: str) -> None:
    assert not LOSSES[name]().state_dict()


def test_input_is_left_alone(name: str) -> None:
    logits, target = random_logits(), random_target().double()
    before = logits.clone(), target.clone()
    LOSSES[name]()(logits, target)
    assert torch.equal(logits, before[0])
    assert torch.equal(target, before[1])


@pytest.mark.parametrize(
    "shapes",
    [((2, 1, 4, 4), (2, 4, 4)), ((2, 1, 4, 4), (1, 1, 4, 4)), ((2, 4, 4), (2, 4, 4)), ((2, 2, 4, 4), (2, 2, 4, 4))],
)
def test_refuses_shapes(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"logits \(2, .* are refused: .*\(B, 1, H, W\)"):
        LOSSES[name]()(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_arguments_are_keywords(name: str) -> None:
    with pytest.raises(TypeError):
        LOSSES[name](0.5)


@few
@given(logits=some_logits, target=some_target)
def test_never_negative(name: str, logits: Array, target: Array) -> None:
    assert LOSSES[name]()(torch.from_numpy(logits), torch.from_numpy(target)) >= 0


@pytest.mark.parametrize("name", OF_SURE_LABELS)
@few
@given(logits=some_logits, target=some_target, step=st.floats(0.01, 2))
def test_better_prediction_costs_less(name: str, logits: Array, target: Array, step: float) -> None:
    worse, truth = torch.from_numpy(logits), torch.from_numpy(target)
    better = worse + step * (2 * truth - 1)
    loss = LOSSES[name]()
    if name == "lovasz" and loss(worse, truth) == 0:
        assert loss(better, truth) == 0  # a hinge: right with a margin is as good as it gets
    else:
        assert loss(better, truth) < loss(worse, truth)


@few
@given(logits=some_logits, target=some_target)
def test_order_of_the_batch_is_of_no_account(name: str, logits: Array, target: Array) -> None:
    x, y = torch.from_numpy(logits), torch.from_numpy(target)
    loss = LOSSES[name]()
    torch.testing.assert_close(loss(x.flip(0), y.flip(0)), loss(x, y), rtol=1e-5, atol=1e-6)


@few
@given(logits=some_logits, target=some_target, turns=st.integers(1, 3), mirror=st.booleans())
def test_orientation_is_of_no_account(name: str, logits: Array, target: Array, turns: int, mirror: bool) -> None:
    x, y = torch.from_numpy(logits), torch.from_numpy(target)
    loss = LOSSES[name]()
    expected = loss(x, y)
    if mirror:
        x, y = x.flip(3), y.flip(3)
    turned = loss(x.rot90(turns, (2, 3)), y.rot90(turns, (2, 3)))
    # The weights are float32, whatever the logits are: another order sums to another last digit.
    torch.testing.assert_close(turned, expected, rtol=1e-5, atol=1e-6)


# --- Each loss ----------------------------------------------------------------------------------


def test_focal_without_its_factors_is_half_the_cross_entropy() -> None:
    x, y = random_logits(), random_target()
    torch.testing.assert_close(FocalLoss(alpha=0.5, gamma=0.0)(x, y), LOSSES["ce"]()(x, y) / 2)


@pytest.mark.parametrize("name", ["boundary", "center"])
def test_without_extra_weight_is_cross_entropy(name: str) -> None:
    x, y = random_logits(), random_target()
    torch.testing.assert_close(LOSSES[name](weight=0.0)(x, y), LOSSES["ce"]()(x, y))


def test_log_cosh_of_tiny_errors_is_half_their_square() -> None:
    # log(cosh(e)) as written is 0 in float32 for e < 3e-4.
    x, y = torch.full(SHAPE, -10.0), torch.zeros(SHAPE)
    assert LOSSES["log_cosh"]()(x, y).item() == pytest.approx(math.exp(-20) / 2, rel=1e-3)


@few
@given(logits=some_logits, target=some_target)
def test_tversky_with_equal_weights_of_one_is_iou(logits: Array, target: Array) -> None:
    x, y = torch.from_numpy(logits), torch.from_numpy(target)
    assert TverskyLoss(alpha=1.0, beta=1.0)(x, y) == IoULoss()(x, y)


@few
@given(target=some_target, weights=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)))
def test_tversky_alpha_is_on_the_missed_pixels(target: Array, weights: tuple[float, float]) -> None:
    beta, alpha = sorted(weights)
    y = torch.from_numpy(target)
    y[0, 0, 0, :3] = torch.tensor([1.0, 1.0, 0.0])
    missed, false_alarm = 100 * y - 50, 100 * y - 50
    missed[0, 0, 0, 0], false_alarm[0, 0, 0, 2] = -50, 50
    # One hit less in the numerator as well, so a miss costs more at alpha = beta too.
    loss = TverskyLoss(alpha=alpha, beta=beta)
    assert loss(missed, y) > loss(false_alarm, y)


def test_tversky_counts() -> None:
    # 3 hits, 1 miss, 2 false alarms.
    y = torch.tensor([[[[1, 1, 1, 1, 0, 0, 0, 0]]]])
    x = torch.tensor([[[[50.0, 50, 50, -50, 50, 50, -50, -50]]]])
    loss = TverskyLoss(alpha=0.7, beta=0.3, smooth=1e-6)(x, y)
    assert loss.item() == pytest.approx(-math.log(3 / (3 + 0.7 * 1 + 0.3 * 2)), rel=1e-5)


def test_lovasz_is_the_greatest_sum_over_all_orders() -> None:
    # The extension of a submodular set function is the maximum over the orders of its pixels, by
    # which the sorted order is the right one.
    x, y = random_logits()[:1, :, :2, :3], random_target(seed=3, share=0.5)[:1, :, :2, :3]
    errors = torch.relu(1 - (2 * y - 1) * x).flatten().numpy()
    truth = set(y.flatten().nonzero().flatten().tolist())
    assert 0 < len(truth) < 6
    greatest = max(lovasz_in_order(errors, truth, order) for order in itertools.permutations(range(6)))
    assert LOSSES["lovasz"]()(x, y).item() == pytest.approx(greatest)


@pytest.mark.parametrize("wrong", list(itertools.product([0, 1], repeat=4)))
def test_lovasz_extends_the_jaccard_loss(wrong: tuple[int, ...]) -> None:
    # At hinge errors of exactly 0 and 1 (margins of 1 and 0) it is 1 - IoU itself.
    y = torch.tensor([1.0, 1.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    x = (2 * y - 1) * (1 - torch.tensor(wrong).reshape(1, 1, 2, 2))
    expected = jaccard_loss({i for i in range(4) if wrong[i]}, {0, 1})
    assert LOSSES["lovasz"]()(x, y).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("focal", smp.losses.FocalLoss("binary", alpha=0.25, gamma=2.0)),
        ("iou", smp.losses.JaccardLoss("binary", log_loss=True, smooth=1.0)),
        # Its alpha is on the false positives.
        ("tversky", smp.losses.TverskyLoss("binary", None, True, smooth=1.0, alpha=0.3, beta=0.7)),
        ("lovasz", smp.losses.LovaszLoss("binary", per_image=False)),
    ],
)
def test_agrees_with_segmentation_models(ours: str, theirs: nn.Module) -> None:
    x, y = random_logits(dtype=torch.float32), random_target()
    torch.testing.assert_close(LOSSES[ours]()(x, y), theirs(x, y))


@few
@given(logits=some_logits, target=some_target, smoothing=st.floats(0, 0.99))
def test_soft_cross_entropy_is_that_of_torch_with_two_logits(logits: Array, target: Array, smoothing: float) -> None:
    x, y = torch.from_numpy(logits), torch.from_numpy(target)
    two = torch.cat([torch.zeros_like(x), x], 1)
    expected = nn.functional.cross_entropy(two, y[:, 0].long(), label_smoothing=smoothing)
    torch.testing.assert_close(LOSSES["soft_ce"](smoothing=smoothing)(x, y), expected)


@few
@given(logits=some_logits, target=some_target)
def test_without_smoothing_soft_cross_entropy_is_cross_entropy(logits: Array, target: Array) -> None:
    x, y = torch.from_numpy(logits), torch.from_numpy(target)
    assert torch.equal(LOSSES["soft_ce"](smoothing=0.0)(x, y), LOSSES["ce"]()(x, y))


@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.9])
def test_soft_cross_entropy_pulls_towards_the_softened_label(smoothing: float) -> None:
    y = random_target().double()
    x = torch.logit(y * (1 - smoothing) + smoothing / 2)
    surer = (x + (2 * y - 1)).requires_grad_()
    x.requires_grad_()
    loss = LOSSES["soft_ce"](smoothing=smoothing)
    loss(x, y).backward()
    loss(surer, y).backward()
    assert x.grad is not None
    assert surer.grad is not None
    assert x.grad.abs().max() < 1e-12
    assert ((2 * y - 1) * surer.grad > 0).all()


@few
@given(logits=some_logits, target=some_target, share=st.floats(0.001, 1))
def test_only_the_hardest_pixels_have_a_gradient(logits: Array, target: Array, share: float) -> None:
    x, y = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(target)
    LOSSES["ohem"](share=share)(x, y).backward()
    assert x.grad is not None
    learnt = x.grad.flatten() != 0
    hardest = math.ceil(share * y.numel())
    # Also where many pixels cost the same, which hypothesis likes to draw.
    assert learnt.sum() == hardest
    losses = nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none").flatten()
    assert (losses[~learnt] <= losses[learnt].min()).all()
    expected = (torch.sigmoid(x) - y).flatten()[learnt] / hardest
    torch.testing.assert_close(x.grad.flatten()[learnt], expected)


@pytest.mark.parametrize(
    ("share", "pixels", "hardest"),
    [(1e-9, 30, 1), (0.1, 30, 3), (0.1, 31, 4), (0.07, 100, 7), (0.29, 100, 29), (1.0, 30, 30)],
)
def test_a_share_is_the_number_as_it_is_written(share: float, pixels: int, hardest: int) -> None:
    x = torch.zeros(1, 1, 1, pixels, requires_grad=True)
    LOSSES["ohem"](share=share)(x, torch.zeros_like(x)).backward()
    assert x.grad is not None
    assert (x.grad != 0).sum() == hardest


def test_all_pixels_as_the_hardest_are_cross_entropy() -> None:
    x, y = random_logits().requires_grad_(), random_target().double()
    whole = LOSSES["ohem"](share=1.0)(x, y)
    torch.testing.assert_close(whole, LOSSES["ce"]()(x, y))
    (gradient,) = torch.autograd.grad(whole, x)
    torch.testing.assert_close(gradient, (torch.sigmoid(x) - y) / y.numel())


@pytest.mark.parametrize("name", ["ce", "soft_ce", "ohem", "lovasz"])
def test_pixels_handed_over_in_one_row_cost_the_same(name: str) -> None:
    x, y = random_logits(), random_target()
    row = LOSSES[name]()(x.reshape(1, 1, 1, -1), y.reshape(1, 1, 1, -1))
    torch.testing.assert_close(row, LOSSES[name]()(x, y))


# --- Combinations -------------------------------------------------------------------------------


@few
@given(alpha=st.floats(0, 1))
def test_combination_is_the_weighted_sum(alpha: float) -> None:
    x, y = random_logits(), random_target()
    both = WeightedSum([(alpha, FocalLoss()), (1 - alpha, IoULoss())])
    expected = alpha * FocalLoss()(x, y) + (1 - alpha) * IoULoss()(x, y)
    torch.testing.assert_close(both(x, y), expected)


def test_combination_at_its_ends_is_the_single_loss() -> None:
    x, y = random_logits(), random_target()
    assert WeightedSum([(1.0, FocalLoss()), (0.0, IoULoss())])(x, y) == FocalLoss()(x, y)
    assert WeightedSum([(0.0, FocalLoss()), (1.0, IoULoss())])(x, y) == IoULoss()(x, y)


@pytest.mark.parametrize("weights", [[], [0.0], [-1.0, 1.0]])
def test_combination_without_a_weight_or_with_a_negative_one_is_refused(weights) -> None:
    with pytest.raises(ValueError, match="is refused: allowed are numbers from 0"):
        WeightedSum([(weight, IoULoss()) for weight in weights])


def test_combination_of_all_losses() -> None:
    x, y = random_logits()[..., :3, :3].requires_grad_(), random_target()[..., :3, :3]
    total = WeightedSum([(i + 1.0, LOSSES[name]()) for i, name in enumerate(NAMES)])
    expected = sum((i + 1) * LOSSES[name]()(x, y) for i, name in enumerate(NAMES))
    torch.testing.assert_close(total(x, y), expected)
    assert torch.autograd.gradcheck(total, (x, y))


def test_term_of_weight_0_is_not_computed() -> None:
    class Refuses(nn.Module):
        def forward(self, logits: Tensor, target: Tensor) -> Tensor:
            raise AssertionError("computed")

    x, y = random_logits(), random_target()
    assert WeightedSum([(0.0, Refuses()), (2.0, IoULoss())])(x, y) == 2 * IoULoss()(x, y)


def test_combination_shows_its_weights() -> None:
    assert "weights=[0.3, 0.7]" in repr(WeightedSum([(0.3, FocalLoss()), (0.7, IoULoss())]))


# --- Recipes ------------------------------------------------------------------------------


@pytest.mark.parametrize("term", TERMS.values())
def test_a_recipe_names_the_arguments_of_a_loss_with_their_defaults(term: type[Part]) -> None:
    fields = {name: field.default for name, field in term.model_fields.items()}
    (name,) = get_args(term.model_fields["name"].annotation)
    arguments = inspect.signature(LOSSES[name]).parameters.values()
    del fields["name"], fields["factor"]
    defaults = {a.name: a.default for a in arguments if a.kind is a.KEYWORD_ONLY}
    assert fields.keys() == defaults.keys()
    # None is filled in from the training masks.
    assert all(value in (None, defaults[key]) for key, value in fields.items())


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("focal", "alpha", -0.1),
        ("focal", "alpha", 1.1),
        ("focal", "gamma", -1.0),
        ("focal", "gamma", 0.5),
        ("focal", "gamma", math.inf),
        ("log_cosh", "power", 0.5),
        ("iou", "smooth", 0.0),
        ("iou", "background", 1.1),
        ("tversky", "alpha", 0.0),
        ("tversky", "beta", math.nan),
        ("tversky", "smooth", -1.0),
        ("boundary", "weight", -1.0),
        ("boundary", "sigma", 0.0),
        ("boundary", "sigma", "2"),
        ("center", "weight", math.inf),
        ("center", "weight", None),
        ("soft_ce", "smoothing", -0.1),
        ("soft_ce", "smoothing", 1.0),
        ("soft_ce", "smoothing", math.nan),
        ("ohem", "share", 0.0),
        ("ohem", "share", 1.1),
        ("ohem", "share", "1"),
    ],
)
def test_refuses_argument(name: str, argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{argument}={value!r} is refused: allowed are .*[\[(]"):
        LOSSES[name](**{argument: value})
