"""Encoders and what they start from, as a recipe names them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from landslide_lib.fields import LOSS_RANGES, Part, field

#: Names of our own; what each is in timm stands in `models.encoders`.
Encoder = Literal["resnet18", "efficientnet_b0", "vit_tiny", "vit_base", "vit_large", "swin_tiny", "swin_base"]

TRANSFORMERS = ("vit_tiny", "vit_base", "vit_large", "swin_tiny", "swin_base")


class ImageNet(Part):
    """The weights that timm publishes of an encoder that learnt to classify ImageNet."""

    name: Literal["imagenet"]


class File(Part):
    """Weights of others, such as SatMAE's, in a local file that timm's encoder can take."""

    name: Literal["file"]
    weights: str

    @model_validator(mode="after")
    def _is_a_name(self) -> File:
        if not re.fullmatch(r"[\w.-]+", self.weights) or self.weights.startswith("."):
            raise ValueError(
                f"weights {self.weights!r} is no file name; give the name of a file in the folder "
                "`weights` of the data root"
            )
        return self


class _Learnt(Part):
    on: Literal["", "synthetic", "bijie", "landslide4sense", "landslide4sense-boxes", "uav"] = field(
        "", description="the dataset that it is learnt on; none is the detector's own"
    )


class Presence(_Learnt):
    """Telling images with a landslide from those without one.

    Of a dataset in which every image has one, crops that meet no box or mask are the negatives.
    """

    name: Literal["presence"]
    start: Annotated[ImageNet | File, Field(discriminator="name")] | None = field(None)


class Distillation(_Learnt):
    """Learning from a frozen teacher that tells whether there is a landslide (Hinton et al. 2015).

    The loss is alpha T² KL(teacher || student) at temperature T + (1 - alpha) cross entropy.
    """

    name: Literal["distillation"]
    teacher: Encoder = field("vit_large", description="trained by presence on the same images")
    teacher_start: Literal["imagenet", "random"] = field("imagenet")
    start: Annotated[ImageNet | File, Field(discriminator="name")] | None = field(None)
    temperature: float = field(2.0, **LOSS_RANGES["distillation.temperature"])
    alpha: float = field(0.5, **LOSS_RANGES["distillation.alpha"], description="weight of the teacher's soft targets")


class Masked(_Learnt):
    """Restoring masked patches: MAE (He et al. 2022) for ViT, SimMIM (Xie et al. 2022) for Swin."""

    name: Literal["mae"]
    masked: float = field(0.75, gt=0, lt=1, description="share of the patches")
    start: Annotated[ImageNet | File, Field(discriminator="name")] | None = field(None)


#: What an encoder learns before it becomes part of a detector.
Objective = Annotated[Presence | Distillation | Masked, Field(discriminator="name")]

#: What a detector's encoder starts from; None is a random initialisation.
Start = Annotated[ImageNet | File | Presence | Distillation | Masked, Field(discriminator="name")] | None
