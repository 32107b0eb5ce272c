"""The recipe of an encoder that learns before it becomes part of a detector."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from landslide_lib.fields import field
from landslide_lib.study.recipe.base import Recipe
from landslide_lib.study.recipe.encoders import (
    TRANSFORMERS,
    Distillation,
    Encoder,
    File,
    ImageNet,
    Masked,
    Objective,
    Presence,
)
from landslide_lib.study.recipe.parts import Optimizer


class Pretraining(Recipe):
    """A pre-training run. Its record keeps the weights that a detector grows from.

    Its learning rate is that of masked autoencoding here: with three times as much a Swin stayed for epochs where a
    constant picture is. Telling images apart takes the detector's.
    """

    task: Literal["pretraining"]
    encoder: Encoder = field("resnet18")
    tiny: bool = field(False, description="an encoder of its kind with few layers, for tests")
    objective: Objective
    optimizer: Optimizer = field(Optimizer(name="adamw", lr=1e-4, weight_decay=0.05))
    augmentation: tuple[Literal["rotation"], ...] = field(("rotation",))

    @model_validator(mode="after")
    def _objective_fits(self) -> Pretraining:
        if isinstance(self.objective, Masked) and self.encoder not in TRANSFORMERS:
            raise ValueError(
                f"start: masked autoencoding takes patches, and {self.encoder} has none; allowed: "
                f"{', '.join(TRANSFORMERS)}"
            )
        return self

    def _named(self) -> dict[str, tuple[str, ...]]:
        return {"bands": self.bands, "augmentation": self.augmentation}

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The training of the teacher, for a distillation."""
        what = self.objective
        if not isinstance(what, Distillation):
            return ()
        start = ImageNet(name="imagenet") if what.teacher_start == "imagenet" else None
        teacher = Presence(name="presence", on=what.on, start=start)
        return (self.model_copy(update={"encoder": what.teacher, "objective": teacher}),)

    @property
    def needs_download(self) -> bool:
        """Whether a run, or its teacher's, needs weights of others."""
        return self.objective.start is not None or super().needs_download

    @property
    def standardize(self) -> bool:
        """Where weights of others are taken up: such images they have learnt on."""
        return self.needs_download

    @property
    def files(self) -> tuple[str, ...]:
        """The file that the encoder starts from, if it does."""
        start = self.objective.start
        return (start.weights,) if isinstance(start, File) else ()

    def _components(self) -> list[str]:
        start = [f"start/{self.objective.start.name}"] if self.objective.start else []
        return [
            "boxes",
            f"encoder/{self.encoder}",
            f"objective/{self.objective.name}",
            *start,
            *(f"augmentation/{name}" for name in self.augmentation),
        ]
