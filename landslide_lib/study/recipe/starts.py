"""What an encoder starts from: random weights, those of others, or what it learns in a run before."""

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from landslide_lib.data.split import Split
from landslide_lib.fields import Part, field
from landslide_lib.study.recipe.base import Masks, Recipe, Unlabelled
from landslide_lib.study.recipe.parts import Lite, Optimizer

Transformer = Literal["vit_tiny", "vit_base", "vit_large", "vit_large_clip", "swin_tiny", "swin_base"]
Encoder = Literal["resnet18", "efficientnet_b0", Transformer, Lite]


class ImageNet(Part):
    """The weights that timm publishes of an encoder that learnt to classify ImageNet."""

    name: Literal["imagenet"]
    weights: ClassVar[str] = "imagenet"
    first_conv: Literal["extended", "random"] = field("extended", description="to other bands, or left as it was built")


class File(Part):
    """Weights of others, such as SatMAE's, that timm's encoder takes: a file in `weights` of the data root."""

    name: Literal["file"]
    weights: str = Field(pattern=r"^[\w-]+\.[\w.-]+$")


class Learnt(Part):
    """What an encoder learns on a dataset."""

    weights: ClassVar[None] = None
    on: Literal["", Masks, Unlabelled, "landslide4sense-boxes"] = field("", description="data; none is the run's own")
    start: Annotated[ImageNet | File, Field(discriminator="name")] | None = field(None)


class Presence(Learnt):
    """Telling images, or crops of them, with a landslide from those without one."""

    name: Literal["presence"]


class Distillation(Learnt):
    """Learning from a frozen teacher that tells whether there is a landslide (Hinton et al. 2015).

    The loss is alpha T² KL(teacher || student) at temperature T + (1 - alpha) cross entropy.
    """

    name: Literal["distillation"]
    teacher: Encoder = field("vit_large", description="trained by presence on the same images")
    teacher_start: Literal["imagenet", "random"] = field("imagenet")
    temperature: float = field(2.0, ge=0.01, le=100)
    alpha: float = field(0.5, ge=0, le=1, description="weight of the teacher's soft targets")


class Masked(Learnt):
    """Restoring masked patches: MAE (He et al. 2022) for ViT, SimMIM (Xie et al. 2022) or Swin-MAE for the others."""

    name: Literal["mae"]
    masked: float = field(0.75, gt=0, lt=1, description="share of the patches")
    swin: Literal["simmim", "swin_mae"] = field("simmim", description="how a Swin does it, see `models.autoencoder`")


class Pretraining(Recipe):
    """A pre-training run."""

    task: Literal["pretraining"]
    encoder: Encoder = field("resnet18")
    tiny: bool = field(False, description="an encoder of its kind with few layers, for tests")
    augmentation: tuple[Literal["rotation"], ...] = field(("rotation",))
    objective: Annotated[Presence | Distillation | Masked, Field(discriminator="name")]
    # For masked autoencoding: with three times this rate a Swin stayed for epochs where a constant picture is.
    optimizer: Optimizer = field(Optimizer(name="adamw", lr=1e-4, weight_decay=0.05))

    @model_validator(mode="after")
    def _objective_fits(self) -> Self:
        if getattr(self.objective, "swin", "simmim") != "simmim" and not self.encoder.startswith("swin"):
            raise ValueError(f"start: swin_mae is for a Swin, and the encoder is {self.encoder}")
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

    def _components(self) -> list[str]:
        swin = getattr(self.objective, "swin", "simmim")
        name = "swin_mae" if swin == "swin_mae" else self.objective.name  # an objective of its own
        return ["boxes", f"encoder/{self.encoder}", f"objective/{name}"]


class WithStart(Recipe):
    """A recipe whose encoder may start from a run before, or from weights of others."""

    start: Annotated[ImageNet | File | Presence | Distillation | Masked, Field(discriminator="name")] | None = field(
        None, description="of the encoder; none is a random one"
    )
    masked_epochs: int = field(200, ge=1, le=10_000, description="of masked autoencoding, as start")
    presence_epochs: int = field(20, ge=1, le=10_000, description="of telling images apart, and of a teacher")

    @model_validator(mode="after")
    def _start_fits(self) -> Self:
        try:
            pretraining = self.pretraining  # refused now and not when it is run
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])) from None
        for learnt in pretraining:
            if {learnt.dataset, self.dataset} == {"landslide4sense", "landslide4sense-boxes"}:
                raise ValueError(f"start: {learnt.dataset} holds the very tiles that {self.dataset} is tested on")
            if learnt.channels != self.channels:
                had, has = f"{learnt.channels} bands on {learnt.dataset}", f"{self.channels} of {self.dataset}"
                raise ValueError(f"start: an encoder that learns {had} cannot go on with {has}")
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
            how["epochs"] = self.masked_epochs
            if self.encoder in get_args(Transformer):  # type: ignore[attr-defined]
                del how["optimizer"]
        # The images that the network is tested on are no part of it.
        how["split"] = self.split if on == self.dataset else Split()
        how |= {name: getattr(self, name) for name in ("subset", "image_size", "batch", "precision")}
        encoder: Any = self.encoder  # type: ignore[attr-defined]
        how |= {"bands": self.input_bands, "encoder": encoder, "tiny": getattr(self, "tiny", False)}
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
