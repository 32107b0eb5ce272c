"""Distillation: a student learns from the labels and from what a teacher makes of each image."""

from torch import Tensor
from torch.nn import functional as F

from landslide_lib.losses import wide


def distillation(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float) -> Tensor:
    """Compute alpha T² KL(teacher || student) at temperature T + (1 - alpha) cross entropy, averaged over images.

    Logits are (B, 2), labels (B,) integers, 1 for landslide; no gradient goes to the teacher. T² keeps the gradient of
    the soft targets as large as that of the labels; for a large T it is that of half the squared difference of the
    centred logits, divided by the number of classes. Reference: Hinton, Vinyals, Dean 2015, arXiv:1503.02531;
    `detection-pretraining.md`.

    >>> import torch
    >>> student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[9.0, -9.0]])
    >>> round(distillation(student, teacher, torch.tensor([1]), 1.0, 0.0).item(), 4)  # log 2
    0.6931
    """
    student = wide(student)
    soft_student, soft_teacher = (
        F.log_softmax(logits / temperature, 1) for logits in (student, teacher.detach().to(student.dtype))
    )
    soft = F.kl_div(soft_student, soft_teacher, reduction="batchmean", log_target=True)
    return alpha * temperature**2 * soft + (1 - alpha) * F.cross_entropy(student, labels)
