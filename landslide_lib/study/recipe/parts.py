"""The parts that a recipe is made of: losses, post-processing, optimizer. Pure data, no torch."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, create_model, model_validator

from landslide_lib.fields import LOSS_RANGES, Part, field

#: The encoders whose ImageNet weights a package of the package index holds. Names of our own; what each is in timm
#: stands in `models.encoders`.
Lite = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
PACKAGED = get_args(Lite)

#: The numbers that each loss takes, see `landslide_lib.losses`, with the value that each had when it came into the
#: study. The report of focal loss states neither of its two. A weight of None is the number of others to a landslide.
LOSS_NUMBERS: dict[str, dict[str, float | None]] = {
    "ce": {},
    "weighted_ce": {"weight": None},
    "focal": {"alpha": 0.25, "gamma": 2.0},
    "log_cosh": {},
    "iou": {"smooth": 1.0},
    "tversky": {"alpha": 0.7, "beta": 0.3, "smooth": 1.0},
    "lovasz": {},
    "boundary": {"weight": 5.0, "sigma": 2.0},
    "center": {"weight": 5.0},
    "soft_ce": {"smoothing": 0.1},
    "ohem": {"share": 0.25},
}


class Term(Part):
    """A loss in a sum: its name, its factor and its numbers."""

    name: str
    factor: float = field(1.0, gt=0, le=100)

    @model_validator(mode="after")
    def _gradient_is_finite(self) -> Term:
        if 0 < getattr(self, "gamma", 1) < 1:
            raise ValueError("gamma is 0 or at least 1: between, the gradient has no bound")
        return self


def _term(name: str, numbers: dict[str, float | None]) -> type[Term]:
    fields: dict[str, Any] = {"name": (Literal[name], ...)}
    for key, value in numbers.items():
        kind = float | None if value is None else float
        fields[key] = (kind, field(value, **LOSS_RANGES[f"{name}.{key}"]))
    return create_model(name, __base__=Term, **fields)


#: The class of each loss's term.
TERMS = {name: _term(name, numbers) for name, numbers in LOSS_NUMBERS.items()}
CROSS_ENTROPY = (TERMS["ce"](name="ce"),)

if TYPE_CHECKING:
    LossTerm = Term
else:
    LossTerm = Annotated[reduce(or_, TERMS.values()), Field(discriminator="name")]


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
    """Optimizer and schedule: our reading of the report's "Adam with a custom learning rate scheduler"."""

    name: Literal["sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam"] = field("adam")
    lr: float = field(1e-3, gt=0, le=10, description="peak learning rate")
    weight_decay: float = field(0.0, ge=0, le=1)
    schedule: Literal["warmup_cosine", "constant"] = field("warmup_cosine")
    warmup: float = field(0.1, ge=0, lt=1, description="share of the steps spent warming up")
    averaging: float = field(0.0, ge=0, lt=1, description="decay of the moving average of the weights; 0 is none")
