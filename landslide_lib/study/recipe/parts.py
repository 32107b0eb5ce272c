"""The parts that a recipe is made of: losses, post-processing, optimizer. Pure data, no torch."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import Field, create_model, model_validator

from landslide_lib.fields import LOSS_NUMBERS, Part, field

#: The encoders whose ImageNet weights a package of the package index holds. Names of our own; what each is in timm
#: stands in `models.encoders`.
Lite = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
PACKAGED = get_args(Lite)


class Term(Part):
    """A loss in a sum: its name, its factor and its numbers."""

    name: str
    factor: float = field(1.0, gt=0, le=100)

    @model_validator(mode="after")
    def _gradient_is_finite(self) -> Self:
        if 0 < getattr(self, "gamma", 1) < 1:
            raise ValueError("gamma is 0 or at least 1: between, the gradient has no bound")
        return self


def _term(name: str) -> type[Term]:
    fields: dict[str, Any] = {"name": (Literal[name], ...)}
    for key, (value, limits) in LOSS_NUMBERS[name].items():
        fields[key] = (float | None if value is None else float, field(value, **limits))
    return create_model(name, __base__=Term, **fields)


#: The class of each loss's term.
TERMS = {name: _term(name) for name in LOSS_NUMBERS}
CROSS_ENTROPY = (TERMS["ce"](name="ce"),)

if TYPE_CHECKING:
    LossTerm = Term
else:
    LossTerm = Annotated[reduce(or_, TERMS.values()), Field(discriminator="name")]


class Morphology(Part):
    """Opening removes what is smaller than the kernel (the report's salt noise), closing fills such gaps (pepper)."""

    name: Literal["opening", "closing"]
    kernel: int = field(3, ge=3, le=31, description="side of the square in pixels; an even one moves the mask by one")


class Averaging(Part):
    """The mean of the masks of a multi-resolution head, or over the image turned by 0, 90, 180 and 270 degrees."""

    name: Literal["voting", "multi_angles"]


PostStep = Annotated[Morphology | Averaging, Field(discriminator="name")]


class Optimizer(Part):
    """Optimizer and schedule."""

    name: Literal["sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam"] = field("adam")
    lr: float = field(1e-3, gt=0, le=10, description="peak learning rate")
    lr_min: float = field(0.0, ge=0, le=10, description="learning rate that the cosine ends at")
    weight_decay: float = field(0.0, ge=0, le=1)
    momentum: float = field(0.0, ge=0, lt=1, description="of sgd alone")
    nesterov: bool = field(False, description="of sgd with momentum: look ahead by it")
    schedule: Literal["warmup_cosine", "constant"] = field("warmup_cosine")
    warmup: float = field(0.1, ge=0, lt=1, description="share of the steps spent warming up")
    averaging: float = field(0.0, ge=0, lt=1, description="decay of the moving average of the weights; 0 is none")

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        if self.lr_min >= self.lr:
            raise ValueError(f"lr_min: {self.lr_min:g} is not below lr, {self.lr:g}")
        if self.momentum and self.name != "sgd":
            raise ValueError(f"momentum: {self.name} takes none; allowed: sgd")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: it is a way to use momentum, which is 0")
        return self
