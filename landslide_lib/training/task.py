"""What a task tells the training loop: its batches, its loss, and how an epoch is scored."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib.data.augment import Augment
from landslide_lib.data.batches import Target
from landslide_lib.data.prepare import Data
from landslide_lib.metrics.scores import class_scores, defined_or_none


class Task(nn.Module, ABC):
    """A network with its batches and its loss; what the loop trains.

    Modules that are set as attributes (the network, a loss, a teacher) move to the device and change between training
    and evaluation with it. Parameters that require a gradient are trained. The seed decides the order of the images,
    the augmentation, and what is drawn in an epoch.
    """

    sampling: NDArray[np.float64] | None = None  # by which an epoch draws its training images; None takes each once
    patience: int | None = None  # training ends after so many epochs without a gain in validation
    patience_on: str = "loss"  # a gain is a lower `loss`, or a higher `f1`

    def __init__(
        self,
        network: nn.Module,
        data: Data,
        *,
        batch: int = 16,
        seed: int = 0,
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.network, self.data = network, data
        self.batch, self.seed, self.augment, self.device = batch, seed, augment, device

    def loader(self, part: str) -> Any:
        """Return the batches of `train`, `valid` or `test`; only `train` is shuffled and augmented."""
        training = part == "train"
        return self.data.loader(
            part,
            batch=self.batch,
            target=self.batch_target(part),
            device=self.device,
            seed=self.seed if training else None,
            augment=self.augment if training else None,
            sampling=self.sampling if training else None,
        )

    def batch_target(self, part: str) -> Target | None:
        """Return what stands beside the images of a part; None are their masks."""
        return None

    def epoch_seed(self, epoch: int) -> int:
        """Return the seed of what is drawn at random in an epoch: a resumed run repeats it."""
        return self.seed * 1_000_003 + epoch

    def start_epoch(self, epoch: int) -> None:
        """Seed what is drawn at random in an epoch of training."""
        torch.manual_seed(self.epoch_seed(epoch))

    @abstractmethod
    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        """Return the loss of a batch, a scalar with a gradient."""

    @abstractmethod
    def validate(self, batch: Any, step: int) -> tuple[Tensor | None, Any]:
        """Return the loss of a validation batch, if there is one, and what `scores` needs of it."""

    def scores(self, outputs: list[Any]) -> dict[str, float | None]:
        """Return scores by their names in the history, from what `validate` returns of each batch: counts, (B, 4)."""
        tp, fp, fn, _ = torch.cat(outputs).sum(0).tolist()
        return {"valid_f1": defined_or_none(class_scores(tp, fp, fn)["f1"])}

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """Return what a record says of the trained network, see `evaluation`."""


def outcome(metrics: dict[str, dict[str, float | None]], threshold: float = 0.5) -> dict[str, Any]:
    """Return scores with the threshold that they are at."""
    return {"threshold": threshold, "metrics": metrics}


def evaluation(*, test: dict[str, Any], valid: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what a record says of every trained network.

    `test` and `valid` are each an `outcome` at threshold 0.5; `test_tuned` and `valid_tuned` are at the threshold that
    is best on the validation images, if any. `test_counts` are tp, fp, fn, tn of each test image at 0.5, `histogram`
    landslide and background pixels of the test images by probability.
    """
    without = {"test_tuned": test, "valid_tuned": valid, "test_counts": [], "histogram": []}
    return {"test": test, "valid": valid, **without, **more}
