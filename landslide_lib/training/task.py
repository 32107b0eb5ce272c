"""What a task tells the training loop: its batches, its loss, and how an epoch is scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from landslide_lib.data.batches import Augment, Batches
from landslide_lib.data.prepare import Data


class Task(nn.Module, ABC):
    """A network with its batches and its loss; what the loop trains.

    Modules that are set as attributes (the network, a loss, a teacher) move to the device and change between training
    and evaluation with it. Parameters that require a gradient are trained.

    Args:
        network: What is trained and kept.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @abstractmethod
    def loader(self, part: str, *, rank: int = 0, world: int = 1) -> Any:
        """Return the batches of `train`, `valid` or `test`; only `train` is shuffled and augmented.

        Args:
            part: Of the data.
            rank: Of this process among those that train together.
            world: How many they are.
        """

    @abstractmethod
    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        """Return the loss of a batch, a scalar with a gradient."""

    @abstractmethod
    def validation_loss(self, batch: Any, step: int) -> Tensor | None:
        """Return the loss of a validation batch, if there is one, and keep what `scores` needs."""

    def start_validation(self) -> None:
        """Forget what the last validation has kept."""

    def scores(self) -> dict[str, float | None]:
        """Return the scores of the validation that ends, by their names in the history."""
        return {}

    def start_epoch(self, epoch: int) -> None:
        """Prepare an epoch of training, such as what is drawn at random in it."""

    def should_stop(self, history: list[dict[str, Any]]) -> bool:
        """Return whether to end the training early, after an epoch."""
        return False


class ImageTask(Task):
    """A task whose batches are those of its data: images and masks.

    Args:
        network: What is trained and kept.
        data: Its images.
        batch: Images a batch.
        seed: Of the order of the images and of the augmentation.
        augment: Of a training batch; None for none.
        device: Where batches are made.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Data,
        *,
        batch: int,
        seed: int,
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(network)
        self.data, self.batch, self.seed = data, batch, seed
        self.augment, self.device = augment, device

    def loader(self, part: str, *, rank: int = 0, world: int = 1) -> Batches:
        """Return the batches of a part; only `train` is shuffled and augmented."""
        training = part == "train"
        return self.data.loader(
            part,
            batch=self.batch,
            seed=self.seed if training else None,
            augment=self.augment if training else None,
            device=self.device,
            rank=rank,
            world=world,
            chances=self.chances() if training else None,
        )

    def chances(self) -> NDArray[np.float64] | None:
        """Return by which an epoch draws its training images; None takes each once."""
        return None
