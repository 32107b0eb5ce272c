"""The parts that a recipe is made of: losses, optimizer, split.

Pure data, no torch: a bad recipe is refused at once. What a part does stands in
`landslide_lib.losses`, `.models`, `.datasets`; here are only its knobs, their ranges and
the value that each had when it came into the study.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: Raised by whoever changes what a component computes, so that no record made by the old
#: behaviour answers for the new one. A component that is not named here has revision 1.
REVISIONS: dict[str, int] = {
    "start/imagenet": 2,  # images of mean 0 and deviation 1
    "start/file": 2,
}


#: Stands for "the default has never changed"; None is a default that a field may have had.
_SAME: Any = object()


def knob(default: Any, *, origin: Any = _SAME, **constraints: Any) -> Any:
    """Declare a field of a recipe with a default.

    Args:
        default: The value a recipe has that does not name the field.
        origin: The default the field had when it was introduced, where that differs. The
            hash of a recipe leaves out a field at its *origin*, so that a new field
            changes no old hash and a changed default changes all that rely on it.
        **constraints: pydantic's, such as `ge` and `le`, and `description`.

    Returns:
        A pydantic field.
    """
    extra = {"origin": _named(default if origin is _SAME else origin)}
    return Field(default, json_schema_extra=extra, **constraints)


def _named(value: Any) -> Any:
    """Return plain values, of a part only what it names: its own knobs have their origins."""
    if isinstance(value, Part):
        return value.model_dump(exclude_unset=True)
    return [_named(item) for item in value] if isinstance(value, tuple) else value


class Part(BaseModel):
    """A frozen, strict piece of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _Term(Part):
    factor: float = knob(1.0, gt=0, le=100, description="of this term in the sum")


class CrossEntropy(_Term):
    """Pixel-wise cross entropy."""

    name: Literal["ce"]


class Focal(_Term):
    """Focal loss (Lin et al. 2017); the report states neither alpha nor gamma."""

    name: Literal["focal"]
    alpha: float = knob(0.25, ge=0, le=1, description="weight of the landslide class")
    gamma: float = knob(2.0, ge=0, le=100, description="how much easy pixels are discounted")

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
    smooth: float = knob(1.0, ge=1e-6, le=1e6, description="pixels added to both areas")


class Tversky(_Term):
    """Minus the logarithm of the Tversky index, alpha on the false *negatives*."""

    name: Literal["tversky"]
    alpha: float = knob(0.7, gt=0, le=10, description="weight of false negatives")
    beta: float = knob(0.3, gt=0, le=10, description="weight of false positives")
    smooth: float = knob(1.0, ge=1e-6, le=1e6, description="pixels added to both areas")


class Lovasz(_Term):
    """Lovász hinge (Berman et al. 2018)."""

    name: Literal["lovasz"]


class Boundary(_Term):
    """Cross entropy with extra weight near the boundary of a landslide."""

    name: Literal["boundary"]
    weight: float = knob(5.0, ge=0, le=100, description="extra weight on the boundary itself")
    sigma: float = knob(2.0, ge=0.1, le=32, description="how far it reaches, in pixels")


class Center(_Term):
    """Cross entropy with extra weight near the centre of a landslide."""

    name: Literal["center"]
    weight: float = knob(5.0, ge=0, le=100, description="extra weight at the centre")


class SoftCrossEntropy(_Term):
    """Cross entropy with softened labels (Szegedy et al. 2016)."""

    name: Literal["soft_ce"]
    smoothing: float = knob(0.1, ge=0, lt=1, description="a label's share that says nothing")


class HardExamples(_Term):
    """Cross entropy over the hardest pixels of a batch (Shrivastava et al. 2016)."""

    name: Literal["ohem"]
    share: float = knob(0.25, gt=0, le=1, description="of the pixels that are the hardest")


class WeightedCrossEntropy(_Term):
    """Cross entropy in which landslides weigh more."""

    name: Literal["weighted_ce"]
    weight: float | None = knob(None, gt=0, le=1000, description="of a landslide; none: others a landslide in training")


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


class _Morphology(Part):
    kernel: int = knob(3, ge=3, le=31, description="side of the square, odd, in pixels")

    @model_validator(mode="after")
    def _has_a_middle(self) -> _Morphology:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel {self.kernel} has no middle; take an odd one")
        return self


class Opening(_Morphology):
    """Morphological opening: what is smaller than the kernel goes (the report's salt noise)."""

    name: Literal["opening"]


class Closing(_Morphology):
    """Morphological closing: gaps smaller than the kernel are filled (its pepper noise)."""

    name: Literal["closing"]


class Voting(Part):
    """The mean of the masks of a multi-resolution head."""

    name: Literal["voting"]


class MultiAngles(Part):
    """The mean over the image turned by 0, 90, 180 and 270 degrees."""

    name: Literal["multi_angles"]


PostStep = Annotated[Opening | Closing | Voting | MultiAngles, Field(discriminator="name")]


class Optimizer(Part):
    """Optimizer and learning-rate schedule.

    The report names "Adam with a custom learning rate scheduler" and no numbers; linear
    warm-up and cosine decay to zero are our reading of it.
    """

    name: Literal["sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam"] = knob("adam")
    lr: float = knob(1e-3, gt=0, le=10, description="peak learning rate")
    weight_decay: float = knob(0.0, ge=0, le=1)
    schedule: Literal["warmup_cosine", "constant"] = knob("warmup_cosine")
    warmup: float = knob(0.1, ge=0, lt=1, description="share of the steps spent warming up")


class Split(Part):
    """Which images are trained on, validated on and tested on.

    `blocked` keeps all images of one scene on one side (an image whose scene is not known
    is a scene of its own); `region` does so with whole regions; `random` ignores scenes;
    `contiguous` cuts the images in the order of their numbers; `published` takes the parts of the
    publisher, whatever the folds.
    """

    method: Literal["blocked", "region", "random", "contiguous", "published"] = knob("blocked")
    folds: int = knob(5, ge=2, le=50)
    fold: int = knob(0, ge=0, description="which fold is the test set, from 0")
    validation: float = knob(0.1, gt=0, le=0.5, description="share of the rest")
    valid_fold: int = knob(0, ge=0, description="which fold of the rest that is, from 0")
    seed: int = knob(0, ge=0, description="seed of the split, not of the training")

    @model_validator(mode="after")
    def _fold_exists(self) -> Split:
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: folds count from 0")
        rest = round(1 / self.validation)
        if self.valid_fold >= rest:
            raise ValueError(
                f"valid_fold {self.valid_fold} of {rest}: a share of {self.validation:g} for "
                "validation makes so many folds of the rest, and they count from 0"
            )
        return self
