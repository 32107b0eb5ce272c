"""The recipe of a detector, which draws boxes around landslides."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError, model_validator

from landslide_lib.data.bands import LABELS
from landslide_lib.data.split import Split
from landslide_lib.fields import field
from landslide_lib.study.recipe.base import Recipe
from landslide_lib.study.recipe.encoders import Distillation, Encoder, File, ImageNet, Masked, Presence, Start
from landslide_lib.study.recipe.pretraining import Pretraining


class Detection(Recipe):
    """A run of Faster R-CNN (Ren et al. 2015) with an encoder and a feature pyramid."""

    task: Literal["detection"]
    encoder: Encoder = field("resnet18")
    tiny: bool = field(False, description="an encoder of its kind with few layers, for tests")
    width: int = field(256, ge=8, le=1024, description="channels of the feature pyramid")
    start: Start = field(None, description="of the encoder; none is a random one")
    masked_epochs: int = field(200, ge=1, le=10_000, description="of masked autoencoding, as start")
    presence_epochs: int = field(20, ge=1, le=10_000, description="of telling images apart, and of a teacher")
    augmentation: tuple[Literal["rotation"], ...] = field(("rotation",))

    @model_validator(mode="after")
    def _start_fits(self) -> Detection:
        if self.dataset in LABELS:
            raise ValueError(
                f"dataset: {self.dataset} has a label a tile, and neither boxes nor masks; "
                "possible with it: task classification"
            )
        try:
            grown = self.depends_on  # refused now and not when it is run
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        for learnt in grown:
            if {learnt.dataset, self.dataset} == {"landslide4sense", "landslide4sense-boxes"}:
                raise ValueError(
                    f"start: {learnt.dataset} holds the very tiles that {self.dataset} is tested "
                    "on; learn it on the detector's own training tiles, or on other data"
                )
            if learnt.channels != self.channels:
                raise ValueError(
                    f"start: an encoder that learns {learnt.channels} bands on {learnt.dataset} "
                    f"cannot go on with {self.channels} of {self.dataset}; learn it on data with "
                    "as many, or name as many bands"
                )
        return self

    def _named(self) -> dict[str, tuple[str, ...]]:
        return {"bands": self.bands, "augmentation": self.augmentation}

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The pre-training of its encoder, where that is a run of this study."""
        start = self.start
        if start is None or isinstance(start, ImageNet | File):
            return ()
        on = start.on or self.dataset
        how: dict[str, Any] = (
            {"epochs": self.masked_epochs}
            if isinstance(start, Masked)
            else {"epochs": self.presence_epochs, "optimizer": self.optimizer}
        )
        learnt = Pretraining(
            task="pretraining",
            dataset=on,
            bands=self.bands,
            # The images that the detector is tested on are no part of it.
            split=self.split if on == self.dataset else Split(),
            subset=self.subset,
            image_size=self.image_size,
            batch=self.batch,
            precision=self.precision,
            encoder=self.encoder,
            tiny=self.tiny,
            objective=start,
            **how,
        )
        return (learnt,)

    @property
    def unused_fields(self) -> tuple[str, ...]:
        """The epochs of what its encoder does not start from."""
        masked = isinstance(self.start, Masked)
        told = isinstance(self.start, Presence | Distillation)
        return ("masked_epochs",) * (not masked) + ("presence_epochs",) * (not told)

    @property
    def needs_download(self) -> bool:
        """Whether a run, or one that it grows from, needs weights of others."""
        return isinstance(self.start, ImageNet | File) or super().needs_download

    @property
    def standardize(self) -> bool:
        """Where weights of others are taken up: such images they have learnt on."""
        return self.needs_download

    @property
    def files(self) -> tuple[str, ...]:
        """The file that the encoder starts from, if it does."""
        start = self.start
        return (start.weights,) if isinstance(start, File) else ()

    def _components(self) -> list[str]:
        start = [f"start/{self.start.name}"] if self.start else []
        return [
            "boxes",
            f"encoder/{self.encoder}",
            *start,
            *(f"augmentation/boxes/{name}" for name in self.augmentation),
        ]
