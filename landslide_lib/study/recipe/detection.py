"""The recipe of a detector, which draws boxes around landslides."""

from typing import Literal

from landslide_lib.data.bands import LABELS
from landslide_lib.fields import field
from landslide_lib.study.recipe.starts import Encoder, WithStart


class Detection(WithStart):
    """A run of Faster R-CNN (Ren et al. 2015) with an encoder and a feature pyramid."""

    unfit = LABELS
    augmentations = "augmentation/boxes"

    task: Literal["detection"]
    encoder: Encoder = field("resnet18")
    tiny: bool = field(False, description="an encoder of its kind with few layers, for tests")
    width: int = field(256, ge=8, le=1024, description="channels of the feature pyramid")
    augmentation: tuple[Literal["rotation"], ...] = field(("rotation",))

    def _components(self) -> list[str]:
        return ["boxes", f"encoder/{self.encoder}"]
