"""Pre-training: how an encoder learns before it becomes part of a detector."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landslide_lib.data.batches import CropTarget
from landslide_lib.data.boxes import Crops
from landslide_lib.data.prepare import Data
from landslide_lib.losses import distillation
from landslide_lib.metrics import scores
from landslide_lib.metrics.counts import Counter, confusion
from landslide_lib.training.task import Task, evaluation, outcome


class Classifier(nn.Module):
    """An encoder and a linear layer, (B, C, S, S) to (B, 2): logits of no landslide and some."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.num_features, 2)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(images))
        return logits


class MaskedAutoencodingTask(Task):
    """Restoring masked patches with a network of `models.autoencoder`; the score is the loss on held-out images.

    The seed decides the masked patches, others in each epoch; in validation they are always the same.
    """

    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        return self._loss(batch, (self.epoch_seed(epoch) * 100_003 + step) % 2**64)

    def validate(self, batch: Any, step: int) -> tuple[Tensor, None]:
        return self._loss(batch, step), None

    def scores(self, outputs: list[None]) -> dict[str, float | None]:
        return {}

    def _loss(self, batch: Any, seed: int) -> Tensor:
        loss: Tensor = self.network(batch[0], torch.Generator().manual_seed(seed)).loss
        return loss

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        self.eval()
        means = {}
        for part in ("valid", "test"):
            pairs = [(float(self._loss(batch, step)), len(batch[0])) for step, batch in enumerate(self.loader(part))]
            losses, sizes = zip(*pairs, strict=True)
            means[part] = outcome({"pixels": {"loss": float(np.average(losses, weights=sizes))}})
        return evaluation(**means)


class Teacher(NamedTuple):
    """What a student learns from: a frozen network, and how its answers are weighed."""

    network: nn.Module
    temperature: float  # above 0: both networks' logits are divided by it
    alpha: float  # in 0..1, the share of the teacher's answers in the loss


class PresenceTask(Task):
    """Telling `crops` of each part with a landslide from those without by a `Classifier`, alone or after a teacher.

    Raises ValueError: the crops of a part are all of one kind.
    """

    def __init__(
        self, network: nn.Module, data: Data, crops: dict[str, Crops], *, teacher: Teacher | None = None, **options: Any
    ) -> None:
        super().__init__(network, data, **options)
        for part, of_part in crops.items():
            if len(set(of_part.label.tolist())) < 2:
                problem = f"{data.packed.name} has no {part} images of both kinds, with and without a landslide"
                raise ValueError(f"start: {problem}; take more images (subset), or learn it on other data")
        self.crops, self.teacher = crops, teacher
        if teacher is not None:
            self.teacher_network = teacher.network.requires_grad_(False)

    def batch_target(self, part: str) -> CropTarget:
        return CropTarget(self.crops[part])

    def loss(self, images: Tensor, labels: Tensor, logits: Tensor) -> Tensor:
        if self.teacher is None:
            return F.cross_entropy(logits.float(), labels)
        self.teacher_network.eval()  # the loop sets all of the task to train
        with torch.no_grad():
            soft = self.teacher_network(images)
        return distillation(logits, soft, labels, self.teacher.temperature, self.teacher.alpha)

    def training_loss(self, batch: Any, epoch: int, step: int) -> Tensor:
        images, labels = batch
        return self.loss(images, labels, self.network(images))

    def validate(self, batch: Any, step: int) -> tuple[Tensor, Tensor]:
        images, labels = batch
        logits = self.network(images)
        called = logits.float().softmax(1)[:, 1:] > 0.5
        return self.loss(images, labels, logits), confusion(called, labels[:, None] == 1)

    @torch.no_grad()
    def count(self, part: str) -> Counter:
        self.eval()
        counter = Counter()
        for images, labels in self.loader(part):
            counter.update(self.network(images).float().softmax(1)[:, 1:], labels[:, None])
        return counter

    def evaluate(self) -> dict[str, Any]:
        counts = {part: self.count(part) for part in ("valid", "test")}
        at = {part: outcome({"tiles": scores.scores(each.images())["pooled"]}) for part, each in counts.items()}
        packed, image, test = self.data.packed, self.crops["test"].image, counts["test"]
        return evaluation(
            **at,
            test_counts=test.images().tolist(),
            histogram=test.histogram(100).tolist(),
            images={part: len(crops.label) for part, crops in self.crops.items()},
            test_ids=[packed.ids[i] for i in image],
            test_groups=[packed.groups[i] for i in image],
        )
