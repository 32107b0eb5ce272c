"""The recipe of a network that tells tiles with a landslide from those without one."""

from itertools import product
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from landslide_lib.data.bands import BOXES, OF_DATASET, is_radar
from landslide_lib.fields import Part, field
from landslide_lib.study.recipe.base import Recipe
from landslide_lib.study.recipe.parts import CROSS_ENTROPY, PACKAGED, Lite, LossTerm
from landslide_lib.study.recipe.starts import Distillation, Masked, WithStart

#: What each is in timm, and the size of its images, stands in `models.fusion`.
Optical = Literal["efficientnetv2_l", "efficientnet_b5", "efficientnet_b0", "resnet18", Lite]
Change = Literal["flips", "rotation", "shift_scale_rotate", "dropout", "noise", "erasing", "mixup", "cutmix"]
#: The networks that look at optical images through an encoder of timm.
FUSIONS = ("gated", "concatenated")


class Member(Part):
    """An encoder of an ensemble and its weight in the mean."""

    encoder: Optical
    weight: float = field(1.0, gt=0, le=1)


class Ensemble(Part):
    """The mean of networks that leave another fold of the training tiles for validation each."""

    encoders: tuple[Member, ...] = field((), description="of each fold; none: the recipe's own")
    weighting: Literal["given", "stacked"] = field("given", description="of encoders; stacked: found out of fold")
    average: Literal["probabilities", "votes"] = field("probabilities", description="votes at thresholds of their own")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.weighting == "stacked" and len(self.encoders) < 2:
            raise ValueError("weighting: stacked weighs encoders against each other; name at least two")
        return self


class Filter(Part):
    """Gradient boosting that leaves out tiles on which there surely is no landslide."""

    folds: int = field(5, ge=2, le=20, description="of the training tiles, for its threshold")
    each_fold: bool = field(False, description="whether each fold has a threshold of its own")
    depth: int = field(4, ge=1, le=12, description="of a tree")
    trees: int = field(120, ge=1, le=2000)
    eta: float = field(0.1, gt=0, le=1, description="learning rate of the trees")
    min_child_weight: float = field(1.0, ge=0, le=1000, description="of a leaf, of the second derivatives of its rows")
    subsample: float = field(0.8, gt=0, le=1, description="share of the rows that a tree is grown on")
    colsample_bytree: float = field(0.8, gt=0, le=1, description="share of the features that a tree is grown on")


