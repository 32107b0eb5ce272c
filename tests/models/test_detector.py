"""The detector: what it takes, what it gives, and that it learns."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from landslide_lib.models.detector import anchors, detector

FAMILIES = ["resnet18", "efficientnet_b0", "vit_tiny", "swin_tiny"]
BANDS = 4
LOSSES = {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
TRUE = torch.tensor([[4.0, 6.0, 18.0, 20.0], [36.0, 8.0, 58.0, 24.0], [20.0, 40.0, 34.0, 60.0]])


def build(encoder: str = "resnet18", size: int = 64, tiny: bool = True) -> FasterRCNN:
    torch.manual_seed(0)
    return detector(encoder, BANDS, size, tiny=tiny)


def images(size: int = 64, count: int = 2) -> Tensor:
    return torch.randn(count, BANDS, size, size, generator=torch.Generator().manual_seed(1))


def targets(*boxes: Tensor) -> list[dict[str, Tensor]]:
    return [{"boxes": b, "labels": torch.ones(len(b), dtype=torch.int64)} for b in boxes]


def scene(size: int = 64) -> Tensor:
    """Return an image with a bright patch in each box of `TRUE`."""
    image = 0.1 * images(size, 1)[0]
    for left, top, right, bottom in TRUE.int().tolist():
        image[:, top:bottom, left:right] += 2
    return image


@pytest.mark.parametrize("encoder", FAMILIES)
def test_a_step_gives_the_four_losses_and_a_gradient_to_every_parameter(encoder):
    network = build(encoder)
    losses = network(list(images()), targets(TRUE, TRUE[:1]))
    assert set(losses) == LOSSES
    assert all(value.isfinite() and value > 0 for value in losses.values())
    sum(losses.values()).backward()
    for name, value in network.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name


@pytest.mark.parametrize("with_a_box", [0, 1])
def test_images_without_any_box_are_trained_on(with_a_box):
    none = torch.zeros(0, 4)
    losses = build()(list(images()), targets(TRUE if with_a_box else none, none))
    assert all(value.isfinite() for value in losses.values())
    if not with_a_box:
        assert losses["loss_box_reg"] == losses["loss_rpn_box_reg"] == 0
        assert losses["loss_classifier"] > 0


@pytest.mark.parametrize("encoder", FAMILIES)
def test_what_is_found_is_inside_the_image_and_sorted(encoder):
    for found in build(encoder).eval()(list(images())):
        boxes, scores = found["boxes"], found["scores"]
        assert 0 < len(boxes) <= 100
        assert boxes.min() >= 0
        assert boxes.max() <= 64
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert scores.min() >= 0.01
        assert (scores.diff() <= 0).all()
        assert (found["labels"] == 1).all()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [48, 64, 128, 224])
def test_images_and_boxes_reach_the_network_as_they_are(size, training):
    network = build(size=size).train(training)
    given = images(size)
    taken, boxes = network.transform(list(given), targets(TRUE, TRUE[:1]))
    assert torch.equal(taken.tensors, given)
    assert [tuple(shape) for shape in taken.image_sizes] == [(size, size)] * 2
    assert torch.equal(boxes[0]["boxes"], TRUE)


@settings(max_examples=50)
@given(side=st.floats(12, 160), stretch=st.floats(0.6, 1.6), x=st.floats(0, 1), y=st.floats(0, 1))
def test_every_usual_box_has_an_anchor(side, stretch, x, y):
    width, height = side * stretch**0.5, side / stretch**0.5
    width, height = min(width, 224), min(height, 224)
    left, top = x * (224 - width), y * (224 - height)
    box = torch.tensor([[left, top, left + width, top + height]])
    assert box_iou(box, all_anchors(224)).max() >= 0.5


def all_anchors(size: int) -> Tensor:
    maps = [torch.zeros(1, 1, *[-(-size // stride)] * 2) for stride in (4, 8, 16, 32, 64)]
    blank = ImageList(torch.zeros(1, 1, size, size), [(size, size)])
    return anchors(size)(blank, maps)[0]


def test_anchors_grow_with_the_image():
    small, large = (all_anchors(size)[:6] for size in (112, 224))
    torch.testing.assert_close(2 * small, large, atol=2, rtol=0)  # both are rounded


def test_half_precision_does_not_round_boxes_to_whole_pixels():
    network = build(size=224).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        (found,) = network(list(images(224, 1)))
    far = found["boxes"][found["boxes"] > 128]
    assert found["boxes"].dtype == torch.float32
    inside = far[far < 224]
    assert (inside.frac() != 0).float().mean() > 0.9


def mirrored(boxes: Tensor) -> Tensor:
    left, top, right, bottom = boxes.unbind(1)
    return torch.stack([64 - right, top, 64 - left, bottom], 1)


def test_a_detector_finds_the_boxes_that_it_was_trained_on():
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    pair, truth = [scene(), scene().flip(2)], targets(TRUE, mirrored(TRUE))
    for _ in range(80):
        optimizer.zero_grad()
        sum(network(pair, truth).values()).backward()
        optimizer.step()
    found, _ = network.eval()(pair)
    first = found["boxes"][: len(TRUE)]  # the highest scores
    assert found["scores"][len(TRUE) - 1] > 0.5
    assert box_iou(TRUE, first).max(1).values.min() > 0.5
