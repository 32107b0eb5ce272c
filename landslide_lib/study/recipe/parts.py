"""The parts that a recipe is made of: losses, post-processing, optimizer.

Pure data, no torch: fields, their ranges and the value that each had when it came into the study. What a loss computes
stands in `landslide_lib.losses`, what a step does in `landslide_lib.training.postprocessing`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from landslide_lib.fields import LOSS_RANGES, Part, field


class _Term(Part):
    factor: float = field(1.0, gt=0, le=100, description="of this term in the sum")


class CrossEntropy(_Term):
    """Pixel-wise cross entropy."""

    name: Literal["ce"]


class Focal(_Term):
    """Focal loss (Lin et al. 2017); the report states neither alpha nor gamma."""

    name: Literal["focal"]
    alpha: float = field(0.25, **LOSS_RANGES["focal.alpha"], description="weight of the landslide class")
    gamma: float = field(2.0, **LOSS_RANGES["focal.gamma"], description="how much easy pixels are discounted")

    @model_validator(mode="after")
    def _gradient_is_finite(self) -> Focal:
        if 0 < self.gamma < 1:
            raise ValueError("gamma is 0 or at least 1: between, the gradient has no bound")
        return self


class LogCosh(_Term):
    """Logarithm of the hyperbolic cosine of the error."""

    name: Literal["log_cosh"]


class IoU(_Term):
    """Minus the logarithm of the soft intersection over union of the batch."""

    name: Literal["iou"]
    smooth: float = field(1.0, **LOSS_RANGES["iou.smooth"], description="pixels added to both areas")


class Tversky(_Term):
    """Minus the logarithm of the Tversky index, alpha on the false *negatives*."""

    name: Literal["tversky"]
    alpha: float = field(0.7, **LOSS_RANGES["tversky.alpha"], description="weight of false negatives")
    beta: float = field(0.3, **LOSS_RANGES["tversky.beta"], description="weight of false positives")
    smooth: float = field(1.0, **LOSS_RANGES["tversky.smooth"], description="pixels added to both areas")


class Lovasz(_Term):
    """Lovász hinge (Berman et al. 2018)."""

    name: Literal["lovasz"]


class Boundary(_Term):
    """Cross entropy with extra weight near the boundary of a landslide."""

    name: Literal["boundary"]
    weight: float = field(5.0, **LOSS_RANGES["boundary.weight"], description="extra weight on the boundary itself")
    sigma: float = field(2.0, **LOSS_RANGES["boundary.sigma"], description="how far it reaches, in pixels")


class Center(_Term):
    """Cross entropy with extra weight near the centre of a landslide."""

    name: Literal["center"]
    weight: float = field(5.0, **LOSS_RANGES["center.weight"], description="extra weight at the centre")


class SoftCrossEntropy(_Term):
    """Cross entropy with softened labels (Szegedy et al. 2016)."""

    name: Literal["soft_ce"]
    smoothing: float = field(0.1, **LOSS_RANGES["soft_ce.smoothing"], description="a label's share that says nothing")


class HardExamples(_Term):
    """Cross entropy over the hardest pixels of a batch (Shrivastava et al. 2016)."""

    name: Literal["ohem"]
    share: float = field(0.25, **LOSS_RANGES["ohem.share"], description="of the pixels that are the hardest")


class WeightedCrossEntropy(_Term):
    """Cross entropy in which landslides weigh more."""

    name: Literal["weighted_ce"]
    weight: float | None = field(
        None, **LOSS_RANGES["weighted_ce.weight"], description="of a landslide; none: the others a landslide"
    )


LossTerm = Annotated[
    CrossEntropy
    | WeightedCrossEntropy
    | Focal
    | LogCosh
    | IoU
    | Tversky
    | Lovasz
    | Boundary
    | Center
    | SoftCrossEntropy
    | HardExamples,
    Field(discriminator="name"),
]


class Morphology(Part):
    """Opening removes what is smaller than the kernel (the report's salt noise), closing fills such gaps (pepper)."""

    name: Literal["opening", "closing"]
    kernel: int = field(3, ge=3, le=31, description="side of the square, odd, in pixels")

    @model_validator(mode="after")
    def _has_a_middle(self) -> Morphology:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} has no middle; take an odd one")
        return self


class Averaging(Part):
    """The mean of the masks of a multi-resolution head, or over the image turned by 0, 90, 180 and 270 degrees."""

    name: Literal["voting", "multi_angles"]


PostStep = Annotated[Morphology | Averaging, Field(discriminator="name")]


class Optimizer(Part):
    """Optimizer and learning-rate schedule.

    The report names "Adam with a custom learning rate scheduler" and no numbers; linear warm-up and cosine decay to
    zero are our reading of it.
    """

    name: Literal["sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam"] = field("adam")
    lr: float = field(1e-3, gt=0, le=10, description="peak learning rate")
    weight_decay: float = field(0.0, ge=0, le=1)
    schedule: Literal["warmup_cosine", "constant"] = field("warmup_cosine")
    warmup: float = field(0.1, ge=0, lt=1, description="share of the steps spent warming up")