class Classification(WithStart):
    """A network, or an ensemble of networks, that calls each tile landslide or not."""

    unfit = BOXES
    evaluation_only = ("ensemble", "tta_views")
    augmentations = "augmentation/tiles"

    task: Literal["classification"]
    model: Literal["gated", "concatenated", "pyramid", "conventional"] = field("gated")
    modalities: Literal["all", "optical", "radar"] = field("all", description="of those there are")
    encoder: Optical = field("efficientnetv2_l", description="of the optical images")
    optical_size: int | None = field(
        None, ge=32, le=1024, multiple_of=32, description="side they are enlarged to; none: its own"
    )
    tiny: bool = field(False, description="a network of its kind with few layers, for tests")
    dropout: float = field(0.3, ge=0, lt=1, description="of the classifier")
    start: Literal["imagenet"] | Annotated[Distillation | Masked, Field(discriminator="name")] | None = field(  # type: ignore[assignment]
        None, description="of the encoder; none is random"
    )
    passes: Literal["own", "shared"] = field(
        "own", description="whether both passes of a radar have one branch of a pyramid"
    )
    loss: tuple[LossTerm, ...] = field(CROSS_ENTROPY, min_length=1)
    sampling: Literal["as_is", "balanced"] = field("as_is", description="of training tiles")
    augmentation: tuple[Change, ...] = field(("flips", "rotation"))
    patience: int | None = field(None, ge=1, le=1000, description="epochs without a gain in validation that end it")
    patience_on: Literal["loss", "f1"] = field("loss", description="what a gain is: a lower loss, or a higher F1")
    filter: Filter | None = field(None, description="of obvious negatives")
    tta_views: Literal[1, 4, 8] = field(
        1, alias="turns", description="flips, at 8 quarter turns too, that a prediction is the mean of"
    )
    members: int = field(5, ge=2, le=20, description="folds of validation, each with a network of an ensemble")
    ensemble: Ensemble | None = field(None, description="in place of a network")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        of_masks = {"boundary", "center", "depth", "lovasz", "lovasz_probability", "ohem"}
        whole = of_masks & {term.name for term in self.loss}
        if whole:
            names = " and ".join(sorted(whole))
            raise ValueError(f"loss: {names} looks at the pixels of a mask, and a tile has one label")
        mixed = {"mixup", "cutmix"} & {*self.augmentation}
        if mixed and "log_cosh" in {term.name for term in self.loss}:
            raise ValueError(f"loss: log_cosh is of labels 0 and 1, and {min(mixed)} makes others")
        if not self.input_bands:
            raise ValueError(f"modalities: {self.dataset} has no {self.modalities} band; take all, or other data")
        others = {self.encoder, *(one.encoder for one in self.weighted)} - {*PACKAGED}
        if self.pretraining and (others or self.model not in FUSIONS or any(map(is_radar, self.input_bands))):
            raise ValueError(f"start: a fusion learns it with optical bands alone, for {', '.join(PACKAGED)}")
        key, folds = self._folds
        if self.ensemble and self.members > folds:
            raise ValueError(f"members: {self.members} need as many folds, and split leaves {folds} to {key}")
        return self

    @property
    def _folds(self) -> tuple[str, int]:
        """Which field of the split tells the folds of validation apart, and how many there are."""
        split = self.split
        return ("fold", split.folds) if split.test == "validated" else ("valid_fold", round(1 / split.validation))

    @property
    def input_bands(self) -> tuple[str, ...]:
        """Those of the modalities, of the recipe's bands."""
        bands = self.bands or OF_DATASET[self.dataset]
        return tuple(band for band in bands if self.modalities in ("all", "radar" if is_radar(band) else "optical"))

    @property
    def standardize(self) -> bool:
        """Always: backscatter in dB is below 0."""
        return True

    @property
    def weighted(self) -> tuple[Member, ...]:
        """The encoders of an ensemble, each with its weight."""
        if self.ensemble is None:
            return ()
        return self.ensemble.encoders or (Member(encoder=self.encoder),)

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The networks of an ensemble, the network whose predictions are turned, or the pre-training of its encoder."""
        if not self.ensemble:
            return (self.model_copy(update={"tta_views": 1}),) if self.tta_views > 1 else self.pretraining
        splits = [self.split.model_copy(update={self._folds[0]: fold}) for fold in range(self.members)]
        return tuple(
            self.model_copy(update={"encoder": one.encoder, "ensemble": None, "tta_views": 1, "split": split})
            for one, split in product(self.weighted, splits)
        )

    @property
    def weights(self) -> str | None:
        """What the encoder starts from; the networks of an ensemble say so themselves."""
        return None if self.ensemble else super().weights

    @property
    def unused_fields(self) -> tuple[str, ...]:
        """What only an ensemble, or only a network with an encoder or a pyramid, makes use of."""
        no_encoder = self.model not in FUSIONS or self.modalities == "radar"
        unused = {
            "members": not self.ensemble,
            "patience_on": self.patience is None,
            "passes": self.model in FUSIONS,
            "encoder": no_encoder or bool(self.ensemble and self.ensemble.encoders),
            "optical_size": no_encoder,
            "start": no_encoder,
        }
        return (*super().unused_fields, *(name for name, so in unused.items() if so))

    def _components(self) -> list[str]:
        encoders = [one.encoder for one in self.weighted] or [self.encoder]
        return [
            f"tiles/{self.model}",
            *([f"tiles/encoder/{name}" for name in encoders] if self.model in FUSIONS else []),
            *(["negative_filter"] if self.filter else []),
        ]
