"""What an encoder starts from: random weights, those of others, or what it learns in a run before."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from landslide_lib.data.split import Split
from landslide_lib.fields import LOSS_RANGES, Part, field
from landslide_lib.study.recipe.base import Masks, Recipe
from landslide_lib.study.recipe.parts import Optimizer

#: Names of our own; what each is in timm stands in `models.encoders`.
Lite = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
Encoder = Literal["resnet18", "efficientnet_b0", "vit_tiny", "vit_base", "vit_large", "swin_tiny", "swin_base", Lite]

#: The encoders whose ImageNet weights a package of the package index holds.
PACKAGED = get_args(Lite)
TRANSFORMERS = ("vit_tiny", "vit_base", "vit_large", "swin_tiny", "swin_base")


class ImageNet(Part):
    """The weights that timm publishes of an encoder that learnt to classify ImageNet."""

    name: Literal["imagenet"]


class File(Part):
    """Weights of others, such as SatMAE's, that timm's encoder takes: a file in `weights` of the data root."""

    name: Literal["file"]
    weights: str = Field(pattern=r"^[\w-]+\.[\w.-]+$")


class Learnt(Part):
    """What an encoder learns on a dataset."""

    on: Literal["", Masks, "landslide4sense-boxes"] = field("", description="a dataset; none is the run's own")
    start: Annotated[ImageNet | File, Field(discriminator="name")] | None = field(None)


class Presence(Learnt):
    """Telling images with a landslide from those without one.

    Of a dataset in which every image has one, crops that meet no box or mask are the negatives.
    """

    name: Literal["presence"]


class Distillation(Learnt):
    """Learning from a frozen teacher that tells whether there is a landslide (Hinton et al. 2015).

    The loss is alpha T² KL(teacher || student) at temperature T + (1 - alpha) cross entropy.
    """

    name: Literal["distillation"]
    teacher: Encoder = field("vit_large", description="trained by presence on the same images")
    teacher_start: Literal["imagenet", "random"] = field("imagenet")
    temperature: float = field(2.0, **LOSS_RANGES["distillation.temperature"])
    alpha: float = field(0.5, **LOSS_RANGES["distillation.alpha"], description="weight of the teacher's soft targets")


class Masked(Learnt):
    """Restoring masked patches: MAE (He et al. 2022) for ViT, SimMIM (Xie et al. 2022) for Swin."""

    name: Literal["mae"]
    masked: float = field(0.75, gt=0, lt=1, description="share of the patches")


class WithEncoder(Recipe):
    """A recipe whose network has an encoder of `models.encoders`."""

    @property
    def standardize(self) -> bool:
        """Where weights of others are taken up, and for an encoder that they exist of in a package."""
        return self.takes_weights or getattr(self, "encoder", None) in PACKAGED

    @property
    def needs_download(self) -> bool:
        """Whether a run, or one that it depends on, needs weights of others that no package holds."""
        packaged = self.weights == "imagenet" and getattr(self, "encoder", None) in PACKAGED
        return not (self.weights is None or packaged) or any(other.needs_download for other in self.depends_on)


def _weights(start: Part | None) -> str | None:
    if isinstance(start, File):
        return start.weights
    return start.name if isinstance(start, ImageNet) else None


class Pretraining(WithEncoder):
    """A pre-training run.

    Its learning rate is that of masked autoencoding: with three times as much a Swin stayed for epochs where a constant
    picture is. Telling images apart takes the detector's.
    """

    task: Literal["pretraining"]
    encoder: Encoder = field("resnet18")
    tiny: bool = field(False, description="an encoder of its kind with few layers, for tests")
    augmentation: tuple[Literal["rotation"], ...] = field(("rotation",))
    objective: Annotated[Presence | Distillation | Masked, Field(discriminator="name")]
    optimizer: Optimizer = field(Optimizer(name="adamw", lr=1e-4, weight_decay=0.05))

    @model_validator(mode="after")
    def _objective_fits(self) -> Pretraining:
        if isinstance(self.objective, Masked) and self.encoder not in TRANSFORMERS:
            allowed = ", ".join(TRANSFORMERS)
            raise ValueError(
                f"start: masked autoencoding takes patches, and {self.encoder} has none; allowed: {allowed}"
            )
        return self

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
    def weights(self) -> str | None:
        """Those that the objective starts from."""
        return _weights(self.objective.start)

    def _components(self) -> list[str]:
        return [
            "boxes",
            f"encoder/{self.encoder}",
            f"objective/{self.objective.name}",
            *([f"start/{self.objective.start.name}"] if self.objective.start else []),
        ]


class WithStart(WithEncoder):
    """A recipe whose encoder may start from a run before, or from weights of others."""

    start: Annotated[ImageNet | File | Presence | Distillation | Masked, Field(discriminator="name")] | None = field(
        None, description="of the encoder; none is a random one"
    )
    masked_epochs: int = field(200, ge=1, le=10_000, description="of masked autoencoding, as start")
    presence_epochs: int = field(20, ge=1, le=10_000, description="of telling images apart, and of a teacher")

    @model_validator(mode="after")
    def _start_fits(self) -> WithStart:
        try:
            pretraining = self.pretraining  # refused now and not when it is run
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        for learnt in pretraining:
            if {learnt.dataset, self.dataset} == {"landslide4sense", "landslide4sense-boxes"}:
                raise ValueError(f"start: {learnt.dataset} holds the very tiles that {self.dataset} is tested on")
            if learnt.channels != self.channels:
                raise ValueError(
                    f"start: an encoder that learns {learnt.channels} bands on {learnt.dataset} cannot go on with "
                    f"{self.channels} of {self.dataset}; learn it on data with as many, or name as many bands"
                )
        return self

    @property
    def pretraining(self) -> tuple[Recipe, ...]:
        """The run that the encoder learns in before, if there is one."""
        start = self.start
        if not isinstance(start, Learnt):
            return ()
        on = start.on or self.dataset
        how: dict[str, Any] = {"epochs": self.presence_epochs, "optimizer": self.optimizer}
        if isinstance(start, Masked):
            how = {"epochs": self.masked_epochs}
        # The images that the network is tested on are no part of it.
        how["split"] = self.split if on == self.dataset else Split()
        how |= {name: getattr(self, name) for name in ("bands", "subset", "image_size", "batch", "precision")}
        encoder: Any = self.encoder  # type: ignore[attr-defined]
        how |= {"encoder": encoder, "tiny": getattr(self, "tiny", False)}
        return (Pretraining(task="pretraining", dataset=on, objective=start, **how),)

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The pre-training of its encoder, where that is a run of this study."""
        return self.pretraining

    @property
    def unused_fields(self) -> tuple[str, ...]:
        """The epochs of what its encoder does not start from."""
        if not isinstance(self.start, Learnt):
            return ("masked_epochs", "presence_epochs")
        return ("presence_epochs",) if isinstance(self.start, Masked) else ("masked_epochs",)

    @property
    def weights(self) -> str | None:
        """Those of its start, where that is no run of this study."""
        return _weights(self.start)
