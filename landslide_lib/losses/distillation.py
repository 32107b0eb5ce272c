"""Distillation: a student learns from the labels and from what a teacher makes of each image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from landslide_lib.losses._functional import check_number


def distillation(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float) -> Tensor:
    """Compute alpha T² KL(teacher || student) at temperature T + (1 - alpha) cross entropy.

    Both kinds of logits are divided by T before the softmax. T² keeps the gradient of the soft
    targets as large as that of the labels; for a large T it is that of half the squared
    difference of the logits, centred and divided by the number of classes. Averaged over images.

    Args:
        student: Logits.
        teacher: Logits; no gradient goes to them.
        labels: Of the images, 1 is landslide.
        temperature: T, in [0.01, 100].
        alpha: Weight of the teacher, in [0, 1]; the labels have 1 - alpha.

    Shape:
        - student, teacher: (B, 2), any floating type
        - labels: (B,), integers 0 and 1
        - output: scalar, float32 (float64 for a float64 student)

    Raises:
        ValueError: If a number is out of its range, or the shapes are no (B, 2), (B, 2), (B,).

    Reference:
        Hinton, Vinyals, Dean 2015, arXiv:1503.02531; `detection-pretraining.md`.

    Example:
        >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[9.0, -9.0]])
        >>> round(distillation(student, teacher, torch.tensor([1]), 1.0, 0.0).item(), 4)  # log 2
        0.6931
        >>> distillation(teacher, teacher, torch.tensor([1]), 2.0, 1.0).item()
        0.0

    """
    check_number("temperature", temperature, minimum=0.01, maximum=100.0)
    check_number("alpha", alpha, minimum=0.0, maximum=1.0)
    shapes = tuple(student.shape), tuple(teacher.shape), tuple(labels.shape)
    images = len(labels) if labels.ndim else 0
    if shapes != ((images, 2), (images, 2), (images,)):
        raise ValueError(
            "student {}, teacher {} and labels {} are refused: allowed are (B, 2), (B, 2) and (B,)".format(*shapes)
        )
    dtype = torch.float64 if student.dtype == torch.float64 else torch.float32
    student, teacher = student.to(dtype), teacher.detach().to(dtype)
    soft = F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return alpha * temperature**2 * soft + (1 - alpha) * F.cross_entropy(student, labels)
