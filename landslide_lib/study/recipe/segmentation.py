"""The recipe of a network that calls each pixel landslide or not."""

from typing import Literal, Self, get_args

from pydantic import model_validator

from landslide_lib.data.bands import BOXES, LABELS
from landslide_lib.fields import field
from landslide_lib.study.recipe.base import Recipe
from landslide_lib.study.recipe.parts import CROSS_ENTROPY, PACKAGED, Lite, LossTerm, PostStep
from landslide_lib.study.recipe.starts import WithStart

UNets = Literal["unet", "unet_cbam", "unet_se", "unet_attention"]
RAUNets = Literal["unet_residual", "rau_net_1", "rau_net_2", "small_residual_unet", "small_rau_net"]
ENDING_IN_FEATURES = get_args(Literal[UNets, RAUNets])  # which a head takes; others end in a convolution
SmallNetworks = Literal["small_v_net", "small_squeeze_unet", "small_mobilenet_v3", "small_deeplab_v3"]


class Segmentation(WithStart):
    """A segmentation run."""

    unfit = (*BOXES, *LABELS)
    evaluation_only = ("post_processing",)

    task: Literal["segmentation"] = field("segmentation")
    model: Literal[UNets, RAUNets, SmallNetworks, "deeplab_v3", "efficientnet_v2", Lite] = field("unet")
    upsampling: Literal["transposed", "nearest"] = field(
        "transposed", description="of a U-Net; the default is what the first records had"
    )
    head: Literal["mono", "dual", "multi_resolution"] = field("mono")
    width: int = field(64, ge=1, le=256, description="channels of the first stage")
    loss: tuple[LossTerm, ...] = field(CROSS_ENTROPY, min_length=1)
    augmentation: tuple[Literal["rotation", "flips", "zoom", "cutmix", "paste", "colour"], ...] = field(
        ("rotation", "cutmix")
    )
    post_processing: tuple[PostStep, ...] = field((), description="of the trained network, in order")
    pretrained: Literal[False] = field(False, description="of the records from before `start`")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.start and self.model not in PACKAGED:
            allowed = ", ".join(PACKAGED)
            raise ValueError(f"start: {self.model} has no encoder that starts from weights; allowed: {allowed}")
        if self.head != "multi_resolution" and any(step.name == "voting" for step in self.post_processing):
            raise ValueError(f"post_processing: voting takes head multi_resolution, and the head is {self.head}")
        return self

    @property
    def unused_fields(self) -> tuple[str, ...]:
        """How a U-Net upsamples, of any other network."""
        return (*super().unused_fields, *["upsampling"] * (self.model not in get_args(UNets)))

    @property
    def trained(self) -> Self:
        """The recipe of the network that is post-processed."""
        return self.model_copy(update={"post_processing": ()})

    @property
    def encoder(self) -> str:
        """The model's, which has its name."""
        return self.model

    @property
    def depends_on(self) -> tuple[Recipe, ...]:
        """The same without post-processing, if it has any; else the pre-training of its encoder."""
        return (self.trained,) if self.post_processing else self.pretraining

    def _components(self) -> list[str]:
        return [
            f"model/{self.model}",
            *([f"upsampling/{self.upsampling}"] if self.upsampling != "transposed" else []),
            *([f"head/{self.head}"] if self.head != "mono" else []),
            *(f"post_processing/{step.name}" for step in self.post_processing),
        ]
