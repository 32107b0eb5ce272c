"""The recipe of a network that learns on one domain and works on another."""

from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from landslide_lib.data.bands import BOXES, LABELS, OF_DATASET, check
from landslide_lib.fields import REFINEMENT_ENCODERS, Part, Size, field
from landslide_lib.study.recipe.base import Listing, Masks, Recipe
from landslide_lib.study.recipe.parts import CROSS_ENTROPY, LossTerm
from landslide_lib.study.recipe.starts import ImageNet

#: What a network that learns on a dataset is to work on, where no report states it: of a simulation the region whose
#: means differ most from those of the others.
TARGETS: dict[str, dict[str, str]] = {
    "synthetic": {"dataset": "synthetic", "part": "train", "region": "dry_highlands"},
    "bijie": {"dataset": "uav", "part": "train", "region": ""},
    "uav": {"dataset": "bijie", "part": "train", "region": ""},
}
#: Which encoder each has stands in `REFINEMENT_ENCODERS`.
Network = Literal["resnet", "efficientnetv2", "swin", "segformer", "hrnet_ocr", "efficientnet_lite"]


class Target(Part):
    """The domain that a network is to work on. Its labels are scored with and never learnt."""

    dataset: Literal["", Masks] = field("", description="none is the source's own")
    part: Literal["train", "valid", "test"] = field("train", description="the publisher's")
    region: str = field("", description="one of its regions; none is all of them")


class Round(Listing):
    """Networks of a round of refinement, whose mean probability labels the target for the next."""

    models: tuple[Network, ...] = Field(min_length=1)
    scale: float = field(1.0, ge=1, le=8)


class Adaptation(Recipe):
    """A segmentation network that learns from a source, its test part included, and is scored on a target."""

    unfit = (*BOXES, *LABELS)
    evaluation_only = ("ensemble",)

    task: Literal["adaptation"]
    target: Target
    model: Network = field("resnet")
    size: Size = field("base", description="of the network")
    scale: float = field(1.0, ge=1, le=8, description="images are enlarged by it before the network")
    normalization: Literal["source", "separated"] = field(
        "source", description="whose mean and deviation the target's images are normalised by"
    )
    norms: Literal["batch", "cross_sensor"] = field("batch", description="inside the network")
    start: ImageNet | None = field(None, description="of the encoder; none is a random one")
    loss: tuple[LossTerm, ...] = field(CROSS_ENTROPY, min_length=1)
    augmentation: tuple[Literal["flips", "rotation", "colour"], ...] = field(("rotation", "colour"))
    hold_out: bool = field(True, description="validation images are not trained on; else watched and trained on")
    rounds: tuple[Round, ...] = field((), description="of refinement that came before, in order")
    pseudo_labels: bool = field(True, description="without them rounds are epochs more on the source: a control")
    confidence: float = field(0.7, gt=0, lt=1, description="probability from which a pixel is labelled for a round")
    ensemble: tuple[Network, ...] = field((), description="the mean of these trained networks, in place of a model")

    @model_validator(mode="after")
    def _domains_and_terms(self) -> Self:
        scales = (self.scale, *(one.scale for one in self.rounds))
        sides = [self.image_size * Fraction(str(scale)) for scale in scales]
        if wrong := [float(side) for side in sides if side < 32 or side % 16]:
            raise ValueError(f"scale: images would have {wrong[0]:g} pixels; they need a multiple of 16 from 32 on")
        if self.batch < 2:
            raise ValueError("batch: one image has no batch statistics; take two or more")
        other = self.target.dataset or self.dataset
        if other == self.dataset and self.target == Target(dataset=self.target.dataset):
            raise ValueError(f"target: it is the source itself, {other}; name other data, another part, or a region")
        if not self.bands and OF_DATASET[other] != OF_DATASET[self.dataset]:
            raise ValueError(f"target: {other} has other bands than {self.dataset}; name bands that both have")
        check(self.bands, OF_DATASET[other], other)
        whole = {term.name for term in self.loss} & {"boundary", "center"}
        if self.rounds and whole:
            names = " and ".join(sorted(whole))
            raise ValueError(f"loss: {names} measures distances in a whole mask, and pseudo-labels leave pixels open")
        if not self.pseudo_labels and not self.rounds:
            raise ValueError("pseudo_labels: a control trains as long as rounds; name those")
        networks = {*(self.ensemble or (self.model,)), *(name for one in self.rounds for name in one.models)}
        without = {REFINEMENT_ENCODERS[name][self.size] for name in networks} & {"swin_narrow", "mit_b0", "mit_b2"}
        if self.start and without:
            raise ValueError(f"start: timm has no ImageNet weights of {' and '.join(sorted(without))}")
        return self

    @property
    def encoder(self) -> str:
        """The name of the encoder in `models.encoders`; of an ensemble, the names of all."""
        return " + ".join(REFINEMENT_ENCODERS[name][self.size] for name in self.ensemble or (self.model,))

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The members of an ensemble, or the networks of the round before, which label."""
        if self.ensemble:
            return tuple(self.model_copy(update={"model": name, "ensemble": ()}) for name in self.ensemble)
        if not self.rounds or not self.pseudo_labels:
            return ()
        *before, last = self.rounds
        # Cross-sensor norms need images of the target, which nothing before the first round looks at.
        norms = self.norms if before else "batch"
        change = {"scale": last.scale, "rounds": tuple(before), "norms": norms}
        return tuple(self.model_copy(update={"model": name, **change}) for name in last.models)

    @property
    def unused_fields(self) -> tuple[str, ...]:
        """The model of an ensemble, and how sure labels are where there are none."""
        return ("model",) * bool(self.ensemble) + ("confidence",) * (not self.rounds or not self.pseudo_labels)

    def _components(self) -> list[str]:
        return [
            *(f"adapted/{name}" for name in self.ensemble or (self.model,)),
            f"normalization/{self.normalization}",
            f"norms/{self.norms}",
            f"dataset/{self.target.dataset or self.dataset}",
            *(["promotion"] if self.scale > 1 else []),
            *(["pseudo_labels" if self.pseudo_labels else "longer"] if self.rounds else []),
        ]
