"""Distillation against its formula, written out, and at its limits."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch.nn import functional as F

from landslide_lib.losses import distillation

IMAGES = 5


def logits(seed: int, scale: float = 2.0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return scale * torch.randn(IMAGES, 2, generator=draw, dtype=torch.float64)


STUDENT, TEACHER = logits(1), logits(2)
LABELS = torch.tensor([0, 1, 1, 0, 1])


def softmax(scores: list[float], temperature: float) -> list[float]:
    raised = [math.exp(score / temperature) for score in scores]
    return [one / sum(raised) for one in raised]


def written_out(student, teacher, labels, temperature: float, alpha: float) -> float:
    total = 0.0
    for s, t, label in zip(student.tolist(), teacher.tolist(), labels.tolist(), strict=True):
        pairs = zip(softmax(t, temperature), softmax(s, temperature), strict=True)
        total += alpha * temperature**2 * sum(p * math.log(p / q) for p, q in pairs)
        total -= (1 - alpha) * math.log(softmax(s, 1.0)[label])
    return total / len(labels)


@given(st.integers(0, 10_000), st.floats(0.1, 100), st.floats(0, 1), st.sampled_from([0.1, 1.0, 5.0]))
def test_it_is_the_formula(seed, temperature, alpha, scale):
    student, teacher = logits(seed, scale), logits(seed + 1, scale)
    ours = distillation(student, teacher, LABELS, temperature, alpha)
    expected = written_out(student, teacher, LABELS, temperature, alpha)
    assert ours.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.5, 2.0, 100.0])
def test_without_weight_the_teacher_is_not_heard(temperature):
    ours = distillation(STUDENT, TEACHER, LABELS, temperature, 0.0)
    torch.testing.assert_close(ours, F.cross_entropy(STUDENT, LABELS))


def test_without_weight_the_labels_are_not_read():
    ours = distillation(STUDENT, TEACHER, LABELS, 2.0, 1.0)
    assert ours > 0
    assert torch.equal(ours, distillation(STUDENT, TEACHER, 1 - LABELS, 2.0, 1.0))


@pytest.mark.parametrize("temperature", [0.01, 1.0, 100.0])
def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn_from_it(temperature):
    student = TEACHER.float().requires_grad_()
    loss = distillation(student, TEACHER.float(), LABELS, temperature, 1.0)
    loss.backward()
    assert loss.item() == 0
    torch.testing.assert_close(student.grad, torch.zeros_like(student), rtol=0, atol=1e-6)


def test_only_the_difference_of_the_two_logits_counts():
    ours = distillation(STUDENT + 7, TEACHER - 3, LABELS, 2.0, 0.5)
    torch.testing.assert_close(ours, distillation(STUDENT, TEACHER, LABELS, 2.0, 0.5))


def test_at_a_high_temperature_the_logits_are_matched():
    """Hinton et al. 2015, eq. 4: the gradient is the difference of the centred logits."""
    student, teacher = logits(3, 0.1).requires_grad_(), logits(4, 0.1)
    distillation(student, teacher, LABELS, 100.0, 1.0).backward()
    apart = student.detach() - teacher
    centred = apart - apart.mean(1, keepdim=True)
    torch.testing.assert_close(student.grad, centred / 2 / IMAGES, rtol=1e-4, atol=1e-9)


def test_at_a_low_temperature_the_soft_targets_are_hard():
    """Against a sure teacher, KL is the cross entropy of the label that it would give."""
    teacher = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    student = torch.tensor([[0.01, 0.0], [0.02, 0.0]], dtype=torch.float64)
    ours = distillation(student, teacher, torch.tensor([0, 0]), 0.02, 1.0)
    expected = 0.02**2 * F.cross_entropy(student / 0.02, torch.tensor([0, 1]))
    torch.testing.assert_close(ours, expected)


@given(st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 4), st.sampled_from([0.01, 1.0, 100.0]))
def test_extreme_logits_give_finite_losses_and_gradients(four, temperature):
    student = torch.tensor([four[:2]], requires_grad=True)
    loss = distillation(student, torch.tensor([four[2:]]), torch.tensor([1]), temperature, 0.5)
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()
    assert loss > -1e-2  # of rounding, which T² enlarges


def test_the_teacher_is_not_taught():
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    distillation(student, teacher, LABELS, 2.0, 0.5).backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_half_precision_is_widened():
    ours = distillation(STUDENT.bfloat16(), TEACHER.half(), LABELS, 2.0, 0.5)
    assert ours.dtype == torch.float32
    expected = distillation(STUDENT.bfloat16().double(), TEACHER.half().double(), LABELS, 2.0, 0.5)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)
