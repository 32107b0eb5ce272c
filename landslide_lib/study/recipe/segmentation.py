"""The recipe of a network that calls each pixel landslide or not."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from landslide_lib.data.bands import BOXES, LABELS
from landslide_lib.fields import field
from landslide_lib.study.recipe import parts
from landslide_lib.study.recipe.base import Recipe
from landslide_lib.study.recipe.parts import LossTerm, PostStep

#: The networks whose encoder has published weights, which are fetched when a recipe asks for them.
PRETRAINED = ("deeplab_v3", "efficientnet_v2", "small_mobilenet_v3", "small_deeplab_v3")


class Segmentation(Recipe):
    """A segmentation run."""

    task: Literal["segmentation"] = field("segmentation")
    model: Literal[
        "unet",
        "unet_cbam",
        "unet_se",
        "unet_attention",
        "unet_residual",
        "rau_net_1",
        "rau_net_2",
        "small_v_net",
        "small_squeeze_unet",
        "small_mobilenet_v3",
        "small_deeplab_v3",
        "small_residual_unet",
        "small_rau_net",
        "deeplab_v3",
        "efficientnet_v2",
    ] = field("unet")
    pretrained: bool = field(False, description="the encoder starts from ImageNet's weights")
    head: Literal["mono", "dual", "multi_resolution"] = field("mono")
    width: int = field(64, ge=1, le=256, description="channels of the first stage")
    loss: tuple[LossTerm, ...] = field((parts.CrossEntropy(name="ce"),))
    augmentation: tuple[Literal["rotation", "cutmix"], ...] = field(("rotation", "cutmix"))
    post_processing: tuple[PostStep, ...] = field((), description="of the trained network, in order")

    @model_validator(mode="after")
    def _terms_and_names(self) -> Segmentation:
        if not self.loss:
            raise ValueError("loss is empty; name at least one term")
        if self.dataset in BOXES:
            raise ValueError(
                f"dataset: {self.dataset} has boxes around its landslides and no masks to learn a "
                "segmentation from; possible with it: task detection"
            )
        if self.dataset in LABELS:
            raise ValueError(
                f"dataset: {self.dataset} has a label a tile and no masks to learn a segmentation "
                "from; possible with it: task classification"
            )
        if self.pretrained and self.model not in PRETRAINED:
            raise ValueError(f"pretrained: there are no weights for {self.model}; allowed: {', '.join(PRETRAINED)}")
        steps = {step.name for step in self.post_processing}
        if "voting" in steps and self.head != "multi_resolution":
            raise ValueError(
                "post_processing: voting takes masks at several resolutions, and the head is "
                f"{self.head}; possible with it: opening, closing, multi_angles. Or take head "
                "multi_resolution"
            )
        return self

    def _named(self) -> dict[str, tuple[str, ...]]:
        return {
            "bands": self.bands,
            "augmentation": self.augmentation,
            "loss": tuple(term.name for term in self.loss),
            "post_processing": tuple(step.name for step in self.post_processing),
        }

    @property
    def trained(self) -> Segmentation:
        """The recipe of the network that this one's post-processing grows from."""
        return self.model_copy(update={"post_processing": ()}) if self.post_processing else self

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The same without post-processing, if it has any."""
        return (self.trained,) if self.post_processing else ()

    @property
    def trains(self) -> bool:
        """Whether a run trains: post-processing takes a trained network as it is."""
        return not self.post_processing

    @property
    def needs_download(self) -> bool:
        """Whether a run needs weights of others: where the encoder is pretrained."""
        return self.pretrained

    def _components(self) -> list[str]:
        return [
            f"model/{self.model}",
            *([f"head/{self.head}"] if self.head != "mono" else []),
            *(f"loss/{term.name}" for term in self.loss),
            *(f"post_processing/{step.name}" for step in self.post_processing),
            *(f"augmentation/{name}" for name in self.augmentation),
        ]
